//! Faults of servers and workers: nothing that a replica confirmed is lost, nothing ends twice.
//!
//! It must not call a run good that its control does not fail.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kedactl_queue::{
    Consumer, ConsumerOptions, Durability, HostPort, Inspector, Outcome, Producer, ProducerOptions,
    QueueName, Redis, RedisConfig, TaskId, Verdict,
};
use kedactl_testkit::{SentinelOptions, SentinelStack, flood, until_async};
use tokio_util::sync::CancellationToken;

use crate::cutter::Cutter;
use crate::support::{Bed, SOON, claim, claim_one, schedule, sentinel, single, task};

const LONG: Duration = Duration::from_mins(1);

/// Producers that remember what was accepted, beside a stack.
struct Load {
    acked: Arc<Mutex<HashSet<TaskId>>>,
    stop: CancellationToken,
    senders: tokio::task::JoinSet<()>,
}

impl Load {
    fn start(redis: &Redis, durability: Durability, payload_bytes: usize) -> Self {
        let payload = format!("\"{}\"", "x".repeat(payload_bytes));
        let (acked, stop) = (Arc::default(), CancellationToken::new());
        let producer = Producer::new(redis, ProducerOptions::default());
        let mut senders = tokio::task::JoinSet::new();
        for _ in 0..40 {
            let (producer, stop, acked) = (producer.clone(), stop.clone(), Arc::clone(&acked));
            senders.spawn(send(producer, durability, payload.clone(), stop, acked));
        }
        Self {
            acked,
            stop,
            senders,
        }
    }

    fn acked(&self) -> usize {
        self.acked.lock().unwrap().len()
    }

    async fn grows(&self, by: usize) {
        let before = self.acked();
        until_async("tasks are accepted", LONG, async || {
            self.acked() >= before + by
        })
        .await;
    }

    async fn end(mut self) -> HashSet<TaskId> {
        self.stop.cancel();
        while self.senders.join_next().await.is_some() {}
        std::mem::take(&mut *self.acked.lock().unwrap())
    }
}

