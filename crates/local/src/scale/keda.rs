//! The KEDA operator's work on a `ScaledObject`: its polls, and the metrics that its HPA asks for.
//! Must not poll the HPA's clock or the other way round: both keep their own periods.

use std::sync::Arc;
use std::time::Duration;

use kedactl_autoscale::api::ScaledObject;
use kedactl_autoscale::journal::Entry;
use kedactl_autoscale::keda::{
    KedaLoop, KedaOptions, KedaState, PollInput, PollOutcome, ServeInput, TriggerTarget,
};
use kedactl_autoscale::render_hpa;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::hpa::Syncer;
use super::meter::Meter;
use super::trigger::Reader;
use super::{Target, at, ms, now, write_scale};
use crate::board::now_ms;
use crate::context::Context;
use crate::desired::Desired;
use crate::{LocalError, MetricState, ScalerState};

/// One `ScaledObject` at work.
#[derive(Debug)]
pub(crate) struct Operator {
    context: Arc<Context>,
    machine: KedaLoop,
    syncer: Syncer,
    reader: Reader,
    options: KedaOptions,
}

impl Operator {
    /// Reads the object, and from the state what KEDA keeps in its status.
    pub(crate) fn new(
        context: &Arc<Context>,
        meter: &Arc<Meter>,
        desired: &Desired,
        object: &ScaledObject,
    ) -> Result<Self, LocalError> {
        let refuse = |error: &dyn std::error::Error| LocalError::Manifest {
            object: format!("ScaledObject/{}", object.name()),
            message: error.to_string(),
        };
        let kept = context
            .board
            .read(|state| state.scalers.get(&key(object)).cloned())
            .unwrap_or_default();
        let created = if kept.created_at == 0 {
            now_ms()
        } else {
            kept.created_at
        };
        let options = KedaOptions {
            created: at(created),
            ..KedaOptions::default()
        };
        let status = KedaState {
            last_active: kept.last_active_at.map(|ms| at(ms).truncated_to_second()),
            ..KedaState::default()
        };
        let machine = KedaLoop::restore(object, options, status).map_err(|error| refuse(&error))?;
        let hpa = render_hpa(object).map_err(|error| refuse(&error))?;
        let target = &object.spec.scale_target_ref.name;
        let own = key(object);
        // Before its HPA, so that `scaled_by` names the object that a user wrote.
        context.board.update(|state| {
            if let Some(workload) = state.workloads.get_mut(target) {
                workload.scaled_by = Some(own.clone());
            }
            let scaler = state.scalers.entry(own.clone()).or_default();
            scaler.created_at = created;
            describe(scaler, object);
        });
        let operator = Self {
            syncer: Syncer::new(context, meter, hpa, desired.cpu_request(target))?,
            reader: Reader::new(object, desired, context),
            context: Arc::clone(context),
            machine,
            options,
        };
        operator.note_start();
        Ok(operator)
    }

    fn note_start(&self) {
        self.context.board.record_entry(&Entry::KedaStart {
            name: self.machine.object().name().to_owned(),
            object: Box::new(self.machine.object().clone()),
            options: self.options,
            state: self.machine.state().clone(),
        });
    }

