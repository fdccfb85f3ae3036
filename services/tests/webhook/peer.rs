//! Alertmanager's own receiver for Telegram beside this webhook: the same alerts, the same Alertmanager, the same Bot API.
//!
//! It must not do anything to one that it does not do to the other.

use crate::hook::{self, Program, routes};
use crate::{BOT, CHAT, TOKEN};
use kedactl_outbox::{Outbox, OutboxOptions};
use kedactl_queue::{HostPort, Redis, RedisConfig};
use kedactl_testkit::{
    Alertmanager, RedisOptions, RedisServer, Telegram, TelegramCall, TelegramFault, free_port,
    until,
};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The chat of Alertmanager's own receiver.
const NATIVE: i64 = 70;
/// How long is looked at each fault.
const LOOKED: Duration = Duration::from_secs(30);
const WITHIN: Duration = Duration::from_mins(2);

struct Rig {
    telegram: Telegram,
    alertmanager: Alertmanager,
    program: Program,
    redis: RedisServer,
    _files: tempfile::TempDir,
}

/// What both did, in words; the native receiver's first.
type Row = (&'static str, String, String);

impl Rig {
    fn start() -> Self {
        let (redis, telegram) = (
            RedisServer::start(&RedisOptions::default()),
            Telegram::start(BOT),
        );
        let files = tempfile::tempdir().unwrap();
        let port = free_port();
        let listen = format!("--listen=127.0.0.1:{port}");
        let more = [listen.as_str(), "--log=info", "--call-timeout-ms=10000"];
        let args = hook::arguments(&files, redis.port(), &telegram.url(), &routes(), &more);
        let program = Program::start(args);
        let alertmanager = Alertmanager::start(&format!(
            "route:\n  receiver: nobody\n  group_by: [alertname]\n  group_wait: 1s\n  group_interval: 10s\n  repeat_interval: 1h\n  \
             routes:\n  - {{receiver: native, continue: true}}\n  - {{receiver: webhook}}\n\
             receivers:\n- name: nobody\n- name: native\n  telegram_configs:\n  - {{api_url: '{}', bot_token: '{BOT}', chat_id: {NATIVE}}}\n\
             - name: webhook\n  webhook_configs:\n  - url: http://127.0.0.1:{port}/v1/alerts/default\n    \
             http_config: {{authorization: {{type: Bearer, credentials: {TOKEN}}}}}\n",
            telegram.url()
        ));
        Self {
            telegram,
            alertmanager,
            program,
            redis,
            _files: files,
        }
    }

    fn fire(&self, name: &str, pod: &str) {
        self.alertmanager
            .alert(&[("alertname", name), ("pod", pod)], "", "");
    }

    /// An alert that ends now, and began as long ago.
    fn end(&self, name: &str, pod: &str, began: u64) {
        let labels = [("alertname", name), ("pod", pod)];
        self.alertmanager
            .alert(&labels, &rfc3339(began), &rfc3339(now()));
    }

    /// `kedactl alerts retry`, as an operator says it who has let the bot in again.
    fn let_in(&self) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let at = HostPort::new("127.0.0.1", self.redis.port());
            let redis = Redis::connect(RedisConfig::single(at)).await.unwrap();
            let outbox = Outbox::new(&redis, OutboxOptions::default());
            outbox.retry(None).await.unwrap();
        });
        until("it is shown", WITHIN, || self.shown(CHAT, "Kicked") > 0);
    }

    /// Calls to a chat from a moment on.
    fn calls(&self, chat: i64, from: usize) -> Vec<TelegramCall> {
        let calls = self.telegram.calls();
        calls
            .into_iter()
            .skip(from)
            .filter(|it| it.chat() == chat)
            .collect()
    }

    /// Messages of a chat that speak of something.
    fn shown(&self, chat: i64, words: &str) -> usize {
        let messages = self.telegram.messages(chat);
        messages.iter().filter(|it| it.text.contains(words)).count()
    }

    /// Attempts of both that ended with a status, and whether it is shown in the end.
    fn refused(&self, what: &'static str, name: &str, from: usize, status: u16) -> Row {
        let of = |chat: i64, at: i64| {
            let refused = self
                .calls(chat, from)
                .iter()
                .filter(|it| it.status == status)
                .count();
            let shown = if self.shown(at, name) > 0 {
                "shown"
            } else {
                "**not shown**"
            };
            format!("{refused} refused, {shown}")
        };
        (what, of(NATIVE, NATIVE), of(CHAT, CHAT))
    }
}

fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

fn rfc3339(second: u64) -> String {
    jiff::Timestamp::from_second(second as i64)
        .unwrap()
        .to_string()
}

/// So long is looked at: what is counted has no condition to wait for.
#[expect(clippy::disallowed_methods, reason = "attempts are counted for a time")]
fn look() {
    std::thread::sleep(LOOKED);
}

#[test]
#[ignore = "minutes; prints the table of docs/alerts.md"]
fn beside_alertmanagers_own_receiver() {
    let rig = Rig::start();
    let rows = [
        one_incident(&rig),
        too_many(&rig),
        too_long(&rig),
        outage(&rig),
        kicked(&rig),
        moved(&rig),
        token(&rig),
    ];
    println!("| | Alertmanager 0.25, `telegram_configs` | this webhook |\n|---|---|---|");
    for (what, native, ours) in &rows {
        println!("| {what} | {native} | {ours} |");
    }
}

