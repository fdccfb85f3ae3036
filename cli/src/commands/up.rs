//! `kedactl up`: configuration, manifests, and then the provider's work.
//!
//! It must not decide what has to change: the provider compares.

use super::block_on;
use crate::args::{Provider, UpArgs};
use crate::context::Context;
use crate::error::{Code, Error, Exit};
use crate::output::{Readers, follow, style};
use kedactl_local::{Desired, Request, UpOutcome};
use kedactl_render::{Manifests, Object};

pub(crate) fn up(context: &Context, args: &UpArgs) -> Result<Exit, Error> {
    let loaded = context.load(&args.layers)?;
    only_local(loaded.config.provider)?;
    let manifests = super::render::manifests(context, &loaded.config)?;
    let name = context
        .global
        .stack
        .clone()
        .unwrap_or_else(|| loaded.config.name.clone());
    let request = Request {
        dir: context.dir_of(&name)?,
        desired: desired(loaded.config, manifests),
        helper: vec![std::env::current_exe()?.into(), super::local::WORD.into()],
        within: args.timeout,
    };
    let readers = Readers::new(args.stream.events.as_ref())?;
    if !readers.own_stderr() {
        announce(context, args.provider, &name);
    }
    let outcome = follow(context.printer, readers, |sink| {
        block_on(async { Ok(kedactl_local::up(&request, sink).await?) })
    })?;
    context.printer.data(&report(context, &name, &outcome)?)?;
    Ok(Exit::Done)
}

/// Refuses providers that are rendered and checked, but not driven.
fn only_local(provider: kedactl_config::Provider) -> Result<(), Error> {
    use kedactl_config::Provider::{Auto, Context, Kind, Local, Minikube};
    match provider {
        Auto | Local => Ok(()),
        Kind | Minikube | Context => {
            let name = provider.environment();
            let message = format!("`up` does not drive the provider `{name}`, only `local`");
            let hint = format!(
                "`kedactl render --set provider={name}` prints what such a cluster needs, `kedactl lint` checks it"
            );
            Err(Error::new(Code::Config, message).hint(hint))
        }
    }
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

fn announce(context: &Context, provider: Provider, name: &str) {
    let why = match provider {
        Provider::Auto => " (auto: processes on this machine, the only provider of this version)",
        Provider::Local => "",
    };
    context.printer.say(&format!(
        "stack {} on provider local{why}",
        style::head(name)
    ));
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
