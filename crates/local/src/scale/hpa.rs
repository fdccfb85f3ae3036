//! The HPA controller's work on an HPA: collects what a sync reads, runs it, obeys it.
//! Must not sync more often than the controller would.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use kedactl_autoscale::hpa::{
    ConditionStatus, Hpa, HpaDecision, HpaInput, HpaMetricKind, HpaSpec, HpaState, HpaTarget,
    MetricReading,
};
use kedactl_autoscale::journal::Entry;
use kedactl_autoscale::keda::ServedMetric;
use tokio::sync::watch;
use tokio::time::sleep;

use super::meter::Meter;
use super::{Target, now, options, write_scale};
use crate::board::now_ms;
use crate::context::Context;
use crate::desired::Desired;
use crate::{LocalError, MetricState, ScalerState};

/// One HPA at work.
#[derive(Debug)]
pub(crate) struct Syncer {
    context: Arc<Context>,
    meter: Arc<Meter>,
    hpa: Hpa,
    object: HorizontalPodAutoscaler,
    target: String,
    cpu_request_milli: Option<i64>,
}

impl Syncer {
    /// Reads the object. As a restarted controller, it remembers nothing of earlier syncs.
    pub(crate) fn new(
        context: &Arc<Context>,
        meter: &Arc<Meter>,
        object: HorizontalPodAutoscaler,
        cpu_request_milli: Option<i64>,
    ) -> Result<Self, LocalError> {
        let options = options(&context.config);
        let name = object.metadata.name.clone().unwrap_or_default();
        let hpa = Hpa::from_object(&object, options, HpaState::default()).map_err(|error| {
            LocalError::Manifest {
                object: format!("HorizontalPodAutoscaler/{name}"),
                message: error.to_string(),
            }
        })?;
        let target = object
            .spec
            .as_ref()
            .map(|spec| spec.scale_target_ref.name.clone())
            .unwrap_or_default();
        let syncer = Self {
            context: Arc::clone(context),
            meter: Arc::clone(meter),
            hpa,
            object,
            target,
            cpu_request_milli,
        };
        syncer.note_start();
        Ok(syncer)
    }

    fn note_start(&self) {
        self.context.board.record_entry(&Entry::HpaStart {
            name: self.name(),
            object: Box::new(self.object.clone()),
            options: *self.hpa.options(),
            state: self.hpa.state().clone(),
        });
        let key = self.key();
        let spec = self.hpa.spec();
        let (min, max) = (spec.min as u32, spec.max as u32);
        let (name, target) = (self.name(), self.target.clone());
        self.context.board.update(|state| {
            let scaler = state.scalers.entry(key.clone()).or_default();
            "HorizontalPodAutoscaler".clone_into(&mut scaler.kind);
            scaler.name = name;
            scaler.target.clone_from(&target);
            (scaler.min, scaler.max) = (min, max);
            if scaler.created_at == 0 {
                scaler.created_at = now_ms();
            }
            if let Some(workload) = state.workloads.get_mut(&target) {
                workload.scaled_by.get_or_insert(key);
            }
        });
    }

    fn name(&self) -> String {
        self.object.metadata.name.clone().unwrap_or_default()
    }

    pub(crate) fn key(&self) -> String {
        format!("HorizontalPodAutoscaler/{}", self.name())
    }

    /// Time between two syncs.
    pub(crate) fn period(&self) -> Duration {
        Duration::from_secs(u64::from(self.context.config.local.hpa_sync_seconds.max(1)))
    }

    /// Takes over a changed object and keeps what it remembers.
    pub(crate) fn update(
        &mut self,
        object: HorizontalPodAutoscaler,
        cpu_request_milli: Option<i64>,
    ) {
        self.cpu_request_milli = cpu_request_milli;
        if object == self.object {
            return;
        }
        match HpaSpec::from_hpa(&object, self.hpa.options()) {
            Ok(spec) => {
                self.hpa.update(spec);
                self.object = object;
                self.note_start();
            }
            Err(error) => tracing::error!(%error, hpa = %self.name(), "the changed HPA is refused"),
        }
    }

