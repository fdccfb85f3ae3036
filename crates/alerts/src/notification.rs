//! What Alertmanager posts: version 4 of its webhook's body, of any Alertmanager that sends it.
//! Must not want a field that an older one leaves out, nor mind one that a newer one adds.
//!
//! Source: prometheus/alertmanager, `template/template.go` and `notify/webhook/webhook.go`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};
use sha2::{Digest as _, Sha256};

use crate::key::hex;

/// Names and values, in the order of the names.
pub type Labels = BTreeMap<String, String>;

/// How an alert or a group is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It fires, or one of the group does.
    Firing,
    /// It does not fire any more.
    Resolved,
}

/// One notification about one group of alerts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notification {
    /// Names the group for as long as its route stands.
    pub group_key: String,
    pub status: Status,
    /// The receiver's name in Alertmanager's configuration.
    pub receiver: String,
    /// Alerts that Alertmanager left out (`max_alerts`).
    pub truncated: u64,
    pub group_labels: Labels,
    pub common_labels: Labels,
    pub common_annotations: Labels,
    /// Where people reach this Alertmanager; empty where it does not say.
    pub external_url: String,
    /// Why it came, as newer ones say: `first notification`, `repeat interval elapsed`, …
    pub reason: String,
    pub alerts: Vec<Alert>,
}

/// One alert of a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    pub status: Status,
    pub labels: Labels,
    pub annotations: Labels,
    /// RFC 3339; empty where it is not said.
    pub starts_at: String,
    /// RFC 3339; empty while it fires.
    pub ends_at: String,
    /// The expression in Prometheus; empty where it is not said.
    pub generator_url: String,
    /// Sixteen hexadecimal digits that stand for its labels.
    pub fingerprint: String,
}

/// A body that is no notification.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// It is no JSON.
    #[error("it is no JSON: {0}")]
    Json(String),
    /// It is JSON, and something else than a notification.
    #[error("it is no notification of version 4: {0}")]
    Other(String),
}

impl Notification {
    /// Reads a body. What is missing is empty, except for the alerts: without them it is no notification.
    pub fn read(body: &[u8]) -> Result<Self, Unreadable> {
        let document: Json =
            serde_json::from_slice(body).map_err(|error| Unreadable::Json(error.to_string()))?;
        let other = |problem: &str| Unreadable::Other(problem.to_owned());
        let Json::Object(fields) = document else {
            return Err(other("it is no object"));
        };
        // A number in some hands, a text in Alertmanager's.
        let version = text(&fields, "version");
        if !version.is_empty() && version != "4" {
            return Err(Unreadable::Other(format!("it has version {version}")));
        }
        let Some(Json::Array(alerts)) = fields.get("alerts") else {
            return Err(other("it has no list `alerts`"));
        };
        let alerts: Option<Vec<Alert>> = alerts
            .iter()
            .map(|it| it.as_object().map(Alert::read))
            .collect();
        let alerts = alerts.ok_or_else(|| other("an alert is no object"))?;
        let group_labels = labels(&fields, "groupLabels");
        let group_key = text(&fields, "groupKey");
        Ok(Self {
            // Grouped alike is one group, also for who does not name it.
            group_key: if group_key.is_empty() {
                format!("{group_labels:?}")
            } else {
                group_key
            },
            status: status(&fields).unwrap_or_else(|| of_all(&alerts)),
            receiver: text(&fields, "receiver"),
            truncated: fields
                .get("truncatedAlerts")
                .and_then(Json::as_u64)
                .unwrap_or(0),
            group_labels,
            common_labels: labels(&fields, "commonLabels"),
            common_annotations: labels(&fields, "commonAnnotations"),
            external_url: text(&fields, "externalURL"),
            reason: text(&fields, "notification_reason"),
            alerts,
        })
    }

    /// Alerts of a status.
    pub fn count(&self, status: Status) -> usize {
        self.alerts.iter().filter(|it| it.status == status).count()
    }
}

impl Alert {
    fn read(fields: &Map<String, Json>) -> Self {
        let all = labels(fields, "labels");
        let fingerprint = text(fields, "fingerprint");
        let ends_at = text(fields, "endsAt");
        Self {
            status: status(fields).unwrap_or(Status::Firing),
            annotations: labels(fields, "annotations"),
            starts_at: text(fields, "startsAt"),
            // Go's way to say nothing.
            ends_at: if ends_at.starts_with("0001-") {
                String::new()
            } else {
                ends_at
            },
            generator_url: text(fields, "generatorURL"),
            fingerprint: if fingerprint.is_empty() {
                of_labels(&all)
            } else {
                fingerprint
            },
            labels: all,
        }
    }

