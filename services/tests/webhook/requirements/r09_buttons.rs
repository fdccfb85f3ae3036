//! 9: silences and acknowledgements by buttons, of those who may, once each, whatever ends in between.

use crate::hook::{self, Hook, Program, Replica, routes};
use crate::{BOT, CHAT, OPERATORS, WITHIN, group};
use kedactl_testkit::{
    Alertmanager, RedisOptions, RedisServer, Telegram, TelegramMessage, until, until_async,
};
use serde_json::{Value as Json, json};

const ANN: (i64, &str) = (501, "ann");
const BOB: (i64, &str) = (502, "bob");
/// Somebody who may not.
const EVE: (i64, &str) = (666, "eve");
const QUIET: &str = "route: {receiver: 'null'}\nreceivers: [{name: 'null'}]\n";

fn routes_with_users() -> Json {
    let mut routes = routes();
    routes["users"] = json!([ANN.0, BOB.0]);
    routes
}

async fn hook(alertmanager: &str) -> Hook {
    let at = format!("--alertmanager={alertmanager}");
    Hook::of(&routes_with_users(), &[&at]).await
}

/// Waits until the newest message of the chat has these words, and shows it.
fn shown(hook: &Hook, words: &str) -> TelegramMessage {
    let all = hook.telegram.until(words, CHAT, WITHIN, |shown| {
        shown.last().is_some_and(|it| it.text.contains(words))
    });
    all.last().unwrap().clone()
}

fn labels(message: &TelegramMessage) -> Vec<&str> {
    message.buttons.iter().map(|it| it.0.as_str()).collect()
}

/// Presses, and hears what is said to whoever did.
fn press(hook: &Hook, message: i64, label: &str, user: (i64, &str)) -> (String, bool) {
    let press = hook.telegram.press(CHAT, message, label, user);
    let answer = hook.telegram.until_answered(&press, WITHIN);
    (answer.text, answer.loud)
}

