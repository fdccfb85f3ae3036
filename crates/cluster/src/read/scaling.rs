//! Autoscalers and KEDA's scalers: what they read, what they want, and in which words.
//! Must not judge, and must not turn a quantity into a number: it is told as the API writes it.

use serde::Serialize;
use serde_json::Value as Json;

use crate::connect::Cluster;
use crate::error::Error;
use crate::object::{ObjectRef, annotation, condition_is, items, number, text};

/// One condition of an object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConditionView {
    /// `ScalingLimited`.
    pub kind: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// `TooManyReplicas`.
    pub reason: String,
    /// The controller's own words.
    pub message: String,
}

impl ConditionView {
    /// Whether it holds.
    pub fn holds(&self) -> bool {
        self.status == "True"
    }

    /// `type: reason: message`.
    pub fn line(&self) -> String {
        format!("{}: {}: {}", self.kind, self.reason, self.message)
    }
}

/// What an autoscaler reads beside what it aims at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MetricView {
    /// `s0-redis-kq-default-live`, `cpu`.
    pub name: String,
    /// `AverageValue`, `Value` or `Utilization`.
    pub kind: String,
    /// A quantity, or per cent; absent before it was read.
    pub value: Option<String>,
    /// What it is compared with, in the same unit.
    pub target: String,
}

/// One horizontal pod autoscaler.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AutoscalerView {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// `Deployment api`.
    pub target: String,
    /// The `ScaledObject` that it was made for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub made_for: Option<String>,
    /// Fewest replicas.
    pub min: u32,
    /// Most replicas.
    pub max: u32,
    /// Replicas as it saw them last.
    pub current: u32,
    /// Replicas that it wants.
    pub desired: u32,
    /// What it reads, in the order of its definition.
    pub metrics: Vec<MetricView>,
    /// When it last changed the number, RFC 3339; empty where it never did.
    pub last_scaled: String,
    /// All that it says about itself.
    pub conditions: Vec<ConditionView>,
}

impl AutoscalerView {
    /// One of its conditions.
    pub fn condition(&self, kind: &str) -> Option<&ConditionView> {
        self.conditions.iter().find(|it| it.kind == kind)
    }

    /// Conditions that say that it does not work as it should. One that rests because its target is at zero does.
    pub fn problems(&self) -> Vec<String> {
        let bad = |it: &&ConditionView| {
            matches!(it.kind.as_str(), "AbleToScale" | "ScalingActive")
                && it.status == "False"
                && it.reason != "ScalingDisabled"
        };
        let bad = self.conditions.iter().filter(bad);
        bad.map(ConditionView::line).collect()
    }
}

/// The autoscalers of a namespace, sorted by name.
pub async fn autoscalers(cluster: &Cluster, namespace: &str) -> Result<Vec<AutoscalerView>, Error> {
    let kind = "HorizontalPodAutoscaler";
    let found = cluster
        .list("autoscaling/v2", kind, Some(namespace), None)
        .await?;
    let mut all: Vec<AutoscalerView> = found.iter().map(autoscaler).collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(all)
}

fn autoscaler(it: &Json) -> AutoscalerView {
    let count = |at: &str, default: i64| number(it, at).unwrap_or(default) as u32;
    let owner = items(it, "/metadata/ownerReferences").iter();
    let mut owner = owner.filter(|it| text(it, "/kind") == "ScaledObject");
    AutoscalerView {
        namespace: text(it, "/metadata/namespace").to_owned(),
        name: text(it, "/metadata/name").to_owned(),
        target: target(it),
        made_for: owner.next().map(|it| text(it, "/name").to_owned()),
        min: count("/spec/minReplicas", 1),
        max: count("/spec/maxReplicas", 1),
        current: count("/status/currentReplicas", 0),
        desired: count("/status/desiredReplicas", 0),
        metrics: items(it, "/spec/metrics")
            .iter()
            .map(|metric| reading(metric, items(it, "/status/currentMetrics")))
            .collect(),
        last_scaled: text(it, "/status/lastScaleTime").to_owned(),
        conditions: conditions(it),
    }
}

/// A metric of the definition with its value among those that were read.
fn reading(metric: &Json, current: &[Json]) -> MetricView {
    let (kind, name) = identity(metric);
    let field = source(kind);
    let aims = text(metric, &format!("{field}/target/type"));
    let unit = match aims {
        "Utilization" => "averageUtilization",
        "AverageValue" => "averageValue",
        _ => "value",
    };
    let quantity = |of: &Json, part: &str| match of.pointer(&format!("{field}/{part}/{unit}")) {
        Some(Json::String(quantity)) => Some(quantity.clone()),
        Some(Json::Number(number)) => Some(number.to_string()),
        _ => None,
    };
    let now = current.iter().find(|it| identity(it) == (kind, name));
    MetricView {
        name: name.to_owned(),
        kind: aims.to_owned(),
        value: now.and_then(|it| quantity(it, "current")),
        target: quantity(metric, "target").unwrap_or_default(),
    }
}

/// Type and name of a metric, of a definition or of a status.
fn identity(metric: &Json) -> (&str, &str) {
    let kind = text(metric, "/type");
    let field = source(kind);
    let name = match text(metric, &format!("{field}/metric/name")) {
        "" => text(metric, &format!("{field}/name")),
        name => name,
    };
    (kind, name)
}

