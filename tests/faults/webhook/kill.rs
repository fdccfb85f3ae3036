//! `kill -9` of the webhook at random moments of accepting, storing, sending, editing and acknowledging.
//!
//! It must not wait for a moment: where it falls is chance, and what was under way is counted.

use std::collections::BTreeMap;
use std::time::Duration;

use kedactl_testkit::{RedisOptions, RedisServer, Telegram};
use tokio::time::Instant;

use super::rig::{BOT, CHATS, Rig, USER, chat};
use super::shown;
use super::traffic::{Ledger, Traffic};
use crate::prober::pause;
use crate::random::Random;
use crate::scenario::Verdict;
use crate::stack::until;

/// Kills of one count.
const TIMES: u32 = 20;

/// A press on `Ack`.
struct Press {
    id: String,
    /// Of the group, by its number in the chat's route.
    group: String,
    /// Alerts that fired when it was pressed, as far as the message said.
    alerts: u64,
}

pub(crate) fn run(name: &'static str, count: u32, seed: u64) -> anyhow::Result<Verdict> {
    let mut random = Random::new(seed ^ 0x5eed);
    let redis = RedisServer::start(&RedisOptions::default());
    let address = format!("--redis-addr=127.0.0.1:{}", redis.port());
    let mut rig = Rig::start(Telegram::start(BOT), &[address])?;
    let mut traffic = Traffic::start(rig.port, seed, Duration::from_millis(40));
    let (mut gaps, mut presses, mut under_way) = (Vec::new(), Vec::new(), BTreeMap::new());
    let kills = (count * TIMES) as usize;
    for _ in 0..kills {
        pause(Duration::from_millis(random.between(20, 1200)));
        press(&rig, &mut random, &mut presses);
        pause(Duration::from_millis(random.between(0, 60)));
        for method in rig.telegram.under_way() {
            *under_way.entry(method).or_insert(0_u32) += 1;
        }
        let at = Instant::now();
        rig.kill();
        rig.up()?;
        until("an accepted state", Duration::from_secs(40), || {
            Ok(traffic.gap(at).is_some())
        })?;
        gaps.push(traffic.gap(at).unwrap_or_default());
    }
    traffic.stop();
    let ledger = traffic.ledger();
    println!(
        "  under way when it was killed: {under_way:?}; posts without an answer: {}",
        ledger.cut
    );
    let mut audit = shown::audit(&rig, &ledger, &BTreeMap::new())?;
    let [answered, due, unseen] = acknowledged(&rig, &ledger, &presses);
    println!(
        "  presses: {}, answered: {answered}; acknowledgements to be seen: {due}, not seen: {unseen}",
        presses.len()
    );
    audit.lost += unseen as u64;
    gaps.sort();
    // One call of each of four senders may be under way: at most one a kill is what is promised over all of them.
    let ok = audit.lost == 0 && audit.acknowledged > 0 && audit.duplicated <= kills as u64;
    Ok(Verdict::of(name, kills, audit, gaps, ok))
}

/// Presses `Ack` under some message that has it.
fn press(rig: &Rig, random: &mut Random, presses: &mut Vec<Press>) {
    let chat = chat(random.between(0, CHATS as u64) as i64);
    let messages = rig.telegram.messages(chat);
    let button = |it: &kedactl_testkit::TelegramMessage| {
        it.buttons
            .iter()
            .find(|it| it.0 == "Ack")
            .map(|it| it.1.clone())
    };
    let pressed = messages.iter().rev().find_map(|it| Some((it, button(it)?)));
    let named = pressed.and_then(|(message, data)| {
        let group = message.text.split("<b>").nth(1)?.split("</b>").next()?;
        Some((message, data, group.to_owned()))
    });
    if let Some((message, data, group)) = named {
        presses.push(Press {
            id: rig.telegram.press_data(chat, message.id, &data, USER),
            alerts: alerts(&message.text),
            group,
        });
    }
}

/// How many alerts a message speaks of: all of them fire, or none.
fn alerts(text: &str) -> u64 {
    let line = text.lines().nth(1).unwrap_or_default();
    let number = line.split(' ').next().unwrap_or_default();
    number.parse().unwrap_or_default()
}

/// Presses that were answered; those of them that the last state of their group has to show, because no alert joined it since;
/// and those that it does not show.
fn acknowledged(rig: &Rig, ledger: &Ledger, presses: &[Press]) -> [usize; 3] {
    let answered = || {
        let answers = rig.telegram.answers();
        let told = |press: &&Press| answers.iter().any(|it| it.press == press.id);
        presses.iter().filter(told).count()
    };
    let mut told = answered();
    // Who pressed and could not be told before it was killed is not told: his message says it.
    drop(until(
        "every press is answered",
        Duration::from_secs(30),
        || {
            told = answered();
            Ok(told == presses.len())
        },
    ));
    let answers = rig.telegram.answers();
    let granted = |press: &&Press| {
        let mut of = answers.iter().filter(|it| it.press == press.id);
        of.any(|it| it.text == "Acknowledged.")
    };
    let last = |press: &Press| {
        let (number, state) = ledger.groups.get(&press.group)?;
        let mark = format!("{state}<");
        let mut messages = rig.telegram.messages(chat(*number));
        // Of a message that came twice, the one that is its group's says it.
        messages.retain(|it| it.text.contains(&mark));
        let same = messages
            .first()
            .is_some_and(|it| alerts(&it.text) == press.alerts);
        same.then_some(messages)
    };
    let seen = |press: &&Press| {
        let shown = last(press).unwrap_or_default();
        shown
            .iter()
            .any(|it| it.text.contains("acknowledged by @ann"))
    };
    let due = |press: &&Press| last(press).is_some();
    let due: Vec<&Press> = presses.iter().filter(granted).filter(due).collect();
    let unseen = || due.iter().filter(|it| !seen(it)).count();
    let mut left = unseen();
    drop(until(
        "every acknowledgement is shown",
        Duration::from_secs(40),
        || {
            left = unseen();
            Ok(left == 0)
        },
    ));
    [told, due.len(), left]
}
