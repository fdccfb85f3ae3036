//! A webhook that can be killed, its Redis, and a Bot API that takes as long as Telegram does.
//!
//! It must not decide what is broken.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use kedactl_testkit::{Child, Telegram, free_port};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::stack::until;

pub(crate) const BOT: &str = "12345:AAsecretOfTheBot";
pub(crate) const TOKEN: &str = "0123456789abcdef0123";
/// Who may press buttons.
pub(crate) const USER: (i64, &str) = (501, "ann");
/// Chats of persons: each takes a message a second.
pub(crate) const CHATS: i64 = 40;
/// The topic of chats that have one.
pub(crate) const TOPIC: i64 = 5;
/// About as long as a call to Telegram is on its way, there and back.
const WAY: Duration = Duration::from_millis(30);

/// A webhook and where it is.
#[derive(Debug)]
pub(crate) struct Rig {
    pub(crate) telegram: Telegram,
    pub(crate) port: u16,
    args: Vec<String>,
    process: Option<Child>,
    files: tempfile::TempDir,
}

/// The chat of a route by its number.
pub(crate) fn chat(number: i64) -> i64 {
    1000 + number
}

/// The route of a chat by its number.
pub(crate) fn route(number: i64) -> String {
    format!("r{number}")
}

impl Rig {
    /// Starts a webhook with these flags about its Redis, which is there.
    pub(crate) fn start(telegram: Telegram, more: &[String]) -> anyhow::Result<Self> {
        telegram.take(WAY, WAY);
        let files = tempfile::tempdir()?;
        let mut routes = serde_json::Map::new();
        for number in 0..CHATS {
            let mut to = json!({"id": chat(number)});
            if number % 4 == 3 {
                to["thread"] = TOPIC.into();
            }
            routes.insert(route(number), json!({"chats": [to]}));
        }
        let routes = json!({"routes": routes, "operators": {"id": 8}, "users": [USER.0]});
        let write = |name: &str, text: &str| -> anyhow::Result<String> {
            let path = files.path().join(name);
            std::fs::write(&path, text)?;
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o400))?;
            Ok(path.display().to_string())
        };
        let port = free_port();
        let mut args = vec![
            format!("--listen=127.0.0.1:{port}"),
            "--metrics-listen=127.0.0.1:0".to_owned(),
            format!("--routes-file={}", write("routes", &routes.to_string())?),
            format!("--bot-token-file={}", write("bot", BOT)?),
            format!("--tokens-file={}", write("tokens", TOKEN)?),
            format!("--bot-api={}", telegram.url()),
            "--call-timeout-ms=1000".to_owned(),
            "--lame-duck-ms=0".to_owned(),
        ];
        args.extend_from_slice(more);
        let mut rig = Self {
            telegram,
            port,
            args,
            process: None,
            files,
        };
        rig.up()?;
        Ok(rig)
    }

    /// Starts the process and waits until it is ready.
    pub(crate) fn up(&mut self) -> anyhow::Result<()> {
        let program = program()?.display().to_string();
        let log = self.files.path().join("log");
        self.process = Some(Child::start(&program, &self.args, &log)?);
        let port = self.port;
        until("a ready webhook", Duration::from_secs(40), || {
            Ok(super::traffic::status(port, "GET", "/readyz", "").unwrap_or(0) == 200)
        })
        .with_context(|| std::fs::read_to_string(&log).unwrap_or_default())
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill();
        }
    }

    /// Messages of a chat, wherever it moved to; each with its chat.
    pub(crate) fn shown(&self, chats: &[i64]) -> Vec<(i64, kedactl_testkit::TelegramMessage)> {
        let mut all = Vec::new();
        for &chat in chats {
            let messages = self.telegram.messages(chat);
            all.extend(messages.into_iter().map(|it| (chat, it)));
        }
        all
    }
}

/// The webhook beside this program.
fn program() -> anyhow::Result<PathBuf> {
    let bin = std::env::current_exe()?;
    let mut beside = ["webhook-under-test", "kedactl-webhook"]
        .iter()
        .map(|name| bin.with_file_name(name));
    let found = beside.find(|path| path.exists());
    found.context("no webhook is beside this program")
}

/// Waits until something holds, and says how long that took; an error after this time.
pub(crate) fn timed(
    what: &str,
    within: Duration,
    ready: impl FnMut() -> anyhow::Result<bool>,
) -> anyhow::Result<Duration> {
    let begin = Instant::now();
    until(what, within, ready)?;
    Ok(begin.elapsed())
}

/// A notification: alerts by their names and whether they fire, all of which speak of one state.
pub(crate) fn notification(group: &str, state: &str, alerts: &[(String, bool)]) -> Value {
    let alerts: Vec<Value> = alerts
        .iter()
        .map(|(name, firing)| {
            json!({
                "status": if *firing { "firing" } else { "resolved" },
                "labels": {"alertname": group, "n": name},
                "annotations": {"summary": state},
                "startsAt": "2999-01-01T00:00:00Z",
            })
        })
        .collect();
    json!({
        "version": "4", "groupKey": group, "receiver": "webhook",
        "groupLabels": {"alertname": group}, "commonLabels": {"alertname": group}, "alerts": alerts,
    })
}
