//! From the Kubernetes object to [`HpaSpec`]: defaults filled, quantities parsed, gates applied.
//!
//! Must not accept what the API server would refuse.

use k8s_openapi::api::autoscaling::v2::{
    HPAScalingPolicy, HPAScalingRules, HorizontalPodAutoscaler, HorizontalPodAutoscalerBehavior,
    MetricIdentifier, MetricSpec, MetricTarget,
};

use super::HpaOptions;
use super::spec::{
    Behavior, HpaMetric, HpaMetricKind, HpaSpec, HpaSpecError, HpaTarget, Policy, PolicyType,
    Rules, SelectPolicy,
};
use crate::quantity::{self, QuantityError};

impl HpaSpec {
    /// Reads an HPA under the given flags and gates.
    pub fn from_hpa(
        hpa: &HorizontalPodAutoscaler,
        options: &HpaOptions,
    ) -> Result<Self, HpaSpecError> {
        let spec = hpa.spec.as_ref().ok_or(HpaSpecError::NoSpec)?;
        let metrics = metrics(spec.metrics.as_deref().unwrap_or_default())?;
        let (min, max) = (spec.min_replicas.unwrap_or(1), spec.max_replicas);
        bounds(min, max, &metrics, options)?;
        Ok(Self {
            name: hpa.metadata.name.clone().unwrap_or_default(),
            namespace: hpa
                .metadata
                .namespace
                .clone()
                .unwrap_or_else(|| "default".to_owned()),
            min,
            max,
            metrics,
            behavior: spec
                .behavior
                .as_ref()
                .map(|b| Behavior::from_k8s(b, options))
                .transpose()?,
        })
    }
}

fn bounds(
    min: i32,
    max: i32,
    metrics: &[HpaMetric],
    options: &HpaOptions,
) -> Result<(), HpaSpecError> {
    let outside = |metric: &HpaMetric| {
        matches!(
            metric.kind,
            HpaMetricKind::External { .. } | HpaMetricKind::Object { .. }
        )
    };
    let problem = if min < 0 {
        "minReplicas must not be negative"
    } else if min == 0 && !options.scale_to_zero {
        "minReplicas 0 needs the gate HPAScaleToZero"
    } else if min == 0 && !metrics.iter().any(outside) {
        "minReplicas 0 needs an Object or External metric"
    } else if max < 1 {
        "maxReplicas must be at least 1"
    } else if min > max {
        "minReplicas must not exceed maxReplicas"
    } else {
        return Ok(());
    };
    Err(HpaSpecError::Bounds { min, max, problem })
}

impl Behavior {
    fn from_k8s(
        behavior: &HorizontalPodAutoscalerBehavior,
        options: &HpaOptions,
    ) -> Result<Self, HpaSpecError> {
        crate::hpa_render::validate_rules("scaleUp", behavior.scale_up.as_ref())?;
        crate::hpa_render::validate_rules("scaleDown", behavior.scale_down.as_ref())?;
        let up = Rules::default_up();
        let down = Rules::default_down(options.downscale_stabilization);
        Ok(Self {
            scale_up: up.overlaid(behavior.scale_up.as_ref(), options),
            scale_down: down.overlaid(behavior.scale_down.as_ref(), options),
        })
    }
}

impl Rules {
    fn overlaid(mut self, own: Option<&HPAScalingRules>, options: &HpaOptions) -> Self {
        let Some(own) = own else { return self };
        if let Some(window) = own.stabilization_window_seconds {
            self.window = i64::from(window);
        }
        match own.select_policy.as_deref() {
            Some("Min") => self.select = SelectPolicy::Min,
            Some("Disabled") => self.select = SelectPolicy::Disabled,
            _ => {}
        }
        if let Some(policies) = &own.policies {
            let read = |policy: &HPAScalingPolicy| Policy {
                kind: if policy.type_ == "Percent" {
                    PolicyType::Percent
                } else {
                    PolicyType::Pods
                },
                value: policy.value,
                period: i64::from(policy.period_seconds),
            };
            self.policies = policies.iter().map(read).collect();
        }
        if options.configurable_tolerance {
            let milli = own
                .tolerance
                .as_ref()
                .and_then(|t| quantity::to_milli(t).ok());
            self.tolerance = milli.map(|milli| milli as f64 / 1000.0);
        }
        self
    }
}