/// Where a metric of a type keeps what it says.
fn source(kind: &str) -> &'static str {
    match kind {
        "External" => "/external",
        "Pods" => "/pods",
        "Object" => "/object",
        "ContainerResource" => "/containerResource",
        _ => "/resource",
    }
}

fn target(it: &Json) -> String {
    let kind = text(it, "/spec/scaleTargetRef/kind");
    let kind = if kind.is_empty() { "Deployment" } else { kind };
    format!("{kind} {}", text(it, "/spec/scaleTargetRef/name"))
}

fn conditions(it: &Json) -> Vec<ConditionView> {
    let view = |it: &Json| ConditionView {
        kind: text(it, "/type").to_owned(),
        status: text(it, "/status").to_owned(),
        reason: text(it, "/reason").to_owned(),
        message: text(it, "/message").to_owned(),
    };
    items(it, "/status/conditions").iter().map(view).collect()
}

/// One `ScaledObject`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ScalerView {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// `Deployment worker`.
    pub target: String,
    /// Its autoscaler's name.
    pub autoscaler: String,
    /// Fewest replicas while there is work.
    pub min: u32,
    /// Most replicas.
    pub max: u32,
    /// Replicas without work, where that is not `min`.
    pub idle: Option<u32>,
    /// Seconds without work before the last replicas go.
    pub cooldown_s: u32,
    /// Whether KEDA accepted it.
    pub ready: bool,
    /// Whether there is work (replicas above zero are wanted).
    pub active: bool,
    /// Whether somebody paused it.
    pub paused: bool,
    /// The number of replicas that it is paused at, where one was given.
    pub paused_at: Option<String>,
    /// Whether a trigger cannot be read and the fallback counts.
    pub fallback: bool,
    /// Triggers that cannot be read: name and failures in a row.
    pub failing: Vec<(String, u32)>,
    /// When a trigger was last active, RFC 3339.
    pub last_active: String,
    /// It is being deleted, and waits for its finalizers.
    pub leaving: bool,
    /// All that KEDA says about it.
    pub conditions: Vec<ConditionView>,
}

impl ScalerView {
    /// One of its conditions.
    pub fn condition(&self, kind: &str) -> Option<&ConditionView> {
        self.conditions.iter().find(|it| it.kind == kind)
    }

    /// Conditions that say that it does not work as it should.
    pub fn problems(&self) -> Vec<String> {
        let bad = self.condition("Ready").filter(|it| it.status == "False");
        bad.map(ConditionView::line).into_iter().collect()
    }
}

/// The `ScaledObjects` of a namespace, sorted by name; none where KEDA is not installed.
pub async fn scalers(cluster: &Cluster, namespace: &str) -> Result<Vec<ScalerView>, Error> {
    let found = cluster
        .list("keda.sh/v1alpha1", "ScaledObject", Some(namespace), None)
        .await?;
    let mut all: Vec<ScalerView> = found.iter().map(scaler).collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(all)
}

/// Every `ScaledObject` and `ScaledJob` of the cluster: who needs KEDA.
pub async fn scalers_everywhere(cluster: &Cluster) -> Result<Vec<ObjectRef>, Error> {
    let mut all = Vec::new();
    for kind in ["ScaledObject", "ScaledJob"] {
        for object in cluster.list("keda.sh/v1alpha1", kind, None, None).await? {
            all.push(ObjectRef::of(&object)?);
        }
    }
    Ok(all)
}

fn scaler(it: &Json) -> ScalerView {
    let is = |kind: &str| condition_is(it, kind, "True");
    // What KEDA takes where nothing is set.
    let count = |at: &str, default: i64| number(it, at).unwrap_or(default) as u32;
    let paused_at = annotation(it, "autoscaling.keda.sh/paused-replicas");
    let paused = annotation(it, "autoscaling.keda.sh/paused") == Some("true");
    ScalerView {
        namespace: text(it, "/metadata/namespace").to_owned(),
        name: text(it, "/metadata/name").to_owned(),
        target: target(it),
        autoscaler: text(it, "/status/hpaName").to_owned(),
        min: count("/spec/minReplicaCount", 0),
        max: count("/spec/maxReplicaCount", 100),
        idle: number(it, "/spec/idleReplicaCount").map(|it| it as u32),
        cooldown_s: count("/spec/cooldownPeriod", 300),
        ready: is("Ready"),
        active: is("Active"),
        paused: is("Paused") || paused || paused_at.is_some(),
        paused_at: paused_at.map(str::to_owned),
        fallback: is("Fallback"),
        failing: failing(it),
        last_active: text(it, "/status/lastActiveTime").to_owned(),
        leaving: !text(it, "/metadata/deletionTimestamp").is_empty(),
        conditions: conditions(it),
    }
}

/// `status.health` counts the failures of each trigger.
fn failing(it: &Json) -> Vec<(String, u32)> {
    let health = it.pointer("/status/health").and_then(Json::as_object);
    let failures = |it: &Json| number(it, "/numberOfFailures").unwrap_or(0) as u32;
    let health = health.into_iter().flatten();
    health
        .filter(|(_, it)| text(it, "/status") == "Failing")
        .map(|(name, it)| (name.clone(), failures(it)))
        .collect()
}

#[cfg(test)]
#[path = "scaling_tests.rs"]
mod tests;
