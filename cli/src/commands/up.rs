//! `kedactl up`: configuration, manifests, and then the provider's work.
//!
//! It must not decide what has to change: the provider compares.

use super::{block_on, place};
use crate::args::UpArgs;
use crate::context::Context;
use crate::error::{Error, Exit};
use crate::output::{Readers, follow, style};
use kedactl_config::Loaded;
use kedactl_local::{Desired, Request, UpOutcome};
use kedactl_plan::Control;
use kedactl_render::{Manifests, Object};
use std::time::Duration;

const LOCAL_WITHIN: Duration = Duration::from_secs(90);
const CLUSTER_WITHIN: Duration = Duration::from_mins(10);

pub(crate) fn up(context: &Context, args: &UpArgs) -> Result<Exit, Error> {
    let loaded = place::load(context, &args.layers, &args.place)?;
    match loaded.config.provider {
        kedactl_config::Provider::Auto | kedactl_config::Provider::Local => {
            local(context, args, loaded)
        }
        _ => cluster(context, args, loaded),
    }
}

fn local(context: &Context, args: &UpArgs, loaded: Loaded) -> Result<Exit, Error> {
    let name = context.name_of(&loaded.config);
    place::only_cluster(&args.place, &args.ownership, args.plan.as_deref())?;
    place::not_on_a_cluster(context, &name)?;
    let manifests = super::render::manifests(context, &loaded.config)?;
    let request = Request {
        dir: context.dir_of(&name)?,
        desired: desired(loaded.config, manifests),
        helper: vec![std::env::current_exe()?.into(), super::local::WORD.into()],
        within: args.timeout.unwrap_or(LOCAL_WITHIN),
    };
    let readers = Readers::new(args.stream.events.as_ref())?;
    if !readers.own_stderr() {
        let why = place::why_local(&args.place);
        let head = style::head(&name);
        context
            .printer
            .say(&format!("stack {head} on provider local{why}"));
    }
    let outcome = follow(context.printer, readers, |sink| {
        block_on(async { Ok(kedactl_local::up(&request, sink).await?) })
    })?;
    context.printer.data(&report(context, &name, &outcome)?)?;
    Ok(Exit::Done)
}

fn cluster(context: &Context, args: &UpArgs, loaded: Loaded) -> Result<Exit, Error> {
    let mut request = place::request(context, loaded.config, &args.place, &args.ownership)?;
    request.within = args.timeout.unwrap_or(CLUSTER_WITHIN);
    if let Some(path) = &args.plan {
        request.plan = Some(kedactl_cluster::Plan::load(path)?);
    }
    let readers = Readers::new(args.stream.events.as_ref())?;
    if !readers.own_stderr() {
        let head = style::head(request.home.stack());
        let provider = request.config.provider.environment();
        context
            .printer
            .say(&format!("stack {head} on provider {provider}"));
    }
    let control = Control::default();
    let outcome = follow(context.printer, readers, |sink| {
        super::block_on_job(&control, async {
            Ok(kedactl_stack::up(&request, sink, &control).await?)
        })
    })?;
    let text = if context.json() {
        let mut value = serde_json::json!(outcome);
        value["schema"] = "kedactl.up/v1".into();
        value["stack"] = request.home.stack().into();
        crate::output::json(&value)?
    } else {
        crate::output::view::stack::up(&outcome)
    };
    context.printer.data(&text)?;
    Ok(Exit::Done)
}

/// What the local provider needs of the manifests.
pub(crate) fn desired(config: kedactl_config::Config, manifests: Manifests) -> Desired {
    let mut desired = Desired::new(config);
    for rendered in manifests.objects {
        match rendered.object {
            Object::Deployment(it) => desired.deployments.push(*it),
            Object::HorizontalPodAutoscaler(it) => desired.autoscalers.push(*it),
            Object::ScaledObject(it) => desired.scaled_objects.push(*it),
            Object::TriggerAuthentication(it) => desired.authentications.push(*it),
            // Namespaces, accounts and Services have no counterpart among processes: the service proxy knows its ports.
            _ => {}
        }
    }
    desired
}

fn report(context: &Context, name: &str, outcome: &UpOutcome) -> Result<String, Error> {
    if context.json() {
        let value = serde_json::json!({
            "schema": "kedactl.up/v1", "stack": name, "changed": outcome.changed,
            "api_url": outcome.api_url, "metrics_url": outcome.metrics_url,
        });
        return crate::output::json(&value);
    }
    let what = if outcome.changed {
        "ready"
    } else {
        "ready, nothing to change"
    };
    Ok(format!(
        "{what}: {}  (docs at {}/docs, metrics at {})",
        outcome.api_url, outcome.api_url, outcome.metrics_url
    ))
}
