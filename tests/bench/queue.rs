//! The queue's promises: Redis CPU per task, tasks per second with and without replicas, depth; beside asynq's
//! access pattern and Huey, all in one run on one machine.
//!
//! It must not measure a debug build.

#[path = "queue_peers.rs"]
mod peers;

use std::time::Duration;

use anyhow::ensure;
use kedactl_queue::{
    Consumer, ConsumerOptions, Durability, HostPort, NewTask, Outcome, Producer, ProducerOptions,
    QueueName, Redis, RedisConfig,
};
use kedactl_testkit::{RedisOptions, RedisServer, until};
use serde_json::value::RawValue;
use tokio::time::Instant;

use crate::report::{Goal, Report};

/// Tasks of one call, ours and the scripts'.
const BATCH: usize = 100;
const CPU_TASKS: usize = 200_000;
/// Tasks that wait at most while CPU is measured: a queue that is worked on. What depth costs is measured apart.
const ROUND: usize = 2_000;
const RUN: Duration = Duration::from_secs(5);
const DEEP: usize = 1_000_000;

/// Measures all and prints one line a figure.
pub(crate) fn run(report: &mut Report) -> anyhow::Result<()> {
    if cfg!(debug_assertions) {
        report.note("queue: a debug build measures the compiler; use a release build");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(measure(report))?;
    match peers::huey(5_000) {
        Ok((enqueue, consume)) => huey_figures(report, enqueue, consume),
        Err(error) => report.note(&format!("huey was not measured: {error:#}")),
    }
    Ok(())
}

async fn measure(report: &mut Report) -> anyhow::Result<()> {
    let ours = cpu_us().await?;
    let scripts = peers::scripts_cpu_us(CPU_TASKS / 4).await?;
    report.figure(
        "queue.redis_cpu_per_cycle",
        ours,
        "us",
        Some(("asynq_scripts", scripts)),
        Goal::AtMost(4.9),
    );
    let alone = cycles_per_second(&[], Durability::None).await?;
    report.figure(
        "queue.cycles_per_second",
        alone,
        "1/s",
        None,
        Goal::AtLeast(100_000.0),
    );
    let replicated = cycles_per_second(&["r1", "r2"], Durability::One).await?;
    let name = "queue.cycles_per_second_wait_1_of_2";
    report.figure(
        name,
        replicated,
        "1/s",
        Some(("no_replica", alone)),
        Goal::AtLeast(40_000.0),
    );
    depth(report).await
}

fn huey_figures(report: &mut Report, enqueue: f64, consume: f64) {
    let last = |name: &str| {
        report
            .figures()
            .iter()
            .rev()
            .find(|f| f.name == name)
            .map_or(0.0, |f| f.value)
    };
    let ours = last("queue.cycles_per_second");
    // Ours is enqueue, claim and report together; Huey's are one half each.
    let huey = 1.0 / (1.0 / enqueue + 1.0 / consume);
    report.figure(
        "queue.cycles_vs_huey",
        ours,
        "1/s",
        Some(("huey_enqueue_and_consume", huey)),
        Goal::RatioAtLeast(10.0),
    );
    report.figure("queue.huey_enqueue", enqueue, "1/s", None, Goal::None);
    report.figure("queue.huey_consume", consume, "1/s", None, Goal::None);
}

/// CPU seconds that the server has used.
fn cpu_s(server: &RedisServer) -> f64 {
    ["used_cpu_user", "used_cpu_sys"]
        .iter()
        .filter_map(|f| server.info(f).parse::<f64>().ok())
        .sum()
}

/// About 200 bytes, as an API's small task has.
fn payload() -> String {
    format!("{{\"user\":12345,\"text\":\"{}\"}}", "x".repeat(160))
}

fn task() -> NewTask {
    NewTask::new("echo", RawValue::from_string(payload()).unwrap_or_default())
}

async fn connect(server: &RedisServer) -> anyhow::Result<Redis> {
    Ok(Redis::connect(RedisConfig::single(HostPort::new(
        "127.0.0.1",
        server.port(),
    )))
    .await?)
}

async fn enqueue(
    producer: &Producer,
    queue: &QueueName,
    durability: Durability,
    n: usize,
) -> anyhow::Result<()> {
    let tasks = (0..n).map(|_| task()).collect();
    for answer in producer.enqueue_many(queue, durability, tasks).await {
        answer?;
    }
    Ok(())
}

async fn consumer(redis: &Redis) -> anyhow::Result<Consumer> {
    Ok(Consumer::start(
        redis,
        ConsumerOptions::new(vec![QueueName::default()], "bench"),
    )
    .await?)
}

/// Redis CPU in µs of storing, claiming and ending a task in batches of a hundred, at most [`ROUND`] deep.
async fn cpu_us() -> anyhow::Result<f64> {
    let server = RedisServer::start(&RedisOptions::default());
    let redis = connect(&server).await?;
    let producer = Producer::new(
        &redis,
        ProducerOptions {
            lanes: 1,
            max_batch: BATCH,
            ..Default::default()
        },
    );
    let (consumer, queue) = (consumer(&redis).await?, QueueName::default());
    enqueue(&producer, &queue, Durability::None, BATCH).await?;
    take(&consumer, BATCH).await;
    let before = cpu_s(&server);
    for _ in 0..CPU_TASKS / ROUND {
        enqueue(&producer, &queue, Durability::None, ROUND).await?;
        take(&consumer, ROUND).await;
    }
    let used = cpu_s(&server) - before;
    ensure!(
        consumer.counters().finished as usize == CPU_TASKS + BATCH,
        "tasks are missing"
    );
    consumer.close(Duration::from_secs(5)).await;
    Ok(used * 1e6 / CPU_TASKS as f64)
}

async fn take(consumer: &Consumer, n: usize) {
    let mut taken = 0;
    while taken < n {
        let claimed = consumer.claim(BATCH).await;
        taken += claimed.len();
        for c in claimed {
            consumer.finish(&c.ticket, Outcome::Done(None));
        }
        consumer.flush().await;
    }
}

/// Tasks that were stored, claimed and ended per second, all at the same time on this machine.
async fn cycles_per_second(replicas: &[&str], durability: Durability) -> anyhow::Result<f64> {
    let server = RedisServer::start(&RedisOptions::default());
    let extra = vec![format!("replicaof 127.0.0.1 {}", server.port())];
    let replica = RedisOptions {
        extra,
        ..RedisOptions::default()
    };
    let _replicas: Vec<_> = replicas
        .iter()
        .map(|_| RedisServer::start(&replica))
        .collect();
    until("the replicas are in step", Duration::from_secs(30), || {
        server
            .command("INFO replication")
            .matches("state=online")
            .count()
            == replicas.len()
    });
    let redis = connect(&server).await?;
    let lanes = if replicas.is_empty() { 2 } else { 4 };
    let producer = Producer::new(
        &redis,
        ProducerOptions {
            lanes,
            max_batch: 512,
            ..Default::default()
        },
    );
    let consumer = consumer(&redis).await?;
    let (start, mut senders) = (Instant::now(), tokio::task::JoinSet::new());
    for _ in 0..lanes {
        let producer = producer.clone();
        senders.spawn(async move {
            while start.elapsed() < RUN {
                enqueue(&producer, &QueueName::default(), durability, 512).await?;
            }
            anyhow::Ok(())
        });
    }
    while start.elapsed() < RUN {
        for c in consumer.claim(512).await {
            consumer.finish(&c.ticket, Outcome::Done(None));
        }
    }
    let finished = consumer.counters().finished;
    let took = start.elapsed().as_secs_f64();
    while let Some(sent) = senders.join_next().await {
        sent??;
    }
    Ok(finished as f64 / took)
}

/// Latency of storing one task in an empty queue and behind a million, in turn, so that both meet the same noise.
async fn depth(report: &mut Report) -> anyhow::Result<()> {
    let server = RedisServer::start(&RedisOptions::default());
    let redis = connect(&server).await?;
    let producer = Producer::new(&redis, ProducerOptions::default());
    let (deep, empty) = (QueueName::default(), QueueName::new("empty")?);
    for _ in 0..DEEP / 5_000 {
        enqueue(&producer, &deep, Durability::None, 5_000).await?;
    }
    let (mut behind, mut before) = (
        Single::new(&redis, deep).await?,
        Single::new(&redis, empty).await?,
    );
    for _ in 0..5_000 {
        behind.cycle(&producer).await?;
        before.cycle(&producer).await?;
    }
    let goal = Goal::RatioAtMost(2.0);
    let (peer, value) = (p99_us(&mut before.stored), p99_us(&mut behind.stored));
    report.figure(
        "queue.enqueue_p99_1m_deep",
        value,
        "us",
        Some(("empty", peer)),
        goal,
    );
    let (peer, value) = (p99_us(&mut before.ended), p99_us(&mut behind.ended));
    report.figure(
        "queue.claim_and_report_p99_1m_deep",
        value,
        "us",
        Some(("empty", peer)),
        goal,
    );
    Ok(())
}

/// One task at a time through one queue.
struct Single {
    queue: QueueName,
    consumer: Consumer,
    stored: Vec<Duration>,
    ended: Vec<Duration>,
}

impl Single {
    async fn new(redis: &Redis, queue: QueueName) -> anyhow::Result<Self> {
        let consumer =
            Consumer::start(redis, ConsumerOptions::new(vec![queue.clone()], "single")).await?;
        Ok(Self {
            queue,
            consumer,
            stored: Vec::new(),
            ended: Vec::new(),
        })
    }

    async fn cycle(&mut self, producer: &Producer) -> anyhow::Result<()> {
        let start = Instant::now();
        enqueue(producer, &self.queue, Durability::None, 1).await?;
        self.stored.push(start.elapsed());
        let start = Instant::now();
        for c in self.consumer.claim(1).await {
            self.consumer.finished(&c.ticket, Outcome::Done(None)).await;
        }
        self.ended.push(start.elapsed());
        Ok(())
    }
}

fn p99_us(times: &mut [Duration]) -> f64 {
    times.sort_unstable();
    times
        .get(times.len() * 99 / 100)
        .map_or(0.0, |t| t.as_secs_f64() * 1e6)
}
