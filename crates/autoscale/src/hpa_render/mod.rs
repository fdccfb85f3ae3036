//! From a `ScaledObject` to the HPA that KEDA would create for it, or to the reason why it would refuse.
//!
//! Must not fill in a `behavior` that the user left out: its absence selects another algorithm.

use std::collections::BTreeMap;

use k8s_openapi::api::autoscaling::v2::{
    ContainerResourceMetricSource, CrossVersionObjectReference, ExternalMetricSource,
    HPAScalingRules, HorizontalPodAutoscaler, HorizontalPodAutoscalerBehavior,
    HorizontalPodAutoscalerSpec, MetricIdentifier, MetricSpec, MetricTarget, ResourceMetricSource,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta, OwnerReference};

use crate::api::{self, MetricType, ScaledObject};
use crate::formula::FormulaError;
use crate::keda::{COMPOSITE_METRIC, TriggerError, TriggerSpec, TriggerTarget};
use crate::quantity;

mod validate;

pub(crate) use validate::rules as validate_rules;
pub use validate::validate;

/// The operator that is modelled, as it labels its HPAs.
pub const KEDA_VERSION: &str = "2.20.2";

/// Why KEDA would refuse a `ScaledObject`, or create an HPA that Kubernetes refuses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// No trigger at all.
    #[error("spec.triggers is empty")]
    NoTriggers,
    /// A trigger that cannot be used.
    #[error(transparent)]
    Trigger(#[from] TriggerError),
    /// Bounds the wrong way round.
    #[error("minReplicaCount {min} must not exceed maxReplicaCount {max}")]
    MinAboveMax {
        /// As the HPA gets it.
        min: i32,
        /// As the HPA gets it.
        max: i32,
    },
    /// A bound that is no count.
    #[error("{field} {value} must be at least {least}")]
    TooSmall {
        /// Path below `spec`.
        field: &'static str,
        /// As written.
        value: i32,
        /// What is allowed.
        least: i32,
    },
    /// An idle count that is not below the minimum.
    #[error("idleReplicaCount {idle} must be below minReplicaCount {min}")]
    IdleNotBelowMin {
        /// As written.
        idle: i32,
        /// As written.
        min: i32,
    },
    /// A negative threshold or count.
    #[error("fallback needs failureThreshold ≥ 0 and replicas ≥ 0")]
    Fallback,
    /// A fallback that nothing can use.
    #[error("fallback needs a trigger that is not cpu or memory and has metricType AverageValue")]
    FallbackUnusable,
    /// cpu and memory are only known while pods run.
    #[error("minReplicaCount 0 needs a trigger beside cpu and memory")]
    ZeroWithResourceOnly,
    /// Two triggers with one name.
    #[error("trigger name `{name}` is used twice")]
    DuplicateName {
        /// The name.
        name: String,
    },
    /// A formula without target, or a target without formula.
    #[error("scalingModifiers needs {field}")]
    ModifierMissing {
        /// The missing field.
        field: &'static str,
    },
    /// A number of the formula section that is none.
    #[error("scalingModifiers.{field} is `{text}`, which is not a usable number")]
    ModifierNumber {
        /// The field.
        field: &'static str,
        /// As written.
        text: String,
    },
    /// The formula mentions something that is no trigger.
    #[error(
        "scalingModifiers.formula mentions `{name}`, which is not the name of an external trigger"
    )]
    ModifierName {
        /// The name.
        name: String,
    },
    /// The formula itself.
    #[error(transparent)]
    Formula(#[from] FormulaError),
    /// A behaviour that Kubernetes refuses.
    #[error("behavior.{direction}: {problem}")]
    Behavior {
        /// `scaleUp` or `scaleDown`.
        direction: &'static str,
        /// What is wrong.
        problem: String,
    },
}

/// Returns the HPA that KEDA creates; its name is also the one to look for in a cluster.
pub fn render_hpa(object: &ScaledObject) -> Result<HorizontalPodAutoscaler, RenderError> {
    validate(object)?;
    let target = &object.spec.scale_target_ref;
    Ok(HorizontalPodAutoscaler {
        metadata: metadata(object),
        spec: Some(HorizontalPodAutoscalerSpec {
            behavior: behavior(object),
            max_replicas: object.spec.max_replicas(),
            metrics: Some(metrics(object)?),
            min_replicas: Some(object.spec.hpa_min_replicas()),
            scale_target_ref: CrossVersionObjectReference {
                api_version: Some(
                    target
                        .api_version
                        .clone()
                        .unwrap_or_else(|| "apps/v1".into()),
                ),
                kind: target.kind.clone().unwrap_or_else(|| "Deployment".into()),
                name: target.name.clone(),
            },
        }),
        status: None,
    })
}

/// Returns the name of the HPA that belongs to an object.
pub fn hpa_name(object: &ScaledObject) -> String {
    let config = object
        .spec
        .advanced
        .as_ref()
        .and_then(|a| a.horizontal_pod_autoscaler_config.as_ref());
    let own = config
        .and_then(|config| config.name.clone())
        .filter(|name| !name.is_empty());
    own.unwrap_or_else(|| trim(&format!("keda-hpa-{}", object.name())))
}

/// Cuts a name to what a label value may hold.
fn trim(name: &str) -> String {
    name.chars()
        .take(63)
        .collect::<String>()
        .trim_end_matches(['-', '_', '.'])
        .to_owned()
}

