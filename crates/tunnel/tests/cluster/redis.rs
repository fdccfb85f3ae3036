//! Redis and its Sentinels from outside: written and read by the names that they announce, over the loss of masters.
//! Must not run inside the cluster: names of pods mean nothing here.

use std::net::SocketAddr;
use std::time::Duration;

use kedactl_queue::{
    AddressMap, Durability, Inspector, NewTask, Producer, ProducerOptions, QueueName, Redis,
    RedisConfig, Secret, TaskId,
};
use kedactl_testkit::{until, until_async};
use kedactl_tunnel::{PodPort, PodPorts};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use crate::lab::{Lab, SAMPLE, WITHIN};

const SERVER: u16 = 6379;
const SENTINEL: u16 = 26379;
const NODES: u16 = 3;

fn install(lab: &Lab) {
    lab.apply(
        "apiVersion: v1\nkind: Secret\nmetadata: {name: redis}\nstringData: {redis-password: data w, sentinel-password: watch}\n",
    );
    let (repository, tag) = SAMPLE;
    lab.chart(
        "redis-sentinel",
        &format!(
            "{{fullnameOverride: redis, image: {{registry: '', repository: {repository}, tag: '{tag}'}}, \
             auth: {{existingSecret: redis, existingSecretSentinelPasswordKey: sentinel-password}}, \
             replica: {{resources: {{requests: {{cpu: 10m, memory: 32Mi}}}}}}, sentinel: {{resources: {{requests: {{cpu: 5m}}}}}}}}"
        ),
    );
}

fn all_ready(lab: &Lab) {
    let path = "jsonpath={.status.readyReplicas}";
    let wanted = ["get", "statefulset", "redis-node", "--output", path];
    until("every pod is ready", WITHIN, || {
        lab.kubectl(&wanted)
            .is_ok_and(|ready| ready == NODES.to_string())
    });
}

struct Outside {
    pods: PodPorts,
    redis: Redis,
    producer: Producer,
    queue: QueueName,
    stored: Vec<TaskId>,
}

impl Outside {
    async fn new(lab: &Lab) -> Self {
        let pods = PodPort::of_set(
            &lab.namespace,
            "redis-node",
            "redis-headless",
            NODES,
            &[SERVER, SENTINEL],
        );
        let pods = PodPorts::open(lab.client().await, pods).await.unwrap();
        let reach: AddressMap = pods.addresses().collect();
        let redis = Redis::connect(RedisConfig {
            password: Some(Secret::new("data w")),
            sentinel_password: Some(Secret::new("watch")),
            reach: reach.clone(),
            ..RedisConfig::sentinel(reach.on_port(SENTINEL), "mymaster")
        })
        .await
        .unwrap();
        Self {
            producer: Producer::new(&redis, ProducerOptions::default()),
            pods,
            redis,
            queue: QueueName::default(),
            stored: Vec::new(),
        }
    }

    /// The pod that is master now.
    fn master(&self) -> String {
        let host = &self.redis.generation().unwrap().addr.host;
        host.split('.').next().unwrap().to_owned()
    }

    async fn put(&mut self) -> bool {
        let payload = serde_json::value::RawValue::from_string("1".to_owned()).unwrap();
        let task = NewTask::new("echo", payload);
        let stored = self
            .producer
            .enqueue(&self.queue, Durability::One, task)
            .await;
        if let Ok(stored) = &stored {
            self.stored.push(stored.id);
        }
        stored.is_ok()
    }

    async fn goes_on(&mut self) -> Duration {
        let begin = Instant::now();
        while !self.put().await {
            assert!(begin.elapsed() < WITHIN, "no write was taken");
        }
        begin.elapsed()
    }

    /// Every task that was confirmed is there.
    async fn nothing_is_lost(&self) {
        let inspector = Inspector::new(&self.redis);
        for id in &self.stored {
            let found = inspector.task(&self.queue, *id).await.unwrap();
            assert!(found.is_some(), "task {id} is lost");
        }
    }

    fn here(&self, pod: &str) -> SocketAddr {
        let mut addresses = self.pods.addresses();
        let found = addresses.find(|(host, port, _)| host.starts_with(pod) && *port == SERVER);
        found.unwrap().2
    }
}

async fn answers(address: SocketAddr) -> bool {
    let ask = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(b"PING\r\n").await?;
        stream.read_u8().await
    };
    // The server wants a password first, which is an answer as well.
    matches!(
        timeout(Duration::from_secs(2), ask).await,
        Ok(Ok(b'-' | b'+'))
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_is_written_and_read_from_outside_over_the_loss_of_two_masters() {
    let lab = Lab::new("redis");
    install(&lab);
    all_ready(&lab);
    let mut outside = Outside::new(&lab).await;
    for _ in 0..20 {
        assert!(outside.put().await);
    }
    for round in 1..=2_u64 {
        let master = outside.master();
        let kill = ["delete", "pod", &master, "--grace-period=0", "--force"];
        lab.kubectl(&kill).unwrap();
        until_async("another pod is master", WITHIN, async || {
            outside.redis.is_ready() && outside.master() != master
        })
        .await;
        let took = outside.goes_on().await;
        println!(
            "{master} was killed, {} took over; the first write after that took {took:?}",
            outside.master()
        );
        assert_eq!(outside.redis.failovers(), round);
        outside.nothing_is_lost().await;

        all_ready(&lab);
        let address = outside.here(&master);
        until_async("the pod is back at its address", WITHIN, async || {
            answers(address).await
        })
        .await;
        assert!(outside.put().await);
    }
    assert!(outside.stored.len() >= 24);
    let here = outside.here("redis-node-0");
    drop(outside);
    until_async("nobody listens here", WITHIN, async || {
        TcpStream::connect(here).await.is_err()
    })
    .await;
}
