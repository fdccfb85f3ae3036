//! When KEDA polled a `ScaledObject`, as its status and its target tell, and when it must have without a trace.
//!
//! Must not predict.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value as Json;

use super::parse::time;
use super::report::Change;
use super::syncs::{LAG, NEAR, SKEW};
use super::timeline::Timeline;
use crate::api::ScaledObject;
use crate::keda::KedaState;
use crate::time::Timestamp;

/// From the first question to a trigger to the time that a poll notes, at most: 0.7 s.
const ASKING: i64 = 700_000;

/// One poll.
#[derive(Clone, Debug)]
pub(super) struct Poll {
    /// When its first trace was seen.
    pub(super) at: Timestamp,
    /// When its last trace was seen.
    pub(super) end: Timestamp,
    /// Whether it left a trace.
    pub(super) seen: bool,
    /// It looked at the world somewhere between these two.
    pub(super) looked: (Timestamp, Timestamp),
    /// Most likely between these.
    pub(super) near: (Timestamp, Timestamp),
    /// The size that it wrote, and the one before.
    pub(super) wrote: Option<(i32, i32)>,
}

/// Returns the polls of an object until `end`; `written` are the sizes that the operator wrote to its target.
pub(super) fn polls(
    line: &Timeline<Option<Arc<ScaledObject>>>,
    written: &[Change],
    end: Timestamp,
) -> Vec<Poll> {
    let mut seen = told(line);
    for change in written {
        // A poll writes the size first and its status then, in one go.
        let near = interval(line, change.at).min(LAG);
        let own = seen.iter_mut().find(|poll| {
            poll.wrote.is_none()
                && (-SKEW..near).contains(&(poll.at.as_micros() - change.at.as_micros()))
        });
        let wrote = Some((change.from, change.to));
        match own {
            Some(poll) => {
                poll.wrote = wrote;
                poll.at = poll.at.min(change.at);
                poll.looked.1 = poll.looked.1.min(change.at).max(poll.looked.0);
                poll.near.1 = poll.near.1.min(change.at).max(poll.near.0);
            }
            None => seen.push(Poll {
                at: change.at,
                end: change.at,
                seen: true,
                looked: (change.at.plus_micros(-LAG), change.at),
                near: (change.at.plus_micros(-NEAR), change.at),
                wrote,
            }),
        }
    }
    seen.sort_by_key(|poll| poll.at);
    let mut all = Vec::new();
    for (index, poll) in seen.iter().enumerate() {
        let mut poll = poll.clone();
        // One poll follows the other.
        if let Some(before) = index.checked_sub(1).and_then(|it| seen.get(it)) {
            poll.looked.0 = poll.looked.0.max(before.end).min(poll.looked.1);
            poll.near.0 = poll.near.0.max(before.end).min(poll.near.1);
        }
        all.push(poll.clone());
        let next = seen.get(index + 1);
        let until = next.map_or(end, |next| next.at);
        all.extend(unseen(line, poll.at, until, next.is_some()));
    }
    all
}

/// The polls that changed the object's status; each does so at most once.
fn told(line: &Timeline<Option<Arc<ScaledObject>>>) -> Vec<Poll> {
    let mut told = Vec::new();
    for pair in line.all().windows(2) {
        let [(_, Some(before)), (at, Some(after))] = pair else {
            continue;
        };
        let (before, after) = (Seen::of(before), Seen::of(after));
        // Conditions that a reconcile sets have other reasons.
        if before == after || !after.reason.starts_with("Scaler") {
            continue;
        }
        let mut looked = (at.plus_micros(-LAG), *at);
        let mut near = (at.plus_micros(-NEAR), *at);
        if let Some(second) = after.last_active
            && before.last_active != after.last_active
        {
            // It tells its second: the triggers were asked just before.
            looked.0 = looked.0.max(second.plus_micros(-ASKING));
            looked.1 = looked.1.min(second.plus_secs(1)).max(looked.0);
            near = (
                near.0.clamp(looked.0, looked.1),
                near.1.clamp(looked.0, looked.1),
            );
        }
        told.push(Poll {
            at: *at,
            end: *at,
            seen: true,
            looked,
            near,
            wrote: None,
        });
    }
    told
}

/// What a poll leaves in an object's status.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) last_active: Option<Timestamp>,
    /// Status of the condition Active.
    pub(super) active: Option<bool>,
    /// Its reason.
    pub(super) reason: String,
    triggers: Option<Json>,
}

impl Seen {
    pub(super) fn of(object: &ScaledObject) -> Self {
        let Some(status) = &object.status else {
            return Self::default();
        };
        let conditions = status.get("conditions").and_then(Json::as_array);
        let active = conditions
            .into_iter()
            .flatten()
            .find(|it| it["type"] == "Active");
        let text = |key: &str| active.and_then(|it| it.get(key)?.as_str());
        Self {
            last_active: status
                .get("lastActiveTime")
                .and_then(Json::as_str)
                .and_then(time),
            active: text("status").and_then(|status| match status {
                "True" => Some(true),
                "False" => Some(false),
                _ => None,
            }),
            reason: text("reason").unwrap_or_default().to_owned(),
            triggers: status.get("triggersActivity").cloned(),
        }
    }
}

/// What the operator reads back from an object's status.
pub(super) fn state(object: &ScaledObject) -> KedaState {
    let health = object.status.as_ref().and_then(|it| it.get("health"));
    let health = health.and_then(Json::as_object).into_iter().flatten();
    let failures = health.filter_map(|(metric, it)| {
        let failures = it.get("numberOfFailures")?.as_i64()?;
        Some((metric.clone(), i32::try_from(failures).ok()?))
    });
    KedaState {
        last_active: Seen::of(object).last_active,
        failures: failures.collect(),
        observed: BTreeMap::new(),
    }
}

/// The polling interval in microseconds.
fn interval(line: &Timeline<Option<Arc<ScaledObject>>>, at: Timestamp) -> i64 {
    let object = line.at(at).and_then(Option::as_ref);
    let seconds = object.map_or(crate::api::DEFAULT_POLLING_INTERVAL, |it| {
        it.spec.polling_interval()
    });
    i64::from(seconds.max(1)) * 1_000_000
}

/// The polls between two times that left no trace. A changed object starts its loop anew, so that nobody knows the
/// rhythm between the change and the next trace.
fn unseen(
    line: &Timeline<Option<Arc<ScaledObject>>>,
    from: Timestamp,
    until: Timestamp,
    seen_at_end: bool,
) -> Vec<Poll> {
    let interval = interval(line, from);
    let first = line.at(from).and_then(Option::as_ref);
    let generation = |it: &Arc<ScaledObject>| it.metadata.generation;
    let changed = line.all().iter().find(|(at, version)| {
        *at > from && *at <= until && version.as_ref().map(generation) != first.map(generation)
    });
    let until_change = changed.map_or(until, |(at, _)| *at);
    let exact = seen_at_end && changed.is_none();
    let gap = until_change.as_micros() - from.as_micros();
    let (rounds, step) = if exact {
        let rounds = (gap + interval / 2) / interval;
        (rounds, gap / rounds.max(1))
    } else {
        (gap / interval + 1, interval)
    };
    let poll = |round: i64| {
        let at = from.plus_micros(round * step);
        Poll {
            at,
            end: at,
            seen: false,
            looked: (at.plus_micros(-LAG).max(from), at.plus_micros(LAG / 2)),
            near: (at.plus_micros(-NEAR).max(from), at.plus_micros(NEAR / 2)),
            wrote: None,
        }
    };
    (1..rounds).map(poll).collect()
}
