//! The view of a load run while it runs: a few lines redrawn on a terminal, one line a second elsewhere.
//!
//! It must not hold the run up: snapshots that come too fast are drawn as they come.

use crate::output::style::{count, dim, millis};
use crate::output::{Printer, Progress as Mode};
use indicatif::{ProgressBar, ProgressStyle};
use kedactl_load::{Options, Phase, Progress};
use std::thread::{self, JoinHandle};
use tokio::sync::mpsc::Receiver;

/// A reader of snapshots on a thread of its own.
#[derive(Debug)]
pub(crate) struct Screen(JoinHandle<()>);

impl Screen {
    pub(crate) fn start(
        printer: Printer,
        mut snapshots: Receiver<Progress>,
        options: &Options,
    ) -> Self {
        printer.say(&format!(
            "run {}, seed {}",
            options.run.as_str(),
            options.schedule.seed()
        ));
        Self(thread::spawn(move || {
            let bar = (printer.progress() == Mode::Live).then(live);
            let mut heartbeat = Heartbeat::default();
            while let Some(snapshot) = snapshots.blocking_recv() {
                match (&bar, printer.progress()) {
                    (Some(bar), _) => draw(bar, &snapshot),
                    (None, Mode::Lines) if heartbeat.due(&snapshot) => {
                        printer.say(&line(&snapshot));
                    }
                    (None, _) => {}
                }
            }
            if let Some(bar) = bar {
                bar.finish_and_clear();
            }
        }))
    }

    /// Waits for the last snapshot to be shown.
    pub(crate) fn finish(self) {
        // A reader that panicked has said so itself; the result is reported all the same.
        drop(self.0.join());
    }
}

/// Which snapshots are worth a line: each while requests leave, then those in which something moved, and one in ten.
#[derive(Debug, Default)]
struct Heartbeat {
    last: Option<(Phase, Option<u64>, u32)>,
    quiet: u32,
}

impl Heartbeat {
    fn due(&mut self, it: &Progress) -> bool {
        let workers = it
            .sample
            .as_ref()
            .map_or(0, |sample| sample.workers.desired);
        let now = Some((it.phase, it.finished, workers));
        self.quiet = if self.last == now { self.quiet + 1 } else { 0 };
        self.last = now;
        it.phase == Phase::Sending || self.quiet.is_multiple_of(10)
    }
}

fn live() -> ProgressBar {
    let bar = ProgressBar::new(1000);
    if let Ok(style) = ProgressStyle::with_template("  {bar:40} {prefix}\n{msg}") {
        bar.set_style(style);
    }
    bar
}

fn draw(bar: &ProgressBar, it: &Progress) {
    bar.set_position((it.elapsed_s / it.duration_s.max(0.001) * 1000.0) as u64);
    bar.set_prefix(format!(
        "{:.0} of {:.0} s, {}",
        it.elapsed_s,
        it.duration_s,
        phase(it.phase)
    ));
    bar.set_message(format!(
        "  {}\n  {}\n  {}",
        requests(it),
        latency(it),
        platform(it)
    ));
}

fn line(it: &Progress) -> String {
    format!(
        "{:>4.0} s {:<9} {}; {}; {}",
        it.elapsed_s,
        phase(it.phase),
        requests(it),
        latency(it),
        platform(it)
    )
}

fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Sending => "sending",
        Phase::Finishing => "finishing",
        Phase::Draining => "draining",
        Phase::WaitingForZero => "to zero",
        Phase::Done => "done",
    }
}

fn requests(it: &Progress) -> String {
    let failed = if it.failed > 0 {
        format!(", {} failed", count(it.failed))
    } else {
        String::new()
    };
    format!(
        "{:.0}/s of {:.0}/s, {} ok{failed}, {} in flight",
        it.ok_rps,
        it.offered_rps,
        count(it.ok),
        it.in_flight
    )
}

fn latency(it: &Progress) -> String {
    if it.response.count == 0 {
        return "no answer in this second".to_owned();
    }
    let ms = |us: u64| millis(us as f64 / 1000.0);
    format!("p50 {} p99 {}", ms(it.response.p50), ms(it.response.p99))
}

fn platform(it: &Progress) -> String {
    let tasks = match (it.acknowledged, it.finished) {
        (Some(acknowledged), Some(finished)) => {
            format!("tasks {} of {} done", count(finished), count(acknowledged))
        }
        _ => dim("no audit"),
    };
    let Some(sample) = &it.sample else {
        return tasks;
    };
    format!(
        "{tasks}, backlog {}, workers {}/{}, api {}/{}",
        count(sample.backlog),
        sample.workers.ready,
        sample.workers.desired,
        sample.api.ready,
        sample.api.desired
    )
}
