//! What chats show at the end, held against what was answered 2xx.
//!
//! It must not count a state as shown that a later one of its group replaced before anybody could see it: that one counts.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::bail;

use super::rig::{Rig, chat};
use super::traffic::Ledger;
use crate::stack::Audit;

/// Longest time that it may take until everything is shown.
const SHOWN_WITHIN: Duration = Duration::from_mins(4);

/// Waits until the last state of every group is shown in its chat, or in what that became, then counts.
pub(crate) fn audit(
    rig: &Rig,
    ledger: &Ledger,
    moved: &BTreeMap<i64, i64>,
) -> anyhow::Result<Audit> {
    let missing = || missing(rig, ledger, moved);
    let mut lost = missing();
    // What is not shown in this time is lost to whoever waits for it.
    drop(crate::stack::until(
        "everything is shown",
        SHOWN_WITHIN,
        || {
            lost = missing();
            Ok(lost.is_empty())
        },
    ));
    if !lost.is_empty() {
        let some: Vec<&String> = lost.iter().take(5).collect();
        println!("  not shown: {some:?}");
    }
    if ledger.groups.is_empty() {
        bail!("nothing was posted");
    }
    Ok(Audit {
        acknowledged: ledger.acknowledged,
        lost: lost.len() as u64,
        duplicated: duplicates(rig, ledger, moved),
    })
}

fn places(number: i64, moved: &BTreeMap<i64, i64>) -> Vec<i64> {
    let mut places = vec![chat(number)];
    while let Some(to) = places.last().and_then(|it| moved.get(it)) {
        places.push(*to);
    }
    places
}

fn missing(rig: &Rig, ledger: &Ledger, moved: &BTreeMap<i64, i64>) -> Vec<String> {
    let mut texts = BTreeMap::new();
    let groups = ledger.groups.iter().filter(|(_, (number, state))| {
        let texts: &mut Vec<String> = texts.entry(*number).or_insert_with(|| {
            let shown = rig.shown(&places(*number, moved));
            shown.into_iter().map(|(_, it)| it.text).collect()
        });
        // The name of a state is the beginning of no other.
        let mark = format!("{state}<");
        !texts.iter().any(|text| text.contains(&mark))
    });
    groups.map(|(_, (_, state))| state.clone()).collect()
}

/// Messages of a group beyond its first in one chat.
fn duplicates(rig: &Rig, ledger: &Ledger, moved: &BTreeMap<i64, i64>) -> u64 {
    let mut count = 0;
    for (name, (number, _)) in &ledger.groups {
        let mark = format!("<b>{name}</b>");
        let mut chats = BTreeMap::<i64, u64>::new();
        for (chat, message) in rig.shown(&places(*number, moved)) {
            *chats.entry(chat).or_default() += u64::from(message.text.contains(&mark));
        }
        count += chats.values().map(|it| it.saturating_sub(1)).sum::<u64>();
    }
    count
}
