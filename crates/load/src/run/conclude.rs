//! Snapshots while a run goes on, and its result at the end.
//!
//! It must not wait for anything.

use super::threads::Threads;
use super::{Run, beside};
use crate::audit::{AuditSummary, follow};
use crate::histogram::rounded;
use crate::options::Options;
use crate::progress::{Phase, Progress};
use crate::result::{Generator, Machine, RunResult, SCHEMA, Setup};
use crate::schedule::Stage;

impl Run {
    /// Sends a snapshot to whoever watches.
    pub(super) fn tell(&self, threads: &Threads, phase: Phase, options: &Options) {
        let Some(channel) = &self.progress else {
            return;
        };
        // A reader that is slow or gone misses a snapshot; the run does not wait for it.
        let _missed = channel.try_send(self.snapshot(threads, phase, options));
    }

    fn snapshot(&self, threads: &Threads, phase: Phase, options: &Options) -> Progress {
        let collector = &threads.collector;
        let (total, last, gauges) = (
            collector.total(),
            collector.last_second(),
            collector.gauges(),
        );
        let elapsed_s = self.elapsed_s();
        let schedule = &options.schedule;
        let sending = phase == Phase::Sending;
        let now = |figure: f64| if sending { figure } else { 0.0 };
        let tracker = self.tracker.as_ref().map(follow::lock);
        Progress {
            phase,
            elapsed_s,
            duration_s: schedule.duration().as_secs_f64(),
            offered_rps: now(
                schedule.requests_until(elapsed_s) - schedule.requests_until(elapsed_s - 1.0)
            ),
            sent_rps: now(last.sent as f64),
            ok_rps: now(last.ok as f64),
            intended: threads.gate.intended().max(threads.gate.released()),
            sent: gauges.started,
            ok: total.ok,
            failed: total.failed(),
            in_flight: gauges.in_flight,
            queued: gauges.queued,
            connections: gauges.connections,
            response: last.response.summary(),
            lag: last.lag.summary(),
            response_total: total.response.summary(),
            acknowledged: tracker.as_ref().map(|t| t.promises().acknowledged()),
            finished: tracker.as_ref().map(|t| t.finished()),
            e2e_total: tracker.as_ref().map(|t| t.total().summary()),
            sample: beside::lock(&self.timeline).last().cloned(),
        }
    }

    pub(super) fn conclude(
        self,
        mut threads: Threads,
        options: &Options,
        audit: Option<AuditSummary>,
        machine: Option<Machine>,
    ) -> RunResult {
        let generator = self.generator(&mut threads, machine);
        let setup = setup(options, threads.max_connections);
        let elapsed_s = rounded(self.elapsed_s());
        let timeline = std::mem::take(&mut *beside::lock(&self.timeline));
        let (timeline, scaling) = timeline.finish();
        let intended = threads.gate.intended();
        let (accounting, latency, interval_s, series) = threads.into_collector().finish(intended);
        RunResult {
            schema: SCHEMA.to_owned(),
            run: options.run.as_str().to_owned(),
            started_at_us: self.clock.origin_epoch_us(),
            elapsed_s,
            setup,
            accounting,
            latency,
            generator,
            interval_s,
            series,
            timeline,
            scaling,
            audit,
            aborted: self.aborted,
        }
    }

    fn generator(&self, threads: &mut Threads, machine: Option<Machine>) -> Generator {
        let pacer = threads.pacer_report();
        let (total, gauges) = (threads.collector.total(), threads.collector.gauges());
        let intended = threads.gate.intended() as f64;
        let planned_s = threads.schedule.duration().as_secs_f64();
        // A run that was stopped is measured until then.
        let stopped_s = threads
            .gate
            .ended_ns()
            .map_or(planned_s, |ns| ns as f64 / 1e9);
        let offered_s = if self.aborted.is_some() {
            planned_s.min(stopped_s)
        } else {
            planned_s
        };
        let sent_s = (gauges.last_sent_ns as f64 / 1e9).max(offered_s);
        let sending_s = sent_s.max(1e-9);
        Generator {
            offered_rps: rounded(intended / offered_s.max(1e-9)),
            achieved_rps: rounded(total.sent as f64 / sending_s),
            ok_rps: rounded(total.ok as f64 / sending_s),
            cpu_cores: rounded((gauges.cpu_ns + pacer.cpu_ns) as f64 / 1e9 / sending_s),
            busiest_sender: rounded(threads.collector.busiest_ns() as f64 / 1e9 / sending_s),
            connections_peak: gauges.connections_peak,
            connections_opened: gauges.connections_opened,
            queue_peak: gauges.queue_peak,
            stalls: pacer.stalls,
            worst_stall_us: pacer.worst_stall_ns / 1_000,
            machine,
        }
    }
}

fn setup(options: &Options, max_connections: usize) -> Setup {
    let schedule = &options.schedule;
    Setup {
        url: options.target.url().to_owned(),
        method: options.target.method.to_string(),
        stages: schedule.stages().iter().map(Stage::to_string).collect(),
        arrivals: schedule.arrivals().name().to_owned(),
        seed: schedule.seed(),
        duration_s: schedule.duration().as_secs_f64(),
        timeout_s: options.client.timeout.as_secs_f64(),
        senders: options.client.senders.max(1),
        max_connections,
    }
}
