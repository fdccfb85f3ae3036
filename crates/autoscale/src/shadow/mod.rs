//! The real controllers beside the computed ones: from what was seen of a cluster to a judgement of every decision.
//!
//! Must not watch a cluster, nor call a difference explained that no reading, rounding or clock explains.
//!
//! A recording holds facts ([`Fact`]): HPAs and `ScaledObject`s with their status, the scale of their targets, pods,
//! samples and readings, each with the time at which it was seen. An HPA's status shows the outcome of a sync; a
//! sync that changes nothing leaves no trace, but must have been, and held the size: it is compared, too. The
//! machines of this crate get every input that the sync may have had. Where all of them lead to the real size,
//! conditions and words, the step is equal; where some do, it is within what rounding and clocks leave open; where
//! none does, it is a difference.

mod fact;
mod hpa;
mod inputs;
mod keda;
mod parse;
mod polls;
mod print;
mod readings;
mod report;
mod syncs;
mod timeline;
mod world;

pub use fact::{Fact, FlagSource, Line, SeenPod, SeenSample, Target};
pub use report::{Cause, Change, Comparison, Controller, Counts, Report, Step, Verdict};

use world::World;

/// Facts in the order in which they were seen.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recording {
    /// The first is [`Fact::Start`].
    pub lines: Vec<Line>,
}

/// A recording that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("line {line} of the recording is none")]
pub struct RecordingError {
    /// Counted from 1.
    pub line: usize,
    /// Why.
    pub source: serde_json::Error,
}

impl Recording {
    /// Reads JSON lines.
    pub fn from_jsonl(text: &str) -> Result<Self, RecordingError> {
        let lines = text.lines().enumerate().filter(|(_, it)| !it.is_empty());
        let lines = lines.map(|(index, text)| {
            serde_json::from_str(text).map_err(|source| RecordingError {
                line: index + 1,
                source,
            })
        });
        Ok(Self {
            lines: lines.collect::<Result<_, _>>()?,
        })
    }

    /// Writes JSON lines.
    pub fn to_jsonl(&self) -> Result<String, serde_json::Error> {
        let mut text = String::new();
        for line in &self.lines {
            text.push_str(&serde_json::to_string(line)?);
            text.push('\n');
        }
        Ok(text)
    }

    /// Computes every decision of the real controllers, and compares.
    pub fn compare(&self) -> Report {
        let world = World::of(&self.lines);
        let mut report = Report {
            namespace: world.namespace.clone(),
            start: world.span.0,
            end: world.span.1,
            ..Report::default()
        };
        let unread = world.unread.iter();
        let unread = unread.map(|(kind, name, problem)| format!("{kind} {name}: {problem}"));
        report.unread = unread.collect();
        for name in world.hpas.keys() {
            match hpa::compare(&world, name) {
                Ok(found) => report.comparisons.push(found),
                Err(problem) => report.unread.push(problem),
            }
        }
        let (changes, foreign) = written(&world, &report);
        report.foreign = foreign;
        for (name, line) in &world.scaled_objects {
            let mut objects = line.all().iter().filter_map(|(_, it)| it.as_ref());
            let target = objects.next_back();
            let target = target.map(|it| it.spec.scale_target_ref.name.as_str());
            let own = changes
                .iter()
                .filter(|(by, it)| *by == Controller::Keda && Some(it.target.as_str()) == target);
            let own: Vec<Change> = own.map(|(_, it)| it.clone()).collect();
            match keda::compare(&world, name, &own) {
                Ok(found) => report.comparisons.push(found),
                Err(problem) => report.unread.push(problem),
            }
        }
        for (by, change) in changes {
            if !claims(&report, by, &change) {
                report.unclaimed.push(change);
            }
        }
        report
    }
}

/// The sizes that controllers wrote, with who did, and those that others wrote.
///
/// A size of 0 that is written through `/scale` takes the field's owner away, for good: then a sync of the HPA tells,
/// and what it does not tell and KEDA may do, KEDA did.
fn written(world: &World, report: &Report) -> (Vec<(Controller, Change)>, Vec<Change>) {
    let (mut own, mut foreign) = (Vec::new(), Vec::new());
    for change in changes(world) {
        let keda = || {
            let lines = world.scaled_objects.values();
            let mut objects = lines.filter_map(|line| line.at(change.at)?.as_ref());
            objects.any(|it| {
                let min = it.spec.min_replicas().max(1);
                it.spec.scale_target_ref.name == change.target
                    && (change.to == it.spec.idle_replica_count.unwrap_or(0) || change.to == min)
            })
        };
        match change.writer.as_str() {
            "kube-controller-manager" => own.push((Controller::Hpa, change)),
            "" if claims(report, Controller::Hpa, &change) => own.push((Controller::Hpa, change)),
            "keda" | "keda-operator" => own.push((Controller::Keda, change)),
            "" if keda() => own.push((Controller::Keda, change)),
            _ => foreign.push(change),
        }
    }
    (own, foreign)
}

/// Whether a decision that was seen says this size.
fn claims(report: &Report, by: Controller, change: &Change) -> bool {
    let says = |step: &Step| {
        let after = step.at.as_micros() - change.at.as_micros();
        step.real == change.to
            && step.current == change.from
            && (-syncs::SKEW..=syncs::LAG).contains(&after)
    };
    let own = |it: &&Comparison| it.controller == by && it.target == change.target;
    let mut comparisons = report.comparisons.iter().filter(own);
    comparisons.any(|it| it.steps.iter().any(says))
}

/// The sizes that were written while changes were seen.
fn changes(world: &World) -> Vec<Change> {
    let mut changes = Vec::new();
    for (name, line) in &world.targets {
        for pair in line.all().windows(2) {
            let [(_, Some(before)), (at, Some(after))] = pair else {
                continue;
            };
            if before.spec_replicas != after.spec_replicas {
                changes.push(Change {
                    at: *at,
                    target: name.clone(),
                    from: before.spec_replicas,
                    to: after.spec_replicas,
                    writer: after.writer.clone().unwrap_or_default(),
                });
            }
        }
    }
    changes.sort_by_key(|it| it.at);
    changes
}
