//! `kedactl render`.
//!
//! It must not write anywhere but stdout and the folder that was asked for.

use crate::args::RenderArgs;
use crate::context::{Context, read_file};
use crate::error::{Code, Error, Exit};
use kedactl_config::{Config, Webhook};
use kedactl_local::Monitoring;
use kedactl_render::monitoring::{AlertmanagerTarget, AlertmanagerVersion, WebhookTarget};
use kedactl_render::{Manifests, Templates};
use std::fs;

pub(crate) fn render(context: &Context, args: &RenderArgs) -> Result<Exit, Error> {
    let loaded = context.load(&args.layers)?;
    let manifests = manifests(context, &loaded.config)?;
    let Some(dir) = &args.out_dir else {
        let text = if context.json() {
            crate::output::json(&manifests.to_json())?
        } else {
            manifests.to_yaml()
        };
        context.printer.data(&text)?;
        return Ok(Exit::Done);
    };
    let refused = |path: &std::path::Path, error| {
        Error::new(Code::Io, format!("{} could not be written", path.display())).source(error)
    };
    fs::create_dir_all(dir).map_err(|error| refused(dir, error))?;
    for (name, text) in manifests.files() {
        let path = dir.join(name);
        fs::write(&path, text).map_err(|error| refused(&path, error))?;
        context.printer.data(&path.display().to_string())?;
    }
    Ok(Exit::Done)
}

/// Renders with the project's templates, where it has some.
pub(super) fn manifests(context: &Context, config: &Config) -> Result<Manifests, Error> {
    Ok(templates(context, config)?.render(config)?)
}

/// What Prometheus and Alertmanager of this machine are given; nothing where the stack is not monitored.
pub(super) fn monitoring(context: &Context, config: &Config) -> Result<Option<Monitoring>, Error> {
    if !config.is_monitored() {
        return Ok(None);
    }
    let templates = templates(context, config)?;
    let webhook = config.webhook.runs().then(|| WebhookTarget {
        url_base: format!("{}/v1/alerts", config.webhook_address()),
        credentials_file: Webhook::TOKEN_FILE.to_owned(),
        routes: config.webhook.routes.keys().cloned().collect(),
    });
    // What the oldest one that distributions have knows, newer ones know too.
    let version = AlertmanagerVersion(0, 25);
    let target = AlertmanagerTarget { webhook, version };
    Ok(Some(Monitoring {
        rules: templates.rules(config)?,
        alertmanager: templates.alertmanager(config, &target)?,
    }))
}

/// The built-in templates, those of the project, and those that releases name.
pub(super) fn templates(context: &Context, config: &Config) -> Result<Templates, Error> {
    let project = context.project();
    let templates = Templates::load(project.as_deref(), &read_file)?;
    Ok(templates.with_releases(config, project.as_deref(), &read_file)?)
}