fn metrics(specs: &[MetricSpec]) -> Result<Vec<HpaMetric>, HpaSpecError> {
    if specs.is_empty() {
        // The API server's default for an HPA without metrics.
        let kind = HpaMetricKind::Resource {
            name: "cpu".to_owned(),
            container: None,
        };
        return Ok(vec![HpaMetric {
            kind,
            target: HpaTarget::Utilization(80),
        }]);
    }
    specs
        .iter()
        .enumerate()
        .map(|(index, spec)| metric(index, spec))
        .collect()
}

fn metric(index: usize, spec: &MetricSpec) -> Result<HpaMetric, HpaSpecError> {
    let problem = |problem| HpaSpecError::Metric {
        index,
        kind: spec.type_.clone(),
        problem,
    };
    let missing = || problem("its source is missing");
    let (kind, target) = match spec.type_.as_str() {
        "External" => {
            let source = spec.external.as_ref().ok_or_else(missing)?;
            let MetricIdentifier { name, selector } = source.metric.clone();
            let labels = selector.and_then(|s| s.match_labels).unwrap_or_default();
            (HpaMetricKind::External { name, labels }, &source.target)
        }
        "Object" => {
            let source = spec.object.as_ref().ok_or_else(missing)?;
            let name = source.metric.name.clone();
            let kind = source.described_object.kind.clone();
            (HpaMetricKind::Object { name, kind }, &source.target)
        }
        "Pods" => {
            let source = spec.pods.as_ref().ok_or_else(missing)?;
            (
                HpaMetricKind::Pods {
                    name: source.metric.name.clone(),
                },
                &source.target,
            )
        }
        "Resource" => {
            let source = spec.resource.as_ref().ok_or_else(missing)?;
            let name = source.name.clone();
            (
                HpaMetricKind::Resource {
                    name,
                    container: None,
                },
                &source.target,
            )
        }
        "ContainerResource" => {
            let source = spec.container_resource.as_ref().ok_or_else(missing)?;
            let container = Some(source.container.clone());
            (
                HpaMetricKind::Resource {
                    name: source.name.clone(),
                    container,
                },
                &source.target,
            )
        }
        _ => return Err(problem("the type is not known")),
    };
    let target = read_target(target)
        .map_err(|source| HpaSpecError::Quantity { index, source })?
        .ok_or_else(|| problem("its target has no value above 0"))?;
    let fits = match (&kind, target) {
        (
            HpaMetricKind::External { .. } | HpaMetricKind::Object { .. },
            HpaTarget::Utilization(_),
        )
        | (HpaMetricKind::Resource { .. }, HpaTarget::Value(_)) => false,
        (HpaMetricKind::Pods { .. }, target) => matches!(target, HpaTarget::AverageValue(_)),
        _ => true,
    };
    if fits {
        Ok(HpaMetric { kind, target })
    } else {
        Err(problem("its target has the wrong type"))
    }
}

fn read_target(target: &MetricTarget) -> Result<Option<HpaTarget>, QuantityError> {
    let read = |q: &Option<_>| q.as_ref().map(quantity::to_milli).transpose();
    let found = match target.type_.as_str() {
        "AverageValue" => read(&target.average_value)?.map(HpaTarget::AverageValue),
        "Value" => read(&target.value)?.map(HpaTarget::Value),
        "Utilization" => target.average_utilization.map(HpaTarget::Utilization),
        _ => None,
    };
    Ok(found.filter(|target| match target {
        HpaTarget::AverageValue(milli) | HpaTarget::Value(milli) => *milli > 0,
        HpaTarget::Utilization(percent) => *percent > 0,
    }))
}