#[tokio::test(flavor = "multi_thread")]
async fn r09_a_silence_has_every_label_of_the_group_as_a_matcher_and_its_message_says_so() {
    let alertmanager = Alertmanager::start(QUIET);
    let hook = hook(&alertmanager.url()).await;
    let mut body = group("QueueIsOld", &[("a", true)], 1);
    body["groupLabels"] = json!({"alertname": "QueueIsOld", "namespace": "k\"e{d}a"});
    hook.post(&body).await;
    let message = shown(&hook, "QueueIsOld");
    assert_eq!(
        labels(&message),
        ["Silence 1h", "Silence 4h", "Silence 24h", "Ack"]
    );
    assert!(
        message
            .buttons
            .iter()
            .all(|it| it.1.len() <= 64 && !it.1.contains("Queue"))
    );

    let told = press(&hook, message.id, "Silence 4h", ANN);
    assert_eq!(told, ("Silenced for 4 h.".to_owned(), false));
    let marked = shown(&hook, "🔕 silenced until ");
    assert!(marked.text.contains(" UTC by @ann"), "{}", marked.text);
    assert_eq!((marked.id, labels(&marked).len()), (message.id, 4));
    let silences = alertmanager.silences();
    assert_eq!(silences.len(), 1, "{silences:?}");
    let silence = &silences[0];
    assert_eq!(
        (&silence["createdBy"], &silence["status"]["state"]),
        (&json!("@ann"), &json!("active"))
    );
    let matchers = silence["matchers"].as_array().unwrap();
    let pairs: Vec<_> = matchers
        .iter()
        .map(|it| {
            assert_eq!(
                (&it["isRegex"], &it["isEqual"]),
                (&json!(false), &json!(true))
            );
            (it["name"].as_str().unwrap(), it["value"].as_str().unwrap())
        })
        .collect();
    assert_eq!(
        pairs,
        [("alertname", "QueueIsOld"), ("namespace", "k\"e{d}a")]
    );
    let time = |name: &str| {
        silence[name]
            .as_str()
            .unwrap()
            .parse::<jiff::Timestamp>()
            .unwrap()
    };
    let lasts = time("endsAt").as_second() - time("startsAt").as_second();
    // Alertmanager begins it when it comes.
    assert!((4 * 3600 - 60..=4 * 3600).contains(&lasts), "{lasts}");
    assert_eq!(
        hook.metric("kedactl_webhook_presses_total{outcome=\"silenced\"}")
            .await,
        1
    );

    // The buttons go with the incident; what was done stays readable.
    body["alerts"][0]["status"] = "resolved".into();
    body["status"] = "resolved".into();
    hook.post(&body).await;
    let over = shown(&hook, "1 resolved");
    assert!(over.buttons.is_empty() && over.text.contains("silenced until"));
    hook.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r09_an_acknowledgement_ends_with_the_next_alert_of_the_group() {
    let hook = Hook::of(&routes_with_users(), &[]).await;
    hook.post(&group("A", &[("a", true)], 1)).await;
    let message = shown(&hook, "1 firing");
    // Nobody keeps silences: there is no button for them.
    assert_eq!(labels(&message), ["Ack"]);
    assert_eq!(
        press(&hook, message.id, "Ack", BOB),
        ("Acknowledged.".to_owned(), false)
    );
    shown(&hook, "👀 acknowledged by @bob");
    hook.post(&group("A", &[("a", true), ("b", true)], 1)).await;
    let more = shown(&hook, "2 firing");
    assert!(!more.text.contains("acknowledged"), "{}", more.text);
    assert_eq!((more.id, labels(&more)), (message.id, vec!["Ack"]));
    hook.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r09_who_may_not_press_is_told_so_and_nothing_happens() {
    let alertmanager = Alertmanager::start(QUIET);
    let mut hook = hook(&alertmanager.url()).await;
    hook.post(&group("A", &[("a", true)], 1)).await;
    let message = shown(&hook, "1 firing");
    let (words, loud) = press(&hook, message.id, "Silence 1h", EVE);
    assert!(
        loud && words.contains("You may not press this: 666"),
        "{words}"
    );
    // What a changed client makes up.
    for data in ["", "s1:made-up", "s9999:x", "\u{0}"] {
        let made_up = hook.telegram.press_data(CHAT, message.id, data, ANN);
        let answer = hook.telegram.until_answered(&made_up, WITHIN);
        assert!(answer.loud, "{answer:?}");
    }
    assert_eq!(alertmanager.silences(), Vec::<Json>::new());
    // Without a list nobody may, and is told where the list would be.
    hook.again(&routes()).await;
    let (words, _) = press(&hook, message.id, "Ack", ANN);
    assert!(
        words.contains("the file of routes has no `users`") && words.contains("501"),
        "{words}"
    );
    assert_eq!(shown(&hook, "1 firing"), message);
    hook.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r09_an_alertmanager_that_is_away_is_told_to_whoever_pressed() {
    let mut alertmanager = Alertmanager::start(QUIET);
    let hook = hook(&alertmanager.url()).await;
    hook.post(&group("A", &[("a", true)], 1)).await;
    let message = shown(&hook, "1 firing");
    alertmanager.kill();
    let (words, loud) = press(&hook, message.id, "Silence 1h", ANN);
    assert_eq!(
        (words.as_str(), loud),
        ("Not silenced: Alertmanager cannot be reached", true)
    );
    // Nobody has to have seen that window: the message says it too.
    shown(
        &hook,
        "⚠️ @ann wanted a silence of 1 h: Alertmanager cannot be reached",
    );
    alertmanager.restart();
    let (words, _) = press(&hook, message.id, "Silence 1h", ANN);
    assert_eq!(words, "Silenced for 1 h.");
    let healed = shown(&hook, "silenced until");
    assert!(
        !healed.text.contains("cannot be reached"),
        "{}",
        healed.text
    );
    alertmanager.freeze(true);
    let (words, _) = press(&hook, message.id, "Silence 24h", BOB);
    assert_eq!(words, "Not silenced: Alertmanager does not answer");
    alertmanager.freeze(false);
    // A group without a label would be a silence of everything.
    let mut bare = group("B", &[("a", true)], 1);
    (bare["groupLabels"], bare["commonLabels"]) = (json!({}), json!({}));
    hook.post(&bare).await;
    let bare = hook
        .telegram
        .until("both", CHAT, WITHIN, |shown| shown.len() == 2);
    let (words, _) = press(&hook, bare[1].id, "Silence 1h", ANN);
    assert_eq!(words, "Not silenced: its alerts have no label in common");
    hook.stop().await;
}

/// Alertmanager tells nobody what ends in a silence: when it is over, it is asked.
#[tokio::test(flavor = "multi_thread")]
async fn r09_what_ended_in_a_silence_is_shown_after_it() {
    let alertmanager = Alertmanager::start(QUIET);
    let hook = hook(&alertmanager.url()).await;
    let silenced = |name: &str| {
        let message = shown(&hook, name);
        press(&hook, message.id, "Silence 1h", ANN);
        shown(&hook, "silenced until");
        // An hour passes.
        let all = hook.redis.command("ZRANGE ka:{outbox}:silences 0 -1");
        let group = all
            .lines()
            .find(|it| it.len() > 20)
            .unwrap()
            .trim()
            .to_owned();
        hook.redis
            .command(&format!("ZADD ka:{{outbox}}:silences 1 {group}"));
        message.id
    };
    hook.post(&group("Over", &[("a", true)], 1)).await;
    silenced("Over");
    let over = shown(&hook, "over, nobody said when");
    assert!(
        over.text.contains("1 resolved") && over.text.contains("by @ann"),
        "{}",
        over.text
    );
    assert!(over.buttons.is_empty());

    alertmanager.alert(&[("alertname", "GoesOn"), ("pod", "a")], "", "");
    hook.post(&group("GoesOn", &[("a", true)], 1)).await;
    let message = silenced("GoesOn");
    let shown = hook
        .telegram
        .until("no silence any more", CHAT, WITHIN, |shown| {
            shown[1].edits == 2 && !shown[1].text.contains("silenced")
        });
    assert!(shown[1].text.contains("1 firing") && shown[1].buttons.len() == 4);
    assert_eq!(shown[1].id, message);
    hook.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r09_of_two_replicas_one_asks_for_presses_and_the_other_takes_over() {
    let mut hook = hook("http://127.0.0.1:1").await;
    let polls = async |it: &Replica| it.metric("kedactl_webhook_polling").await == 1;
    until_async("the first asks", WITHIN, || polls(&hook)).await;
    let other = hook.beside().await;
    hook.post(&group("A", &[("a", true)], 1)).await;
    let message = shown(&hook, "1 firing");
    press(&hook, message.id, "Ack", ANN);
    assert!(polls(&hook).await && !polls(&other).await);
    hook.leave().await;
    press(&hook, message.id, "Ack", BOB);
    assert!(polls(&other).await);
    let conflicts = hook
        .telegram
        .calls()
        .into_iter()
        .filter(|it| it.status == 409);
    assert_eq!(conflicts.collect::<Vec<_>>(), []);
    other.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r09_somebody_else_who_asks_for_presses_is_told_to_the_operators() {
    let hook = hook("http://127.0.0.1:1").await;
    let other = reqwest::Client::builder().build().unwrap();
    let address = format!("{}/bot{BOT}/getUpdates", hook.telegram.url());
    until_async("they meet", WITHIN, || async {
        let asked = other.post(&address).json(&json!({"timeout": 0})).send();
        asked.await.unwrap();
        hook.telegram.calls().iter().any(|it| it.status == 409)
    })
    .await;
    hook.telegram.until("a word", OPERATORS, WITHIN, |shown| {
        shown
            .iter()
            .any(|it| it.text.contains("somebody else asks for this bot"))
    });
    hook.stop().await;
}

#[test]
fn r09_a_press_is_acted_upon_once_though_the_webhook_is_killed_in_the_middle_of_it() {
    let alertmanager = Alertmanager::start(QUIET);
    let (redis, telegram) = (
        RedisServer::start(&RedisOptions::default()),
        Telegram::start(BOT),
    );
    let files = tempfile::tempdir().unwrap();
    let at = format!("--alertmanager={}", alertmanager.url());
    let routes = routes_with_users();
    let args = hook::arguments(&files, redis.port(), &telegram.url(), &routes, &[&at]);
    let mut program = Program::start(args);
    program.post(&group("A", &[("a", true)], 1));
    let message = telegram
        .until("it", CHAT, WITHIN, |shown| shown.len() == 1)
        .remove(0);
    // It is frozen with the wish for a silence in its ear.
    alertmanager.freeze(true);
    let press = telegram.press(CHAT, message.id, "Silence 1h", ANN);
    until("it begins", WITHIN, || {
        redis.command("KEYS *:pressing").contains("pressing")
    });
    program = program.killed();
    alertmanager.freeze(false);
    // The lease of the killed one has to end first.
    let answer = telegram.until_answered(&press, 2 * WITHIN);
    assert_eq!(answer.text, "Silenced for 1 h.");
    telegram.until("the mark", CHAT, WITHIN, |shown| {
        shown[0].text.contains("by @ann")
    });
    assert_eq!(
        alertmanager.silences().len(),
        1,
        "{:?}",
        alertmanager.silences()
    );
    // Nor is it acted upon by the next one.
    program = program.killed();
    let again = telegram.press(CHAT, message.id, "Ack", BOB);
    telegram.until_answered(&again, 2 * WITHIN);
    assert_eq!(alertmanager.silences().len(), 1);
    drop(program);
}
