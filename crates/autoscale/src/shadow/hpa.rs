//! The HPA controller beside the computed one, sync by sync.
//!
//! Must not repair the computed machine from the real outcome, except after a difference that was told.

use std::sync::Arc;

use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;

use super::inputs::{Candidates, Look};
use super::report::{Cause, Comparison, Controller, Step, Verdict};
use super::syncs::{Happening, LAG, Measured, Observed, Outcome, Sync, happenings};
use super::world::World;
use crate::hpa::{Condition, Hpa, HpaDecision, HpaInput, HpaSpec, HpaState, ScaleEvent};
use crate::time::Timestamp;

/// Most states of memory that are kept in parallel.
const MOST: usize = 64;

/// Compares every sync of one HPA; an HPA that cannot be read is a sentence instead.
pub(super) fn compare(world: &World, name: &str) -> Result<Comparison, String> {
    let line = world.hpas.get(name).ok_or("it was not seen")?;
    let mut shadow = Shadow {
        world,
        machines: Vec::new(),
        target: String::new(),
        certain: world.span.0,
        past: Vec::new(),
        steps: Vec::new(),
    };
    for happening in happenings(line, world.options.sync_period, world.span.1) {
        shadow
            .take(&happening)
            .map_err(|problem| format!("HPA {name}: {problem}"))?;
    }
    Ok(Comparison {
        controller: Controller::Hpa,
        object: name.to_owned(),
        target: shadow.target,
        steps: shadow.steps,
    })
}

struct Shadow<'a> {
    world: &'a World,
    /// One for each state of memory that is consistent with everything so far.
    machines: Vec<Hpa>,
    target: String,
    /// From here on nothing from before the recording matters.
    certain: Timestamp,
    /// The syncs so far that may still be remembered.
    past: Vec<Past>,
    steps: Vec<Step>,
}

/// When a sync was whose outcome is remembered.
#[derive(Clone, Copy)]
struct Past {
    /// The time under which it is remembered.
    at: Timestamp,
    /// When it may have been instead.
    earliest: Timestamp,
}

/// One machine after one possible input.
struct Tried {
    after: Hpa,
    decision: HpaDecision,
    agrees: bool,
}

