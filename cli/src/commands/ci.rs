//! `kedactl ci`: one run from nothing to nothing, whatever happens in between.
//!
//! It must not leave a stack that it brought up, nor touch one that was there before.

mod phases;

use super::up::Source;
use super::{load, verify};
use crate::args::{CiArgs, UpArgs};
use crate::ci::{self, Case, End, Ended, Folder, Phase, Recorder, Timeline, Told, Watch};
use crate::context::Context;
use crate::error::{Code, Error, Exit};
use crate::output::{Progress, annotation};
use crate::running::Running;
use kedactl_config::Config;
use serde_json::{Value, json};
use std::fs::File;
use std::io::Write as _;
use std::sync::Mutex;
use std::time::Duration;
use tokio::time::Instant;

pub(crate) fn ci(context: &Context, args: &CiArgs) -> Result<Exit, Error> {
    let up = phases::up_args(args);
    let source = Source::load(context, &up)?;
    let config = source.config().clone();
    let name = context.name_of(&config);
    if wants_load(args) {
        load::check(&args.load)?;
    }
    if args.verify {
        verify::possible(&config)?;
    }
    if Running::find(context, &name)?.is_some() {
        return Err(Error::new(
            Code::StackThere,
            format!("stack {name} is there already, and a run of CI takes down what it brings up"),
        )
        .hint(format!(
            "take it down (`kedactl down --purge --stack {name}`), or give the run another stack with --stack NAME"
        )));
    }
    let folder = Folder::open(&args.artifacts)?;
    crate::output::log_to_file(&context.global, File::create(folder.join("kedactl.log"))?);
    let events = File::create(folder.join("events.jsonl"))?;
    let run = Run {
        context,
        args,
        name,
        config,
        folder,
        events,
        recorder: Recorder::default(),
        watch: Watch::start(args.timeout)?,
        start: Instant::now(),
        timeline: Mutex::new(Timeline::default()),
    };
    run.all(up, source)
}

fn wants_load(args: &CiArgs) -> bool {
    args.load.rps.is_some() || !args.load.stage.is_empty()
}

/// What the phases share.
struct Run<'r> {
    context: &'r Context,
    args: &'r CiArgs,
    name: String,
    config: Config,
    folder: Folder,
    events: File,
    recorder: Recorder,
    watch: Watch,
    start: Instant,
    timeline: Mutex<Timeline>,
}

/// What a phase came to: a line for people, its value, and its parts where no events tell of them.
struct Came {
    note: String,
    value: Value,
    cases: Vec<Case>,
    failure: Option<Error>,
}

impl Came {
    fn well(note: String, value: Value) -> Self {
        Self {
            note,
            value,
            cases: Vec::new(),
            failure: None,
        }
    }
}

