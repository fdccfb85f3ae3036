//! The sync itself: which branch, which proposal, which path, and what is remembered afterwards.
//!
//! Must not compute sizes; `proposal`, `legacy` and `behavior` do.

use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;

use super::decision::{Event, EventType, Hold, HpaDecision, Limit, ProposalTrace, Trace};
use super::proposal::{Context, Failure, describe};
use super::spec::{HpaMetric, HpaSpec, HpaSpecError};
use super::{HpaInput, HpaOptions, HpaState, Recommendation, behavior, legacy};
use crate::time::Timestamp;

/// The controller's work on one HPA.
#[derive(Clone, Debug)]
pub struct Hpa {
    spec: HpaSpec,
    options: HpaOptions,
    state: HpaState,
    /// State before the latest change was recorded, for a write that fails.
    before: Option<HpaState>,
}

impl Hpa {
    /// Starts as a controller does that never saw this HPA: the first sync remembers the present size, so
    /// nothing shrinks within the first window.
    pub fn new(spec: HpaSpec, options: HpaOptions) -> Self {
        Self::restore(spec, options, HpaState::default())
    }

    /// Carries on from kept state, so that a restart does not hold the size for another window.
    ///
    /// The real controller keeps nothing; give it an empty state to behave likewise.
    pub fn restore(spec: HpaSpec, options: HpaOptions, state: HpaState) -> Self {
        Self {
            spec,
            options,
            state,
            before: None,
        }
    }

    /// Reads the Kubernetes object and starts.
    pub fn from_object(
        hpa: &HorizontalPodAutoscaler,
        options: HpaOptions,
        state: HpaState,
    ) -> Result<Self, HpaSpecError> {
        Ok(Self::restore(
            HpaSpec::from_hpa(hpa, &options)?,
            options,
            state,
        ))
    }

    /// Takes over a changed spec and keeps what is remembered, as the controller does.
    pub fn update(&mut self, spec: HpaSpec) {
        self.spec = spec;
    }

    /// Returns what must be kept to carry on after a restart.
    pub fn state(&self) -> &HpaState {
        &self.state
    }

    /// Returns the spec that is obeyed.
    pub fn spec(&self) -> &HpaSpec {
        &self.spec
    }

    /// Returns the flags and gates.
    pub fn options(&self) -> &HpaOptions {
        &self.options
    }

    /// Returns the metrics whose readings a sync needs, in their order.
    pub fn metrics(&self) -> &[HpaMetric] {
        &self.spec.metrics
    }

    /// Runs one sync. The first is due 15 s after the HPA was added, each next 15 s after the one before.
    pub fn sync(&mut self, now: Timestamp, input: &HpaInput) -> HpaDecision {
        let current = input.spec_replicas;
        self.before = None;
        if self.state.recommendations.is_none() {
            self.state.recommendations = Some(vec![Recommendation {
                replicas: current,
                at: now,
            }]);
        }
        let mut decision = HpaDecision {
            desired: current,
            current,
            reason: None,
            events: Vec::new(),
            conditions: Vec::new(),
            trace: Trace::default(),
        };
        decision.set(
            "AbleToScale",
            true,
            "SucceededGetScale",
            "the HPA controller was able to get the target's current scale",
        );
        if current == 0 && self.spec.min != 0 {
            let message = "scaling is disabled since the replica count of the target is zero";
            decision.set("ScalingActive", false, "ScalingDisabled", message);
            message.clone_into(&mut decision.trace.summary);
        } else if current > self.spec.max {
            Self::jump(&mut decision, self.spec.max, "above Spec.MaxReplicas");
        } else if current < self.spec.min {
            Self::jump(&mut decision, self.spec.min, "below Spec.MinReplicas");
        } else {
            self.by_metrics(now, input, &mut decision);
        }
        if decision.rescale() {
            self.rescaled(now, &mut decision);
        }
        decision
    }

