//! What Prometheus, Alertmanager and Grafana are told of a stack: rules, routes and dashboards.
//! Must not know how they are run; the same text is right on a cluster and on one machine.

mod alertmanager;
mod dashboards;
mod metrics;
mod release;
mod rules;

pub use alertmanager::{AlertmanagerTarget, AlertmanagerVersion, WebhookTarget};
pub use dashboards::{Dashboard, dashboards};
pub use metrics::{Metric, metrics_of_others, metrics_reference};
pub(crate) use release::computed;

use kedactl_config::{Config, documents};
use serde_json::Value as Json;

use crate::error::Place;
use crate::{RenderError, Templates, engine};

const RULES: &str = "monitoring/rules.yaml.hbs";
const ALERTMANAGER: &str = "monitoring/alertmanager.yaml.hbs";

/// A rules file for Prometheus, from the built-in templates: recording and alert rules.
///
/// # Errors
/// A template that does not make one.
pub fn rules(config: &Config) -> Result<String, RenderError> {
    Templates::embedded().rules(config)
}

/// `alertmanager.yml`, from the built-in template.
///
/// # Errors
/// A route that the webhook does not have, and a template that does not make a configuration.
pub fn alertmanager(config: &Config, target: &AlertmanagerTarget) -> Result<String, RenderError> {
    Templates::embedded().alertmanager(config, target)
}

impl Templates {
    /// A rules file for Prometheus: recording and alert rules.
    ///
    /// # Errors
    /// A template that does not make one.
    pub fn rules(&self, config: &Config) -> Result<String, RenderError> {
        let text = engine::render_with(self, config, ("rules", rules::computed(config)), RULES)?;
        has(RULES, &text, "groups")?;
        Ok(text)
    }

    /// `alertmanager.yml`.
    ///
    /// # Errors
    /// A route that the webhook does not have, and a template that does not make a configuration.
    pub fn alertmanager(
        &self,
        config: &Config,
        target: &AlertmanagerTarget,
    ) -> Result<String, RenderError> {
        let computed = alertmanager::computed(config, target)?;
        let text = engine::render_with(self, config, ("alertmanager", computed), ALERTMANAGER)?;
        has(ALERTMANAGER, &text, "route")?;
        Ok(text)
    }
}

/// Whether what was rendered is one map with a key.
fn has(template: &str, text: &str, key: &str) -> Result<(), RenderError> {
    let refuse = |place, message: String| RenderError::new(template, place, message);
    let parsed = documents(text).map_err(|(line, message)| {
        let shown = text.lines().nth(line.saturating_sub(1)).unwrap_or_default();
        let shown = shown.trim().chars().take(80).collect();
        refuse(Place::Output(line, shown), message)
    })?;
    match parsed.as_slice() {
        [Json::Object(map)] if map.contains_key(key) => Ok(()),
        _ => Err(refuse(
            Place::Unknown,
            format!("its output is not one map with the key `{key}`"),
        )),
    }
}
