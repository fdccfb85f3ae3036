//! Settings of the API.
//!
//! It must not hold a default that `--help` does not show.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use kedactl_queue::{Durability, QueueName, RedisConfig};

use super::{
    LogArgs, Problems, RedisArgs, ServingArgs, SettingsError, TraceArgs, TraceSettings, serving,
};

/// Accepts tasks over HTTP and stores them in Redis.
///
/// Every flag may be given as the environment variable beside it. SIGTERM and SIGINT stop gracefully: `/readyz`
/// answers 503 and every answer closes its connection for the lame-duck time, then open requests are finished.
#[derive(Debug, Clone, clap::Parser)]
#[command(name = "kedactl-api", version)]
pub struct ApiArgs {
    /// Address of the API
    #[arg(
        long,
        env = "KEDACTL_LISTEN",
        default_value = "0.0.0.0:8000",
        value_name = "ADDR"
    )]
    pub listen: String,
    /// Queue of tasks that name none
    #[arg(
        long,
        env = "KEDACTL_QUEUE",
        default_value = "default",
        value_name = "QUEUE"
    )]
    pub queue: String,
    /// What a 202 promises: `none` (the master has it), `one` (a replica too), `all` (every replica)
    #[arg(
        long,
        env = "KEDACTL_DURABILITY",
        default_value = "one",
        value_name = "none|one|all"
    )]
    pub durability: String,
    /// Other promises for some queues: `bulk=none,orders=all`
    #[arg(
        long,
        env = "KEDACTL_QUEUE_DURABILITY",
        default_value = "",
        value_name = "QUEUE=D,…"
    )]
    pub queue_durability: String,
    /// Seconds for which results are kept when a task does not say; audited tasks keep none by default
    #[arg(
        long,
        env = "KEDACTL_RESULT_TTL_SECONDS",
        default_value = "300",
        value_name = "S"
    )]
    pub result_ttl_seconds: String,
    /// Threads that serve; default: the cores that this process may use, at most 4
    #[arg(long, env = "KEDACTL_THREADS", value_name = "N")]
    pub threads: Option<String>,
    /// File with accepted bearer tokens, one a line; without it `/v1` is open
    #[arg(long, env = "KEDACTL_TOKENS_FILE", value_name = "FILE")]
    pub tokens_file: Option<PathBuf>,
    #[command(flatten)]
    pub serving: ServingArgs,
    #[command(flatten)]
    pub limits: LimitArgs,
    #[command(flatten)]
    pub enqueue: EnqueueArgs,
    #[command(flatten)]
    pub redis: RedisArgs,
    #[command(flatten)]
    pub trace: TraceArgs,
    #[command(flatten)]
    pub log: LogArgs,
}

/// Flags that bound what a client may ask for.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Limits")]
pub struct LimitArgs {
    /// Largest body of one task, bytes
    #[arg(
        long,
        env = "KEDACTL_MAX_BODY_BYTES",
        default_value = "262144",
        value_name = "BYTES"
    )]
    pub max_body_bytes: String,
    /// Largest body of a batch, bytes
    #[arg(
        long,
        env = "KEDACTL_MAX_BATCH_BYTES",
        default_value = "8388608",
        value_name = "BYTES"
    )]
    pub max_batch_bytes: String,
    /// Most tasks in a batch
    #[arg(
        long,
        env = "KEDACTL_MAX_BATCH_TASKS",
        default_value = "10000",
        value_name = "N"
    )]
    pub max_batch_tasks: String,
    /// Deepest nesting of JSON
    #[arg(
        long,
        env = "KEDACTL_MAX_DEPTH",
        default_value = "64",
        value_name = "N"
    )]
    pub max_depth: String,
    /// Largest request line and headers together, bytes
    #[arg(
        long,
        env = "KEDACTL_MAX_HEADER_BYTES",
        default_value = "16384",
        value_name = "BYTES"
    )]
    pub max_header_bytes: String,
    /// Longest time in which the headers of a request arrive
    #[arg(
        long,
        env = "KEDACTL_HEADER_TIMEOUT_MS",
        default_value = "10000",
        value_name = "MS"
    )]
    pub header_timeout_ms: String,
    /// Longest time in which a body arrives
    #[arg(
        long,
        env = "KEDACTL_BODY_TIMEOUT_MS",
        default_value = "10000",
        value_name = "MS"
    )]
    pub body_timeout_ms: String,
    /// Longest time for a whole request, waits for results aside
    #[arg(
        long,
        env = "KEDACTL_REQUEST_TIMEOUT_MS",
        default_value = "30000",
        value_name = "MS"
    )]
    pub request_timeout_ms: String,
    /// Longest wait for a result (`?wait=`)
    #[arg(
        long,
        env = "KEDACTL_MAX_WAIT_MS",
        default_value = "60000",
        value_name = "MS"
    )]
    pub max_wait_ms: String,
    /// Most requests at once; more get 503 with Retry-After
    #[arg(
        long,
        env = "KEDACTL_MAX_REQUESTS",
        default_value = "8192",
        value_name = "N"
    )]
    pub max_requests: String,
    /// Most connections at once; more get 503 and are closed
    #[arg(
        long,
        env = "KEDACTL_MAX_CONNECTIONS",
        default_value = "10000",
        value_name = "N"
    )]
    pub max_connections: String,
}