    /// A label's value; empty where it has none.
    pub fn label(&self, name: &str) -> &str {
        self.labels.get(name).map_or("", String::as_str)
    }

    /// An annotation's value; empty where it has none.
    pub fn annotation(&self, name: &str) -> &str {
        self.annotations.get(name).map_or("", String::as_str)
    }
}

fn of_labels(labels: &Labels) -> String {
    let mut hash = Sha256::new();
    for (name, value) in labels {
        hash.update(format!("{name:?}={value:?}\n"));
    }
    hex(&hash.finalize())[..16].to_owned()
}

fn of_all(alerts: &[Alert]) -> Status {
    let firing = alerts.iter().any(|it| it.status == Status::Firing);
    if firing || alerts.is_empty() {
        Status::Firing
    } else {
        Status::Resolved
    }
}

fn status(fields: &Map<String, Json>) -> Option<Status> {
    match text(fields, "status").as_str() {
        "firing" => Some(Status::Firing),
        "resolved" => Some(Status::Resolved),
        _ => None,
    }
}

fn labels(fields: &Map<String, Json>, name: &str) -> Labels {
    let Some(Json::Object(map)) = fields.get(name) else {
        return Labels::new();
    };
    map.iter()
        .map(|(name, value)| (name.clone(), scalar(value)))
        .collect()
}

fn text(fields: &Map<String, Json>, name: &str) -> String {
    fields.get(name).map(scalar).unwrap_or_default()
}

fn scalar(value: &Json) -> String {
    match value {
        Json::Null => String::new(),
        Json::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    /// As Alertmanager 0.25 sends it.
    fn body() -> Json {
        json!({
            "receiver": "tg", "status": "firing", "version": "4", "groupKey": "{}:{alertname=\"A\"}", "truncatedAlerts": 2,
            "groupLabels": {"alertname": "A"}, "commonLabels": {"alertname": "A", "severity": "page"},
            "commonAnnotations": {}, "externalURL": "http://am:9093",
            "alerts": [
                {
                    "status": "firing", "labels": {"alertname": "A", "pod": "x"}, "annotations": {"summary": "a < b"},
                    "startsAt": "2026-11-27T12:00:00.5Z", "endsAt": "0001-01-01T00:00:00Z",
                    "generatorURL": "http://prom/graph", "fingerprint": "00f1e2d3c4b5a697"
                },
                {"status": "resolved", "labels": {"alertname": "A"}, "endsAt": "2026-11-27T12:01:00Z"},
            ],
        })
    }

    fn read(document: &Json) -> Result<Notification, Unreadable> {
        Notification::read(document.to_string().as_bytes())
    }

    #[test]
    fn every_field_arrives() {
        let it = read(&body()).unwrap();
        assert_eq!(it.group_key, "{}:{alertname=\"A\"}");
        assert_eq!((it.status, it.truncated), (Status::Firing, 2));
        assert_eq!(
            (it.count(Status::Firing), it.count(Status::Resolved)),
            (1, 1)
        );
        assert_eq!(it.alerts[0].ends_at, "");
        assert_eq!(it.alerts[0].annotation("summary"), "a < b");
        assert_eq!(it.alerts[1].ends_at, "2026-11-27T12:01:00Z");
        assert_eq!(it.alerts[1].fingerprint.len(), 16);
    }

    #[test]
    fn fields_come_and_go_with_versions() {
        let mut newer = body();
        newer["notification_reason"] = "repeat interval elapsed".into();
        newer["routeLabels"] = json!({"a": "b"});
        assert_eq!(read(&newer).unwrap().reason, "repeat interval elapsed");
        let bare = read(&json!({"alerts": [{"labels": {"a": 1}}]})).unwrap();
        assert_eq!(bare.status, Status::Firing);
        assert_eq!(bare.alerts[0].label("a"), "1");
        let over = read(&json!({"alerts": [{"status": "resolved"}]})).unwrap();
        assert_eq!(over.status, Status::Resolved);
    }

    #[test]
    fn what_is_no_notification_is_told() {
        for (document, told) in [
            (json!([]), "no object"),
            (json!({}), "no list `alerts`"),
            (json!({"alerts": [1]}), "an alert is no object"),
            (json!({"alerts": [], "version": "5"}), "version 5"),
        ] {
            let error = read(&document).unwrap_err();
            assert!(error.to_string().contains(told), "{error}");
        }
        assert!(matches!(
            Notification::read(b"{\"alerts\": ["),
            Err(Unreadable::Json(_))
        ));
    }

    proptest! {
        #[test]
        fn no_body_makes_it_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
            let _read = Notification::read(&body);
        }
    }
}
