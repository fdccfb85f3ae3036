//! Settings of the worker; a worker of a user's own may flatten them into its flags.
//!
//! It must not hold a default that `--help` does not show.

use std::net::SocketAddr;
use std::time::Duration;

use kedactl_queue::{QueueName, RedisConfig};

use super::{LogArgs, Problems, RedisArgs, SettingsError, TraceArgs, TraceSettings};

/// Takes tasks from Redis and runs them.
///
/// Every flag may be given as the environment variable beside it. SIGTERM and SIGINT stop gracefully: no new tasks are
/// taken, running ones may finish until 5 seconds before the end of the grace period, the rest goes back to the queue
/// without having used up an attempt.
#[derive(Debug, Clone, clap::Parser)]
#[command(name = "kedactl-worker", version)]
pub struct WorkerArgs {
    /// Queues to take tasks from, comma separated; the first one goes first
    #[arg(
        long,
        env = "KEDACTL_QUEUES",
        default_value = "default",
        value_name = "QUEUE,…"
    )]
    pub queues: String,
    /// Tasks at once, each on a thread of its own; KEDA's `listLength` should be the same number
    #[arg(
        long,
        env = "KEDACTL_CONCURRENCY",
        default_value = "10",
        value_name = "N"
    )]
    pub concurrency: String,
    /// Address of `/metrics`, `/healthz` and `/readyz`
    #[arg(
        long,
        env = "KEDACTL_METRICS_LISTEN",
        default_value = "0.0.0.0:9001",
        value_name = "ADDR"
    )]
    pub metrics_listen: String,
    /// Seconds between SIGTERM and the moment when the process must be gone
    #[arg(
        long,
        env = "KEDACTL_GRACE_SECONDS",
        default_value = "30",
        value_name = "S"
    )]
    pub grace_seconds: String,
    /// Time limit of an attempt when the task has none, milliseconds
    #[arg(
        long,
        env = "KEDACTL_TASK_TIMEOUT_MS",
        default_value = "1800000",
        value_name = "MS"
    )]
    pub task_timeout_ms: String,
    /// How long the queue waits for a sign of life before it gives this worker's tasks to another one
    #[arg(
        long,
        env = "KEDACTL_LEASE_MS",
        default_value = "15000",
        value_name = "MS"
    )]
    pub lease_ms: String,
    /// Name of this worker in logs; a random part is added
    #[arg(
        long,
        env = "KEDACTL_POD_NAME",
        default_value = "worker",
        value_name = "NAME"
    )]
    pub pod_name: String,
    #[command(flatten)]
    pub handlers: HandlerArgs,
    #[command(flatten)]
    pub redis: RedisArgs,
    #[command(flatten)]
    pub trace: TraceArgs,
    #[command(flatten)]
    pub log: LogArgs,
}

/// Flags of the built-in handlers that reach outside; both are off until a list is given.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Built-in handlers")]
pub struct HandlerArgs {
    /// What tasks of type `http` may call: URL prefixes, comma separated, such as `https://api.example.com/hooks/`
    #[arg(
        long,
        env = "KEDACTL_HTTP_ALLOW",
        default_value = "",
        value_name = "URL,…"
    )]
    pub http_allow: String,
    /// What tasks of type `exec` may run: NAME=PROGRAM, comma separated, such as `resize=/usr/bin/convert`
    #[arg(
        long,
        env = "KEDACTL_EXEC_ALLOW",
        default_value = "",
        value_name = "NAME=FILE,…"
    )]
    pub exec_allow: String,
}

/// What the built-in handlers may reach.
#[derive(Debug, Clone, Default)]
pub struct HandlerSettings {
    /// Prefixes of URLs; each has a scheme, a host and a path.
    pub http_allow: Vec<String>,
    /// Name and absolute path of programs.
    pub exec_allow: Vec<(String, String)>,
}

