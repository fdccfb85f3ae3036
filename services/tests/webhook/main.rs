//! The webhook as it is deployed: real Redis, a Bot API with Telegram's own limits, posts as Alertmanager makes them.
//!
//! It must not share a server between tests.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod refusals;
mod showing;

use clap::Parser as _;
use kedactl_services::settings::WebhookArgs;
use kedactl_services::shutdown::Shutdown;
use kedactl_services::webhook;
use kedactl_testkit::{RedisOptions, RedisServer, Telegram};
use serde_json::{Value as Json, json};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;
use tokio::sync::oneshot;

const BOT: &str = "12345:AAsecretOfTheBot";
const TOKEN: &str = "0123456789abcdef0123";
/// The chat of the route `default`.
const CHAT: i64 = 7;
/// The chat of those who operate it.
const OPERATORS: i64 = 8;
const WITHIN: Duration = Duration::from_secs(30);

pub(crate) struct Hook {
    pub(crate) redis: RedisServer,
    pub(crate) telegram: Telegram,
    at: SocketAddr,
    metrics: SocketAddr,
    shutdown: Shutdown,
    task: tokio::task::JoinHandle<Result<(), String>>,
    client: reqwest::Client,
    _files: tempfile::TempDir,
}

impl Hook {
    pub(crate) async fn start() -> Self {
        Self::with(&[]).await
    }

    pub(crate) async fn with(more: &[&str]) -> Self {
        let (redis, telegram) = (
            RedisServer::start(&RedisOptions::default()),
            Telegram::start(BOT),
        );
        let files = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = files.path().join(name);
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o400)).unwrap();
            path.display().to_string()
        };
        let routes = json!({
            "routes": {
                "default": {"chats": [{"id": CHAT}]},
                "topic": {"chats": [{"id": -9, "thread": 3}]},
            },
            "operators": {"id": OPERATORS},
        });
        let (routes, bot, tokens) = (
            write("routes.json", &routes.to_string()),
            write("bot", BOT),
            write("tokens", TOKEN),
        );
        let (redis_addr, api) = (format!("127.0.0.1:{}", redis.port()), telegram.url());
        let args = [
            "webhook",
            "--listen=127.0.0.1:0",
            "--metrics-listen=127.0.0.1:0",
            "--routes-file",
            &routes,
            "--bot-token-file",
            &bot,
            "--tokens-file",
            &tokens,
            "--bot-api",
            &api,
            "--redis-addr",
            &redis_addr,
            "--lame-duck-ms=0",
            "--grace-seconds=5",
            "--call-timeout-ms=1000",
        ];
        let args = WebhookArgs::try_parse_from(args.iter().chain(more)).unwrap();
        let settings = args.resolve().unwrap();
        let shutdown = Shutdown::default();
        let (tell, told) = oneshot::channel();
        let task = tokio::spawn(webhook::run(settings, shutdown.clone(), |at, metrics| {
            tell.send((at, metrics)).unwrap();
        }));
        let (at, metrics) = told.await.unwrap();
        let _first = rustls::crypto::ring::default_provider().install_default();
        Self {
            redis,
            telegram,
            at,
            metrics,
            shutdown,
            task,
            client: reqwest::Client::builder().build().unwrap(),
            _files: files,
        }
    }

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

    /// Posts a notification as Alertmanager does, which is kept.
    pub(crate) async fn post(&self, notification: &Json) {
        let (status, answer) = self.send("default", TOKEN, notification.to_string()).await;
        assert_eq!(status, 202, "{answer}");
    }

    /// A page of the metrics port.
    pub(crate) async fn page(&self, path: &str) -> String {
        let address = format!("http://{}{path}", self.metrics);
        self.client
            .get(address)
            .send()
            .await
            .unwrap()
            .text()
            .await
            .unwrap()
    }

    /// Stops it as SIGTERM does.
    pub(crate) async fn stop(self) {
        self.shutdown.draining.cancel();
        self.task.await.unwrap().unwrap();
    }
}

/// A group as Alertmanager sends it: each alert by its pod and whether it fires.
pub(crate) fn group(name: &str, alerts: &[(&str, bool)], hour: u32) -> Json {
    let alerts: Vec<Json> = alerts
        .iter()
        .map(|(pod, firing)| {
            json!({
                "status": if *firing { "firing" } else { "resolved" },
                "labels": {"alertname": name, "pod": pod},
                "annotations": {"summary": format!("{pod} is <sick> & slow")},
                "startsAt": format!("2999-11-27T{hour:02}:00:00Z"),
            })
        })
        .collect();
    let firing = alerts.iter().any(|it| it["status"] == "firing");
    json!({
        "version": "4", "groupKey": format!("{{}}:{{alertname={name}}}"), "receiver": "tg",
        "status": if firing { "firing" } else { "resolved" },
        "groupLabels": {"alertname": name}, "commonLabels": {"alertname": name}, "alerts": alerts,
    })
}
