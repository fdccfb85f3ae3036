//! What the template of `alertmanager.yml` needs: receivers of the webhook's routes, durations, what the version knows.
//! Must not write a field that the version refuses.

use std::str::FromStr;

use kedactl_config::{AlertRoute, Config};
use serde_json::{Value as Json, json};

use super::ALERTMANAGER;
use super::rules::duration;
use crate::RenderError;
use crate::error::Place;

/// The Alertmanager that reads the configuration, and where it sends to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertmanagerTarget {
    /// The webhook; none: nothing is sent anywhere.
    pub webhook: Option<WebhookTarget>,
    /// Which fields it knows.
    pub version: AlertmanagerVersion,
}

/// The webhook as Alertmanager reaches it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookTarget {
    /// Address in front of a route's name: `http://webhook.keda.svc:8080/v1/alerts`.
    pub url_base: String,
    /// File with the bearer token, where Alertmanager finds it.
    pub credentials_file: String,
    /// Names of its routes, at least one. What no value routes takes `default`, or the first where there is none of that name.
    pub routes: Vec<String>,
}

/// Major and minor version of an Alertmanager: `0.28`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AlertmanagerVersion(pub u32, pub u32);

/// A text that is no version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a version such as `0.28.1`")]
pub struct NotAVersion(String);

impl FromStr for AlertmanagerVersion {
    type Err = NotAVersion;
    /// Reads `0.25.0`, `v0.28.1` or `0.31`.
    fn from_str(text: &str) -> Result<Self, NotAVersion> {
        let mut parts = text.trim_start_matches('v').split('.').map(str::parse);
        match (parts.next(), parts.next()) {
            (Some(Ok(major)), Some(Ok(minor))) => Ok(Self(major, minor)),
            _ => Err(NotAVersion(text.to_owned())),
        }
    }
}

/// The first version that knows how long a post may take.
const KNOWS_TIMEOUT: AlertmanagerVersion = AlertmanagerVersion(0, 28);

/// The receiver that sends nothing.
const NOBODY: &str = "null";

/// What the template finds under `computed.alertmanager`.
pub(super) fn computed(config: &Config, target: &AlertmanagerTarget) -> Result<Json, RenderError> {
    let alerts = &config.monitoring.alerts;
    let known = target.webhook.as_ref().map_or(&[][..], |it| &it.routes);
    let receiver_of = |place: &str, route: &str| {
        let found = known.iter().any(|it| it == route);
        found
            .then(|| receiver(route))
            .ok_or_else(|| unknown(place, route, known))
    };
    let default = known.iter().find(|it| *it == "default").or(known.first());
    let watchdog = match &alerts.watchdog.route {
        Some(route) => receiver_of("monitoring.alerts.watchdog.route", route)?,
        None => NOBODY.to_owned(),
    };
    let mut routes = Vec::new();
    for route in &alerts.routes {
        let receiver = receiver_of("monitoring.alerts.routes", &route.route)?;
        routes.push(json!({ "receiver": receiver, "matchers": matchers(route) }));
    }
    let of_webhook = |webhook: &WebhookTarget| -> Vec<Json> {
        let base = webhook.url_base.trim_end_matches('/');
        let one =
            |route: &String| json!({ "name": receiver(route), "url": format!("{base}/{route}") });
        webhook.routes.iter().map(one).collect()
    };
    let receivers = target.webhook.as_ref().map(of_webhook).unwrap_or_default();
    let repeat = alerts.watchdog.repeat_seconds;
    Ok(json!({
        "default": default.map_or_else(|| NOBODY.to_owned(), |route| receiver(route)),
        "groupWait": duration(alerts.group_wait_seconds),
        "groupInterval": duration(alerts.group_interval_seconds),
        "repeatInterval": duration(alerts.repeat_interval_seconds),
        "watchdog": {
            "receiver": watchdog,
            // A group is looked at once an interval: a longer one would be a longer repetition.
            "groupInterval": duration(alerts.group_interval_seconds.min(repeat)),
            "repeatInterval": duration(repeat),
        },
        "routes": routes,
        "receivers": receivers,
        "credentialsFile": target.webhook.as_ref().map(|it| it.credentials_file.as_str()),
        "timeout": (target.version >= KNOWS_TIMEOUT).then_some("10s"),
    }))
}

fn receiver(route: &str) -> String {
    format!("webhook-{route}")
}

fn matchers(route: &AlertRoute) -> Vec<String> {
    let one = |(name, value): (&String, &kedactl_config::Text)| {
        let value = value.replace('\\', r"\\").replace('"', "\\\"");
        format!("{name}=\"{}\"", value.replace('\n', r"\n"))
    };
    route.labels.iter().map(one).collect()
}

fn unknown(place: &str, route: &str, known: &[String]) -> RenderError {
    let near = kedactl_config::nearest(route, known.iter().map(String::as_str));
    let meant = near.map(|near| format!(", did you mean `{near}`?"));
    let message = format!(
        "{place}: the webhook has no route `{route}`{}",
        meant.unwrap_or_default()
    );
    let hint = if known.is_empty() {
        "it has no route at all, so nothing is sent anywhere".to_owned()
    } else {
        format!("routes of the webhook: {}", known.join(", "))
    };
    RenderError::new(ALERTMANAGER, Place::Unknown, message).hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_and_compared() {
        let version = |text: &str| text.parse::<AlertmanagerVersion>();
        assert_eq!(version("v0.28.1"), Ok(AlertmanagerVersion(0, 28)));
        assert!(version("0.25.0").unwrap() < KNOWS_TIMEOUT);
        assert!(version("1.0").unwrap() > KNOWS_TIMEOUT);
        let error = version("latest").unwrap_err().to_string();
        assert_eq!(error, "`latest` is not a version such as `0.28.1`");
    }
}
