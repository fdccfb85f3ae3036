//! The checks of KEDA's admission webhook and of the API server, before anything is rendered.
//!
//! Must not stop at what only a live cluster knows (does the target exist, does another HPA own it).

use std::collections::BTreeSet;

use k8s_openapi::api::autoscaling::v2::{HPAScalingRules, HorizontalPodAutoscalerBehavior};

use super::RenderError;
use crate::api::{MetricType, ScaledObject, ScaledObjectSpec, Trigger};
use crate::formula::Formula;
use crate::keda::TriggerSpec;

/// Says whether KEDA would accept the object.
pub fn validate(object: &ScaledObject) -> Result<(), RenderError> {
    let spec = &object.spec;
    if spec.triggers.is_empty() {
        return Err(RenderError::NoTriggers);
    }
    for (index, trigger) in spec.triggers.iter().enumerate() {
        TriggerSpec::new(index, trigger)?;
    }
    bounds(spec)?;
    names(spec)?;
    fallback(spec)?;
    modifiers(spec)?;
    let config = spec
        .advanced
        .as_ref()
        .and_then(|a| a.horizontal_pod_autoscaler_config.as_ref());
    config
        .and_then(|config| config.behavior.as_ref())
        .map_or(Ok(()), behavior)
}

fn bounds(spec: &ScaledObjectSpec) -> Result<(), RenderError> {
    let at_least = |field, value: Option<i32>, least| match value {
        Some(value) if value < least => Err(RenderError::TooSmall {
            field,
            value,
            least,
        }),
        _ => Ok(()),
    };
    at_least("minReplicaCount", spec.min_replica_count, 0)?;
    at_least("maxReplicaCount", spec.max_replica_count, 1)?;
    at_least("idleReplicaCount", spec.idle_replica_count, 0)?;
    at_least("pollingInterval", spec.polling_interval, 1)?;
    at_least("cooldownPeriod", spec.cooldown_period, 0)?;
    at_least("initialCooldownPeriod", spec.initial_cooldown_period, 0)?;
    let (min, max) = (spec.hpa_min_replicas(), spec.max_replicas());
    if min > max {
        return Err(RenderError::MinAboveMax { min, max });
    }
    let min = spec.min_replicas();
    match spec.idle_replica_count {
        Some(idle) if idle >= min => return Err(RenderError::IdleNotBelowMin { idle, min }),
        _ => {}
    }
    // The webhook only objects to a 0 that was written down.
    if spec.min_replica_count == Some(0) && spec.triggers.iter().all(Trigger::is_resource) {
        return Err(RenderError::ZeroWithResourceOnly);
    }
    Ok(())
}

fn names(spec: &ScaledObjectSpec) -> Result<(), RenderError> {
    let mut seen = BTreeSet::new();
    for name in spec
        .triggers
        .iter()
        .filter_map(|trigger| trigger.name.as_ref())
    {
        if !name.is_empty() && !seen.insert(name) {
            return Err(RenderError::DuplicateName { name: name.clone() });
        }
    }
    Ok(())
}

fn fallback(spec: &ScaledObjectSpec) -> Result<(), RenderError> {
    let Some(fallback) = spec.fallback else {
        return Ok(());
    };
    if !fallback.is_valid() {
        return Err(RenderError::Fallback);
    }
    let usable = |kind: Option<MetricType>| {
        matches!(
            kind,
            None | Some(MetricType::AverageValue | MetricType::Value)
        )
    };
    let any = spec
        .triggers
        .iter()
        .any(|t| !t.is_resource() && usable(t.metric_type));
    if any {
        Ok(())
    } else {
        Err(RenderError::FallbackUnusable)
    }
}

fn modifiers(spec: &ScaledObjectSpec) -> Result<(), RenderError> {
    let Some(modifiers) = spec.modifiers() else {
        return Ok(());
    };
    if modifiers.formula.is_empty() {
        return Err(RenderError::ModifierMissing { field: "formula" });
    }
    if modifiers.target.is_empty() {
        return Err(RenderError::ModifierMissing { field: "target" });
    }
    let positive = modifiers
        .target
        .parse::<f64>()
        .is_ok_and(|target| target.is_finite() && target > 0.0);
    if !positive {
        let text = modifiers.target.clone();
        return Err(RenderError::ModifierNumber {
            field: "target",
            text,
        });
    }
    let formula = Formula::parse(&modifiers.formula)?;
    for name in formula.names() {
        let known =
            |trigger: &Trigger| !trigger.is_resource() && trigger.name.as_deref() == Some(name);
        if !spec.triggers.iter().any(known) {
            return Err(RenderError::ModifierName {
                name: name.to_owned(),
            });
        }
    }
    Ok(())
}

fn behavior(behavior: &HorizontalPodAutoscalerBehavior) -> Result<(), RenderError> {
    rules("scaleUp", behavior.scale_up.as_ref())?;
    rules("scaleDown", behavior.scale_down.as_ref())
}

/// Checks one direction; the bounds are those of `pkg/apis/autoscaling/validation`.
pub(crate) fn rules(
    direction: &'static str,
    rules: Option<&HPAScalingRules>,
) -> Result<(), RenderError> {
    let Some(rules) = rules else { return Ok(()) };
    let fail = |problem: String| Err(RenderError::Behavior { direction, problem });
    if let Some(window) = rules
        .stabilization_window_seconds
        .filter(|w| !(0..=3600).contains(w))
    {
        return fail(format!(
            "stabilizationWindowSeconds {window} must lie between 0 and 3600"
        ));
    }
    if let Some(select) = &rules.select_policy
        && !matches!(select.as_str(), "Max" | "Min" | "Disabled")
    {
        return fail(format!(
            "selectPolicy `{select}` must be Max, Min or Disabled"
        ));
    }
    if rules.policies.as_ref().is_some_and(Vec::is_empty) {
        return fail("policies must not be empty".to_owned());
    }
    for policy in rules.policies.iter().flatten() {
        if !matches!(policy.type_.as_str(), "Pods" | "Percent") {
            return fail(format!(
                "policy type `{}` must be Pods or Percent",
                policy.type_
            ));
        }
        if policy.value <= 0 {
            return fail(format!("policy value {} must be above 0", policy.value));
        }
        if !(1..=1800).contains(&policy.period_seconds) {
            return fail(format!(
                "policy periodSeconds {} must lie between 1 and 1800",
                policy.period_seconds
            ));
        }
    }
    Ok(())
}
