//! Thresholds of the alert rules, and how Alertmanager groups, repeats and routes what fires.
//! Says what may be set; what the alerts are stands in `templates/monitoring/`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Text;

/// Thresholds of the alert rules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AlertRules {
    /// Seconds for which a condition holds before its alert fires; urgent alerts wait a fifth of it, slow ones three times as long
    #[schemars(range(max = 86400))]
    pub hold_seconds: u32,
    /// Seconds over which rates and ratios are taken; at least four scrapes
    #[schemars(range(min = 4, max = 86400))]
    pub window_seconds: u32,
    /// Tasks that wait, stand still or die
    pub queue: QueueRules,
    /// Attempts of tasks that fail
    pub tasks: TaskRules,
    /// Containers that end again and again
    pub restarts: RestartRules,
    /// How fast and how well the API answers
    pub api: ApiRules,
    /// Windows of the alerts on error budgets, those of tasks included
    pub budget: BudgetRules,
    /// Redis' memory
    pub redis: RedisRules,
    /// Notifications that are not shown yet
    pub outbox: OutboxRules,
}

/// When a queue is a problem.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct QueueRules {
    /// Seconds that the oldest waiting task may wait: a warning above it
    #[schemars(range(min = 1))]
    pub age_seconds: u32,
    /// Seconds above which its age is critical
    #[schemars(range(min = 1))]
    pub critical_age_seconds: u32,
    /// Waiting tasks above which a queue is too deep
    #[schemars(range(min = 1))]
    pub depth: u64,
    /// Seconds in which at least one of the running tasks ends: no less than the longest task takes
    #[schemars(range(min = 4, max = 604_800))]
    pub stuck_seconds: u32,
    /// Dead letters that may come in three windows without an alert
    pub dead_letters: u64,
}

/// When tasks fail too often.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TaskRules {
    /// Per cent of the attempts of one window above which a queue's tasks fail too often
    #[schemars(range(min = 1, max = 99))]
    pub failed_percent: u32,
    /// Per cent of all attempts that are to succeed (`99.5`): how fast the rest is used up is alerted on
    #[schemars(extend("format" = "objective"))]
    pub objective: Text,
    /// Attempts in a window below which nothing is said of their share
    #[schemars(range(min = 1))]
    pub minimum: u32,
}

/// When a container loops.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RestartRules {
    /// Restarts of one container in three windows that are still taken for chance
    #[schemars(range(max = 1000))]
    pub most: u32,
}

/// What the API is held to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ApiRules {
    /// Per cent of all requests that are not to be answered with 5xx (`99.9`)
    #[schemars(extend("format" = "objective"))]
    pub objective: Text,
    /// An answer that takes longer counts as slow
    pub latency: LatencyBound,
    /// Per cent of all requests that are not to be slow
    #[schemars(extend("format" = "objective"))]
    pub latency_objective: Text,
    /// Milliseconds above which the 99th percentile of one window is too long
    #[schemars(range(min = 1, max = 10_000))]
    pub p99_milliseconds: u32,
    /// Requests in a window below which nothing is said of their share
    #[schemars(range(min = 1))]
    pub minimum: u32,
}

/// The windows of multi-window, multi-burn-rate alerts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BudgetRules {
    /// Seconds of the window of the fastest burn, 14.4 times the budget. The others take 6, 24 and 72 times as long, and each is
    /// confirmed by one a twelfth of its own: 3600 is for objectives of 30 days
    #[schemars(range(min = 60, max = 86400))]
    pub window_seconds: u32,
}

/// When Redis is too full.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RedisRules {
    /// Per cent of its memory's limit above which there is a warning
    #[schemars(range(min = 1, max = 100))]
    pub memory_percent: u32,
    /// Per cent above which it is critical
    #[schemars(range(min = 1, max = 100))]
    pub critical_memory_percent: u32,
}

