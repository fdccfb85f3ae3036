//! A trigger's settings as the loop and the HPA need them: metric name, target, activation.
//!
//! Must not know how a trigger is asked; types it does not know are refused by name.

use serde::{Deserialize, Serialize};

use crate::api::{MetricType, Trigger};
use crate::quantity;

/// A trigger that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TriggerError {
    /// A scaler that is not modelled.
    #[error("trigger {index} has type `{kind}`, which is not supported here (known: {known})", known = KNOWN.join(", "))]
    UnknownType {
        /// Position in `spec.triggers`.
        index: usize,
        /// The type as written.
        kind: String,
    },
    /// A setting without which the scaler does not work.
    #[error("trigger {index} (`{kind}`) needs `metadata.{key}`")]
    Missing {
        /// Position in `spec.triggers`.
        index: usize,
        /// Its type.
        kind: String,
        /// The setting.
        key: &'static str,
    },
    /// A setting that cannot be read.
    #[error("trigger {index} (`{kind}`): `metadata.{key}` is `{value}`, which is not {expected}")]
    Invalid {
        /// Position in `spec.triggers`.
        index: usize,
        /// Its type.
        kind: String,
        /// The setting.
        key: &'static str,
        /// As written.
        value: String,
        /// What would be right.
        expected: &'static str,
    },
    /// A metric type that this trigger cannot have.
    #[error("trigger {index} (`{kind}`) cannot have metricType `{found}`, only {allowed}")]
    MetricType {
        /// Position in `spec.triggers`.
        index: usize,
        /// Its type.
        kind: String,
        /// As written, or `unset`.
        found: &'static str,
        /// What would be right.
        allowed: &'static str,
    },
    /// A setting on a trigger that cannot have it.
    #[error("trigger {index} (`{kind}`) cannot have useCachedMetrics")]
    Cached {
        /// Position in `spec.triggers`.
        index: usize,
        /// Its type.
        kind: String,
    },
}

const KNOWN: &[&str] = &[
    "redis",
    "redis-cluster",
    "redis-sentinel",
    "redis-streams",
    "redis-cluster-streams",
    "redis-sentinel-streams",
    "prometheus",
    "metrics-api",
    "cron",
    "cpu",
    "memory",
];

/// One trigger, checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TriggerSpec {
    /// Position in `spec.triggers`.
    pub index: usize,
    /// Type of the scaler.
    pub kind: String,
    /// Name in formulas.
    #[serde(default)]
    pub name: Option<String>,
    /// Serve the HPA the value of the last poll.
    pub cached: bool,
    /// What it asks of the HPA.
    pub target: TriggerTarget,
}

/// What a trigger asks of the HPA.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum TriggerTarget {
    /// A metric that KEDA serves.
    External {
        /// Name under which it is served: `s<index>-…`.
        metric: String,
        /// Thousandths.
        target_milli: i64,
        /// `AverageValue` or `Value`.
        metric_type: MetricType,
        /// Thousandths; the value must exceed it to count as active.
        activation_milli: i64,
    },
    /// `cpu` or `memory`, which the HPA reads itself.
    Resource {
        /// `cpu` or `memory`.
        resource: String,
        /// Percent of the requests for `Utilization`, else thousandths a pod.
        target: i64,
        /// `Utilization` or `AverageValue`.
        metric_type: MetricType,
        /// One container, or the whole pod.
        #[serde(default)]
        container: Option<String>,
    },
}

impl TriggerSpec {
    /// Checks one trigger of a manifest.
    pub fn new(index: usize, trigger: &Trigger) -> Result<Self, TriggerError> {
        let fields = Fields { index, trigger };
        if trigger.use_cached_metrics && matches!(trigger.kind.as_str(), "cpu" | "memory" | "cron")
        {
            return Err(TriggerError::Cached {
                index,
                kind: trigger.kind.clone(),
            });
        }
        let target = if trigger.is_resource() {
            fields.resource()?
        } else {
            fields.external()?
        };
        Ok(Self {
            index,
            kind: trigger.kind.clone(),
            name: trigger.name.clone(),
            cached: trigger.use_cached_metrics,
            target,
        })
    }

    /// Returns the name under which the metric is served, for external triggers.
    pub fn metric(&self) -> Option<&str> {
        match &self.target {
            TriggerTarget::External { metric, .. } => Some(metric),
            TriggerTarget::Resource { .. } => None,
        }
    }
}

/// Returns the name KEDA gives the metric of trigger `index`: `s0-redis-mylist`.
pub fn metric_name(index: usize, raw: &str) -> String {
    let normalised: String = raw
        .chars()
        .map(|c| if "/.:%()".contains(c) { '-' } else { c })
        .collect();
    format!("s{index}-{normalised}")
}

struct Fields<'a> {
    index: usize,
    trigger: &'a Trigger,
}

