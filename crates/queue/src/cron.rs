//! Cron entries: when they fire next, and what they enqueue.
//!
//! It must not read a clock; times are the server's and in UTC.

use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::envelope;
use crate::id::{TaskId, fixed_bits};
use crate::name::QueueName;
use crate::task::{InvalidTask, NewTask, Priority};

/// A task that the schedule makes again and again.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CronEntry {
    /// Unique within the queue: 1 to 128 of `A-Z a-z 0-9 _ - . : /`.
    pub name: String,
    pub schedule: Schedule,
    #[serde(rename = "type")]
    pub kind: String,
    pub payload: Box<RawValue>,
    #[serde(default)]
    pub priority: Priority,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_attempts: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    #[serde(default)]
    pub result_ttl_s: u32,
    /// Fires slots that were missed while no scheduler ran, one by one; otherwise they count as one.
    #[serde(default)]
    pub catch_up: bool,
}

impl CronEntry {
    /// Names the first field that cannot be taken.
    pub fn check(&self) -> Result<(), InvalidTask> {
        let fits = (1..=128).contains(&self.name.len());
        if !fits
            || !self
                .name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"_-.:/".contains(&b))
        {
            return Err(InvalidTask {
                field: "name",
                problem: "must be 1 to 128 characters of A-Z a-z 0-9 _ - . : /",
            });
        }
        self.task().check()
    }

    fn task(&self) -> NewTask {
        let mut task = NewTask::new(self.kind.clone(), self.payload.clone());
        task.priority = self.priority;
        task.max_attempts = self.max_attempts.unwrap_or(task.max_attempts);
        task.timeout_ms = self.timeout_ms;
        task.result_ttl_s = self.result_ttl_s;
        task
    }

    /// The slot's task: its id depends on queue, name and slot only, so that a slot has one id whoever fires it.
    pub(crate) fn firing(&self, queue: &QueueName, slot_ms: u64) -> (TaskId, String) {
        let id = TaskId::from_parts(
            slot_ms,
            fixed_bits(&("cron", queue.as_str(), &self.name, slot_ms)),
        );
        (
            id,
            envelope::encode(&self.task(), slot_ms * 1000, &format!("cron:{}", self.name)),
        )
    }

    /// The slot after this one, given the server's time.
    pub(crate) fn following(&self, slot_ms: u64, now_ms: u64) -> Option<u64> {
        self.schedule.next(if self.catch_up {
            slot_ms
        } else {
            slot_ms.max(now_ms)
        })
    }
}

/// `@every 30s` (also ms, m, h, d), `@hourly`, `@daily`, `@weekly`, `@monthly`, or five cron fields in UTC:
/// minute, hour, day of month, month, day of week (0 or 7 is Sunday), each `*`, `a`, `a-b`, `*/n`, `a-b/n` or a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Schedule {
    text: String,
    rule: Rule,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Rule {
    EveryMs(u64),
    Fields(Fields),
}

/// One bit per allowed value.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Fields {
    minute: u64,
    hour: u64,
    day: u64,
    month: u64,
    weekday: u64,
    any_day: bool,
    any_weekday: bool,
}

/// A text that is no schedule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "schedule must be @every <time>, @hourly, @daily, @weekly, @monthly or five cron fields, not {0:?}"
)]
pub struct BadSchedule(pub String);

impl Schedule {
    /// The first slot after the given time, both in milliseconds since 1970; `None` if there is none within 8 years.
    pub fn next(&self, after_ms: u64) -> Option<u64> {
        match &self.rule {
            Rule::EveryMs(every) => Some((after_ms / every + 1) * every),
            Rule::Fields(fields) => fields.next(after_ms),
        }
    }
}

impl FromStr for Schedule {
    type Err = BadSchedule;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || BadSchedule(text.chars().take(80).collect());
        let rule = match text {
            "@hourly" => Rule::Fields(Fields::parse("0 * * * *").ok_or_else(bad)?),
            "@daily" => Rule::Fields(Fields::parse("0 0 * * *").ok_or_else(bad)?),
            "@weekly" => Rule::Fields(Fields::parse("0 0 * * 0").ok_or_else(bad)?),
            "@monthly" => Rule::Fields(Fields::parse("0 0 1 * *").ok_or_else(bad)?),
            other => match other.strip_prefix("@every ") {
                Some(time) => Rule::EveryMs(parse_time(time.trim()).ok_or_else(bad)?),
                None => Rule::Fields(Fields::parse(other).ok_or_else(bad)?),
            },
        };
        Ok(Self {
            text: text.to_owned(),
            rule,
        })
    }
}

impl TryFrom<String> for Schedule {
    type Error = BadSchedule;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Schedule> for String {
    fn from(schedule: Schedule) -> Self {
        schedule.text
    }
}

fn parse_time(text: &str) -> Option<u64> {
    let at = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(at);
    let unit_ms = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    number
        .parse::<u64>()
        .ok()?
        .checked_mul(unit_ms)
        .filter(|ms| (10..=366 * 86_400_000).contains(ms))
}

const DAY_MS: u64 = 86_400_000;

impl Fields {
    fn parse(text: &str) -> Option<Self> {
        let parts: Vec<&str> = text.split_ascii_whitespace().collect();
        let [minute, hour, day, month, weekday] = parts.as_slice() else {
            return None;
        };
        let mut weekdays = field(weekday, 0, 7)?;
        if weekdays & (1 << 7) != 0 {
            weekdays |= 1;
        }
        Some(Self {
            minute: field(minute, 0, 59)?,
            hour: field(hour, 0, 23)?,
            day: field(day, 1, 31)?,
            month: field(month, 1, 12)?,
            weekday: weekdays,
            any_day: day.starts_with('*'),
            any_weekday: weekday.starts_with('*'),
        })
    }