/// When notifications are late.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OutboxRules {
    /// Seconds that the oldest notification may wait to be shown: a warning above it
    #[schemars(range(min = 1))]
    pub age_seconds: u32,
    /// Seconds above which it is critical
    #[schemars(range(min = 1))]
    pub critical_age_seconds: u32,
}

/// A bound of the API's histogram of latencies: shares are exact at these alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum LatencyBound {
    /// 1 ms
    #[serde(rename = "1ms")]
    Ms1,
    /// 2.5 ms
    #[serde(rename = "2.5ms")]
    Ms2_5,
    /// 5 ms
    #[serde(rename = "5ms")]
    Ms5,
    /// 10 ms
    #[serde(rename = "10ms")]
    Ms10,
    /// 25 ms
    #[serde(rename = "25ms")]
    Ms25,
    /// 50 ms
    #[serde(rename = "50ms")]
    Ms50,
    /// 100 ms
    #[serde(rename = "100ms")]
    Ms100,
    /// 250 ms
    #[serde(rename = "250ms")]
    Ms250,
    /// 500 ms
    #[serde(rename = "500ms")]
    Ms500,
    /// 1 s
    #[serde(rename = "1s")]
    S1,
    /// 2.5 s
    #[serde(rename = "2.5s")]
    S2_5,
    /// 10 s
    #[serde(rename = "10s")]
    S10,
}

impl LatencyBound {
    /// Every bound.
    pub const ALL: [Self; 12] = [
        Self::Ms1,
        Self::Ms2_5,
        Self::Ms5,
        Self::Ms10,
        Self::Ms25,
        Self::Ms50,
        Self::Ms100,
        Self::Ms250,
        Self::Ms500,
        Self::S1,
        Self::S2_5,
        Self::S10,
    ];

    /// The value of the label `le` of its bucket, seconds.
    pub fn le(self) -> &'static str {
        match self {
            Self::Ms1 => "0.001",
            Self::Ms2_5 => "0.0025",
            Self::Ms5 => "0.005",
            Self::Ms10 => "0.01",
            Self::Ms25 => "0.025",
            Self::Ms50 => "0.05",
            Self::Ms100 => "0.1",
            Self::Ms250 => "0.25",
            Self::Ms500 => "0.5",
            Self::S1 => "1.0",
            Self::S2_5 => "2.5",
            Self::S10 => "10.0",
        }
    }
}

/// How Alertmanager groups, repeats and routes what fires.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Alerts {
    /// Seconds that the first notification of a group waits for more of the group
    #[schemars(range(max = 86400))]
    pub group_wait_seconds: u32,
    /// Seconds between two notifications of a group that changed
    #[schemars(range(min = 1, max = 86400))]
    pub group_interval_seconds: u32,
    /// Seconds after which a group that did not change is told again
    #[schemars(range(min = 1, max = 2_592_000))]
    pub repeat_interval_seconds: u32,
    /// The alert that always fires, so that its absence is noticed
    pub watchdog: Watchdog,
    /// Which alerts take which route of the webhook; the first that matches counts, the others take the default
    #[serde(default)]
    pub routes: Vec<AlertRoute>,
    /// Address of the page that explains the alerts, each under its name in lower case
    #[schemars(extend("format" = "http-url"))]
    pub runbooks: String,
}

/// The dead man's switch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Watchdog {
    /// Route of the webhook that it takes; absent: it is told to nobody
    #[serde(default)]
    #[schemars(length(min = 1, max = 64))]
    pub route: Option<String>,
    /// Seconds after which it is told again
    #[schemars(range(min = 1, max = 86400))]
    pub repeat_seconds: u32,
}

/// Alerts by their labels, and the route that they take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AlertRoute {
    /// Labels that an alert has, all of them: `{ severity: critical }`
    #[schemars(extend("x-keys" = "label-name"))]
    pub labels: BTreeMap<String, Text>,
    /// Name of a route of the webhook
    #[schemars(length(min = 1, max = 64))]
    pub route: String,
}
