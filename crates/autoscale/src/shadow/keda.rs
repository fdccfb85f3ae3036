//! KEDA's loop beside the computed one, poll by poll.
//!
//! Must not carry state from one poll to the next: the operator keeps its state in the object, and so it was seen.

use std::sync::Arc;

use super::inputs::combined;
use super::polls::{Poll, Seen, polls, state};
use super::readings::thousandths;
use super::report::{Cause, Change, Comparison, Controller, Step, Verdict};
use super::syncs::LAG;
use super::world::{Reading as Read, World};
use crate::api::ScaledObject;
use crate::keda::{
    KedaLoop, KedaOptions, KedaReason, KedaVersion, PollInput, PollOutcome, Reading, ReadingResult,
};
use crate::time::Timestamp;

/// Compares every poll of one object; `written` are the sizes that the operator wrote to its target.
pub(super) fn compare(world: &World, name: &str, written: &[Change]) -> Result<Comparison, String> {
    let line = world.scaled_objects.get(name).ok_or("it was not seen")?;
    let objects = || line.all().iter().filter_map(|(_, it)| it.as_ref());
    let mut target = objects().map(|it| it.spec.scale_target_ref.name.clone());
    let target = target.next_back().unwrap_or_default();
    let mut steps = Vec::new();
    for poll in polls(line, written, world.span.1) {
        // As the operator found it, and as it left it.
        let before = line.at(poll.at.plus_micros(-1)).and_then(Option::as_ref);
        let after = line.at(poll.end).and_then(Option::as_ref);
        let (Some(before), Some(after)) = (before, after) else {
            continue;
        };
        if before.pause().full {
            continue;
        }
        let mut look = Look {
            world,
            target: &target,
            poll: &poll,
            between: poll.near,
            before,
            after: &Seen::of(after),
        };
        let told = |problem| format!("ScaledObject {name}: {problem}");
        // First what it most likely saw; where that does not settle it, all that it may have seen.
        let mut step = look.step().map_err(told)?;
        if !matches!(&step, Some(step) if step.verdict == Verdict::Equal) {
            look.between = poll.looked;
            step = look.step().map_err(told)?;
        }
        steps.extend(step);
    }
    Ok(Comparison {
        controller: Controller::Keda,
        object: name.to_owned(),
        target,
        steps,
    })
}

/// One poll and its surroundings.
struct Look<'a> {
    world: &'a World,
    target: &'a str,
    poll: &'a Poll,
    /// It looked between these two.
    between: (Timestamp, Timestamp),
    before: &'a Arc<ScaledObject>,
    after: &'a Seen,
}

/// The inputs that a poll may have had.
#[derive(Default)]
struct Inputs {
    all: Vec<PollInput>,
    blind: bool,
    reading: String,
}

