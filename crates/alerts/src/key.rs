//! Whether a notification came before: what Alertmanager sends again, and what its peers send beside it, has one key.
//! Must not count the order of alerts, nor anything that changes from one attempt to the next.

use std::fmt;

use sha2::{Digest as _, Sha256};

use crate::Notification;

/// Stands for what a notification says to a route: 64 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key(String);

impl Key {
    /// The key of a notification that came by a route.
    pub fn of(route: &str, notification: &Notification) -> Self {
        let mut alerts: Vec<_> = notification
            .alerts
            .iter()
            .map(|it| (&it.fingerprint, &it.starts_at, it.status))
            .collect();
        alerts.sort_unstable();
        alerts.dedup();
        let said = (
            route,
            &notification.group_key,
            notification.status,
            alerts,
            &notification.reason,
        );
        // The form of Debug writes lengths apart by quotes: no two of these are written alike.
        Self(hex(&Sha256::digest(format!("{said:?}"))))
    }

    /// The key of words that are to be said once.
    pub fn of_words(words: &str) -> Self {
        Self(hex(&Sha256::digest(words)))
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text += &format!("{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Status;
    use serde_json::json;

    fn notification(alerts: &[(&str, &str)]) -> Notification {
        let alerts: Vec<_> = alerts
            .iter()
            .map(|(name, status)| json!({"status": status, "labels": {"n": name}, "startsAt": "2026-11-27T12:00:00Z"}))
            .collect();
        let body = json!({"groupKey": "g", "alerts": alerts}).to_string();
        Notification::read(body.as_bytes()).unwrap()
    }

    #[test]
    fn the_same_said_again_has_the_same_key() {
        let first = notification(&[("a", "firing"), ("b", "firing")]);
        let mut again = notification(&[("b", "firing"), ("a", "firing")]);
        again.external_url = "http://the-other-peer:9093".to_owned();
        again.alerts[0].generator_url = "http://the-other-prometheus".to_owned();
        assert_eq!(Key::of("r", &first), Key::of("r", &again));
        assert_eq!(Key::of("r", &first).as_str().len(), 64);
    }

    #[test]
    fn whatever_is_new_has_another() {
        let first = notification(&[("a", "firing")]);
        let mut all = vec![
            Key::of("r", &first),
            Key::of("s", &first),
            Key::of("r", &notification(&[("a", "resolved")])),
            Key::of("r", &notification(&[("a", "firing"), ("b", "firing")])),
        ];
        let mut changed = first.clone();
        changed.reason = "repeat interval elapsed".to_owned();
        all.push(Key::of("r", &changed));
        changed = first.clone();
        changed.alerts[0].starts_at = "2026-11-27T13:00:00Z".to_owned();
        all.push(Key::of("r", &changed));
        changed = first;
        changed.status = Status::Resolved;
        all.push(Key::of("r", &changed));
        let count = all.len();
        all.sort_by(|a, b| a.as_str().cmp(b.as_str()));
        all.dedup();
        assert_eq!(all.len(), count);
    }
}
