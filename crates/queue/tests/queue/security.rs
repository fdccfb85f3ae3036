//! Passwords and certificates.
//!
//! It must not print a secret, and proves that nothing else does.

use kedactl_queue::{Durability, Producer, ProducerOptions, QueueName, Redis, Secret, Tls};
use kedactl_testkit::{
    Certificates, RedisOptions, RedisServer, SentinelOptions, SentinelStack, redis_has_tls, until,
};

use crate::support::{SOON, sentinel, single, task};

async fn works(redis: &Redis, durability: Durability) {
    let producer = Producer::new(redis, ProducerOptions::default());
    let stored = producer
        .enqueue(&QueueName::default(), durability, task("a", "1"))
        .await
        .unwrap();
    assert!(stored.replicas > 0 || durability == Durability::None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_used_and_not_shown() {
    let options = RedisOptions {
        password: Some("open-sesame".into()),
        ..RedisOptions::default()
    };
    let server = RedisServer::start(&options);
    let mut config = single(&server);
    config.password = Some(Secret::new("open-sesame"));
    assert!(!format!("{config:?}").contains("sesame"));
    assert!(!serde_json::to_string(&config).unwrap().contains("sesame"));
    let redis = Redis::connect(config.clone()).await.unwrap();
    assert!(!format!("{redis:?}").contains("sesame"));
    works(&redis, Durability::None).await;
    config.password = Some(Secret::new("wrong"));
    let refused = Redis::start(config).unwrap();
    until("the server refused a password", SOON, || {
        server.info("acl_access_denied_auth") != "0"
    });
    assert!(!refused.is_ready());
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_with_client_certificates() {
    if !redis_has_tls() {
        return;
    }
    let certificates = Certificates::make();
    let options = RedisOptions {
        tls: Some(certificates.clone()),
        // The handshake that the client breaks off is told at this level only.
        extra: vec!["loglevel verbose".to_owned()],
        ..RedisOptions::default()
    };
    let server = RedisServer::start(&options);
    let mut config = single(&server);
    config.tls = Some(Tls {
        ca: Some(certificates.ca()),
        cert: Some(certificates.cert()),
        key: Some(certificates.key()),
        insecure: false,
    });
    works(
        &Redis::connect(config.clone()).await.unwrap(),
        Durability::None,
    )
    .await;
    let stranger = Certificates::make();
    config.tls.as_mut().unwrap().ca = Some(stranger.ca());
    let refused = Redis::start(config).unwrap();
    until("a handshake was broken off", SOON, || {
        server.log().contains("Error accepting a client connection")
    });
    assert!(!refused.is_ready(), "another authority's server is refused");
}

#[tokio::test(flavor = "multi_thread")]
async fn sentinels_with_passwords_and_tls() {
    if !redis_has_tls() {
        return;
    }
    let certificates = Certificates::make();
    let stack = SentinelStack::start(SentinelOptions {
        password: Some("data".into()),
        sentinel_password: Some("watch".into()),
        tls: Some(certificates.clone()),
        ..SentinelOptions::default()
    });
    let mut config = sentinel(&stack);
    config.password = Some(Secret::new("data"));
    config.sentinel_password = Some(Secret::new("watch"));
    config.tls = Some(Tls {
        ca: Some(certificates.ca()),
        cert: Some(certificates.cert()),
        key: Some(certificates.key()),
        insecure: false,
    });
    let redis = Redis::connect(config).await.unwrap();
    assert_eq!(redis.generation().unwrap().replicas, 2);
    works(&redis, Durability::All).await;
}
