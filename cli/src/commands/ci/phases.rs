//! What the phases of a run of CI are: the other commands, with their results kept as files.
//!
//! It must not decide which of them run.

use super::{Came, Run};
use crate::args::{CiArgs, DownArgs, EventsArgs, OwnershipArgs, UpArgs};
use crate::ci::{Case, Verdict};
use crate::commands::up::{self, Source};
use crate::commands::{block_on, block_on_job, down, load, verify};
use crate::error::{Code, Error};
use crate::output::Readers;
use crate::running::Running;
use kedactl_exec::Job;
use kedactl_load::{ClientOptions, Verdict as Judgement};
use kedactl_plan::Control;
use kedactl_stack::StackError;
use serde_json::{Value, json};
use std::ffi::OsString;
use std::fs::File;
use std::io::Write as _;
use std::time::Duration;

/// How long taking the stack down may take, whatever time the run had.
const DOWN_WITHIN: Duration = Duration::from_mins(3);
/// How long collecting what a failed run needs may take.
const COLLECT_WITHIN: Duration = Duration::from_mins(2);
/// How long the user's command may take to end when it was asked to.
const COMMAND_PATIENCE: Duration = Duration::from_secs(10);
/// Signals that do not keep the stack from being taken down: a CI service sends a second one after seconds.
const SPARED: usize = 1;

/// What `up` would be told for the same.
pub(super) fn up_args(args: &CiArgs) -> UpArgs {
    UpArgs {
        plan: None,
        from: args.from.clone(),
        layers: args.layers.clone(),
        place: args.place.clone(),
        ownership: OwnershipArgs::default(),
        verify: false,
        timeout: None,
        stream: EventsArgs::default(),
    }
}

impl Run<'_> {
    fn readers(&self) -> Result<Readers, Error> {
        let log = self.events.try_clone()?;
        Ok(Readers::to_file(log).with(self.recorder.clone()))
    }

    pub(super) fn up(&self, mut args: UpArgs, source: Source) -> Result<Came, Error> {
        args.timeout = Some(self.args.timeout.saturating_sub(self.start.elapsed()));
        let brought = up::bring(self.context, &args, source, self.readers()?)?;
        self.folder.write_json("up.json", &brought.value)?;
        Ok(Came::well(brought.text, brought.value))
    }

    pub(super) fn verify(&self) -> Result<Came, Error> {
        let proven = verify::verify(self.context, &self.name, &self.config, self.readers()?)?;
        self.folder.write_json("verify.json", &proven)?;
        let mut came = Came::well(
            format!("{} tasks, {} lost", proven.accepted, proven.lost),
            json!(proven),
        );
        came.failure = verify::failure(&proven);
        Ok(came)
    }

    pub(super) fn load(&self) -> Result<Came, Error> {
        let open = || self.open();
        let client = ClientOptions::default();
        let judged = load::on_stack(self.context, open, &self.args.load, None, client)?;
        let document = judged.document()?;
        self.folder.write_json("load.json", &document)?;
        self.folder
            .write("load.txt", &crate::ci::plain(&judged.text()))?;
        if let Ok(mut timeline) = self.timeline.lock() {
            timeline.add_load(&judged.result);
        }
        if !self.context.json() {
            self.context.printer.data(&judged.text())?;
        }
        Ok(Came {
            note: judged.verdict.reason.clone(),
            value: document,
            cases: checks(&judged.verdict),
            failure: judged.failure(),
        })
    }

    /// The user's own command, heard as it speaks and kept in a file.
    pub(super) fn command(&self) -> Result<Came, Error> {
        let Some((program, words)) = self.args.command.split_first() else {
            return Ok(Came::well(String::new(), Value::Null));
        };
        let url = block_on(async { self.open()?.api_url().await })?;
        let mut log = File::create(self.folder.join("command.log"))?;
        let mut job = Job::new(program)
            .args(words.iter().cloned())
            .env("KEDACTL_API_URL", url)
            .env("KEDACTL_STACK", &self.name)
            .env("KEDACTL_ARTIFACTS", self.folder.path())
            .within(Duration::MAX)
            .patience(COMMAND_PATIENCE);
        if let Running::Cluster(it) = self.open()? {
            job = job.env("KUBECONFIG", &it.record().kubeconfig);
        }
        let control = Control::default();
        let ended = block_on_job(&control, 0, async {
            let heard = |line: &str| {
                self.context.printer.error(line);
                // A full disk must not end the command.
                drop(writeln!(log, "{line}"));
            };
            let ended = job.run_told(&control.stop, heard).await;
            Ok(ended.map_err(StackError::from)?)
        })?;
        let line = command_line(&self.args.command);
        let mut came = Came::well(format!("{line}: {}", ended.how), json!({"how": ended.how}));
        if ended.code != Some(0) {
            let message = format!("{line} failed: {}", ended.how);
            came.failure = Some(Error::new(Code::CommandFailed, message));
        }
        Ok(came)
    }

    fn open(&self) -> Result<Running, Error> {
        let found = Running::find(self.context, &self.name)?;
        found.ok_or_else(|| Error::new(Code::NoStack, format!("stack {} is gone", self.name)))
    }

    /// Keeps what a failed run needs, as long as the stack is there to be asked.
    pub(super) fn collect(&self) -> Result<Came, Error> {
        let Some(running) = Running::find(self.context, &self.name)? else {
            return Ok(Came::well("no stack was made".to_owned(), Value::Null));
        };
        let collected = block_on(async {
            let collect = Box::pin(running.collect(self.folder.path()));
            tokio::time::timeout(COLLECT_WITHIN, collect)
                .await
                .unwrap_or_else(|_| {
                    let late = format!("not everything came within {} s", COLLECT_WITHIN.as_secs());
                    Err(Error::new(Code::NotReady, late))
                })
        })?;
        if let Ok(mut timeline) = self.timeline.lock() {
            for (at, text) in collected.moments {
                timeline.add(at, "cluster", text);
            }
        }
        let missing = collected.missing.len();
        if missing > 0 {
            let text = collected.missing.join("\n") + "\n";
            self.folder.write("missing.txt", &text)?;
        }
        let note = format!(
            "{} files, {missing} things could not be read",
            collected.files
        );
        Ok(Came::well(note, json!({"missing": collected.missing})))
    }

    pub(super) fn down(&self) -> Result<Came, Error> {
        let args = DownArgs {
            keep_data: false,
            purge: true,
            release_finalizers: true,
            timeout: DOWN_WITHIN,
            stream: EventsArgs::default(),
        };
        let taken = down::take(self.context, &self.name, &args, self.readers()?, SPARED)?;
        Ok(Came::well(taken.text, taken.value))
    }
}

/// Each objective as a part of the load.
fn checks(verdict: &Judgement) -> Vec<Case> {
    let all = verdict.checks.iter().map(|it| {
        let measured = it.measured.clone();
        let measured = measured.unwrap_or_else(|| "not measured".to_owned());
        Case {
            name: it.slo.clone(),
            took: Duration::ZERO,
            verdict: if it.ok {
                Verdict::Passed(measured)
            } else {
                Verdict::Failed {
                    message: format!("{} missed: {measured}", it.slo),
                    detail: verdict.reason.clone(),
                }
            },
        }
    });
    all.collect()
}

fn command_line(words: &[OsString]) -> String {
    let words = words.iter().map(|it| it.to_string_lossy().into_owned());
    words.collect::<Vec<_>>().join(" ")
}
