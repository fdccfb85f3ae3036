//! A fault on this machine, and what a chat is shown of it: real Prometheus and Alertmanager, our rules, the webhook.
//!
//! It must not test a rule's threshold: promtool does.

use crate::{context, kill, pids, status, until};
use kedactl_testkit::{Telegram, TelegramMessage};
use kedactl_tests::{Context, Outcome};
use rustix::process::Signal;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const BOT: &str = "12345:AAtheTokenOfATest";
const CHAT: i64 = -100_200;
const WITHIN: Duration = Duration::from_secs(90);

/// Everything as in a cluster, only sooner.
const SOON: &str = "monitoring:
  rules:
    holdSeconds: 5
    windowSeconds: 4
    queue: { ageSeconds: 3, stuckSeconds: 4 }
    tasks: { minimum: 5 }
  alerts: { groupWaitSeconds: 1, groupIntervalSeconds: 2 }
";

/// A monitored stack whose alerts come to a chat.
fn monitored(telegram: &Telegram) -> Context {
    let context = context();
    let token = context.write("token", BOT);
    std::fs::set_permissions(&token, std::fs::Permissions::from_mode(0o600)).unwrap();
    context.write("soon.yaml", SOON);
    up(&context, telegram, &[]);
    context
}

/// Brings it up, or to other values; returns Alertmanager's address, `127.0.0.1:9093`.
fn up(context: &Context, telegram: &Telegram, more: &[&str]) -> String {
    let program = concat!(
        "local.programs.webhook=",
        env!("CARGO_BIN_EXE_webhook-under-test")
    );
    let api = format!("webhook.botApi={}", telegram.url());
    let routes = format!("webhook.routes={{default: {{chats: [{{id: {CHAT}}}]}}}}");
    let fixed = [
        "-f",
        "soon.yaml",
        "--with",
        "monitoring",
        "--set",
        program,
        "--set",
        &api,
        "--set",
        &routes,
        "--set",
        "webhook.botTokenFile=token",
    ];
    let args: Vec<&str> = fixed.iter().chain(more).copied().collect();
    let up = context.up(&args).expect(0);
    let (_, after) = up
        .stdout
        .split_once("Alertmanager at http://")
        .unwrap_or_else(|| panic!("{up:?}"));
    after.split_whitespace().next().expect("it").to_owned()
}

fn submit(context: &Context, body: &str) {
    let mut stream = TcpStream::connect(status(context)["address"].as_str().unwrap()).unwrap();
    let length = body.len();
    write!(stream, "POST /v1/tasks HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");
}

/// The one message about an alert once it is as wanted.
#[expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "says how long a fault took to be told"
)]
fn told(
    telegram: &Telegram,
    alert: &str,
    what: &str,
    wanted: impl Fn(&TelegramMessage) -> bool,
) -> TelegramMessage {
    let since = Instant::now();
    let about = |shown: &[TelegramMessage]| {
        let all = shown.iter().filter(|it| it.text.contains(alert));
        all.cloned().collect::<Vec<_>>()
    };
    let shown = telegram.until(&format!("{alert} {what}"), CHAT, WITHIN, |shown| {
        about(shown).iter().any(&wanted)
    });
    println!("{alert} {what}: {:.1} s", since.elapsed().as_secs_f64());
    let messages = about(&shown);
    assert_eq!(messages.len(), 1, "one message: {messages:#?}");
    messages[0].clone()
}

fn fires(message: &TelegramMessage) -> bool {
    message.text.starts_with('🔥')
}

fn ended(message: &TelegramMessage) -> bool {
    message.text.starts_with('✅')
}