/// An alert, a second one, the end of both.
fn one_incident(rig: &Rig) -> Row {
    let begin = now();
    rig.fire("Incident", "a");
    let shown = |chat: i64| rig.shown(chat, "Incident") > 0;
    until("it fires", WITHIN, || shown(NATIVE) && shown(CHAT));
    rig.fire("Incident", "b");
    until("the second", WITHIN, || {
        let messages = rig.telegram.messages(CHAT);
        messages.iter().any(|it| it.text.contains("2 firing"))
    });
    for pod in ["a", "b"] {
        rig.end("Incident", pod, begin);
    }
    until("the end", WITHIN, || {
        let messages = rig.telegram.messages(CHAT);
        rig.shown(NATIVE, "Resolved") > 0
            && messages.iter().any(|it| it.text.contains("2 resolved"))
    });
    let said = |chat: i64| {
        let messages = rig.telegram.messages(chat);
        let of: Vec<_> = messages
            .iter()
            .filter(|it| it.text.contains("Incident"))
            .collect();
        let edits: u32 = of.iter().map(|it| it.edits).sum();
        match of.len() {
            1 => format!("1 message, {edits} edits"),
            more => format!("{more} messages, {edits} edits"),
        }
    };
    (
        "an incident of two alerts and its end",
        said(NATIVE),
        said(CHAT),
    )
}

fn too_many(rig: &Rig) -> Row {
    let from = rig.telegram.calls().len();
    for chat in [NATIVE, CHAT] {
        rig.telegram.park(chat, 20);
    }
    rig.fire("TooMany", "a");
    look();
    rig.refused("429 with `retry_after: 20`, 30 s", "TooMany", from, 429)
}

fn too_long(rig: &Rig) -> Row {
    for n in 0..200 {
        rig.fire("TooLong", &format!("pod-{n}-with-a-name-of-a-usual-length"));
    }
    look();
    let said = |chat: i64| {
        let messages = rig.telegram.messages(chat);
        let of: Vec<_> = messages
            .iter()
            .filter(|it| it.text.contains("TooLong"))
            .collect();
        let Some(last) = of.last() else {
            return "**nothing arrives**".to_owned();
        };
        let shown = (0..200).filter(|n| last.text.contains(&format!("pod-{n}-")));
        let counted = if last.text.contains(" more)") {
            "the others are counted, with a link"
        } else {
            "**not a word of the others**"
        };
        format!("{} of 200 alerts, {counted}", shown.count())
    };
    (
        "more alerts than 4,096 characters hold",
        said(NATIVE),
        said(CHAT),
    )
}

fn moved(rig: &Rig) -> Row {
    let from = rig.telegram.calls().len();
    let (native, ours) = (-1070, -1007);
    rig.telegram.fail(NATIVE, [TelegramFault::Migrate(native)]);
    rig.telegram.fail(CHAT, [TelegramFault::Migrate(ours)]);
    rig.fire("Moved", "a");
    look();
    let said = |chat: i64, to: i64| {
        let refused = rig
            .calls(chat, from)
            .iter()
            .filter(|it| it.status == 400)
            .count();
        let shown = if rig.shown(to, "Moved") > 0 {
            "shown in the new chat"
        } else {
            "**not shown**"
        };
        format!("{refused} refused, {shown}")
    };
    (
        "the group becomes a supergroup, 30 s",
        said(NATIVE, native),
        said(CHAT, ours),
    )
}

fn kicked(rig: &Rig) -> Row {
    let from = rig.telegram.calls().len();
    let words = "Forbidden: bot was kicked from the supergroup chat";
    for chat in [NATIVE, CHAT] {
        rig.telegram.close(chat, Some((403, words)));
    }
    rig.fire("Kicked", "a");
    look();
    let refused = |chat: i64| {
        let calls = rig.calls(chat, from);
        calls
            .iter()
            .filter(|it| matches!(it.status, 400 | 403))
            .count()
    };
    let told = rig.shown(hook::OPERATORS, "kicked") > 0;
    let row = (
        "the bot is thrown out, 30 s",
        format!("{} refused, **nobody is told**", refused(NATIVE)),
        format!(
            "{} refused, the operators are {}told, it waits",
            refused(CHAT),
            if told { "" } else { "**not** " }
        ),
    );
    for chat in [NATIVE, CHAT] {
        rig.telegram.close(chat, None);
    }
    rig.let_in();
    row
}

/// Alerts that begin and end while the Bot API is away.
fn outage(rig: &Rig) -> Row {
    rig.telegram.down(true);
    let begin = now();
    for n in 0..5 {
        rig.fire(&format!("Outage{n}-"), "a");
    }
    look();
    for n in 0..5 {
        rig.end(&format!("Outage{n}-"), "a", begin);
    }
    look();
    rig.telegram.down(false);
    let count = |chat: i64| {
        (0..5)
            .filter(|n| rig.shown(chat, &format!("Outage{n}-")) > 0)
            .count()
    };
    let all = || count(CHAT) == 5;
    // Alertmanager's own has had its chance too.
    until("ours are shown", WITHIN, all);
    let said = |chat: i64| match count(chat) {
        5 => "5 of 5 shown afterwards".to_owned(),
        some => format!("**{some} of 5** shown afterwards"),
    };
    (
        "alerts that begin and end in an outage of Telegram",
        said(NATIVE),
        said(CHAT),
    )
}

/// The log of each, after everything above.
fn token(rig: &Rig) -> Row {
    let said = |log: &str| match log.lines().filter(|it| it.contains(BOT)).count() {
        0 => "never".to_owned(),
        lines => format!("**in {lines} lines**"),
    };
    (
        "the bot's token in the log",
        said(&rig.alertmanager.log()),
        said(&rig.program.process.log()),
    )
}
