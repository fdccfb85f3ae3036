//! The outbox on a real Redis: what is kept, whose turn it is, and what becomes of it.
//!
//! It must not share a server between tests.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod accepting;
mod incidents;
mod pressing;
mod sending;

use kedactl_alerts::telegram::Chat;
use kedactl_alerts::{Key, Notification};
use kedactl_outbox::{
    Accepted, Claim, Entry, Outbox, OutboxError, OutboxOptions, Pace, Sender, State, Work,
};
use kedactl_queue::{HostPort, Redis, RedisConfig};
use kedactl_testkit::{RedisOptions, RedisServer, until_async};
use serde_json::json;
use std::time::Duration;

const WITHIN: Duration = Duration::from_secs(10);
const LEASE: Duration = Duration::from_secs(30);

/// An outbox on a server of its own.
struct Bench {
    server: RedisServer,
    redis: Redis,
    outbox: Outbox,
}

fn chat(id: i64) -> Chat {
    Chat { id, thread: None }
}

/// A pace that holds up no test.
fn fast() -> Pace {
    Pace {
        gap: Duration::ZERO,
        rate: 100_000,
        ..Pace::default()
    }
}

/// A group of alerts, each by its name, whether it fires, and the minute in which it began.
fn notification(group: &str, alerts: &[(&str, bool, u32)]) -> Notification {
    let alerts: Vec<_> = alerts
        .iter()
        .map(|(name, fires, minute)| {
            json!({
                "status": if *fires { "firing" } else { "resolved" },
                "labels": {"alertname": group, "n": name},
                "startsAt": format!("2026-11-27T12:{minute:02}:00Z"),
            })
        })
        .collect();
    let body = json!({"groupKey": group, "receiver": "tg", "groupLabels": {"alertname": group}, "alerts": alerts});
    Notification::read(body.to_string().as_bytes()).unwrap()
}

fn entry_of(chats: &[i64], group: &str, alerts: &[(&str, bool, u32)]) -> Entry {
    let notification = notification(group, alerts);
    Entry {
        key: Key::of("default", &notification),
        route: "default".to_owned(),
        group: group.to_owned(),
        chats: chats.iter().copied().map(chat).collect(),
        state: State::Alerts(Box::new(notification)),
        stale: false,
    }
}

/// A group of one alert that fires or is over, by the minute in which it began.
fn entry(chats: &[i64], group: &str, status: &str, minute: u32) -> Entry {
    entry_of(chats, group, &[("a", status == "firing", minute)])
}

impl Bench {
    async fn new() -> Self {
        let server = RedisServer::start(&RedisOptions::default());
        let config = RedisConfig::single(HostPort::new("127.0.0.1", server.port()));
        let redis = Redis::connect(config).await.unwrap();
        Self {
            outbox: Outbox::new(&redis, OutboxOptions::default()),
            redis,
            server,
        }
    }

    fn sender(&self) -> Sender {
        Sender::new(&self.outbox, fast(), LEASE)
    }

    /// Until what comes next is younger than what came: ages are milliseconds of the server.
    async fn next_millisecond(&self) {
        let now = self.redis.now_us() / 1000;
        let later = || async { self.redis.now_us() / 1000 > now + 1 };
        until_async("a millisecond passes", WITHIN, later).await;
    }

    async fn accept(&self, entry: Entry) -> Result<Accepted, OutboxError> {
        self.outbox.accept(entry).await
    }

    /// Accepts what is new.
    async fn add(&self, chats: &[i64], group: &str, status: &str, time: u32) {
        let accepted = self
            .accept(entry(chats, group, status, time))
            .await
            .unwrap();
        let new = Accepted {
            duplicate: false,
            updated: chats.len(),
        };
        assert_eq!(accepted, new);
    }
}

/// The group whose turn it is.
async fn taken(sender: &mut Sender) -> Work {
    match sender.claim().await.unwrap() {
        Claim::Work(work) => *work,
        other => panic!("{other:?}"),
    }
}

fn group_of(work: &Work) -> &str {
    match &work.state {
        State::Alerts(notification) => &notification.group_key,
        State::Notice(text) => text,
    }
}

/// The next group, however long it takes.
async fn taken_in_time(sender: &mut Sender) -> Work {
    let found = tokio::sync::Mutex::new(None);
    let sender = tokio::sync::Mutex::new(sender);
    until_async("a group's turn", WITHIN, || async {
        match sender.lock().await.claim().await.unwrap() {
            Claim::Work(work) => {
                *found.lock().await = Some(*work);
                true
            }
            _ => false,
        }
    })
    .await;
    found.into_inner().unwrap()
}
