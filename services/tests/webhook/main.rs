//! The webhook as it is deployed: real Redis, a Bot API with Telegram's own limits, posts as Alertmanager makes them.
//!
//! It must not share a server between tests.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod hook;
mod peer;
mod requirements;
#[path = "../services/support.rs"]
#[expect(dead_code, reason = "shared with the other tests")]
mod support;
mod traces;

use serde_json::{Value as Json, json};
use std::time::Duration;

pub(crate) use hook::{BOT, CHAT, OPERATORS, TOKEN};

/// Long enough for a busy machine; a test that waits so long fails.
pub(crate) const WITHIN: Duration = Duration::from_secs(40);

/// A group as Alertmanager sends it: each alert by its pod and whether it fires.
pub(crate) fn group(name: &str, alerts: &[(&str, bool)], hour: u32) -> Json {
    let alerts: Vec<Json> = alerts
        .iter()
        .map(|(pod, firing)| {
            json!({
                "status": if *firing { "firing" } else { "resolved" },
                "labels": {"alertname": name, "pod": pod},
                "annotations": {"summary": format!("{pod} is <sick> & slow")},
                "startsAt": format!("2999-11-27T{hour:02}:00:00Z"),
            })
        })
        .collect();
    let firing = alerts.iter().any(|it| it["status"] == "firing");
    json!({
        "version": "4", "groupKey": format!("{{}}:{{alertname={name}}}"), "receiver": "tg",
        "status": if firing { "firing" } else { "resolved" },
        "groupLabels": {"alertname": name}, "commonLabels": {"alertname": name}, "alerts": alerts,
    })
}