/// Flags about the way into Redis.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Enqueueing")]
pub struct EnqueueArgs {
    /// Connections that write, each with one batch under way; 1 to 16
    #[arg(long, env = "KEDACTL_LANES", default_value = "2", value_name = "N")]
    pub lanes: String,
    /// Most tasks that one commit carries
    #[arg(
        long,
        env = "KEDACTL_COMMIT_TASKS",
        default_value = "256",
        value_name = "N"
    )]
    pub commit_tasks: String,
    /// Longest time for which a commit waits for more tasks, microseconds; at 0 it takes what came while the others were under way
    #[arg(
        long,
        env = "KEDACTL_LINGER_US",
        default_value = "0",
        value_name = "US"
    )]
    pub linger_us: String,
    /// Longest wait for the replicas before the answer is 503
    #[arg(
        long,
        env = "KEDACTL_REPLICA_TIMEOUT_MS",
        default_value = "1000",
        value_name = "MS"
    )]
    pub replica_timeout_ms: String,
}

/// What a client may ask for.
#[derive(Debug, Clone)]
pub struct Limits {
    pub max_body_bytes: usize,
    pub max_batch_bytes: usize,
    pub max_batch_tasks: usize,
    pub max_depth: usize,
    pub max_header_bytes: usize,
    pub header_timeout: Duration,
    pub body_timeout: Duration,
    pub request_timeout: Duration,
    pub max_wait: Duration,
    pub max_requests: usize,
    pub max_connections: usize,
}

/// The checked settings.
#[derive(Debug, Clone)]
pub struct ApiSettings {
    pub listen: SocketAddr,
    pub metrics_listen: SocketAddr,
    pub queue: QueueName,
    pub durability: Durability,
    pub queue_durability: BTreeMap<String, Durability>,
    pub result_ttl_s: u32,
    pub grace: Duration,
    pub lame_duck: Duration,
    pub threads: usize,
    /// Empty: no token is asked for.
    pub tokens: Vec<String>,
    pub limits: Limits,
    pub lanes: usize,
    pub commit_tasks: usize,
    pub linger: Duration,
    pub replica_timeout: Duration,
    pub redis: RedisConfig,
    pub pod_name: String,
    /// Nothing: no traces.
    pub trace: Option<TraceSettings>,
    pub log: LogArgs,
}

