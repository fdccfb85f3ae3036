//! Settings of the provider `local`: the clocks of the controllers that it plays, ports, programs, restarts, logs.
//! None of them has an effect in a cluster.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The provider that runs the stack as processes of this machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Local {
    /// Seconds between two looks of the HPA controller (kube-controller-manager's sync period)
    #[schemars(range(min = 1, max = 3600))]
    pub hpa_sync_seconds: u32,
    /// Seconds after a start in which a pod's CPU is not trusted (cpu-initialization-period)
    #[schemars(range(max = 3600))]
    pub hpa_cpu_initialization_seconds: u32,
    /// Seconds after a start in which an unready pod counts as still starting (initial-readiness-delay)
    #[schemars(range(max = 3600))]
    pub hpa_initial_readiness_seconds: u32,
    /// Seconds over which the CPU of a process is averaged (metrics-server's resolution)
    #[schemars(range(min = 1, max = 300))]
    pub cpu_window_seconds: u32,
    /// Seconds between two looks of Prometheus, and between two evaluations of its rules
    #[schemars(range(min = 1, max = 300))]
    pub scrape_seconds: u32,
    /// Hours for which Prometheus keeps what it saw
    #[schemars(range(min = 1, max = 8784))]
    pub retention_hours: u32,
    /// First ports to try
    pub ports: LocalPorts,
    /// Programs to run; absent: found beside `kedactl` or on the search path
    pub programs: LocalPrograms,
    /// How soon a process that ended is started again
    pub restart: Restart,
    /// Size of the log files
    pub logs: LogFiles,
}

/// First ports to try; where one is taken, the next free one is used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LocalPorts {
    /// Of the Redis servers
    #[schemars(range(min = 1024))]
    pub redis: u16,
    /// Of the Sentinels
    #[schemars(range(min = 1024))]
    pub sentinel: u16,
    /// Of Prometheus
    #[schemars(range(min = 1024))]
    pub prometheus: u16,
    /// Of Alertmanager
    #[schemars(range(min = 1024))]
    pub alertmanager: u16,
    /// Of the webhook
    #[schemars(range(min = 1024))]
    pub webhook: u16,
    /// Of what the supervisor says about pods and autoscalers
    #[schemars(range(min = 1024))]
    pub metrics: u16,
}

/// Paths of programs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LocalPrograms {
    /// The API
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub api: Option<String>,
    /// The worker
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub worker: Option<String>,
    /// The webhook
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub webhook: Option<String>,
    /// Prometheus
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub prometheus: Option<String>,
    /// Alertmanager
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub alertmanager: Option<String>,
    /// redis-server or valkey-server
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub redis_server: Option<String>,
    /// redis-sentinel or valkey-sentinel; absent: the server program with `--sentinel`
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub redis_sentinel: Option<String>,
}

/// Back-off between restarts: doubles from the first to the longest, as the kubelet does it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Restart {
    /// Milliseconds before the second restart (the first is at once)
    #[schemars(range(min = 10, max = 3_600_000))]
    pub initial_backoff_ms: u32,
    /// Milliseconds at most
    #[schemars(range(min = 10, max = 3_600_000))]
    pub max_backoff_ms: u32,
    /// Milliseconds of running after which the back-off starts over
    #[schemars(range(min = 10, max = 86_400_000))]
    pub reset_after_ms: u32,
}

/// Size of the log files of one process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LogFiles {
    /// Bytes after which a log file is rotated
    #[schemars(range(min = 65536, max = 1_073_741_824))]
    pub max_bytes: u64,
    /// Rotated files that are kept
    #[schemars(range(max = 100))]
    pub keep: u32,
}
