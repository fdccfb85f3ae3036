//! The names that a template may use, and their values.
//! Must not leave a name out because an alert does not have it: only labels and annotations by name may be missing.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use crate::{Alert, Labels, Notification, Status};

/// A name with its value, for lists.
#[derive(Debug, Serialize)]
pub(super) struct Pair<'n> {
    name: &'n str,
    value: &'n str,
}

/// What the head and the foot are told.
#[derive(Debug, Serialize)]
pub(super) struct Group<'n> {
    firing: bool,
    resolved: bool,
    /// Of alerts.
    firing_count: usize,
    resolved_count: usize,
    total: usize,
    /// Alerts that Alertmanager left out.
    truncated: u64,
    /// The alert's name where all have the same, else the group's labels, else the receiver.
    title: String,
    severity: &'n str,
    receiver: &'n str,
    route: &'n str,
    reason: &'n str,
    /// Labels that all have, without the name of the alert and the severity.
    shared: Vec<Pair<'n>>,
    labels: &'n Labels,
    annotations: &'n Labels,
    /// Alertmanager's page of this group; empty where it does not say where it is.
    url: String,
}

/// What an alert's block is told.
#[derive(Debug, Serialize)]
pub(super) struct One<'n> {
    firing: bool,
    resolved: bool,
    name: &'n str,
    severity: &'n str,
    /// Its annotation `summary`, else its name.
    heading: &'n str,
    /// Its annotation `description`, else `message`.
    description: &'n str,
    runbook: &'n str,
    /// Labels that not all alerts of the group have.
    own: Vec<Pair<'n>>,
    labels: &'n Labels,
    annotations: &'n Labels,
    since: String,
    until: String,
    /// `3 m`; empty while it fires.
    lasted: String,
    url: &'n str,
    fingerprint: &'n str,
    group: &'n Group<'n>,
}

/// Labels that a message says otherwise.
const SAID: [&str; 2] = ["alertname", "severity"];

impl<'n> Group<'n> {
    pub(super) fn of(route: &'n str, notification: &'n Notification) -> Self {
        let label = |name: &str| {
            let labels = [&notification.common_labels, &notification.group_labels];
            let found = labels.into_iter().find_map(|it| it.get(name));
            found.map_or("", String::as_str)
        };
        let title = match label("alertname") {
            "" if notification.group_labels.is_empty() => notification.receiver.clone(),
            "" => written(&notification.group_labels),
            name => name.to_owned(),
        };
        let firing = notification.status == Status::Firing;
        Self {
            firing,
            resolved: !firing,
            firing_count: notification.count(Status::Firing),
            resolved_count: notification.count(Status::Resolved),
            total: notification.alerts.len(),
            truncated: notification.truncated,
            title,
            severity: label("severity"),
            receiver: &notification.receiver,
            route,
            reason: &notification.reason,
            shared: pairs(&notification.common_labels, |name| !SAID.contains(&name)),
            labels: &notification.common_labels,
            annotations: &notification.common_annotations,
            url: page(notification),
        }
    }
}

impl Group<'_> {
    /// Alertmanager's page of this group; empty where it does not say where it is.
    pub(super) fn page(&self) -> &str {
        &self.url
    }
}

impl<'n> One<'n> {
    pub(super) fn of(
        alert: &'n Alert,
        notification: &'n Notification,
        group: &'n Group<'n>,
    ) -> Self {
        let firing = alert.status == Status::Firing;
        let name = alert.label("alertname");
        let first = |names: &[&str]| {
            let texts = names.iter().map(|name| alert.annotation(name));
            texts
                .into_iter()
                .find(|it| !it.is_empty())
                .unwrap_or_default()
        };
        let (start, end) = (time(&alert.starts_at), time(&alert.ends_at));
        Self {
            firing,
            resolved: !firing,
            name,
            severity: alert.label("severity"),
            heading: match first(&["summary"]) {
                "" => name,
                summary => summary,
            },
            description: first(&["description", "message"]),
            runbook: first(&["runbook_url", "runbook"]),
            own: pairs(&alert.labels, |name| {
                !SAID.contains(&name) && !notification.common_labels.contains_key(name)
            }),
            labels: &alert.labels,
            annotations: &alert.annotations,
            since: start.map(shown).unwrap_or_default(),
            until: end.map(shown).unwrap_or_default(),
            lasted: match (start, end) {
                (Some(start), Some(end)) => lasted(end.as_second() - start.as_second()),
                _ => String::new(),
            },
            url: &alert.generator_url,
            fingerprint: &alert.fingerprint,
            group,
        }
    }
}

fn pairs(labels: &Labels, wanted: impl Fn(&str) -> bool) -> Vec<Pair<'_>> {
    let labels = labels.iter().filter(|(name, _)| wanted(name));
    labels.map(|(name, value)| Pair { name, value }).collect()
}

/// `a=x b=y`.
fn written(labels: &BTreeMap<String, String>) -> String {
    let all: Vec<String> = labels
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    all.join(" ")
}

/// Alertmanager's list of alerts, filtered by the group's labels.
fn page(notification: &Notification) -> String {
    let base = notification.external_url.trim_end_matches('/');
    if base.is_empty() {
        return String::new();
    }
    let matchers = notification
        .group_labels
        .iter()
        .map(|(name, value)| format!("{name}={value:?}"));
    let matchers: Vec<String> = matchers.collect();
    if matchers.is_empty() {
        return format!("{base}/#/alerts");
    }
    let filter = encoded(&format!("{{{}}}", matchers.join(",")));
    format!("{base}/#/alerts?filter={filter}")
}

/// As it stands in an address.
fn encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

fn time(text: &str) -> Option<Timestamp> {
    text.parse().ok()
}

/// `2026-11-27 12:03:05 UTC`.
fn shown(at: Timestamp) -> String {
    let second = Timestamp::from_second(at.as_second()).unwrap_or(at);
    let text = second.to_string().replace('T', " ");
    text.replace('Z', " UTC")
}

/// `45 s`, `12 m`, `3 h 20 m`, `2 d 4 h`.
fn lasted(seconds: i64) -> String {
    let seconds = seconds.max(0);
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => format!("{minutes} m"),
        (0, hours, minutes) => format!("{hours} h {minutes} m"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_by_people() {
        let at = |text: &str| time(text).map(shown).unwrap_or_default();
        assert_eq!(at("2026-11-27T12:03:05.123456Z"), "2026-11-27 12:03:05 UTC");
        assert_eq!(at("2026-11-27T13:03:05+01:00"), "2026-11-27 12:03:05 UTC");
        assert_eq!(at("soon"), "");
        for (seconds, text) in [
            (-5, "0 s"),
            (59, "59 s"),
            (60, "1 m"),
            (3600, "1 h 0 m"),
            (93_600, "1 d 2 h"),
        ] {
            assert_eq!(lasted(seconds), text);
        }
    }

    #[test]
    fn the_page_is_alertmanagers_own_filter() {
        let body =
            br#"{"externalURL": "http://am:9093/", "groupLabels": {"a": "x y"}, "alerts": []}"#;
        let mut notification = Notification::read(body).unwrap();
        assert_eq!(
            page(&notification),
            "http://am:9093/#/alerts?filter=%7Ba%3D%22x%20y%22%7D"
        );
        notification.group_labels.clear();
        assert_eq!(page(&notification), "http://am:9093/#/alerts");
        notification.external_url.clear();
        assert_eq!(page(&notification), "");
    }
}