    /// Takes back the latest change, whose write failed, and returns the event that upstream sends.
    pub fn rescale_failed(&mut self, decision: &HpaDecision, error: &str) -> Event {
        if let Some(before) = self.before.take() {
            self.state = before;
        }
        let reason = decision.reason.as_deref().unwrap_or_default();
        Event {
            kind: EventType::Warning,
            reason: "FailedRescale".to_owned(),
            message: format!(
                "New size: {}; reason: {reason}; error: {error}",
                decision.desired
            ),
        }
    }

    /// Outside the bounds: at once, without metrics, window or rate.
    fn jump(decision: &mut HpaDecision, to: i32, place: &str) {
        let reason = format!("Current number of replicas {place}");
        decision.trace.summary = format!("{} → {to}: {reason}", decision.current);
        decision.desired = to;
        decision.reason = Some(reason);
    }

    fn by_metrics(&mut self, now: Timestamp, input: &HpaInput, decision: &mut HpaDecision) {
        let Some((raw, metric)) = self.largest(now, input, decision) else {
            return;
        };
        let current = decision.current;
        // Upstream starts from 0, so a proposal of 0 has no metric's name.
        let name = if raw > 0 { metric.as_str() } else { "" };
        if raw > current {
            decision.reason = Some(format!("{name} above target"));
        } else if raw < current {
            decision.reason = Some("All metrics below target".to_owned());
        }
        let log = self.state.recommendations.get_or_insert_default();
        let bounds = (self.spec.min, self.spec.max);
        let (stabilized, window, (size, limit)) = if let Some(rules) = &self.spec.behavior {
            let size = behavior::stabilize(log, now, rules, current, raw);
            let limited = behavior::limit(now, rules, &self.state, bounds, current, size);
            (size, rules.scale_down.window, limited)
        } else {
            let window = self.options.downscale_stabilization;
            let size = legacy::stabilize(log, now, window, raw);
            (
                size,
                window,
                legacy::clamp(current, size, bounds.0, bounds.1),
            )
        };
        self.explain_stability(decision, raw, stabilized);
        decision.set(
            "ScalingLimited",
            size != stabilized,
            limit.reason(),
            limit.message(),
        );
        decision.desired = size;
        decision.trace.raw = Some(raw);
        decision.trace.stabilized = Some(stabilized);
        decision.trace.limit = Some(limit);
        decision.trace.hold = self.hold(now, window, raw, stabilized);
        decision.trace.summary = summary(now, current, size, &decision.trace);
        if size == current {
            decision.reason = None;
        }
    }

    /// Returns the largest proposal and its metric; `None` where errors forbid a change.
    fn largest(
        &self,
        now: Timestamp,
        input: &HpaInput,
        decision: &mut HpaDecision,
    ) -> Option<(i32, String)> {
        let context = Context {
            now,
            spec: &self.spec,
            options: &self.options,
            input,
        };
        let mut best: Option<(i32, String)> = None;
        let mut failures: Vec<Failure> = Vec::new();
        for (index, metric) in self.spec.metrics.iter().enumerate() {
            let result = context.propose(metric, input.metrics.get(index));
            let name = describe(metric);
            decision.trace.proposals.push(ProposalTrace {
                metric: name.clone(),
                replicas: result.as_ref().ok().map(|p| p.replicas),
                measured: result.as_ref().ok().map(|p| p.measured),
                average: result.as_ref().ok().and_then(|p| p.average),
                error: result.as_ref().err().map(|f| f.message.clone()),
            });
            match result {
                // As upstream: a proposal of 0 gives way even to another one of 0.
                Ok(p)
                    if best
                        .as_ref()
                        .is_none_or(|(most, _)| *most == 0 || p.replicas > *most) =>
                {
                    best = Some((p.replicas, name));
                }
                Ok(_) => {}
                Err(failure) => {
                    decision
                        .events
                        .push(warning(failure.reason, &failure.message));
                    failures.push(failure);
                }
            }
        }
        // A scale-down on part of the metrics would be a guess; so is any change on none.
        let usable = best.filter(|(most, _)| failures.is_empty() || *most >= decision.current);
        match (&usable, failures.first()) {
            (Some((_, name)), _) => decision.set(
                "ScalingActive",
                true,
                "ValidMetricFound",
                format!("the HPA was able to successfully calculate a replica count from {name}"),
            ),
            (None, Some(first)) => self.no_proposal(decision, first, failures.len()),
            (None, None) => {}
        }
        usable
    }

