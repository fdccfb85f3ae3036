//! 12: whatever ends in the middle, what was answered 2xx is shown; twice at most once for each that was killed. The whole matrix
//! is the fault suite's (`cargo xtask faults webhook-kill`).

use crate::hook::{self, Hook, Program, routes};
use crate::{BOT, CHAT, TOKEN, WITHIN, group};
use kedactl_testkit::{
    Certificates, RedisOptions, RedisServer, Telegram, TelegramFault, until_async,
};
use serde_json::json;
use std::time::Duration;

const CHATS: i64 = 4;
const KILLS: usize = 6;

#[test]
fn r12_what_was_answered_2xx_is_shown_though_the_webhook_is_killed() {
    let (redis, telegram) = (
        RedisServer::start(&RedisOptions::default()),
        Telegram::start(BOT),
    );
    let files = tempfile::tempdir().unwrap();
    let chats: Vec<_> = (1..=CHATS).map(|chat| json!({"id": 100 + chat})).collect();
    let mut routes = routes();
    routes["routes"]["default"]["chats"] = chats.into();
    let args = hook::arguments(&files, redis.port(), &telegram.url(), &routes, &[]);
    let mut program = Program::start(args);
    let mut posted = 0;
    for kill in 0..KILLS {
        for _ in 0..4 {
            program.post(&group(&format!("G{posted}-"), &[("a", true)], 1));
            posted += 1;
        }
        // In the middle of a call whose message arrives, of one that is answered late, or between two.
        let chat = 101 + kill as i64 % CHATS;
        if kill % 3 == 0 {
            telegram.fail(chat, [TelegramFault::NoReply]);
        }
        let before = telegram.messages(chat).len();
        telegram.until("a call", chat, WITHIN, |shown| shown.len() > before);
        program = program.killed();
    }
    let mut duplicates = 0;
    for chat in 101..=100 + CHATS {
        let all = |n: usize| format!("<b>G{n}-</b>");
        let shown = telegram.until("everything", chat, 3 * WITHIN, |shown| {
            (0..posted).all(|n| shown.iter().any(|it| it.text.contains(&all(n))))
        });
        duplicates += shown.len() - posted;
    }
    // Calls to four chats may be under way when it is killed, and one is not answered.
    assert!(
        duplicates <= KILLS * CHATS as usize + KILLS / 3,
        "{duplicates}"
    );
    println!("{KILLS} kills, {posted} states to {CHATS} chats: 0 lost, {duplicates} duplicated");
    drop(program);
}

/// Each fault of the Bot API once; the message comes all the same, and at most twice.
#[tokio::test(flavor = "multi_thread")]
async fn r12_no_fault_of_the_bot_api_loses_a_message() {
    let hook = Hook::start().await;
    let faults = [
        TelegramFault::TooMany(1),
        TelegramFault::BadGateway,
        TelegramFault::HalfReply,
        TelegramFault::NoReply,
        TelegramFault::Closed,
        TelegramFault::Slow(Duration::from_millis(1500)),
        TelegramFault::Refuse(500, "Internal Server Error".to_owned()),
    ];
    for (n, fault) in faults.into_iter().enumerate() {
        hook.telegram.fail(CHAT, [fault.clone()]);
        let name = format!("Fault{n}");
        hook.post(&group(&name, &[("a", true)], 1)).await;
        let what = format!("{fault:?}");
        let shown = hook.telegram.until(&what, CHAT, WITHIN, |shown| {
            shown.iter().any(|it| it.text.contains(&name))
        });
        let count = shown.iter().filter(|it| it.text.contains(&name)).count();
        assert!(count <= 2, "{fault:?}: {count}");
    }
    hook.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r12_a_certificate_of_somebody_else_gets_nothing_and_loses_nothing() {
    let certificates = Certificates::make();
    let telegram = Telegram::start_secure(BOT, &certificates);
    let redis = RedisServer::start(&RedisOptions::default());
    let authority = format!("--bot-api-ca-file={}", certificates.ca().display());
    let hook = Hook::on(redis, telegram, &routes(), &[&authority]).await;
    hook.post(&group("Before", &[("a", true)], 1)).await;
    hook.telegram
        .until("it", CHAT, WITHIN, |shown| shown.len() == 1);
    hook.telegram.spoil_certificate(true);
    let calls = hook.telegram.sends().len();
    hook.post(&group("Meanwhile", &[("a", true)], 1)).await;
    until_async("a failed call", WITHIN, || async {
        hook.metric("kedactl_outbox_events_total{event=\"retried\"}")
            .await
            > 0
    })
    .await;
    assert_eq!(
        hook.telegram.sends().len(),
        calls,
        "it said something to a stranger"
    );
    hook.telegram.spoil_certificate(false);
    hook.telegram
        .until("both", CHAT, WITHIN, |shown| shown.len() == 2);
    hook.stop().await;
}

/// The token is part of the address: no error, no log at its finest, and nothing in Redis has it.
#[tokio::test(flavor = "multi_thread")]
async fn r12_the_token_of_the_bot_is_nowhere() {
    let (redis, telegram) = (
        RedisServer::start(&RedisOptions::default()),
        Telegram::start(BOT),
    );
    let files = tempfile::tempdir().unwrap();
    let more = ["--log=trace", "--log-format=json"];
    let args = hook::arguments(&files, redis.port(), &telegram.url(), &routes(), &more);
    let program = Program::start(args);
    let faults = [
        TelegramFault::Closed,
        TelegramFault::NoReply,
        TelegramFault::BadGateway,
        TelegramFault::Slow(Duration::from_millis(1500)),
        TelegramFault::Refuse(401, "Unauthorized".to_owned()),
    ];
    telegram.fail(CHAT, faults);
    program.post(&group("A", &[("a", true)], 1));
    let calls = || async { telegram.sends().len() >= 4 };
    until_async("they fail", 2 * WITHIN, calls).await;
    telegram.down(true);
    program.post(&group("B", &[("a", true)], 1));
    // Closed at once, and nobody there.
    drop(telegram);
    until_async("nobody is there", 2 * WITHIN, || async {
        program.process.log().contains("cannot be reached")
    })
    .await;
    let kept = redis.command("KEYS *");
    let mut all = program.process.log() + &kept;
    for key in kept.lines().filter(|it| it.starts_with("ka:")) {
        for read in ["HGETALL", "GET", "ZRANGE 0 -1"] {
            let (verb, rest) = read.split_once(' ').unwrap_or((read, ""));
            all += &redis.command(&format!("{verb} {key} {rest}"));
        }
    }
    assert!(all.contains("the Bot API") && all.len() > 10_000, "{all}");
    let (number, secret) = BOT.split_once(':').unwrap();
    assert!(
        !all.contains(secret) && !all.contains(&format!("bot{number}")),
        "{all}"
    );
    assert!(!all.contains(TOKEN), "{all}");
}
