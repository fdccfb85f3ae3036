//! What the tests share: a server, handles, short ways to make and end tasks.
//!
//! It must not assert anything of its own but readiness.

use std::time::Duration;

use kedactl_queue::{
    Accepted, Claimed, Consumer, ConsumerOptions, Durability, HostPort, Inspector, NewTask,
    Producer, ProducerOptions, QueueName, Redis, RedisConfig, Scheduler, SchedulerOptions, TaskId,
    TaskState,
};
use kedactl_testkit::{RedisOptions, RedisServer, SentinelStack};
use serde_json::value::RawValue;
use tokio_util::sync::CancellationToken;

pub(crate) const SOON: Duration = Duration::from_secs(20);

/// One server and handles to it.
pub(crate) struct Bed {
    pub(crate) server: RedisServer,
    pub(crate) redis: Redis,
    pub(crate) producer: Producer,
    pub(crate) inspector: Inspector,
    pub(crate) queue: QueueName,
}

impl Bed {
    pub(crate) async fn new() -> Self {
        let server = RedisServer::start(&RedisOptions::default());
        let redis = Redis::connect(single(&server)).await.unwrap();
        let producer = Producer::new(&redis, ProducerOptions::default());
        let inspector = Inspector::new(&redis);
        Self {
            server,
            redis,
            producer,
            inspector,
            queue: QueueName::default(),
        }
    }

    pub(crate) async fn put(&self, task: NewTask) -> Accepted {
        self.producer
            .enqueue(&self.queue, Durability::None, task)
            .await
            .unwrap()
    }

    pub(crate) async fn put_many(&self, n: u64) {
        let tasks = (0..n).map(|i| task("echo", &i.to_string())).collect();
        for answer in self
            .producer
            .enqueue_many(&self.queue, Durability::None, tasks)
            .await
        {
            answer.unwrap();
        }
    }

    pub(crate) async fn consumer(&self, name: &str) -> Consumer {
        Consumer::start(&self.redis, self.options(name))
            .await
            .unwrap()
    }

    pub(crate) fn options(&self, name: &str) -> ConsumerOptions {
        let mut options = ConsumerOptions::new(vec![self.queue.clone()], name);
        options.idle_wait = Duration::from_millis(200);
        options
    }

    pub(crate) fn schedule(&self) -> CancellationToken {
        schedule(
            &self.redis,
            SchedulerOptions {
                reap_hold: Duration::ZERO,
                ..SchedulerOptions::default()
            },
        )
    }

    /// The server's clock, in milliseconds since 1970.
    pub(crate) fn server_ms(&self) -> u64 {
        let answer = self.server.command("TIME");
        let mut numbers = answer.lines().filter_map(|line| line.parse::<u64>().ok());
        let (seconds, micros) = (numbers.next().unwrap(), numbers.next().unwrap());
        seconds * 1000 + micros / 1000
    }

    pub(crate) async fn state(&self, id: TaskId) -> Option<TaskState> {
        self.inspector
            .task(&self.queue, id)
            .await
            .unwrap()
            .map(|t| t.state)
    }

    /// KEDA's number, and what waits and runs.
    pub(crate) async fn counts(&self) -> (u64, u64, u64) {
        let stats = self.inspector.stats(&self.queue).await.unwrap();
        let keda = self
            .inspector
            .keda_value(&kedactl_queue::keys::live(&self.queue))
            .await
            .unwrap();
        (keda, stats.waiting, stats.running)
    }

    pub(crate) async fn total(&self, name: &str) -> u64 {
        self.inspector
            .stats(&self.queue)
            .await
            .unwrap()
            .totals
            .get(name)
            .copied()
            .unwrap_or(0)
    }
}

pub(crate) fn single(server: &RedisServer) -> RedisConfig {
    RedisConfig::single(HostPort::new("127.0.0.1", server.port()))
}

pub(crate) fn sentinel(stack: &SentinelStack) -> RedisConfig {
    let addrs = stack
        .sentinel_ports()
        .into_iter()
        .map(|p| HostPort::new("127.0.0.1", p))
        .collect();
    RedisConfig::sentinel(addrs, SentinelStack::MASTER)
}

/// Runs a scheduler until the token is cancelled or the runtime ends.
pub(crate) fn schedule(redis: &Redis, options: SchedulerOptions) -> CancellationToken {
    let stop = CancellationToken::new();
    tokio::spawn(Scheduler::new(redis, options).run(stop.clone()));
    stop
}

pub(crate) fn json(text: &str) -> Box<RawValue> {
    RawValue::from_string(text.to_owned()).unwrap()
}

pub(crate) fn task(kind: &str, payload: &str) -> NewTask {
    NewTask::new(kind, json(payload))
}

/// Claims until a task comes.
pub(crate) async fn claim_one(consumer: &Consumer) -> Claimed {
    claim(consumer, 1).await.remove(0)
}

/// Claims until so many tasks are there.
pub(crate) async fn claim(consumer: &Consumer, n: usize) -> Vec<Claimed> {
    let mut claimed = Vec::new();
    let deadline = tokio::time::Instant::now() + SOON;
    while claimed.len() < n {
        assert!(
            tokio::time::Instant::now() < deadline,
            "only {} of {n} tasks came",
            claimed.len()
        );
        claimed.extend(consumer.claim(n - claimed.len()).await);
    }
    claimed
}