    fn next(&self, after_ms: u64) -> Option<u64> {
        let first = (after_ms / 60_000 + 1) * 60_000;
        let day = first / DAY_MS;
        // Eight years hold a 29 February, whatever the century.
        (day..day + 8 * 366).find_map(|d| {
            let from = if d == day {
                (first % DAY_MS) / 60_000
            } else {
                0
            };
            if !self.day_fits(d) {
                return None;
            }
            (from..1440)
                .find(|m| self.minute_fits(*m))
                .map(|m| d * DAY_MS + m * 60_000)
        })
    }

    fn minute_fits(&self, minute_of_day: u64) -> bool {
        has(self.hour, minute_of_day / 60) && has(self.minute, minute_of_day % 60)
    }

    /// As cron does: where both day fields are given, one of them is enough.
    fn day_fits(&self, day: u64) -> bool {
        let (month, day_of_month) = civil(day);
        let by_day = has(self.day, day_of_month);
        let by_weekday = has(self.weekday, (day + 4) % 7);
        let day_ok = if self.any_day || self.any_weekday {
            by_day && by_weekday
        } else {
            by_day || by_weekday
        };
        has(self.month, month) && day_ok
    }
}

fn has(bits: u64, value: u64) -> bool {
    bits & (1 << value) != 0
}

/// Month and day of month of a day counted from 1970-01-01 (the usual arithmetic on years that start in March).
fn civil(day: u64) -> (u64, u64) {
    let z = day + 719_468;
    let of_era = z % 146_097;
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let march_month = (5 * of_year + 2) / 153;
    let day_of_month = of_year - (153 * march_month + 2) / 5 + 1;
    (
        if march_month < 10 {
            march_month + 3
        } else {
            march_month - 9
        },
        day_of_month,
    )
}

fn field(text: &str, low: u64, high: u64) -> Option<u64> {
    let mut bits = 0;
    for part in text.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (
                range,
                step.parse::<u64>()
                    .ok()
                    .filter(|s| (1..=high).contains(s))?,
            ),
            None => (part, 1),
        };
        let (from, to) = match range.split_once('-') {
            _ if range == "*" => (low, high),
            Some((from, to)) => (from.parse().ok()?, to.parse().ok()?),
            None => {
                let from: u64 = range.parse().ok()?;
                (from, if part.contains('/') { high } else { from })
            }
        };
        if from < low || to > high || from > to {
            return None;
        }
        bits |= (from..=to)
            .step_by(step as usize)
            .fold(0, |b, v| b | (1 << v));
    }
    Some(bits)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn next(schedule: &str, after_ms: u64) -> Option<u64> {
        schedule.parse::<Schedule>().unwrap().next(after_ms)
    }

    /// 2024-02-28T23:59:30Z.
    const BEFORE_LEAP_DAY: u64 = 1_709_164_770_000;

    #[test]
    fn fields_follow_the_calendar() {
        let midnight = 1_709_164_800_000;
        assert_eq!(next("* * * * *", BEFORE_LEAP_DAY), Some(midnight));
        assert_eq!(
            next("30 4 29 2 *", BEFORE_LEAP_DAY),
            Some(midnight + 16_200_000)
        );
        assert_eq!(next("0 0 29 2 *", midnight), Some(midnight + 1461 * DAY_MS));
        // 2024-02-29 is a Thursday.
        assert_eq!(next("0 0 * * 4", BEFORE_LEAP_DAY), Some(midnight));
        assert_eq!(
            next("0 0 * * 7", BEFORE_LEAP_DAY),
            Some(midnight + 3 * DAY_MS)
        );
        assert_eq!(next("0 0 13 * 5", BEFORE_LEAP_DAY), Some(midnight + DAY_MS));
        assert_eq!(
            next("*/15 3 * * *", midnight + 3 * 3_600_000),
            Some(midnight + 3 * 3_600_000 + 900_000)
        );
        assert_eq!(next("0 0 31 2 *", midnight), None);
        assert_eq!(next("@every 90s", 100_000), Some(180_000));
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [
            "",
            "* * * *",
            "60 * * * *",
            "* 24 * * *",
            "5-1 * * * *",
            "*/0 * * * *",
            "@every 1x",
            "@every 1ms",
            "a b c d e",
        ] {
            assert!(text.parse::<Schedule>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn the_next_slot_is_later_and_fits(minute in 0..60_u64, hour in 0..24_u64, after in 0..4_000_000_000_000_u64) {
            let slot = next(&format!("{minute} {hour} * * *"), after).unwrap();
            prop_assert!(slot > after && slot <= after + DAY_MS);
            prop_assert_eq!(slot % DAY_MS, (hour * 60 + minute) * 60_000);
        }

        #[test]
        fn any_text_is_refused_or_read(text in ".{0,40}") {
            if let Ok(schedule) = text.parse::<Schedule>() {
                prop_assert!(schedule.next(1_700_000_000_000).is_none_or(|n| n > 1_700_000_000_000));
            }
        }
    }
}
