//! The loop itself: readings to activity, fallback and formula, then the executor's step.
//!
//! Must not grow rules of scaling; those are in `executor`.

use super::composite::Composite;
use super::executor::Request;
use super::{
    COMPOSITE_METRIC, KedaOptions, KedaState, KedaVersion, PollInput, PollOutcome, Reading,
    ReadingResult, ServeInput, ServedMetric, TriggerSpec, TriggerTarget, TriggerView, fallback,
};
use crate::api::{Fallback, ScaledObject};
use crate::hpa::MetricReading;
use crate::hpa_render::RenderError;
use crate::time::Timestamp;

/// The operator's loop over one `ScaledObject`.
#[derive(Clone, Debug)]
pub struct KedaLoop {
    object: ScaledObject,
    options: KedaOptions,
    triggers: Vec<TriggerSpec>,
    formula: Option<Composite>,
    state: KedaState,
    /// Last activity before the latest poll, for a write that fails.
    before: Option<Timestamp>,
}

/// The triggers of one round, with what the formula made of them.
struct Round {
    views: Vec<TriggerView>,
    composite: Option<i64>,
    composite_error: Option<String>,
}

impl KedaLoop {
    /// Starts a loop over an object that was never polled.
    pub fn new(object: &ScaledObject, options: KedaOptions) -> Result<Self, RenderError> {
        Self::restore(object, options, KedaState::default())
    }

    /// Carries on where another loop stopped; the operator reads the same from the object's status.
    pub fn restore(
        object: &ScaledObject,
        options: KedaOptions,
        state: KedaState,
    ) -> Result<Self, RenderError> {
        crate::hpa_render::validate(object)?;
        let triggers = object.spec.triggers.iter().enumerate();
        let triggers = triggers
            .map(|(i, t)| TriggerSpec::new(i, t))
            .collect::<Result<Vec<_>, _>>()?;
        let formula = Composite::of(object)?;
        let before = state.last_active;
        Ok(Self {
            object: object.clone(),
            options,
            triggers,
            formula,
            state,
            before,
        })
    }

    /// Takes over a changed object and keeps what is remembered, as a reconcile does.
    pub fn update(&mut self, object: &ScaledObject) -> Result<(), RenderError> {
        *self = Self::restore(object, self.options, std::mem::take(&mut self.state))?;
        Ok(())
    }

    /// Returns what must be kept to carry on after a restart.
    pub fn state(&self) -> &KedaState {
        &self.state
    }

    /// Returns the object this loop obeys.
    pub fn object(&self) -> &ScaledObject {
        &self.object
    }

    /// Returns the triggers, checked, in the manifest's order.
    pub fn triggers(&self) -> &[TriggerSpec] {
        &self.triggers
    }

    /// Says whether an HPA exists now: a full pause deletes it.
    pub fn has_hpa(&self) -> bool {
        !self.object.pause().full
    }

    /// Says whether a poll asks the triggers at all; see [`KedaVersion::V2_21`].
    pub fn polls_triggers(&self) -> bool {
        self.options.version == KedaVersion::V2_20
            || self.object.spec.min_replicas() == 0
            || self.object.spec.idle_replica_count.is_some()
            || self.formula.is_some()
            || self
                .object
                .spec
                .triggers
                .iter()
                .any(|trigger| trigger.use_cached_metrics)
    }

    /// Runs one poll. Every `pollingInterval` seconds, the first at once.
    pub fn poll(&mut self, now: Timestamp, input: &PollInput) -> PollOutcome {
        let pause = self.object.pause();
        let round = if pause.full {
            Round {
                views: Vec::new(),
                composite: None,
                composite_error: None,
            }
        } else {
            self.round(
                &input.readings,
                input.current_replicas,
                input.ready_replicas,
                false,
            )
        };
        let failed =
            round.composite_error.is_some() || round.views.iter().any(|view| view.error.is_some());
        let active = self.is_active(&round, failed);
        let step = Request {
            now,
            created: self.options.created,
            spec: &self.object.spec,
            pause,
            current: input.current_replicas,
            active,
            failed,
            last_active: self.state.last_active,
        }
        .decide();
        self.before = self.state.last_active;
        if step.touch {
            self.state.last_active = Some(now.truncated_to_second());
        }
        let to = step.action.map(|scale| scale.to);
        PollOutcome {
            action: step.action,
            active: active || pause.force_activation,
            failed,
            reason: step.reason,
            message: step.reason.sentence(now, input.current_replicas, to),
            last_active: self.state.last_active,
            composite_milli: round.composite,
            triggers: round.views,
        }
    }

    /// Takes back the activity of the latest poll, whose write failed.
    pub fn scale_failed(&mut self) {
        self.state.last_active = self.before;
    }

