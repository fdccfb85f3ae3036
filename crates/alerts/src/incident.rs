//! Which alerts fire, and since when: what tells one incident of a group from the next.
//! Must not depend on what Alertmanager says of a group as a whole: it says nothing of the end of an alert that was silenced.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::key::hex;
use crate::{Alert, Notification, Status};

/// An alert that began at a time. What fires again has begun later.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Fire {
    /// Up to 32 letters and digits.
    fingerprint: String,
    /// Microseconds since the Unix epoch; 0 where it is not said.
    since_us: u64,
}

impl Fire {
    fn of(alert: &Alert) -> Self {
        let text = &alert.fingerprint;
        let plain = text.len() <= 32 && text.bytes().all(|b| b.is_ascii_alphanumeric());
        let since = alert.starts_at.parse::<jiff::Timestamp>();
        Self {
            fingerprint: if plain && !text.is_empty() {
                text.clone()
            } else {
                hex(&Sha256::digest(text))[..16].to_owned()
            },
            since_us: since.map_or(0, |at| at.as_microsecond().max(0) as u64),
        }
    }

    /// Whether the other is the same alert and began no later: a second Prometheus may know an earlier beginning of it.
    pub fn covers(&self, other: &Self) -> bool {
        self.fingerprint == other.fingerprint && other.since_us <= self.since_us
    }
}

impl fmt::Display for Fire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.fingerprint, self.since_us)
    }
}

impl Notification {
    /// Its alerts of a status.
    pub fn fires(&self, status: Status) -> Vec<Fire> {
        let alerts = self.alerts.iter().filter(|it| it.status == status);
        alerts.map(Fire::of).collect()
    }

    /// The same after its end, of which nobody said when it was.
    #[must_use]
    pub fn ended(&self) -> Self {
        let mut ended = self.clone();
        ended.status = Status::Resolved;
        for alert in &mut ended.alerts {
            alert.status = Status::Resolved;
        }
        ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn fire(fingerprint: &str, starts_at: &str) -> Fire {
        let body = json!({"alerts": [{"fingerprint": fingerprint, "startsAt": starts_at}]});
        let notification = Notification::read(body.to_string().as_bytes()).unwrap();
        notification.fires(Status::Firing).remove(0)
    }

    #[test]
    fn what_fires_again_is_another_fire() {
        let first = fire("00f1e2d3c4b5a697", "2026-11-27T12:00:00.5Z");
        assert_eq!(first.to_string(), "00f1e2d3c4b5a697:1795780800500000");
        assert!(first.covers(&first));
        let earlier = fire("00f1e2d3c4b5a697", "2026-11-27T11:59:58Z");
        assert!(first.covers(&earlier) && !earlier.covers(&first));
        assert!(!first.covers(&fire("10f1e2d3c4b5a697", "2026-11-27T12:00:00Z")));
    }

    #[test]
    fn a_fire_has_no_character_that_ends_it() {
        for strange in ["a b:c", "ä", "", &"a".repeat(99)] {
            let text = fire(strange, "soon").to_string();
            let (fingerprint, since) = text.split_once(':').unwrap();
            assert_eq!((fingerprint.len(), since), (16, "0"), "{text}");
        }
    }

    #[test]
    fn what_ended_unseen_is_over_as_a_whole() {
        let body = br#"{"alerts": [{"labels": {"a": "b"}}, {"status": "resolved"}]}"#;
        let notification = Notification::read(body).unwrap();
        assert_eq!(notification.fires(Status::Firing).len(), 1);
        let ended = notification.ended();
        assert_eq!(ended.status, Status::Resolved);
        assert_eq!(ended.count(Status::Resolved), 2);
    }
}