async fn send(
    producer: Producer,
    durability: Durability,
    payload: String,
    stop: CancellationToken,
    acked: Arc<Mutex<HashSet<TaskId>>>,
) {
    while !stop.is_cancelled() {
        if let Ok(stored) = producer
            .enqueue(&QueueName::default(), durability, task("a", &payload))
            .await
        {
            assert!(acked.lock().unwrap().insert(stored.id));
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Accepted tasks that the stack does not have any more.
async fn lost(redis: &Redis, acked: &HashSet<TaskId>) -> usize {
    redis_ready(redis).await;
    let inspector = Inspector::new(redis);
    let queue = QueueName::default();
    let mut options = ConsumerOptions::new(vec![queue.clone()], "auditor");
    options.failover_hold = Duration::ZERO;
    let consumer = Consumer::start(redis, options).await.unwrap();
    let mut seen = HashSet::new();
    while inspector.stats(&queue).await.unwrap().waiting > 0 {
        for claimed in consumer.claim(1000).await {
            assert!(
                seen.insert(claimed.task.id),
                "a task lies twice in the queue"
            );
            consumer.finish(&claimed.ticket, Outcome::Done(None));
        }
    }
    acked.difference(&seen).count()
}

async fn redis_ready(redis: &Redis) {
    until_async("a master is known", LONG, async || {
        redis.ping().await.is_ok()
    })
    .await;
}

/// Runs load over a fault; answers accepted tasks and how many of them are lost.
///
/// The payloads are large, so that what frozen replicas miss does not fit into the buffers of their sockets.
async fn run(
    durability: Durability,
    min_replicas: u32,
    fault: impl AsyncFnOnce(&mut SentinelStack),
) -> (usize, usize) {
    let options = SentinelOptions {
        min_replicas_to_write: min_replicas,
        ..SentinelOptions::default()
    };
    let mut stack = SentinelStack::start(options);
    let redis = Redis::connect(sentinel(&stack)).await.unwrap();
    let load = Load::start(&redis, durability, 4096);
    load.grows(500).await;
    fault(&mut stack).await;
    load.grows(500).await;
    let acked = load.end().await;
    let lost = lost(&redis, &acked).await;
    (acked.len(), lost)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_master_loses_nothing() {
    let (acked, lost) = run(Durability::One, 1, async |stack| {
        let master = stack.master().unwrap();
        stack.kill(master);
        stack.wait_for_other_master(master, LONG);
    })
    .await;
    assert_eq!(lost, 0, "of {acked}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_master_loses_nothing() {
    let (acked, lost) = run(Durability::One, 1, async |stack| {
        let master = stack.master().unwrap();
        stack.freeze(master);
        stack.wait_for_other_master(master, LONG);
        // It comes back believing that it is the master.
        stack.thaw(master);
        stack.wait_for_other_master(master, LONG);
    })
    .await;
    assert_eq!(lost, 0, "of {acked}");
}

async fn replicas_frozen_then_master_killed(stack: &mut SentinelStack) {
    let master = stack.master().unwrap();
    for replica in stack.replicas() {
        stack.freeze(replica);
    }
    // What is accepted from here on cannot reach a replica: the sockets are full.
    flood(stack.nodes()[master].plain_port(), None).unwrap();
    tokio::time::sleep(Duration::from_millis(400)).await;
    stack.kill(master);
    for replica in stack.replicas() {
        stack.thaw(replica);
    }
    stack.wait_for_other_master(master, LONG);
}

#[tokio::test(flavor = "multi_thread")]
async fn frozen_replicas_and_a_killed_master_lose_only_without_durability() {
    let (acked, lost) = run(Durability::One, 1, replicas_frozen_then_master_killed).await;
    assert_eq!(lost, 0, "of {acked}");
    let (acked, lost) = run(Durability::None, 0, replicas_frozen_then_master_killed).await;
    assert!(
        lost > 0,
        "the control lost none of {acked}: this test sees nothing"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_carry_on_over_a_failover() {
    let mut stack = SentinelStack::start(SentinelOptions::default());
    let redis = Redis::connect(sentinel(&stack)).await.unwrap();
    let _schedule = schedule(&redis, kedactl_queue::SchedulerOptions::default());
    let load = Load::start(&redis, Durability::One, 10);
    let runs: Arc<Mutex<HashMap<TaskId, u32>>> = Arc::default();
    let stop = CancellationToken::new();
    let mut workers = Vec::new();
    for i in 0..3 {
        let mut options = ConsumerOptions::new(vec![QueueName::default()], format!("w{i}"));
        options.idle_wait = Duration::from_millis(200);
        let own = Redis::connect(sentinel(&stack)).await.unwrap();
        let consumer = Consumer::start(&own, options).await.unwrap();
        let (runs, stop) = (Arc::clone(&runs), stop.clone());
        workers.push(tokio::spawn(async move {
            while !stop.is_cancelled() {
                for claimed in consumer.claim(20).await {
                    *runs.lock().unwrap().entry(claimed.task.id).or_default() += 1;
                    consumer.finish(&claimed.ticket, Outcome::Done(None));
                }
            }
            consumer.close(SOON).await;
        }));
    }
    load.grows(1000).await;
    let master = stack.master().unwrap();
    stack.kill(master);
    stack.wait_for_other_master(master, LONG);
    load.grows(1000).await;
    let acked = load.end().await;
    let inspector = Inspector::new(&redis);
    let empty = async || {
        inspector
            .keda_value("kq:{default}:live")
            .await
            .is_ok_and(|n| n == 0)
    };
    until_async("all is done", LONG, empty).await;
    stop.cancel();
    for worker in workers {
        worker.await.unwrap();
    }
    let runs = runs.lock().unwrap();
    assert_eq!(
        acked.iter().filter(|id| !runs.contains_key(id)).count(),
        0,
        "lost of {}",
        acked.len()
    );
    let twice = runs.values().filter(|&&n| n > 1).count();
    assert!(twice <= 200, "{twice} of {} ran twice", runs.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_slept_is_fenced() {
    let bed = Bed::new().await;
    let _schedule = bed.schedule();
    let ids: HashSet<_> = {
        bed.put_many(10).await;
        bed.inspector
            .peek(&bed.queue, 10)
            .await
            .unwrap()
            .into_iter()
            .map(|t| t.id)
            .collect()
    };
    let asleep = bed.consumer("asleep").await;
    let mut stopped = asleep.cancellations();
    let held = claim(&asleep, 10).await;
    // What the server does when the lease has run out, at once.
    let end_lease = format!("ZADD kq:{{default}}:workers XX 1 {}", asleep.instance());
    until_async("its tasks are handed back", SOON, async || {
        bed.server.command(&end_lease);
        bed.total("reaped").await == 10
    })
    .await;
    let other = bed.consumer("other").await;
    let taken = claim(&other, 5).await;
    assert!(
        taken
            .iter()
            .all(|c| c.task.crashes == 1 && ids.contains(&c.task.id))
    );
    let theirs: HashSet<_> = taken.iter().map(|c| c.task.id).collect();
    let mut verdicts = HashMap::new();
    for claimed in &held {
        let verdict = asleep.finished(&claimed.ticket, Outcome::Done(None)).await;
        assert_eq!(
            verdict == Verdict::Fenced,
            theirs.contains(&claimed.task.id),
            "{verdict:?}"
        );
        *verdicts.entry(verdict == Verdict::Fenced).or_insert(0) += 1;
    }
    assert_eq!(
        verdicts,
        HashMap::from([(true, 5), (false, 5)]),
        "a late end counts while nobody else runs the task"
    );
    assert_eq!(bed.counts().await, (5, 0, 5));
    for claimed in taken {
        assert_eq!(
            other.finished(&claimed.ticket, Outcome::Done(None)).await,
            Verdict::Applied
        );
    }
    assert_eq!(bed.counts().await, (0, 0, 0));
    bed.put(task("next", "1")).await;
    assert_eq!(
        claim_one(&asleep).await.task.kind,
        "next",
        "it goes on as a new instance"
    );
    assert_eq!(asleep.counters().lease_losses, 1);
    assert!(stopped.try_recv().is_err() || !theirs.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_replies_neither_lose_nor_double_a_batch() {
    let bed = Bed::new().await;
    let cutter = Cutter::start(bed.server.port()).await;
    let redis = Redis::connect(RedisConfig::single(HostPort::new("127.0.0.1", cutter.port)))
        .await
        .unwrap();
    let producer = Producer::new(
        &redis,
        ProducerOptions {
            commit_timeout: LONG,
            ..ProducerOptions::default()
        },
    );
    let consumer = Consumer::start(&redis, bed.options("w")).await.unwrap();
    let (mut accepted, mut seen) = (HashSet::new(), HashSet::new());
    let deadline = tokio::time::Instant::now() + LONG;
    while cutter.cuts() < 40 || seen.len() < accepted.len() {
        assert!(
            tokio::time::Instant::now() < deadline,
            "{} cuts, {} of {}",
            cutter.cuts(),
            seen.len(),
            accepted.len()
        );
        if cutter.cuts() < 40 {
            cutter.cut_soon();
            let tasks = (0..256).map(|i| task("a", &i.to_string())).collect();
            for answer in producer
                .enqueue_many(&bed.queue, Durability::None, tasks)
                .await
            {
                accepted.insert(answer.unwrap().id);
            }
        }
        cutter.cut_soon();
        for claimed in consumer.claim(300).await {
            assert!(seen.insert(claimed.task.id), "given out twice");
            consumer.finish(&claimed.ticket, Outcome::Done(None));
        }
    }
    consumer.flush().await;
    assert_eq!(seen, accepted, "exactly what was accepted was run");
    assert_eq!(bed.counts().await, (0, 0, 0));
    assert_eq!(
        bed.total("enqueued").await,
        accepted.len() as u64,
        "each batch was stored once"
    );
    assert_eq!(
        (bed.total("done").await, consumer.counters().fenced),
        (accepted.len() as u64, 0)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_forgot_the_library_gets_it_again() {
    let bed = Bed::new().await;
    bed.server.command("FUNCTION FLUSH");
    bed.put(task("a", "1")).await;
    bed.server.command("FUNCTION FLUSH");
    assert_eq!(bed.counts().await, (1, 1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_server_is_found_again() {
    let mut server = kedactl_testkit::RedisServer::start(&kedactl_testkit::RedisOptions {
        aof: true,
        extra: vec!["appendfsync always".into()],
        ..Default::default()
    });
    let redis = Redis::connect(single(&server)).await.unwrap();
    let queue = QueueName::default();
    let producer = Producer::new(&redis, ProducerOptions::default());
    let id = producer
        .enqueue(&queue, Durability::None, task("a", "1"))
        .await
        .unwrap()
        .id;
    let mut options = ConsumerOptions::new(vec![queue.clone()], "w");
    options.failover_hold = Duration::from_millis(50);
    let consumer = Consumer::start(&redis, options).await.unwrap();
    let claimed = claim_one(&consumer).await;
    server.restart();
    assert_eq!(
        consumer
            .finished(&claimed.ticket, Outcome::Done(None))
            .await,
        Verdict::Applied
    );
    producer
        .enqueue(&queue, Durability::None, task("b", "1"))
        .await
        .unwrap();
    let next = claim_one(&consumer).await;
    assert!(next.task.id > id && redis.failovers() == 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn sentinels_that_lost_their_memory_are_believed_again() {
    let mut stack = SentinelStack::start(SentinelOptions::default());
    let redis = Redis::connect(sentinel(&stack)).await.unwrap();
    let first = stack.master().unwrap();
    stack.kill(first);
    let second = stack.wait_for_other_master(first, LONG);
    let port = stack.nodes()[second].port();
    let found = async || redis.generation().is_some_and(|g| g.addr.port == port);
    until_async("the new master is found", LONG, found).await;
    let before = redis.generation().unwrap().number;
    stack.forget(second);
    stack.nodes()[second].command("CLIENT KILL TYPE normal");
    let again = async || redis.generation().is_some_and(|g| g.number > before);
    until_async("it is found again", LONG, again).await;
}

/// A report that the fail-over undid, and a reconnect to the new master before the worker does anything.
#[tokio::test(flavor = "multi_thread")]
async fn undone_reports_are_repeated_after_two_generations() {
    let mut stack = SentinelStack::start(SentinelOptions {
        min_replicas_to_write: 0,
        ..SentinelOptions::default()
    });
    let redis = Redis::connect(sentinel(&stack)).await.unwrap();
    let queue = QueueName::default();
    let producer = Producer::new(&redis, ProducerOptions::default());
    let tasks = (0..2).map(|_| task("a", "1")).collect();
    for answer in producer.enqueue_many(&queue, Durability::All, tasks).await {
        answer.unwrap();
    }
    let consumer = Consumer::start(&redis, ConsumerOptions::new(vec![queue.clone()], "w"))
        .await
        .unwrap();
    let held = claim(&consumer, 2).await;
    let replicas = stack.replicas();
    until_async("both replicas know the claims", SOON, async || {
        replicas.iter().all(|&r| {
            let known = format!("SCARD kq:{{default}}:w:{}", consumer.instance());
            stack.nodes()[r].command(&known).starts_with(":2")
        })
    })
    .await;
    for &replica in &replicas {
        stack.nodes()[replica].command("REPLICAOF NO ONE");
    }
    let verdict = consumer
        .finished(&held[0].ticket, Outcome::Done(None))
        .await;
    assert_eq!(verdict, Verdict::Applied);
    let first = stack.master().unwrap();
    stack.kill(first);
    let second = stack.wait_for_other_master(first, LONG);
    let (node, port) = (&stack.nodes()[second], stack.nodes()[second].port());
    let found = async || redis.generation().is_some_and(|g| g.addr.port == port);
    until_async("the new master is found", LONG, found).await;
    assert!(node.command("HLEN kq:{default}:live").starts_with(":2"));
    let number = redis.generation().unwrap().number;
    node.command("CLIENT KILL TYPE normal");
    let again = async || redis.generation().is_some_and(|g| g.number > number);
    until_async("it is found again", LONG, again).await;
    let verdict = consumer
        .finished(&held[1].ticket, Outcome::Done(None))
        .await;
    assert_eq!(verdict, Verdict::Applied);
    let inspector = Inspector::new(&redis);
    until_async("both reports have arrived", SOON, async || {
        let stats = inspector.stats(&queue).await.unwrap();
        stats.waiting + stats.running == 0
    })
    .await;
}