    fn no_proposal(&self, decision: &mut HpaDecision, first: &Failure, failed: usize) {
        let cause = &first.message;
        let message = format!("the HPA was unable to compute the replica count: {cause}");
        decision.set("ScalingActive", false, first.reason, message);
        let (total, quoted) = (self.spec.metrics.len(), &first.quoted);
        let text =
            format!("invalid metrics ({failed} invalid out of {total}), first error is: {quoted}");
        decision
            .events
            .push(warning("FailedComputeMetricsReplicas", &text));
        decision.trace.summary = format!("stays at {}: {text}", decision.current);
    }

    fn explain_stability(&self, decision: &mut HpaDecision, raw: i32, stabilized: i32) {
        let lower = "recent recommendations were lower than current one, applying the lowest recent recommendation";
        let higher = "recent recommendations were higher than current one, applying the highest recent recommendation";
        let (reason, message) = if raw == stabilized {
            ("ReadyForNewScale", "recommended size matches current size")
        } else if self.spec.behavior.is_some() && raw >= decision.current {
            ("ScaleUpStabilized", lower)
        } else {
            ("ScaleDownStabilized", higher)
        };
        decision.set("AbleToScale", true, reason, message);
    }

    /// Finds the remembered proposal that keeps the size up: the youngest of the highest in the window.
    fn hold(&self, now: Timestamp, window: i64, raw: i32, stabilized: i32) -> Option<Hold> {
        if stabilized <= raw {
            return None;
        }
        let cutoff = now.plus_secs(-window);
        let log = self.state.recommendations.as_deref().unwrap_or_default();
        let held = log
            .iter()
            .filter(|seen| seen.at >= cutoff && seen.replicas >= stabilized);
        let youngest = held.max_by_key(|seen| seen.at)?;
        let until = youngest.at.plus_secs(window);
        Some(Hold {
            replicas: youngest.replicas,
            since: youngest.at,
            until,
        })
    }

    fn rescaled(&mut self, now: Timestamp, decision: &mut HpaDecision) {
        let HpaDecision {
            desired, current, ..
        } = *decision;
        let reason = decision.reason.clone().unwrap_or_default();
        let message =
            format!("the HPA controller was able to update the target scale to {desired}");
        decision.set("AbleToScale", true, "SucceededRescale", message);
        decision.events.push(Event {
            kind: EventType::Normal,
            reason: "SuccessfulRescale".to_owned(),
            message: format!("New size: {desired}; reason: {reason}"),
        });
        self.before = Some(self.state.clone());
        let Some(rules) = &self.spec.behavior else {
            return;
        };
        if desired > current {
            behavior::record(
                &mut self.state.up_events,
                now,
                &rules.scale_up,
                desired - current,
            );
        } else {
            behavior::record(
                &mut self.state.down_events,
                now,
                &rules.scale_down,
                current - desired,
            );
        }
    }
}

fn warning(reason: &str, message: &str) -> Event {
    Event {
        kind: EventType::Warning,
        reason: reason.to_owned(),
        message: message.to_owned(),
    }
}

/// Writes the steps on one line:
/// `raw 6, window max 46 from 120 s ago, for 180 s more → 16 by ScaleUpLimit`.
fn summary(now: Timestamp, current: i32, size: i32, trace: &Trace) -> String {
    let raw = trace.raw.unwrap_or(size);
    let window = match trace.hold {
        Some(hold) => format!(
            ", window max {} from {} s ago, for {} s more",
            hold.replicas,
            now.secs_since(hold.since),
            -now.secs_since(hold.until)
        ),
        None if trace.stabilized != trace.raw => {
            format!(", window allows {}", trace.stabilized.unwrap_or(size))
        }
        None => String::new(),
    };
    let end = if size == current {
        format!(", stays at {size}")
    } else {
        format!(" → {size}")
    };
    let by = match trace.limit {
        Some(limit) if limit != Limit::DesiredWithinRange => format!(" by {}", limit.reason()),
        _ => String::new(),
    };
    format!("raw {raw}{window}{end}{by}")
}