/// The checked settings.
#[derive(Debug, Clone)]
pub struct WorkerSettings {
    /// Never empty; earlier ones first.
    pub queues: Vec<QueueName>,
    pub concurrency: usize,
    pub metrics_listen: SocketAddr,
    pub grace: Duration,
    pub task_timeout: Duration,
    pub lease: Duration,
    pub pod_name: String,
    pub handlers: HandlerSettings,
    pub redis: RedisConfig,
    /// Nothing: no traces.
    pub trace: Option<TraceSettings>,
    pub log: LogArgs,
}

impl WorkerSettings {
    /// Returns how long after SIGTERM running tasks may go on: the grace period less 5 s for handing back
    /// the rest, or half of a grace period that is shorter than 10 s.
    pub fn finish_within(&self) -> Duration {
        let reserve = Duration::from_secs(5).min(self.grace / 2);
        self.grace.saturating_sub(reserve)
    }
}

impl WorkerArgs {
    /// Returns the checked settings, or every problem at once.
    pub fn resolve(&self) -> Result<WorkerSettings, SettingsError> {
        let mut p = Problems::default();
        let queues = self.queues(&mut p);
        let concurrency = p.number("concurrency", &self.concurrency, 1..=1024) as usize;
        let metrics_listen = p.address("metrics-listen", &self.metrics_listen);
        let grace = Duration::from_secs(p.number("grace-seconds", &self.grace_seconds, 1..=86_400));
        let task_timeout = p.millis("task-timeout-ms", &self.task_timeout_ms, 1..=604_800_000);
        let lease = p.millis("lease-ms", &self.lease_ms, 500..=600_000);
        let handlers = self.handlers.resolve(&mut p);
        let redis = self.redis.resolve(&mut p);
        let trace = self.trace.resolve("kedactl-worker", &mut p);
        let settings = redis.map(|redis| WorkerSettings {
            queues,
            concurrency,
            metrics_listen,
            grace,
            task_timeout,
            lease,
            pod_name: self.pod_name.clone(),
            handlers,
            redis,
            trace,
            log: self.log.clone(),
        });
        p.finish(settings)
    }

    fn queues(&self, p: &mut Problems) -> Vec<QueueName> {
        let mut queues: Vec<QueueName> = Vec::new();
        for name in self
            .queues
            .split(',')
            .map(str::trim)
            .filter(|s| !s.is_empty())
        {
            if let Some(queue) = p.parse::<QueueName>("queues", name)
                && !queues.contains(&queue)
            {
                queues.push(queue);
            }
        }
        if self.queues.split(',').all(|s| s.trim().is_empty()) {
            p.add("queues", "must name at least one queue");
        }
        queues
    }
}

impl HandlerArgs {
    fn resolve(&self, p: &mut Problems) -> HandlerSettings {
        let list = |text: &str| -> Vec<String> {
            text.split(',')
                .map(str::trim)
                .filter(|s| !s.is_empty())
                .map(str::to_owned)
                .collect()
        };
        let http_allow = list(&self.http_allow);
        for url in &http_allow {
            let rest = url
                .strip_prefix("http://")
                .or_else(|| url.strip_prefix("https://"));
            // Without the slash after the host, `https://a.example` would also allow `https://a.example.evil`.
            if rest.is_none_or(|r| r.find('/').is_none_or(|at| at == 0)) || url.contains('@') {
                p.add(
                    "http-allow",
                    format!("`{url}` is not http(s)://HOST/… with a path"),
                );
            }
        }
        let mut exec_allow = Vec::new();
        for part in list(&self.exec_allow) {
            match part.split_once('=') {
                Some((name, file)) if !name.is_empty() && file.starts_with('/') => {
                    exec_allow.push((name.to_owned(), file.to_owned()));
                }
                _ => p.add("exec-allow", format!("`{part}` is not NAME=/absolute/path")),
            }
        }
        HandlerSettings {
            http_allow,
            exec_allow,
        }
    }
}
