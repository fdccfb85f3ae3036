//! What templates of releases find under `computed.monitoring`: rules, Alertmanager's configuration and dashboards, for any chart.
//! Must not know a chart's keys: those stand in the templates.

use kedactl_config::{BuiltImage, Config, Webhook, documents};
use serde_json::{Map, Value as Json, json};

use super::{AlertmanagerTarget, AlertmanagerVersion, WebhookTarget, dashboards};
use crate::context::image_parts;
use crate::{RenderError, Templates};

/// The oldest version that anybody brings: Debian's, and that of loki-stack.
const OLDEST: AlertmanagerVersion = AlertmanagerVersion(0, 25);

/// Where each profile mounts the Secrets of Alertmanager, by name.
const SECRETS: &str = "/etc/alertmanager/secrets";

/// Texts as the structures that they hold, so that a chart can write them in its own way.
pub(crate) fn computed(templates: &Templates, config: &Config) -> Result<Json, RenderError> {
    let rules = templates.rules(config)?;
    let alertmanager = templates.alertmanager(config, &target(config))?;
    let text = |it: &super::Dashboard| (it.name.to_owned(), Json::from(it.json));
    let images = &config.monitoring.images;
    let parts = |image: &Option<String>| image.as_deref().map(image_parts);
    Ok(json!({
        "rules": structure(&rules),
        "alertmanager": structure(&alertmanager),
        "dashboards": dashboards().iter().map(text).collect::<Map<_, _>>(),
        "secretsFolder": SECRETS,
        "images": { "prometheus": parts(&images.prometheus), "alertmanager": parts(&images.alertmanager) },
        // Debian's was built without asking the API server for what is annotated.
        "dns": config.images.build.contains(&BuiltImage::Prometheus),
    }))
}

fn target(config: &Config) -> AlertmanagerTarget {
    let webhook = || WebhookTarget {
        url_base: format!("{}/v1/alerts", config.webhook_address()),
        credentials_file: format!("{SECRETS}/{}/{}", Webhook::TOKEN_SECRET, Webhook::TOKEN_KEY),
        routes: config.webhook.routes.keys().cloned().collect(),
    };
    let version = config.monitoring.alertmanager_version.as_deref();
    AlertmanagerTarget {
        webhook: config.webhook.runs().then(webhook),
        version: version.and_then(|it| it.parse().ok()).unwrap_or(OLDEST),
    }
}

/// What was checked to be one map when it was rendered.
fn structure(text: &str) -> Json {
    documents(text)
        .ok()
        .and_then(|mut all| all.pop())
        .unwrap_or_default()
}
