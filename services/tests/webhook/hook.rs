//! A webhook of this process, with its Redis and its Bot API.
//!
//! It must not know what a test asserts.

use crate::support::{Process, Reply, WEBHOOK, request};
use clap::Parser as _;
use kedactl_outbox::{Outbox, OutboxOptions};
use kedactl_queue::{HostPort, Redis, RedisConfig};
use kedactl_services::settings::WebhookArgs;
use kedactl_services::shutdown::Shutdown;
use kedactl_services::webhook;
use kedactl_testkit::{RedisOptions, RedisServer, Telegram};
use serde_json::{Value as Json, json};
use std::net::SocketAddr;
use std::ops::Deref;
use std::os::unix::fs::PermissionsExt as _;
use tokio::sync::oneshot;

pub(crate) const BOT: &str = "12345:AAsecretOfTheBot";
pub(crate) const TOKEN: &str = "0123456789abcdef0123";
/// The chat of the route `default`.
pub(crate) const CHAT: i64 = 7;
/// The chat of those who operate it.
pub(crate) const OPERATORS: i64 = 8;

/// Routes that most tests need.
pub(crate) fn routes() -> Json {
    json!({
        "routes": {
            "default": {"chats": [{"id": CHAT}]},
            "topic": {"chats": [{"id": -9, "thread": 3}]},
        },
        "operators": {"id": OPERATORS},
    })
}

/// A webhook that runs in this process.
pub(crate) struct Replica {
    pub(crate) at: SocketAddr,
    metrics: SocketAddr,
    shutdown: Shutdown,
    task: tokio::task::JoinHandle<Result<(), String>>,
    poster: Poster,
}

/// Whoever posts notifications.
#[derive(Clone)]
pub(crate) struct Poster {
    at: SocketAddr,
    client: reqwest::Client,
}

impl Poster {
    /// Posts a body with a token; status and body of the answer.
    pub(crate) async fn send(
        &self,
        route: &str,
        token: &str,
        body: impl Into<reqwest::Body>,
    ) -> (u16, Json) {
        let response = self
            .client
            .post(format!("http://{}/v1/alerts/{route}", self.at))
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", "application/json")
            .body(body)
            .send()
            .await
            .unwrap();
        let status = response.status().as_u16();
        let text = response.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or(Json::Null))
    }
}

impl Replica {
    async fn start(args: &[String]) -> Self {
        let args = WebhookArgs::try_parse_from(args).unwrap();
        let settings = args.resolve().unwrap();
        let shutdown = Shutdown::default();
        let (tell, told) = oneshot::channel();
        let task = tokio::spawn(webhook::run(settings, shutdown.clone(), |at, metrics| {
            tell.send((at, metrics)).unwrap();
        }));
        let (at, metrics) = told.await.unwrap();
        let _first = rustls::crypto::ring::default_provider().install_default();
        Self {
            at,
            metrics,
            shutdown,
            task,
            poster: Poster {
                at,
                client: reqwest::Client::builder().build().unwrap(),
            },
        }
    }

    /// Whoever posts to it.
    pub(crate) fn poster(&self) -> Poster {
        self.poster.clone()
    }

    /// Posts a body with a token; status and body of the answer.
    pub(crate) async fn send(
        &self,
        route: &str,
        token: &str,
        body: impl Into<reqwest::Body>,
    ) -> (u16, Json) {
        self.poster.send(route, token, body).await
    }

    /// Posts a notification as Alertmanager does, which is kept.
    pub(crate) async fn post(&self, notification: &Json) {
        let (status, answer) = self.send("default", TOKEN, notification.to_string()).await;
        assert_eq!(status, 202, "{answer}");
    }

    /// Status and text of a page of the metrics port.
    pub(crate) async fn look(&self, path: &str) -> (u16, String) {
        let address = format!("http://{}{path}", self.metrics);
        let response = self.poster.client.get(address).send().await.unwrap();
        let status = response.status().as_u16();
        (status, response.text().await.unwrap())
    }

    /// The text of a page of the metrics port.
    pub(crate) async fn page(&self, path: &str) -> String {
        self.look(path).await.1
    }

    /// A counter or gauge by its name with its labels; 0 where it is not there.
    pub(crate) async fn metric(&self, name: &str) -> u64 {
        let page = self.page("/metrics").await;
        let found = page
            .lines()
            .find_map(|line| line.strip_prefix(name)?.trim().parse::<f64>().ok());
        found.unwrap_or_default() as u64
    }

    /// Stops it as SIGTERM does.
    pub(crate) async fn stop(self) {
        self.shutdown.draining.cancel();
        self.task.await.unwrap().unwrap();
    }
}

/// A webhook with what it needs.
pub(crate) struct Hook {
    pub(crate) redis: RedisServer,
    pub(crate) telegram: Telegram,
    replica: Option<Replica>,
    args: Vec<String>,
    files: tempfile::TempDir,
}

impl Deref for Hook {
    type Target = Replica;