fn metadata(object: &ScaledObject) -> ObjectMeta {
    let name = hpa_name(object);
    let mut labels = BTreeMap::from([
        (
            "app.kubernetes.io/managed-by".to_owned(),
            "keda-operator".to_owned(),
        ),
        ("app.kubernetes.io/name".to_owned(), trim(&name)),
        ("app.kubernetes.io/part-of".to_owned(), trim(object.name())),
        (
            "app.kubernetes.io/version".to_owned(),
            KEDA_VERSION.to_owned(),
        ),
    ]);
    labels.extend(object.metadata.labels.clone().unwrap_or_default());
    let annotations = object.metadata.annotations.clone().unwrap_or_default();
    for label in annotations
        .get(api::HPA_EXCLUDED_LABELS)
        .into_iter()
        .flat_map(|l| l.split(','))
    {
        labels.remove(label.trim());
    }
    // An owner needs a uid, which only a live object has.
    let owner = object.metadata.uid.clone().map(|uid| OwnerReference {
        api_version: "keda.sh/v1alpha1".to_owned(),
        block_owner_deletion: Some(true),
        controller: Some(true),
        kind: "ScaledObject".to_owned(),
        name: object.name().to_owned(),
        uid,
    });
    ObjectMeta {
        name: Some(name),
        namespace: object.metadata.namespace.clone(),
        labels: Some(labels),
        annotations: (!annotations.is_empty()).then_some(annotations),
        owner_references: owner.map(|owner| vec![owner]),
        ..ObjectMeta::default()
    }
}

/// Copies the behaviour, and disables a direction that is paused.
///
/// A one-way pause makes an absent behaviour present, and so changes the algorithm (see the crate's docs on
/// the legacy path); that is KEDA's own side effect.
fn behavior(object: &ScaledObject) -> Option<HorizontalPodAutoscalerBehavior> {
    let config = object
        .spec
        .advanced
        .as_ref()
        .and_then(|a| a.horizontal_pod_autoscaler_config.as_ref());
    let mut behavior = config.and_then(|config| config.behavior.clone());
    let pause = object.pause();
    let disable = |rules: &mut Option<HPAScalingRules>| {
        rules.get_or_insert_default().select_policy = Some("Disabled".to_owned());
    };
    if pause.scale_in {
        disable(&mut behavior.get_or_insert_default().scale_down);
    }
    if pause.scale_out {
        disable(&mut behavior.get_or_insert_default().scale_up);
    }
    behavior
}

fn metrics(object: &ScaledObject) -> Result<Vec<MetricSpec>, RenderError> {
    let modifiers = object.spec.modifiers();
    let mut metrics = Vec::new();
    for (index, trigger) in object.spec.triggers.iter().enumerate() {
        let spec = TriggerSpec::new(index, trigger)?;
        match spec.target {
            TriggerTarget::External {
                metric,
                target_milli,
                metric_type,
                ..
            } => {
                if modifiers.is_none() {
                    metrics.push(external(object, &metric, target_milli, metric_type));
                }
            }
            TriggerTarget::Resource {
                resource,
                target,
                metric_type,
                container,
            } => {
                metrics.push(resource_metric(&resource, target, metric_type, container));
            }
        }
    }
    if let Some(modifiers) = modifiers {
        let target = modifiers
            .target
            .parse()
            .map(quantity::reading_to_milli)
            .map_err(|_| RenderError::ModifierNumber {
                field: "target",
                text: modifiers.target.clone(),
            })?;
        let kind = modifiers.metric_type.unwrap_or_default().into();
        metrics.push(external(object, COMPOSITE_METRIC, target, kind));
    }
    // KEDA sorts by type so that the order never changes between reconciles.
    metrics.sort_by(|a, b| a.type_.cmp(&b.type_));
    Ok(metrics)
}

fn external(object: &ScaledObject, name: &str, milli: i64, kind: MetricType) -> MetricSpec {
    let labels = BTreeMap::from([(api::OWNER.to_owned(), trim(object.name()))]);
    let value = Some(quantity::from_milli(milli));
    let average = kind == MetricType::AverageValue;
    MetricSpec {
        type_: "External".to_owned(),
        external: Some(ExternalMetricSource {
            metric: MetricIdentifier {
                name: name.to_owned(),
                selector: Some(LabelSelector {
                    match_expressions: None,
                    match_labels: Some(labels),
                }),
            },
            target: MetricTarget {
                type_: kind.as_str().to_owned(),
                average_value: value.clone().filter(|_| average),
                value: value.filter(|_| !average),
                average_utilization: None,
            },
        }),
        ..MetricSpec::default()
    }
}

fn resource_metric(
    name: &str,
    target: i64,
    kind: MetricType,
    container: Option<String>,
) -> MetricSpec {
    let percent = kind == MetricType::Utilization;
    let target = MetricTarget {
        type_: kind.as_str().to_owned(),
        average_utilization: percent.then_some(target as i32),
        average_value: (!percent).then(|| quantity::from_milli(target)),
        value: None,
    };
    let name = name.to_owned();
    match container {
        None => MetricSpec {
            type_: "Resource".to_owned(),
            resource: Some(ResourceMetricSource { name, target }),
            ..MetricSpec::default()
        },
        Some(container) => MetricSpec {
            type_: "ContainerResource".to_owned(),
            container_resource: Some(ContainerResourceMetricSource {
                container,
                name,
                target,
            }),
            ..MetricSpec::default()
        },
    }
}
