//! One line of a vector file: `NAME key=value … => key=value …`.
//!
//! Must not know what the keys mean.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::str::FromStr;

use kedactl_autoscale::Timestamp;
use kedactl_autoscale::calculators::Tolerance;
use kedactl_autoscale::hpa::{Policy, PolicyType, Recommendation, Rules};

/// The instant at which every case happens: a whole second, far from zero.
pub(crate) const NOW: Timestamp = Timestamp::from_secs(1_000_000);

pub(crate) struct Case {
    pub(crate) name: String,
    given: BTreeMap<String, String>,
    wanted: BTreeMap<String, String>,
}

pub(crate) fn read(text: &str) -> Vec<Case> {
    text.lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(line)
        .collect()
}

fn line(text: &str) -> Case {
    let (given, wanted) = text.split_once(" => ").unwrap();
    let (name, given) = given.split_once(' ').unwrap();
    let pairs = |text: &str| {
        let pair = |pair: &str| {
            let (key, value) = pair.split_once('=').unwrap();
            (key.to_owned(), value.to_owned())
        };
        text.split_whitespace().map(pair).collect()
    };
    Case {
        name: name.to_owned(),
        given: pairs(given),
        wanted: pairs(wanted),
    }
}

impl Case {
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.given.get(key).map(String::as_str)
    }

    pub(crate) fn text(&self, key: &str) -> &str {
        self.get(key)
            .unwrap_or_else(|| panic!("{} has no {key}", self.name))
    }

    pub(crate) fn num<T: FromStr<Err: Debug>>(&self, key: &str) -> T {
        self.text(key).parse().unwrap()
    }

    pub(crate) fn list(&self, key: &str) -> Vec<&str> {
        match self.text(key) {
            "none" => Vec::new(),
            text => text.split(',').collect(),
        }
    }

    pub(crate) fn nums(&self, key: &str) -> Vec<i64> {
        self.list(key)
            .iter()
            .map(|text| text.parse().unwrap())
            .collect()
    }

    pub(crate) fn tolerance(&self) -> Tolerance {
        let Some(text) = self.get("tolerance") else {
            return Tolerance::both(0.1);
        };
        let (down, up) = text.split_once('/').unwrap();
        Tolerance {
            down: down.parse().unwrap(),
            up: up.parse().unwrap(),
        }
    }

    /// Remembered proposals, `replicas@seconds-from-now`.
    pub(crate) fn log(&self) -> Vec<Recommendation> {
        let entry = |text: &&str| {
            let (replicas, age) = text.split_once('@').unwrap();
            let at = NOW.plus_secs(age.parse().unwrap());
            Recommendation {
                replicas: replicas.parse().unwrap(),
                at,
            }
        };
        self.list("log").iter().map(entry).collect()
    }

    /// Policies of one direction, with no window; `def` keeps the defaults.
    pub(crate) fn rules(&self, key: &str, default: Rules) -> Rules {
        match self.get(key) {
            None | Some("def") => default,
            Some(text) => Rules {
                policies: text.split('+').map(policy).collect(),
                ..default
            },
        }
    }

    /// Compares one result with what the line wants.
    pub(crate) fn want(&self, key: &str, found: impl ToString + Copy) -> Result<(), String> {
        let (wanted, found) = (self.wanted[key].as_str(), found.to_string());
        if wanted == found || wanted == "any" {
            return Ok(());
        }
        Err(format!("{key} is {found}, wanted {wanted}"))
    }
}

fn policy(text: &str) -> Policy {
    let (value, period) = text[1..].split_once('/').unwrap();
    Policy {
        kind: if text.starts_with('P') {
            PolicyType::Pods
        } else {
            PolicyType::Percent
        },
        value: value.parse().unwrap(),
        period: period.parse().unwrap(),
    }
}