impl Look<'_> {
    fn step(&self) -> Result<Option<Step>, String> {
        let inputs = self.inputs()?;
        let Some(current) = inputs.all.first().map(|it| it.current_replicas) else {
            return Ok(None);
        };
        let current = self.poll.wrote.map_or(current, |(from, _)| from);
        let mut outcomes = Vec::new();
        for input in &inputs.all {
            outcomes.push((input, self.outcome(self.poll.at, input)?));
        }
        let verdict = self.judge(&inputs, &outcomes)?;
        let mut predicted: Vec<i32> = outcomes.iter().map(|(input, it)| size(input, it)).collect();
        predicted.sort_unstable();
        predicted.dedup();
        Ok(Some(Step {
            at: self.poll.at,
            seen: self.poll.seen,
            current,
            real: self.poll.wrote.map_or(current, |(_, to)| to),
            predicted,
            reading: inputs.reading,
            verdict,
        }))
    }

    fn outcome(&self, now: Timestamp, input: &PollInput) -> Result<PollOutcome, String> {
        let created = self.before.metadata.creation_timestamp.as_ref();
        let created = created.map_or(0, |it| it.0.as_microsecond());
        let options = KedaOptions {
            version: KedaVersion::V2_20,
            created: Timestamp::from_micros(created),
        };
        let machine = KedaLoop::restore(self.before, options, state(self.before));
        let mut machine = machine.map_err(|error| error.to_string())?;
        Ok(machine.poll(now, input))
    }

    fn judge(
        &self,
        inputs: &Inputs,
        outcomes: &[(&PollInput, PollOutcome)],
    ) -> Result<Verdict, String> {
        let agreeing = outcomes.iter().filter(|(_, it)| self.agrees(it)).count();
        if agreeing == outcomes.len() && !inputs.blind {
            return Ok(Verdict::Equal);
        }
        if agreeing > 0 {
            return Ok(Verdict::Within(if inputs.blind {
                Cause::NoReading
            } else {
                Cause::Between
            }));
        }
        for shift in [-100_000, -300_000, -700_000, -LAG, 300_000, LAG / 2] {
            // What was seen was not before it happened; what left no trace may have been later, too.
            if shift > 0 && self.poll.seen {
                continue;
            }
            let now = self.poll.at.plus_micros(shift);
            for input in &inputs.all {
                if self.agrees(&self.outcome(now, input)?) {
                    return Ok(Verdict::Within(Cause::Edge));
                }
            }
        }
        let (from, to) = self.between;
        if self
            .world
            .interrupted(&["ScaledObject", "Deployment"], from, to)
        {
            return Ok(Verdict::Within(Cause::Interrupted));
        }
        let real = match self.poll.wrote {
            Some((from, to)) => format!("{from} → {to}"),
            None => "no change".to_owned(),
        };
        let (reason, active) = (&self.after.reason, self.after.last_active);
        let computed: Vec<&str> = outcomes.iter().map(|(_, it)| it.message.as_str()).collect();
        Ok(Verdict::Different(format!(
            "computed: {}; real: {real}, {reason}, last active {}",
            computed.join(", or "),
            active.map_or("never".to_owned(), |it| it.to_string()),
        )))
    }

    /// Whether step, activity and its time are the real ones.
    fn agrees(&self, outcome: &PollOutcome) -> bool {
        let step = outcome.action.map(|scale| scale.to) == self.poll.wrote.map(|(_, to)| to);
        let active = self
            .after
            .active
            .is_none_or(|active| active == outcome.active);
        let reason = match outcome.reason {
            KedaReason::HeldByCooldown { .. } | KedaReason::HeldByInitialCooldown { .. } => {
                "ScalerCooldown"
            }
            _ if outcome.active => "ScalerActive",
            _ => "ScalerNotActive",
        };
        let known = self.after.reason.starts_with("Scaler");
        step && active && (!known || reason == self.after.reason) && self.same_activity(outcome)
    }

    /// The time of the last activity has whole seconds, and was taken at some time between look and trace.
    fn same_activity(&self, outcome: &PollOutcome) -> bool {
        let touched = outcome.last_active != state(self.before).last_active;
        match (outcome.last_active, self.after.last_active) {
            (Some(computed), Some(real)) if touched => (0..=3).contains(&computed.secs_since(real)),
            (computed, real) => {
                computed == real
                    // The same second again leaves no trace.
                    || computed.zip(real).is_some_and(|(a, b)| a.secs_since(b).abs() <= 1)
            }
        }
    }

    fn inputs(&self) -> Result<Inputs, String> {
        let mut inputs = Inputs::default();
        let machine = KedaLoop::restore(self.before, KedaOptions::default(), state(self.before));
        let machine = machine.map_err(|error| error.to_string())?;
        let mut readings: Vec<Vec<Reading>> = vec![Vec::new()];
        for trigger in machine.triggers() {
            let Some(metric) = trigger.metric() else {
                continue;
            };
            let mut options = self.readings(metric, &mut inputs);
            if options.is_empty() {
                inputs.blind = true;
                options = vec![Ok(0), Ok(i64::MAX)];
            }
            let options: Vec<Reading> = options
                .into_iter()
                .map(|option| reading(trigger.index, option))
                .collect();
            readings = combined(&readings, &options);
        }
        for (current, ready) in self.sizes() {
            for readings in &readings {
                inputs.all.push(PollInput {
                    current_replicas: current,
                    ready_replicas: ready,
                    readings: readings.clone(),
                });
            }
        }
        Ok(inputs)
    }

    /// Sizes that it may have found, with the pods that were ready.
    fn sizes(&self) -> Vec<(i32, i32)> {
        let (from, to) = self.between;
        let Some(line) = self.world.targets.get(self.target) else {
            return Vec::new();
        };
        let mut sizes = Vec::new();
        for target in line.between(from, to).flatten() {
            let found = target.spec_replicas;
            // It did not find what it wrote itself.
            let own = self.poll.wrote.is_some_and(|(before, _)| before != found);
            if !own && !sizes.iter().any(|(size, _)| *size == found) {
                sizes.push((found, target.ready_replicas));
            }
        }
        sizes
    }

    fn readings(&self, metric: &str, inputs: &mut Inputs) -> Vec<Read> {
        let (from, to) = self.between;
        let key = (self.before.name().to_owned(), metric.to_owned());
        let Some(line) = self.world.readings.get(&key) else {
            return Vec::new();
        };
        let mut options: Vec<Read> = Vec::new();
        for seen in line.around(from, to) {
            // Why it failed does not matter.
            let known = |it: &Read| it == seen || it.is_err() && seen.is_err();
            if options.iter().any(known) {
                continue;
            }
            options.push(seen.clone());
            if !inputs.reading.is_empty() {
                inputs.reading.push_str(" or ");
            }
            inputs.reading += &match seen {
                Ok(milli) => thousandths(*milli),
                Err(_) => "failed".to_owned(),
            };
        }
        options
    }
}

fn reading(trigger: usize, option: Read) -> Reading {
    let result = match option {
        Ok(milli) => ReadingResult::Value {
            milli,
            active: None,
        },
        Err(error) => ReadingResult::Failed { error },
    };
    Reading { trigger, result }
}

fn size(input: &PollInput, outcome: &PollOutcome) -> i32 {
    outcome
        .action
        .map_or(input.current_replicas, |scale| scale.to)
}