impl Run<'_> {
    fn all(self, up: UpArgs, source: Source) -> Result<Exit, Error> {
        let mut ended = vec![self.phase(Phase::Up, || self.up(up, source))];
        let wanted = [
            (Phase::Verify, self.args.verify),
            (Phase::Load, wants_load(self.args)),
            (Phase::Command, !self.args.command.is_empty()),
        ];
        for (phase, _) in wanted.into_iter().filter(|(_, wanted)| *wanted) {
            let before = ended.iter().find(|it| it.failed()).map(|it| it.phase);
            ended.push(match before {
                Some(before) => skipped(phase, format!("{} failed", before.name())),
                None => self.phase(phase, || match phase {
                    Phase::Verify => self.verify(),
                    Phase::Load => self.load(),
                    _ => self.command(),
                }),
            });
        }
        self.watch.disarm();
        // Who told the run to end has seconds of patience: they belong to the teardown.
        let hurried = matches!(
            self.watch.told(),
            Some(Told::Interrupted | Told::Terminated)
        );
        if ended.iter().any(Ended::failed) && !hurried {
            ended.push(self.phase_to_the_end(Phase::Artifacts, || self.collect()));
        }
        ended.push(if self.args.keep {
            skipped(Phase::Down, "--keep leaves the stack up".to_owned())
        } else {
            self.phase_to_the_end(Phase::Down, || self.down())
        });
        self.conclude(ended)
    }

    /// Runs a phase, unless the run was told to end before.
    fn phase(&self, phase: Phase, work: impl FnOnce() -> Result<Came, Error>) -> Ended {
        if let Some(told) = self.watch.told() {
            let error = self.told(told, phase, None);
            return self.ended(phase, Duration::ZERO, Err(error));
        }
        let (start, came) = (Instant::now(), work());
        let came = match (came, self.watch.told()) {
            (Err(error), Some(told)) => Err(self.told(told, phase, Some(error))),
            (came, _) => came,
        };
        self.ended(phase, start.elapsed(), came)
    }

    /// Runs a phase that comes whatever happened.
    fn phase_to_the_end(&self, phase: Phase, work: impl FnOnce() -> Result<Came, Error>) -> Ended {
        let (start, came) = (Instant::now(), work());
        self.ended(phase, start.elapsed(), came)
    }

    /// The error of a phase that was broken off.
    fn told(&self, told: Told, phase: Phase, said: Option<Error>) -> Error {
        let phase = phase.name();
        let (code, message) = match told {
            Told::Interrupted => (Code::Interrupted, format!("interrupted in `{phase}`")),
            Told::Terminated => (Code::Terminated, format!("told to end in `{phase}`")),
            Told::Expired => {
                let minutes = self.args.timeout.as_secs_f64() / 60.0;
                let message =
                    format!("the time of the whole run ({minutes:.1} min) was over in `{phase}`");
                (Code::RunExpired, message)
            }
        };
        let error = Error::new(code, message);
        match said {
            Some(said) => error.source(said),
            None => error,
        }
    }

    fn ended(&self, phase: Phase, took: Duration, came: Result<Came, Error>) -> Ended {
        let events = self.recorder.take();
        if let Ok(mut timeline) = self.timeline.lock() {
            timeline.add_events(phase.name(), &events);
        }
        let mut cases = ci::of_events(&events);
        let (end, note, value) = match came {
            Ok(came) => {
                cases.extend(came.cases);
                let end = came.failure.map_or(End::Passed, End::Failed);
                (end, came.note, came.value)
            }
            Err(error) => (End::Failed(error), String::new(), Value::Null),
        };
        if let (End::Failed(error), Progress::Actions) = (&end, self.context.printer.progress()) {
            let text = annotation(
                "error",
                &format!("kedactl ci: {}", phase.name()),
                &error.to_string(),
            );
            self.context.printer.say(&text);
        }
        Ended {
            phase,
            end,
            took,
            note,
            cases,
            value,
        }
    }

    /// Writes the reports and says how it went; the first failure is the run's.
    fn conclude(&self, ended: Vec<Ended>) -> Result<Exit, Error> {
        let xml = ci::report(&self.name, &ended).map_err(|error| {
            Error::new(Code::Internal, "the report has no XML form").source(error)
        })?;
        let junit = self.args.junit.clone();
        ci::write(
            &junit.unwrap_or_else(|| self.folder.join("junit.xml")),
            &xml,
        )?;
        let page = ci::markdown(&self.name, &ended);
        self.folder.write("summary.md", &page)?;
        if let Some(path) = &self.context.env.step_summary {
            append(path, &page)?;
        }
        let timeline = self.timeline.lock().map(|mut it| std::mem::take(&mut *it));
        let timeline = timeline.unwrap_or_default();
        self.folder
            .write("timeline.txt", &ci::plain(&timeline.text()))?;
        let phases: Vec<Value> = ended.iter().map(Ended::document).collect();
        let run = json!({
            "schema": "kedactl.ci/v1", "stack": self.name, "passed": !ended.iter().any(Ended::failed),
            "took_ms": self.start.elapsed().as_millis() as u64, "artifacts": self.folder.path(), "phases": phases,
        });
        self.folder.finish(&run)?;
        let text = if self.context.json() {
            crate::output::json(&run)?
        } else {
            ci::text(&ended, &self.folder)
        };
        self.context.printer.data(&text)?;
        let failed = ended.into_iter().find_map(|it| match it.end {
            End::Failed(error) => Some(error),
            _ => None,
        });
        failed.map_or(Ok(Exit::Done), Err)
    }
}

fn skipped(phase: Phase, reason: String) -> Ended {
    Ended {
        phase,
        end: End::Skipped(reason),
        took: Duration::ZERO,
        note: String::new(),
        cases: Vec::new(),
        value: Value::Null,
    }
}

fn append(path: &std::path::Path, text: &str) -> Result<(), Error> {
    let file = File::options().append(true).create(true).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|error| {
            let message = format!("{} could not be written", path.display());
            Error::new(Code::Io, message).source(error)
        })
}