/// Says that it is over, also where a test fails.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn tasks_that_fail_are_one_message_until_they_do_not() {
    let telegram = Telegram::start(BOT);
    let context = monitored(&telegram);
    // They fail for as long as nobody is told.
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                submit(
                    &context,
                    r#"{"type":"fail","payload":{"times":9},"max_attempts":1}"#,
                );
            }
        });
        let _ends = Ends(&over);
        told(&telegram, "DeadLettersGrowing", "fires", fires);
    });
    let message = told(&telegram, "DeadLettersGrowing", "ends", ended);
    assert!(message.edits > 0, "{message:?}");
    // The way there, as an operator tries it.
    let tried = context.run(&["alerts", "test"]).expect(0);
    assert!(
        tried.stdout.contains("shown after") && tried.stdout.contains("-100200"),
        "{tried:?}"
    );
    // What was accepted is shown, and nothing waits.
    until("an empty outbox", || {
        let ls = context
            .run(&["alerts", "ls", "-o", "json"])
            .expect(0)
            .json();
        ls["groups"].as_array().is_some_and(Vec::is_empty)
            && ls["counts"]["accepted"].as_u64() > Some(0)
    });
}

#[test]
fn a_group_that_grows_is_an_edited_message() {
    let telegram = Telegram::start(BOT);
    let context = monitored(&telegram);
    // Nobody works on these queues.
    submit(&context, r#"{"type":"echo","payload":{},"queue":"mails"}"#);
    let first = told(&telegram, "QueueAgeHigh", "fires", |it| {
        it.text.contains("mails")
    });
    assert!(!first.text.contains("letters"), "{first:?}");
    submit(
        &context,
        r#"{"type":"echo","payload":{},"queue":"letters"}"#,
    );
    let both = told(&telegram, "QueueAgeHigh", "grows", |it| {
        it.text.contains("letters")
    });
    assert!(
        both.id == first.id && both.text.contains("mails"),
        "{both:?}"
    );
    for queue in ["mails", "letters"] {
        context.run(&["queue", "purge", queue, "--yes"]).check(0);
    }
    let last = told(&telegram, "QueueAgeHigh", "ends", ended);
    assert_eq!(last.id, first.id);
}

#[test]
fn workers_that_do_not_start_are_told_about() {
    let telegram = Telegram::start(BOT);
    let context = monitored(&telegram);
    context.write("broken.yaml", "worker: { extraArgs: [--no-such-flag] }\n");
    up(&context, &telegram, &["-f", "broken.yaml"]);
    submit(&context, r#"{"type":"echo","payload":{}}"#);
    told(&telegram, "WorkersMissing", "fires", fires);
    up(&context, &telegram, &[]);
    told(&telegram, "WorkersMissing", "ends", ended);
    // The way there stays whole where its ends are moved.
    for moved in ["webhook.port=8099", "namespace=tasks"] {
        up(&context, &telegram, &["--set", moved]);
        let tried = context.run(&["alerts", "test"]).expect(0);
        assert!(tried.stdout.contains("shown after"), "{moved}: {tried:?}");
    }
}

#[test]
fn a_test_that_is_broken_off_leaves_nothing_that_fires() {
    let telegram = Telegram::start(BOT);
    let context = monitored(&telegram);
    // Never shown: Alertmanager waits for more of the group.
    let alertmanager = up(
        &context,
        &telegram,
        &["--set", "monitoring.alerts.groupWaitSeconds=600"],
    );
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let test = context.spawn(&["alerts", "test"]);
        let pid = i64::from(test.id());
        until("the alert fires", || fires_in(&alertmanager));
        kill(pid, signal);
        let ended = Outcome::of(test);
        ended.check(code);
        assert!(ended.stderr.contains("the alert's end"), "{ended:?}");
        assert!(!fires_in(&alertmanager), "{ended:?}");
    }
}

/// Whether an alert of `kedactl alerts test` does.
fn fires_in(alertmanager: &str) -> bool {
    let mut stream = TcpStream::connect(alertmanager).unwrap();
    stream
        .write_all(b"GET /api/v2/alerts HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    answer.contains("KedactlTest-")
}

#[test]
fn a_master_that_stands_still_is_told_about() {
    let telegram = Telegram::start(BOT);
    let context = monitored(&telegram);
    let master = pids(&context, "redis-master")[0];
    kill(master, Signal::STOP);
    told(&telegram, "RedisReplicasMissing", "fires", fires);
    kill(master, Signal::CONT);
    told(&telegram, "RedisReplicasMissing", "ends", ended);
}