    /// Answers the HPA's query for this object's external metrics, in the triggers' order.
    pub fn serve(&mut self, input: &ServeInput) -> Vec<ServedMetric> {
        let round = self.round(
            &input.readings,
            input.current_replicas,
            input.ready_replicas,
            true,
        );
        if self.formula.is_some() {
            let fallback = round.views.iter().any(|view| view.fallback);
            let error = round.composite_error.unwrap_or_default();
            let reading = round
                .composite
                .map_or(MetricReading::Failed { error }, MetricReading::single);
            return vec![ServedMetric {
                name: COMPOSITE_METRIC.to_owned(),
                reading,
                fallback,
            }];
        }
        let served = |view: TriggerView| ServedMetric {
            name: view.metric,
            fallback: view.fallback,
            reading: match view.milli {
                Some(milli) => MetricReading::single(milli),
                None => MetricReading::Failed {
                    error: view.error.unwrap_or_default(),
                },
            },
        };
        round.views.into_iter().map(served).collect()
    }

    fn is_active(&self, round: &Round, failed: bool) -> bool {
        if round.views.is_empty() {
            // Only cpu and memory triggers (or a pause): KEDA has nothing to say against activity.
            return !failed
                && self
                    .triggers
                    .iter()
                    .all(|trigger| trigger.metric().is_none());
        }
        match &self.formula {
            Some(formula) => {
                !failed
                    && round
                        .composite
                        .is_some_and(|value| formula.is_active(value))
            }
            None => round.views.iter().any(|view| view.active),
        }
    }

    fn round(&mut self, readings: &[Reading], current: i32, ready: i32, serving: bool) -> Round {
        let triggers = std::mem::take(&mut self.triggers);
        let views: Vec<TriggerView> = triggers
            .iter()
            .filter_map(|trigger| self.view(trigger, readings, current, ready, serving))
            .collect();
        self.triggers = triggers;
        let fallback = self.object.spec.fallback;
        let value =
            |formula: &Composite| formula.value(&self.triggers, &views, fallback, (current, ready));
        let (composite, composite_error) = match self.formula.as_ref().map(value) {
            None => (None, None),
            Some(Ok(milli)) => (Some(milli), None),
            Some(Err(error)) => (None, Some(error)),
        };
        Round {
            views,
            composite,
            composite_error,
        }
    }

    /// Returns one trigger's value after fallback; `None` for cpu and memory.
    fn view(
        &mut self,
        trigger: &TriggerSpec,
        readings: &[Reading],
        current: i32,
        ready: i32,
        serving: bool,
    ) -> Option<TriggerView> {
        let TriggerTarget::External {
            metric,
            target_milli,
            metric_type,
            activation_milli,
        } = &trigger.target
        else {
            return None;
        };
        let reused = if serving {
            trigger.cached
        } else {
            !self.polls_triggers()
        };
        let result = self.answer(trigger.index, readings, reused);
        let failures = if reused && !serving {
            self.state.failures.get(metric).copied().unwrap_or(0)
        } else {
            self.count(metric, matches!(result, ReadingResult::Failed { .. }))
        };
        let mut view = TriggerView {
            trigger: trigger.index,
            metric: metric.clone(),
            milli: None,
            active: false,
            fallback: false,
            failures,
            error: None,
        };
        match result {
            ReadingResult::Value { milli, active } => {
                view.milli = Some(milli);
                view.active = active.unwrap_or(milli > *activation_milli);
            }
            ReadingResult::Failed { error } => {
                let fallback = self.object.spec.fallback.filter(Fallback::is_valid);
                let value = fallback
                    .filter(|f| failures > f.failure_threshold)
                    .and_then(|f| fallback::milli(&f, *target_milli, *metric_type, current, ready));
                view.fallback = value.is_some();
                view.active = value.is_some();
                view.milli = value;
                view.error = value.is_none().then_some(error);
            }
        }
        Some(view)
    }

    fn answer(&mut self, index: usize, readings: &[Reading], reused: bool) -> ReadingResult {
        if reused && let Some(seen) = self.state.observed.get(&index) {
            return seen.clone();
        }
        let fresh = readings.iter().find(|reading| reading.trigger == index);
        let result = fresh.map_or_else(
            || ReadingResult::Failed {
                error: format!("trigger {index} gave no value"),
            },
            |reading| reading.result.clone(),
        );
        self.state.observed.insert(index, result.clone());
        result
    }

    fn count(&mut self, metric: &str, failed: bool) -> i32 {
        if self
            .object
            .spec
            .fallback
            .is_none_or(|fallback| !fallback.is_valid())
        {
            return 0;
        }
        let failures = self.state.failures.entry(metric.to_owned()).or_insert(0);
        *failures = if failed {
            failures.saturating_add(1)
        } else {
            0
        };
        *failures
    }
}