impl ApiArgs {
    /// Returns the checked settings, or every problem at once.
    pub fn resolve(&self) -> Result<ApiSettings, SettingsError> {
        let mut p = Problems::default();
        let serving = self.serving.resolve(&self.listen, &mut p);
        let queue = p.parse::<QueueName>("queue", &self.queue);
        let durability = p.parse::<Durability>("durability", &self.durability);
        let queue_durability = self.per_queue(&mut p);
        let ttl = p.number(
            "result-ttl-seconds",
            &self.result_ttl_seconds,
            0..=2_592_000,
        );
        let threads = self.threads.as_ref().map_or_else(available_threads, |raw| {
            p.number("threads", raw, 1..=64) as usize
        });
        let tokens = self.tokens(&mut p);
        let limits = self.limits.resolve(&mut p);
        let redis = self.redis.resolve(&mut p);
        let trace = self.trace.resolve("kedactl-api", &mut p);
        let lanes = p.number("lanes", &self.enqueue.lanes, 1..=16) as usize;
        let commit_tasks = p.number("commit-tasks", &self.enqueue.commit_tasks, 1..=2000) as usize;
        let linger = p.number("linger-us", &self.enqueue.linger_us, 0..=1_000_000);
        let replica_timeout = p.millis(
            "replica-timeout-ms",
            &self.enqueue.replica_timeout_ms,
            1..=60_000,
        );
        let settings = (|| {
            Some(ApiSettings {
                listen: serving.listen,
                metrics_listen: serving.metrics_listen,
                queue: queue?,
                durability: durability?,
                queue_durability,
                result_ttl_s: ttl as u32,
                grace: serving.grace,
                lame_duck: serving.lame_duck,
                threads,
                tokens,
                limits,
                lanes,
                commit_tasks,
                linger: Duration::from_micros(linger),
                replica_timeout,
                redis: redis?,
                pod_name: serving.pod_name,
                trace,
                log: self.log.clone(),
            })
        })();
        p.finish(settings)
    }

    fn per_queue(&self, p: &mut Problems) -> BTreeMap<String, Durability> {
        let mut map = BTreeMap::new();
        for part in self
            .queue_durability
            .split(',')
            .filter(|s| !s.trim().is_empty())
        {
            let Some((queue, raw)) = part.trim().split_once('=') else {
                p.add(
                    "queue-durability",
                    format!("`{part}` is not QUEUE=none|one|all"),
                );
                continue;
            };
            let queue = p.parse::<QueueName>("queue-durability", queue);
            if let (Some(queue), Some(d)) = (queue, p.parse("queue-durability", raw)) {
                map.insert(queue.to_string(), d);
            }
        }
        map
    }

    fn tokens(&self, p: &mut Problems) -> Vec<String> {
        let Some(path) = &self.tokens_file else {
            return Vec::new();
        };
        match p.file("tokens-file", path) {
            Some(text) => serving::tokens(p, &text),
            None => Vec::new(),
        }
    }
}

impl LimitArgs {
    fn resolve(&self, p: &mut Problems) -> Limits {
        const MIB: u64 = 1024 * 1024;
        Limits {
            max_body_bytes: p.number("max-body-bytes", &self.max_body_bytes, 64..=64 * MIB)
                as usize,
            max_batch_bytes: p.number("max-batch-bytes", &self.max_batch_bytes, 64..=256 * MIB)
                as usize,
            max_batch_tasks: p.number("max-batch-tasks", &self.max_batch_tasks, 1..=100_000)
                as usize,
            max_depth: p.number("max-depth", &self.max_depth, 2..=100) as usize,
            max_header_bytes: p.number("max-header-bytes", &self.max_header_bytes, 8192..=MIB)
                as usize,
            header_timeout: p.millis("header-timeout-ms", &self.header_timeout_ms, 10..=600_000),
            body_timeout: p.millis("body-timeout-ms", &self.body_timeout_ms, 10..=600_000),
            request_timeout: p.millis("request-timeout-ms", &self.request_timeout_ms, 10..=600_000),
            max_wait: p.millis("max-wait-ms", &self.max_wait_ms, 0..=3_600_000),
            max_requests: p.number("max-requests", &self.max_requests, 1..=1_000_000) as usize,
            max_connections: p.number("max-connections", &self.max_connections, 1..=1_000_000)
                as usize,
        }
    }
}

/// Returns the cores that this process may use, at most 4: Redis is the limit long before.
fn available_threads() -> usize {
    std::thread::available_parallelism()
        .map_or(1, usize::from)
        .min(4)
}
