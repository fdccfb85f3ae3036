//! Redis by names that mean nothing here: Sentinels that announce them, fail-overs, certificates.
//!
//! It must not resolve such a name itself: the servers alone have a hosts file that knows them.

use std::net::SocketAddr;

use kedactl_queue::{
    AddressMap, Durability, HostPort, Producer, ProducerOptions, QueueName, Redis, RedisConfig, Tls,
};
use kedactl_testkit::{
    Certificates, RedisOptions, RedisServer, SentinelOptions, SentinelStack, redis_has_tls, until,
    until_async,
};

use crate::support::{SOON, task};

const SENTINEL_PORT: u16 = 26379;

fn pod(node: usize) -> String {
    format!("redis-node-{node}.redis-headless.keda.svc")
}

fn here(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// A stack whose names have the cluster's domain.
fn start() -> SentinelStack {
    let name = |node| format!("{}.cluster.local", pod(node));
    SentinelStack::start(SentinelOptions {
        names: Some([name(0), name(1), name(2)]),
        ..SentinelOptions::default()
    })
}

/// The way to every Sentinel and to the given servers, by names without the cluster's domain.
fn reach(stack: &SentinelStack, nodes: &[usize]) -> AddressMap {
    let sentinels = stack.sentinel_ports().into_iter().enumerate();
    let sentinels = sentinels.map(|(node, port)| (pod(node), SENTINEL_PORT, here(port)));
    let servers = nodes.iter().map(|node| {
        let port = stack.nodes()[*node].port();
        (pod(*node), port, here(port))
    });
    sentinels.chain(servers).collect()
}

fn by_names(reach: AddressMap) -> RedisConfig {
    let sentinels = reach.on_port(SENTINEL_PORT);
    RedisConfig {
        reach,
        ..RedisConfig::sentinel(sentinels, SentinelStack::MASTER)
    }
}

async fn put(redis: &Redis, durability: Durability) -> bool {
    let producer = Producer::new(redis, ProducerOptions::default());
    let stored = producer
        .enqueue(&QueueName::default(), durability, task("a", "1"))
        .await;
    stored.is_ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stack_of_unknown_names_is_followed_over_a_failover() {
    if !SentinelStack::can_announce_names() {
        return;
    }
    let mut stack = start();
    let config = by_names(reach(&stack, &[0, 1, 2]));
    let redis = Redis::connect(config).await.unwrap();
    let first = redis.generation().unwrap();
    let named = HostPort::new(format!("{}.cluster.local", pod(0)), stack.nodes()[0].port());
    assert_eq!(first.addr, named);
    assert!(put(&redis, Durability::One).await);

    stack.kill(0);
    let master = stack.wait_for_other_master(0, SOON);
    until_async("the new master takes a task", SOON, async || {
        put(&redis, Durability::One).await
    })
    .await;
    let second = redis.generation().unwrap();
    assert!(second.addr.host.starts_with(&pod(master)), "{second:?}");
    assert_eq!(redis.failovers(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_that_the_map_lacks_is_named_and_not_dialled() {
    if !SentinelStack::can_announce_names() {
        return;
    }
    let stack = start();
    let redis = Redis::start(by_names(reach(&stack, &[1, 2]))).unwrap();
    let error = redis.ping().await.unwrap_err().to_string();
    let named = format!("{}.cluster.local:{}", pod(0), stack.nodes()[0].port());
    assert!(
        error.ends_with(&format!(
            "no master is known: nothing is known of how to reach {named} from here"
        )),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sentinel_that_the_map_lacks_is_named() {
    let mut config = by_names([(pod(0), 1, here(1))].into_iter().collect());
    config.topology = kedactl_queue::Topology::Sentinel {
        addrs: vec![HostPort::new("127.0.0.1", 1)],
        master: SentinelStack::MASTER.to_owned(),
    };
    let redis = Redis::start(config).unwrap();
    let error = redis.ping().await.unwrap_err().to_string();
    assert!(
        error.contains("nothing is known of how to reach 127.0.0.1:1 from here"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_checked_for_the_announced_name() {
    if !redis_has_tls() {
        return;
    }
    let certificates = Certificates::make_for(&format!("DNS:{}", pod(0)));
    let server = RedisServer::start(&RedisOptions {
        tls: Some(certificates.clone()),
        extra: vec!["loglevel verbose".to_owned()],
        ..RedisOptions::default()
    });
    let config = |node| RedisConfig {
        tls: Some(Tls {
            ca: Some(certificates.ca()),
            cert: Some(certificates.cert()),
            key: Some(certificates.key()),
            insecure: false,
        }),
        reach: [0, 1]
            .map(|node| (pod(node), 6379, here(server.port())))
            .into_iter()
            .collect(),
        ..RedisConfig::single(HostPort::new(pod(node), 6379))
    };
    let redis = Redis::connect(config(0)).await.unwrap();
    assert!(put(&redis, Durability::None).await);
    let other = Redis::start(config(1)).unwrap();
    until("a handshake was broken off", SOON, || {
        server.log().contains("Error accepting a client connection")
    });
    assert!(!other.is_ready(), "the certificate is another name's");
}
