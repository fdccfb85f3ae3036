//! The way to Alertmanager: silences that somebody asked for in a chat.
//!
//! It must not silence anything that is not of the group: a silence has every label of it as a matcher.

use std::fmt;
use std::time::Duration;

use kedactl_alerts::{Labels, Notification};
use reqwest::redirect::Policy;
use serde_json::{Value as Json, json};

/// Bytes of an answer that are read.
const MOST: usize = 4 << 20;
/// Characters of Alertmanager's words that are kept.
const WORDS: usize = 120;

/// An Alertmanager, by its API.
pub(super) struct Alertmanager {
    client: reqwest::Client,
    /// Before `/api/v2/…`.
    base: String,
}

impl fmt::Debug for Alertmanager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Alertmanager").finish_non_exhaustive()
    }
}

/// A silence to be made.
#[derive(Debug)]
pub(super) struct Wanted<'w> {
    pub(super) matchers: &'w Labels,
    pub(super) from: jiff::Timestamp,
    pub(super) until: jiff::Timestamp,
    pub(super) by: &'w str,
    /// What no other silence has in its comment.
    pub(super) mark: &'w str,
}

impl Wanted<'_> {
    fn comment(&self) -> String {
        format!("asked for in Telegram by {} ({})", self.by, self.mark)
    }
}

/// The labels by which a group is silenced. Those that it is grouped by: every alert that is in the group has them, also those
/// that are yet to come, while the labels that its alerts have in common now may be one pod's. Where it is grouped by nothing,
/// what its alerts have in common is all that there is.
pub(super) fn matchers(notification: &Notification) -> &Labels {
    if notification.group_labels.is_empty() {
        &notification.common_labels
    } else {
        &notification.group_labels
    }
}

impl Alertmanager {
    /// One at an address; `within` is for a whole call.
    pub(super) fn new(base: &str, within: Duration) -> Result<Self, String> {
        let client = reqwest::Client::builder()
            .timeout(within)
            .redirect(Policy::none())
            .build();
        Ok(Self {
            client: client.map_err(|error| error.without_url().to_string())?,
            base: base.trim_end_matches('/').to_owned(),
        })
    }

    /// Makes a silence; the error is for whoever asked for it.
    pub(super) async fn silence(&self, wanted: &Wanted<'_>) -> Result<(), String> {
        let matchers: Vec<Json> = wanted
            .matchers
            .iter()
            .map(|(name, value)| {
                json!({"name": name, "value": value, "isRegex": false, "isEqual": true})
            })
            .collect();
        let body = json!({
            "matchers": matchers, "startsAt": wanted.from.to_string(), "endsAt": wanted.until.to_string(),
            "createdBy": wanted.by, "comment": wanted.comment(),
        });
        let request = self.client.post(format!("{}/api/v2/silences", self.base));
        let answer = answered(request.json(&body)).await?;
        if answer["silenceID"].is_string() {
            return Ok(());
        }
        Err("Alertmanager's answer is none".to_owned())
    }

    /// Whether anything with these labels fires, silenced or not.
    pub(super) async fn fires(&self, matchers: &Labels) -> Result<bool, String> {
        let mut request = self.client.get(format!("{}/api/v2/alerts", self.base));
        for (name, value) in matchers {
            request = request.query(&[filter(name, value)]);
        }
        let answer = answered(request).await?;
        let alerts = answer.as_array().ok_or("Alertmanager's answer is none")?;
        Ok(!alerts.is_empty())
    }

    /// Whether it was made before, by whoever began and did not come to the end.
    pub(super) async fn has(&self, wanted: &Wanted<'_>) -> Result<bool, String> {
        let mut request = self.client.get(format!("{}/api/v2/silences", self.base));
        for (name, value) in wanted.matchers {
            request = request.query(&[filter(name, value)]);
        }
        let answer = answered(request).await?;
        let silences = answer.as_array().map(Vec::as_slice).unwrap_or_default();
        let comment = wanted.comment();
        Ok(silences.iter().any(|it| it["comment"] == comment.as_str()))
    }
}

fn filter(name: &str, value: &str) -> (&'static str, String) {
    ("filter", format!("{name}=\"{}\"", escaped(value)))
}

/// As a value stands between quotes in a matcher.
fn escaped(value: &str) -> String {
    let value = value.replace('\\', "\\\\").replace('"', "\\\"");
    value.replace('\n', "\\n")
}

async fn answered(request: reqwest::RequestBuilder) -> Result<Json, String> {
    let failed = |error: reqwest::Error| {
        if error.is_timeout() {
            "Alertmanager does not answer"
        } else {
            "Alertmanager cannot be reached"
        }
    };
    let mut response = request.send().await.map_err(failed)?;
    let status = response.status();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(failed)? {
        body.extend_from_slice(&chunk);
        if body.len() > MOST {
            return Err("Alertmanager says too much".to_owned());
        }
    }
    let answer = serde_json::from_slice(&body).unwrap_or(Json::Null);
    if status.is_success() {
        return Ok(answer);
    }
    // It answers a refusal with a text.
    let words = answer.as_str().unwrap_or_default();
    let words: String = words.chars().take(WORDS).collect();
    Err(format!("Alertmanager refused it: {status} {words}")
        .trim()
        .to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_silenced_by_what_makes_it_a_group() {
        let read = |group: Json| {
            let body =
                json!({"groupLabels": group, "commonLabels": {"a": "1", "pod": "x"}, "alerts": []});
            Notification::read(body.to_string().as_bytes()).unwrap()
        };
        let names = |notification: &Notification| -> Vec<String> {
            matchers(notification).keys().cloned().collect()
        };
        assert_eq!(names(&read(json!({"a": "1"}))), ["a"]);
        assert_eq!(names(&read(json!({}))), ["a", "pod"]);
        assert_eq!(escaped("a\\b\"c\nd"), r#"a\\b\"c\nd"#);
    }
}