    /// One sync. `served` is what KEDA serves, for an HPA of KEDA's.
    pub(crate) fn sync(&mut self, served: &[ServedMetric]) {
        let target = Target::look(&self.context.board, &self.target, self.cpu_request_milli);
        let names: Vec<String> = target.pods.iter().map(|pod| pod.name.clone()).collect();
        let metrics = self.hpa.metrics().iter().map(|metric| match &metric.kind {
            HpaMetricKind::External { name, .. } => served
                .iter()
                .find(|found| found.name == *name)
                .map_or_else(|| not_measured(name), |found| found.reading.clone()),
            HpaMetricKind::Resource { name, .. } if name == "cpu" => self.meter.cpu(&names),
            HpaMetricKind::Resource { name, .. }
            | HpaMetricKind::Pods { name }
            | HpaMetricKind::Object { name, .. } => not_measured(name),
        });
        let input = HpaInput {
            spec_replicas: target.spec_replicas,
            status_replicas: target.status_replicas,
            metrics: metrics.collect(),
            pods: target.pods,
        };
        let at = now();
        let decision = self.hpa.sync(at, &input);
        self.note(&decision);
        if decision.rescale() {
            let why = decision
                .reason
                .clone()
                .unwrap_or_else(|| decision.trace.summary.clone());
            write_scale(
                &self.context,
                &self.target,
                decision.desired,
                &self.key(),
                &why,
            );
        }
        self.context.board.record_entry(&Entry::HpaSync {
            name: self.name(),
            now: at,
            input,
            decision: Box::new(decision),
        });
    }

    fn note(&self, decision: &HpaDecision) {
        let metrics = self
            .hpa
            .metrics()
            .iter()
            .zip(&decision.trace.proposals)
            .map(|(metric, proposal)| {
                let (target, target_type, scale) = match metric.target {
                    HpaTarget::AverageValue(milli) => {
                        (milli as f64 / 1000.0, "AverageValue", 1000.0)
                    }
                    HpaTarget::Value(milli) => (milli as f64 / 1000.0, "Value", 1000.0),
                    HpaTarget::Utilization(percent) => (f64::from(percent), "Utilization", 1.0),
                };
                MetricState {
                    name: metric_name(&metric.kind).to_owned(),
                    value: proposal.measured.map(|measured| measured as f64 / scale),
                    target,
                    target_type: target_type.to_owned(),
                }
            });
        let metrics: Vec<MetricState> = metrics.collect();
        let error = decision
            .trace
            .proposals
            .iter()
            .find_map(|proposal| proposal.error.clone());
        let conditions = decision.conditions.iter().map(|it| {
            let holds = it.status == ConditionStatus::True;
            (it.kind.clone(), holds)
        });
        let key = self.key();
        self.context.board.update(|state| {
            let scaler = state.scalers.entry(key).or_default();
            // A sync sets those that it knows something new about.
            let mut known = std::mem::take(&mut scaler.conditions);
            known.extend(conditions);
            *scaler = ScalerState {
                current: decision.current as u32,
                desired: decision.desired as u32,
                reason: decision.trace.summary.clone(),
                decided_at: Some(now_ms()),
                scaled_at: if decision.rescale() {
                    Some(now_ms())
                } else {
                    scaler.scaled_at
                },
                // Nothing is read while the target is at zero or out of its bounds: the last reading stays.
                metrics: if metrics.is_empty() {
                    std::mem::take(&mut scaler.metrics)
                } else {
                    metrics
                },
                errors: scaler.errors + u64::from(error.is_some()),
                error,
                conditions: known,
                ..std::mem::take(scaler)
            };
        });
    }

    /// Syncs an HPA that is not KEDA's, for ever.
    pub(crate) async fn run(mut self, mut desired: watch::Receiver<Arc<Desired>>) {
        loop {
            sleep(self.period()).await;
            if desired.has_changed().unwrap_or(false) {
                let desired = Arc::clone(&desired.borrow_and_update());
                let name = self.object.metadata.name.clone();
                let changed = desired
                    .autoscalers
                    .iter()
                    .find(|object| object.metadata.name == name);
                if let Some(object) = changed {
                    let request = desired.cpu_request(&self.target);
                    self.update(object.clone(), request);
                }
            }
            self.sync(&[]);
        }
    }
}

fn metric_name(kind: &HpaMetricKind) -> &str {
    match kind {
        HpaMetricKind::External { name, .. }
        | HpaMetricKind::Object { name, .. }
        | HpaMetricKind::Pods { name }
        | HpaMetricKind::Resource { name, .. } => name,
    }
}

fn not_measured(name: &str) -> MetricReading {
    MetricReading::Failed {
        error: format!("the metric {name} is not measured by the local provider"),
    }
}
