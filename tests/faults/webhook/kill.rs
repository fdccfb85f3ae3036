//! `kill -9` of the webhook at random moments of accepting, storing, sending, editing and acknowledging.
//!
//! It must not wait for a moment: where it falls is chance, and what was under way is counted.

use std::collections::BTreeMap;
use std::time::Duration;

use kedactl_testkit::{RedisOptions, RedisServer, Telegram};
use tokio::time::Instant;

use super::rig::{BOT, CHATS, Rig, USER, chat};
use super::shown;
use super::traffic::Traffic;
use crate::prober::pause;
use crate::random::Random;
use crate::scenario::Verdict;
use crate::stack::until;

/// Kills of one count.
const TIMES: u32 = 20;

/// A press on `Ack`, and the state that its message showed.
struct Press {
    id: String,
    chat: i64,
    text: String,
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
    let (answered, unseen) = acknowledged(&rig, &presses)?;
    println!(
        "  presses: {}, answered: {answered}, not to be seen: {unseen}",
        presses.len()
    );
    audit.lost += unseen;
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
    if let Some((message, data)) = pressed {
        presses.push(Press {
            id: rig.telegram.press_data(chat, message.id, &data, USER),
            chat,
            text: state(&message.text),
        });
    }
}

/// What a message says of its alerts, without what people did about them.
fn state(text: &str) -> String {
    let lines = text.lines().filter(|it| !it.contains("acknowledged by"));
    lines
        .filter(|it| !it.is_empty())
        .collect::<Vec<_>>()
        .join("\n")
}

/// Presses that were answered, and those of them whose message does not say so though its state is the same.
fn acknowledged(rig: &Rig, presses: &[Press]) -> anyhow::Result<(usize, u64)> {
    // The last ones wait for the next poller.
    let done = |answers: &[kedactl_testkit::TelegramAnswer], press: &Press| {
        answers.iter().any(|it| it.press == press.id)
    };
    let answered = || {
        let answers = rig.telegram.answers();
        presses.iter().filter(|it| done(&answers, it)).count()
    };
    let mut before = answered();
    // Somebody who pressed and was killed before he could be told is not told: his message says it.
    drop(until(
        "every press is answered",
        Duration::from_secs(40),
        || {
            before = answered();
            Ok(before == presses.len())
        },
    ));
    let answers = rig.telegram.answers();
    let granted = |press: &&Press| {
        let mut of = answers.iter().filter(|it| it.press == press.id);
        of.any(|it| it.text == "Acknowledged.")
    };
    // Of a message that came twice, the one that is its group's says so.
    let unseen = |press: &&Press| {
        let messages = rig.telegram.messages(press.chat);
        let mut same = messages
            .iter()
            .filter(|it| state(&it.text) == press.text)
            .peekable();
        same.peek().is_some() && !same.any(|it| it.text.contains("acknowledged by @ann"))
    };
    let mut left = presses.iter().filter(granted).filter(unseen).count();
    drop(until(
        "every acknowledgement is shown",
        Duration::from_secs(40),
        || {
            left = presses.iter().filter(granted).filter(unseen).count();
            Ok(left == 0)
        },
    ));
    Ok((before, left as u64))
}