    /// Polls at once and then at every interval; the HPA syncs beside it. For ever.
    pub(crate) async fn run(mut self, mut desired: watch::Receiver<Arc<Desired>>) {
        let mut poll_at = Instant::now();
        let mut sync_at = Instant::now() + self.syncer.period();
        loop {
            tokio::select! {
                biased;
                changed = desired.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    let desired = Arc::clone(&desired.borrow_and_update());
                    if self.update(&desired) {
                        // The operator restarts the loop when the object's generation changes.
                        poll_at = Instant::now();
                    }
                }
                () = sleep_until(poll_at) => {
                    // The timer is armed before the check, so that checks do not drift.
                    poll_at = (poll_at + self.interval()).max(Instant::now());
                    self.poll().await;
                }
                () = sleep_until(sync_at) => {
                    sync_at = Instant::now() + self.syncer.period();
                    self.sync().await;
                }
            }
        }
    }

    fn interval(&self) -> Duration {
        let seconds = self.machine.object().spec.polling_interval();
        Duration::from_secs(u64::try_from(seconds).unwrap_or(0).max(1))
    }

    fn update(&mut self, desired: &Desired) -> bool {
        let name = self.machine.object().name().to_owned();
        let Some(object) = desired
            .scaled_objects
            .iter()
            .find(|object| object.name() == name)
        else {
            return false;
        };
        self.reader = Reader::new(object, desired, &self.context);
        let request = desired.cpu_request(&object.spec.scale_target_ref.name);
        if object == self.machine.object() {
            return false;
        }
        match (self.machine.update(object), render_hpa(object)) {
            (Ok(()), Ok(hpa)) => {
                self.syncer.update(hpa, request);
                self.context.board.update(|state| {
                    describe(state.scalers.entry(key(object)).or_default(), object);
                });
                self.note_start();
                true
            }
            (Err(error), _) | (_, Err(error)) => {
                tracing::error!(%error, scaled_object = %name, "the changed object is refused");
                false
            }
        }
    }

    fn target(&self) -> (String, Target) {
        let name = self.machine.object().spec.scale_target_ref.name.clone();
        let target = Target::look(&self.context.board, &name, None);
        (name, target)
    }

    async fn poll(&mut self) {
        let readings = if self.machine.polls_triggers() {
            self.reader.read().await
        } else {
            Vec::new()
        };
        let (workload, target) = self.target();
        let input = PollInput {
            current_replicas: target.spec_replicas,
            ready_replicas: target.ready,
            readings,
        };
        let at = now();
        let outcome = self.machine.poll(at, &input);
        if let Some(scale) = outcome.action {
            let by = key(self.machine.object());
            write_scale(&self.context, &workload, scale.to, &by, &outcome.message);
        }
        self.note(&target, &outcome);
        self.context.board.record_entry(&Entry::KedaPoll {
            name: self.machine.object().name().to_owned(),
            now: at,
            input,
            outcome,
        });
    }

    async fn sync(&mut self) {
        if !self.machine.has_hpa() {
            return;
        }
        let (_, target) = self.target();
        // The controller asks for no metric of a target that is at zero.
        let served = if target.spec_replicas == 0 {
            Vec::new()
        } else {
            let input = ServeInput {
                current_replicas: target.spec_replicas,
                ready_replicas: target.ready,
                readings: self.reader.read().await,
            };
            let served = self.machine.serve(&input);
            self.context.board.record_entry(&Entry::KedaServe {
                name: self.machine.object().name().to_owned(),
                input,
                served: served.clone(),
            });
            served
        };
        self.syncer.sync(&served);
    }

    fn note(&self, target: &Target, outcome: &PollOutcome) {
        let metrics = self.machine.triggers().iter().filter_map(|trigger| {
            let TriggerTarget::External {
                metric,
                target_milli,
                metric_type,
                ..
            } = &trigger.target
            else {
                return None;
            };
            let view = outcome
                .triggers
                .iter()
                .find(|view| view.metric == *metric)?;
            Some(MetricState {
                name: metric.clone(),
                value: view.milli.map(|milli| milli as f64 / 1000.0),
                target: *target_milli as f64 / 1000.0,
                target_type: metric_type.as_str().to_owned(),
            })
        });
        let metrics: Vec<MetricState> = metrics.collect();
        let own = key(self.machine.object());
        self.context.board.update(|state| {
            let scaler = state.scalers.entry(own).or_default();
            scaler.current = target.spec_replicas as u32;
            scaler.desired = outcome
                .action
                .map_or(scaler.current, |scale| scale.to as u32);
            scaler.active = Some(outcome.active);
            scaler.reason.clone_from(&outcome.message);
            scaler.metrics = metrics;
            scaler.decided_at = Some(now_ms());
            if outcome.action.is_some() {
                scaler.scaled_at = Some(now_ms());
            }
            scaler.last_active_at = outcome.last_active.map(ms);
            scaler.error = outcome.triggers.iter().find_map(|view| view.error.clone());
            scaler.errors += u64::from(scaler.error.is_some());
        });
    }
}

fn key(object: &ScaledObject) -> String {
    format!("ScaledObject/{}", object.name())
}

fn describe(scaler: &mut ScalerState, object: &ScaledObject) {
    "ScaledObject".clone_into(&mut scaler.kind);
    object.name().clone_into(&mut scaler.name);
    scaler.target.clone_from(&object.spec.scale_target_ref.name);
    scaler.min = object.spec.min_replicas() as u32;
    scaler.max = object.spec.max_replicas() as u32;
    scaler.paused = object.pause().full;
}