impl Shadow<'_> {
    fn take(&mut self, happening: &Happening) -> Result<(), String> {
        match happening {
            Happening::Fresh(object) => self.machines = vec![self.machine(object)?],
            Happening::Joined(object) => {
                self.machines = vec![self.machine(object)?];
                self.certain = self.world.span.0.plus_secs(self.memory());
            }
            Happening::Changed(object) => {
                let spec = self.read(object)?;
                for machine in &mut self.machines {
                    machine.update(spec.clone());
                }
            }
            Happening::Gone => self.machines.clear(),
            Happening::Sync(sync) => self.sync(sync),
        }
        Ok(())
    }

    fn read(&mut self, object: &Arc<HorizontalPodAutoscaler>) -> Result<HpaSpec, String> {
        let reference = object.spec.as_ref().map(|spec| &spec.scale_target_ref);
        self.target = reference.map(|it| it.name.clone()).unwrap_or_default();
        HpaSpec::from_hpa(object, &self.world.options).map_err(|error| error.to_string())
    }

    fn machine(&mut self, object: &Arc<HorizontalPodAutoscaler>) -> Result<Hpa, String> {
        Ok(Hpa::new(self.read(object)?, self.world.options))
    }

    /// Seconds over which the controller remembers.
    fn memory(&self) -> i64 {
        let rules = self
            .machines
            .first()
            .and_then(|it| it.spec().behavior.as_ref());
        let rules = rules.map(|it| [&it.scale_up, &it.scale_down]);
        let of = |rules: &crate::hpa::Rules| {
            let periods = rules.policies.iter().map(|policy| policy.period);
            periods.max().unwrap_or(0).max(rules.window)
        };
        let own = rules.map(|both| both.into_iter().map(of).max().unwrap_or(0));
        own.unwrap_or(self.world.options.downscale_stabilization)
    }

    fn sync(&mut self, sync: &Sync) {
        let Some(spec) = self.machines.first().map(|it| it.spec().clone()) else {
            return;
        };
        let observed = Observed::of(&sync.status);
        if observed.outcome == Outcome::Stopped {
            return;
        }
        let target = self.target.clone();
        let mut look = Look {
            world: self.world,
            spec: &spec,
            target: &target,
            observed: &observed,
            from: sync.near.0,
            to: sync.near.1,
            strict: true,
        };
        // First what it most likely saw; where that does not settle it, all that it may have seen.
        let mut found = look.candidates();
        let mut tried = self.try_now(&found.inputs, sync, &observed);
        if tried.is_empty() || found.blind || !tried.iter().all(|it| it.agrees) {
            (look.from, look.to) = sync.looked;
            look.strict = false;
            found = look.candidates();
            tried = self.try_now(&found.inputs, sync, &observed);
        }
        if tried.is_empty() && !sync.seen {
            // It was not then: nothing that was measurable then is what the status shows.
            return;
        }
        let (verdict, at_the_edge) = self.judge(sync, &observed, &found, &tried);
        let mut predicted: Vec<i32> = tried.iter().map(|it| it.decision.desired).collect();
        predicted.sort_unstable();
        predicted.dedup();
        self.remember(sync, &observed, at_the_edge.unwrap_or(tried));
        let kept = sync.ended.plus_secs(-self.memory()).plus_micros(-LAG);
        self.past.retain(|it| it.at >= kept);
        self.past.push(Past {
            at: sync.ended,
            earliest: sync.looked.0,
        });
        // At zero the controller only says so, again and again.
        if !sync.seen && observed.current == 0 {
            return;
        }
        self.steps.push(Step {
            at: sync.at,
            seen: sync.seen,
            current: observed.current,
            real: observed.desired,
            predicted,
            reading: found.reading,
            verdict,
        });
    }

    fn try_now(&self, inputs: &[HpaInput], sync: &Sync, observed: &Observed) -> Vec<Tried> {
        try_all(&self.machines, inputs, sync.ended, sync.ended, observed)
    }

    /// The verdict, and where it is [`Cause::Edge`], what agrees there.
    fn judge(
        &self,
        sync: &Sync,
        observed: &Observed,
        found: &Candidates,
        tried: &[Tried],
    ) -> (Verdict, Option<Vec<Tried>>) {
        let agreeing = tried.iter().filter(|it| it.agrees).count();
        if agreeing > 0 && agreeing == tried.len() && !found.blind {
            return (Verdict::Equal, None);
        }
        let cause = if found.blind {
            Cause::NoReading
        } else if found.moving {
            Cause::Between
        } else {
            Cause::Rounding
        };
        if agreeing > 0 {
            return (Verdict::Within(cause), None);
        }
        if observed.outcome == Outcome::NotWritten && !tried.is_empty() {
            return (Verdict::Within(Cause::NotWritten), None);
        }
        if let Some(agreeing) = self.edge(sync, observed, found) {
            return (Verdict::Within(Cause::Edge), Some(agreeing));
        }
        let kinds = ["HorizontalPodAutoscaler", "Deployment", "Pod"];
        let verdict = if sync.at < self.certain {
            Verdict::Within(Cause::Before)
        } else if self.world.interrupted(&kinds, sync.looked.0, sync.looked.1) {
            Verdict::Within(Cause::Interrupted)
        } else {
            Verdict::Different(difference(observed, tried))
        };
        (verdict, None)
    }

    /// The machines that agree when the sync was a little earlier or later than its outcome was seen, or those before it
    /// were.
    fn edge(&self, sync: &Sync, observed: &Observed, found: &Candidates) -> Option<Vec<Tried>> {
        // What left no trace may have been half a period earlier or later; what was seen was not later, but for the clock.
        let period = self.world.options.sync_period * 1_000_000;
        let most = LAG + if sync.seen { 0 } else { period / 2 };
        let shifts = [100_000, 300_000, 700_000, most];
        let shifts = shifts.into_iter().flat_map(|it| [-it, it]);
        let mut shifts = shifts.filter(|it| *it <= 100_000 || !sync.seen);
        let agreeing = |machines: &[Hpa], shift: i64| {
            let now = sync.ended.plus_micros(shift);
            let mut tried = try_all(machines, &found.inputs, now, sync.ended, observed);
            tried.retain(|it| it.agrees);
            (!tried.is_empty()).then_some(tried)
        };
        shifts
            .find_map(|shift| agreeing(&self.machines, shift))
            .or_else(|| {
                let aged = self.aged();
                [0, 100_000]
                    .into_iter()
                    .find_map(|shift| agreeing(&aged, shift))
            })
    }

    /// The machines as they are when the oldest of what they remember happened as early as it may have.
    fn aged(&self) -> Vec<Hpa> {
        let mut all: Vec<Hpa> = Vec::new();
        for machine in &self.machines {
            for early in 1..=self.past.len() {
                let state = aged(machine.state(), &self.past[..early]);
                if state != *machine.state() && !all.iter().any(|it| *it.state() == state) {
                    all.push(restored(machine, state));
                }
            }
        }
        all
    }

    /// Keeps the machines that are consistent with what was seen.
    fn remember(&mut self, sync: &Sync, observed: &Observed, tried: Vec<Tried>) {
        let some = tried.iter().any(|it| it.agrees);
        let mut kept: Vec<Hpa> = Vec::new();
        for it in tried.into_iter().filter(|it| it.agrees || !some) {
            let after = if some {
                it.after
            } else {
                corrected(&it.after, &it.decision, observed, sync.ended)
            };
            let known = kept.iter().any(|seen| seen.state() == after.state());
            if !known && kept.len() < MOST {
                kept.push(after);
            }
        }
        if !kept.is_empty() {
            self.machines = kept;
        }
    }
}