    fn deref(&self) -> &Replica {
        self.replica.as_ref().expect("it was not stopped")
    }
}

impl Hook {
    pub(crate) async fn start() -> Self {
        Self::with(&[]).await
    }

    pub(crate) async fn with(more: &[&str]) -> Self {
        Self::of(&routes(), more).await
    }

    pub(crate) async fn of(routes: &Json, more: &[&str]) -> Self {
        let redis = RedisServer::start(&RedisOptions::default());
        Self::on(redis, Telegram::start(BOT), routes, more).await
    }

    pub(crate) async fn on(
        redis: RedisServer,
        telegram: Telegram,
        routes: &Json,
        more: &[&str],
    ) -> Self {
        let files = tempfile::tempdir().unwrap();
        let args = arguments(&files, redis.port(), &telegram.url(), routes, more);
        Self {
            replica: Some(Replica::start(&args).await),
            redis,
            telegram,
            args,
            files,
        }
    }

    /// What an operator has: the outbox itself.
    pub(crate) async fn outbox(&self) -> Outbox {
        let at = HostPort::new("127.0.0.1", self.redis.port());
        let redis = Redis::connect(RedisConfig::single(at)).await.unwrap();
        Outbox::new(&redis, OutboxOptions::default())
    }

    /// One more on the same Redis.
    pub(crate) async fn beside(&self) -> Replica {
        Replica::start(&self.args).await
    }

    /// Stops it, and starts it with these routes.
    pub(crate) async fn again(&mut self, routes: &Json) {
        self.leave().await;
        write(&self.files, "routes.json", &routes.to_string());
        self.replica = Some(Replica::start(&self.args).await);
    }

    /// Stops it, and leaves its servers alone.
    pub(crate) async fn leave(&mut self) {
        self.replica
            .take()
            .expect("it was not stopped")
            .stop()
            .await;
    }

    /// Stops it as SIGTERM does.
    pub(crate) async fn stop(mut self) {
        self.leave().await;
    }
}

/// A webhook as a program, which can be killed.
pub(crate) struct Program {
    pub(crate) process: Process,
    pub(crate) port: u16,
    args: Vec<String>,
}

impl Program {
    pub(crate) fn start(args: Vec<String>) -> Self {
        let process = Process::start(WEBHOOK, &args[1..]);
        Self {
            port: process.port("at"),
            process,
            args,
        }
    }

    /// `kill -9`, and another one.
    pub(crate) fn killed(self) -> Self {
        let Self { process, args, .. } = self;
        drop(process);
        Self::start(args)
    }

    /// Posts a notification, which is kept.
    pub(crate) fn post(&self, notification: &Json) {
        let reply = self.send(notification);
        assert_eq!(reply.status, 202, "{}", reply.text);
    }

    /// Posts a notification.
    pub(crate) fn send(&self, notification: &Json) -> Reply {
        self.send_to("default", notification)
    }

    /// Posts a notification by a route.
    pub(crate) fn send_to(&self, route: &str, notification: &Json) -> Reply {
        let authorization = format!("authorization: Bearer {TOKEN}");
        let headers = ["content-type: application/json", &authorization];
        let body = notification.to_string();
        let path = format!("/v1/alerts/{route}");
        request(self.port, "POST", &path, &headers, body.as_bytes())
    }
}

/// A file that its owner alone may read; its path.
pub(crate) fn write(files: &tempfile::TempDir, name: &str, text: &str) -> String {
    let path = files.path().join(name);
    // What is there may be read-only.
    let _was = std::fs::remove_file(&path);
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o400)).unwrap();
    path.display().to_string()
}

/// The flags of a webhook, its files among them; what comes last counts.
pub(crate) fn arguments(
    files: &tempfile::TempDir,
    redis: u16,
    telegram: &str,
    routes: &Json,
    more: &[&str],
) -> Vec<String> {
    let routes = write(files, "routes.json", &routes.to_string());
    let (bot, tokens) = (write(files, "bot", BOT), write(files, "tokens", TOKEN));
    let mut args = vec![
        "webhook".to_owned(),
        "--listen=127.0.0.1:0".to_owned(),
        "--metrics-listen=127.0.0.1:0".to_owned(),
        format!("--routes-file={routes}"),
        format!("--bot-token-file={bot}"),
        format!("--tokens-file={tokens}"),
        format!("--bot-api={telegram}"),
        format!("--redis-addr=127.0.0.1:{redis}"),
        "--lame-duck-ms=0".to_owned(),
        "--grace-seconds=20".to_owned(),
        "--call-timeout-ms=1000".to_owned(),
        // A machine that is busy with builds keeps whoever waits for Redis for seconds.
        "--accept-timeout-ms=20000".to_owned(),
    ];
    let flag = |it: &str| it.split('=').next().map(str::to_owned);
    args.retain(|it| !more.iter().any(|other| flag(other) == flag(it)));
    args.extend(more.iter().map(|it| (*it).to_owned()));
    args
}