impl Fields<'_> {
    fn external(&self) -> Result<TriggerTarget, TriggerError> {
        let (raw, target_milli, activation_milli) = match self.trigger.kind.as_str() {
            "redis" | "redis-cluster" | "redis-sentinel" => (
                format!("redis-{}", self.needed("listName")?),
                self.count("listLength", Some(5))?,
                self.count("activationListLength", Some(0))?,
            ),
            "redis-streams" | "redis-cluster-streams" | "redis-sentinel-streams" => {
                self.stream()?
            }
            "prometheus" => (
                "prometheus".to_owned(),
                self.decimal("threshold", None)?,
                self.decimal("activationThreshold", Some(0))?,
            ),
            "metrics-api" => (
                format!("metric-api-{}", self.needed("valueLocation")?),
                self.decimal("targetValue", None)?,
                self.decimal("activationTargetValue", Some(0))?,
            ),
            "cron" => (self.cron()?, 1000, 0),
            _ => {
                let kind = self.trigger.kind.clone();
                return Err(TriggerError::UnknownType {
                    index: self.index,
                    kind,
                });
            }
        };
        let metric_type = self.trigger.metric_type.unwrap_or(MetricType::AverageValue);
        if metric_type == MetricType::Utilization {
            return Err(self.bad_type("Utilization", "AverageValue or Value"));
        }
        let metric = metric_name(self.index, &raw);
        Ok(TriggerTarget::External {
            metric,
            target_milli,
            metric_type,
            activation_milli,
        })
    }

    fn stream(&self) -> Result<(String, i64, i64), TriggerError> {
        let name = format!("redis-streams-{}", self.needed("stream")?);
        let key = match (self.get("consumerGroup"), self.get("lagCount")) {
            (Some(_), Some(_)) => "lagCount",
            (Some(_), None) => "pendingEntriesCount",
            (None, _) => "streamLength",
        };
        Ok((
            name,
            self.count(key, Some(5))?,
            self.count("activationLagCount", Some(0))?,
        ))
    }

    fn cron(&self) -> Result<String, TriggerError> {
        let word = |key| {
            let text: &str = self.needed(key)?;
            Ok(text
                .replace(' ', "")
                .replace('*', "x")
                .replace('/', "Sl")
                .replace('?', "Qm"))
        };
        Ok(format!(
            "cron-{}-{}-{}",
            self.needed("timezone")?,
            word("start")?,
            word("end")?
        ))
    }

    fn resource(&self) -> Result<TriggerTarget, TriggerError> {
        let text = self.needed("value")?;
        let target = match self.trigger.metric_type {
            Some(MetricType::Utilization) => text
                .parse::<i64>()
                .ok()
                .filter(|percent| *percent > 0 && *percent <= i64::from(i32::MAX))
                .ok_or_else(|| self.invalid("value", text, "a whole percentage above 0"))?,
            Some(MetricType::AverageValue) => quantity::parse_milli(text)
                .ok()
                .filter(|milli| *milli > 0)
                .ok_or_else(|| self.invalid("value", text, "a quantity above 0"))?,
            Some(MetricType::Value) => {
                return Err(self.bad_type("Value", "Utilization or AverageValue"));
            }
            None => return Err(self.bad_type("unset", "Utilization or AverageValue")),
        };
        Ok(TriggerTarget::Resource {
            resource: self.trigger.kind.clone(),
            target,
            metric_type: self.trigger.metric_type.unwrap_or(MetricType::Utilization),
            container: self.get("containerName").map(str::to_owned),
        })
    }

    fn get(&self, key: &str) -> Option<&str> {
        self.trigger
            .metadata
            .get(key)
            .map(String::as_str)
            .filter(|text| !text.is_empty())
    }

    fn needed(&self, key: &'static str) -> Result<&str, TriggerError> {
        self.get(key).ok_or_else(|| TriggerError::Missing {
            index: self.index,
            kind: self.trigger.kind.clone(),
            key,
        })
    }

    fn count(&self, key: &'static str, default: Option<i64>) -> Result<i64, TriggerError> {
        let text = match (self.get(key), default) {
            (Some(text), _) => text,
            (None, Some(value)) => return Ok(value * 1000),
            (None, None) => self.needed(key)?,
        };
        let count: i64 = text
            .parse()
            .map_err(|_| self.invalid(key, text, "a whole number"))?;
        Ok(count.saturating_mul(1000))
    }

    fn decimal(&self, key: &'static str, default: Option<i64>) -> Result<i64, TriggerError> {
        let text = match (self.get(key), default) {
            (Some(text), _) => text,
            (None, Some(value)) => return Ok(value * 1000),
            (None, None) => self.needed(key)?,
        };
        let number: f64 = text
            .parse()
            .map_err(|_| self.invalid(key, text, "a number"))?;
        Ok(quantity::reading_to_milli(number))
    }

    fn invalid(&self, key: &'static str, value: &str, expected: &'static str) -> TriggerError {
        TriggerError::Invalid {
            index: self.index,
            kind: self.trigger.kind.clone(),
            key,
            value: value.to_owned(),
            expected,
        }
    }

    fn bad_type(&self, found: &'static str, allowed: &'static str) -> TriggerError {
        TriggerError::MetricType {
            index: self.index,
            kind: self.trigger.kind.clone(),
            found,
            allowed,
        }
    }
}