/// Lets every machine see every input at `now`, and keeps those that measure what the status shows.
fn try_all(
    machines: &[Hpa],
    inputs: &[HpaInput],
    now: Timestamp,
    stamp: Timestamp,
    observed: &Observed,
) -> Vec<Tried> {
    let mut tried = Vec::new();
    for machine in machines {
        for input in inputs {
            let mut after = machine.clone();
            let decision = after.sync(now, input);
            if !measures(&decision, observed) {
                continue;
            }
            if observed.outcome == Outcome::NotWritten {
                after.rescale_failed(&decision, "");
            }
            let agrees = agrees(&decision, observed);
            tried.push(Tried {
                after: restamped(after, now, stamp),
                decision,
                agrees,
            });
        }
    }
    tried
}

/// Whether the decision rests on the measurements that the status shows.
fn measures(decision: &HpaDecision, observed: &Observed) -> bool {
    let proposals = decision.trace.proposals.iter();
    proposals
        .zip(&observed.metrics)
        .all(|(proposal, seen)| match *seen {
            Measured::Utilization(percent, average) => {
                proposal.measured == Some(percent) && proposal.average == Some(average)
            }
            // Of resources it is what was measured; of external metrics it was undone before.
            Measured::Average(average) => {
                proposal.metric.starts_with("external")
                    || proposal.error.is_none() && proposal.measured == Some(average)
            }
            Measured::Value(value) => proposal.measured == Some(value),
            Measured::Missing => proposal.error.is_some(),
        })
}

/// Whether size, conditions and their words are the real ones.
fn agrees(decision: &HpaDecision, observed: &Observed) -> bool {
    decision.desired == observed.desired
        && decision.conditions.iter().all(|computed| {
            let real = observed
                .conditions
                .iter()
                .find(|it| it.kind == computed.kind);
            real.is_some_and(|real| same(computed, real, observed.outcome))
        })
}

fn same(computed: &Condition, real: &Condition, outcome: Outcome) -> bool {
    if outcome == Outcome::Held && computed.kind == "ScalingActive" {
        // The metrics API's own words are not the controller's.
        return computed.status == real.status;
    }
    computed == real
}

/// Says what differs, by the possibility that comes nearest.
fn difference(observed: &Observed, tried: &[Tried]) -> String {
    let near = tried
        .iter()
        .find(|it| it.decision.desired == observed.desired)
        .or(tried.first());
    let Some(near) = near else {
        return format!(
            "nothing that was seen of the target gives the reading {:?}",
            observed.metrics
        );
    };
    if near.decision.desired != observed.desired {
        return format!(
            "the size; computed: {}; real: {}, {}",
            near.decision.trace.summary,
            observed.reason("AbleToScale"),
            observed.reason("ScalingLimited"),
        );
    }
    let computed = near.decision.conditions.iter();
    let odd = computed
        .filter(|it| !observed.conditions.contains(it))
        .map(|it| {
            let real = observed.conditions.iter().find(|real| real.kind == it.kind);
            let real = real.map_or(String::new(), |it| {
                format!("{:?} {}: {}", it.status, it.reason, it.message)
            });
            format!(
                "{}: computed {:?} {}: {}; real {real}",
                it.kind, it.status, it.reason, it.message
            )
        });
    odd.collect::<Vec<_>>().join("; ")
}

/// Moves what the latest sync remembered to the time at which its outcome was seen.
fn restamped(machine: Hpa, now: Timestamp, stamp: Timestamp) -> Hpa {
    if now == stamp {
        return machine;
    }
    let mut state = machine.state().clone();
    for it in state.recommendations.iter_mut().flatten() {
        if it.at == now {
            it.at = stamp;
        }
    }
    for it in state.up_events.iter_mut().chain(&mut state.down_events) {
        if it.at == now {
            it.at = stamp;
        }
    }
    restored(&machine, state)
}

/// What is remembered when these syncs were as early as they may have been.
fn aged(state: &HpaState, past: &[Past]) -> HpaState {
    let mut state = state.clone();
    let earliest = |at: Timestamp| {
        let found = past.iter().find(|it| it.at == at);
        found.map_or(at, |it| it.earliest)
    };
    for it in state.recommendations.iter_mut().flatten() {
        it.at = earliest(it.at);
    }
    for it in state.up_events.iter_mut().chain(&mut state.down_events) {
        it.at = earliest(it.at);
    }
    state
}

/// After a difference: the change that the real controller remembers instead of the computed one.
fn corrected(machine: &Hpa, decision: &HpaDecision, observed: &Observed, at: Timestamp) -> Hpa {
    let mut state = machine.state().clone();
    if decision.rescale() {
        state.up_events.retain(|it| it.at != at);
        state.down_events.retain(|it| it.at != at);
    }
    let change = observed.desired - observed.current;
    let event = ScaleEvent {
        change: change.abs(),
        at,
    };
    if change > 0 {
        state.up_events.push(event);
    } else if change < 0 {
        state.down_events.push(event);
    }
    restored(machine, state)
}

fn restored(machine: &Hpa, state: HpaState) -> Hpa {
    Hpa::restore(machine.spec().clone(), *machine.options(), state)
}
