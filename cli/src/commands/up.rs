//! `kedactl up`: configuration, manifests, and then the provider's work.
//!
//! It must not decide what has to change: the provider compares.

use super::place::Chosen;
use super::{block_on, bundle, place, verify};
use crate::args::UpArgs;
use crate::context::Context;
use crate::error::{Error, Exit};
use crate::output::{Readers, follow, style, view};
use kedactl_config::{Config, Provider};
use kedactl_local::{Desired, Request as LocalRequest, UpOutcome};
use kedactl_plan::Control;
use kedactl_stack::{Choice, Request};
use std::time::Duration;

const LOCAL_WITHIN: Duration = Duration::from_secs(90);
const CLUSTER_WITHIN: Duration = Duration::from_mins(10);

/// A stack that is up.
#[derive(Debug)]
pub(super) struct Brought {
    pub(super) name: String,
    pub(super) config: Config,
    /// As `-o json` has it.
    pub(super) value: serde_json::Value,
    /// For people.
    pub(super) text: String,
}

/// What a stack is made from.
#[derive(Debug)]
pub(super) enum Source {
    Project(Box<Chosen>),
    Bundle(Box<Request>),
}

impl Source {
    /// Reads it, and what lies above it.
    pub(super) fn load(context: &Context, args: &UpArgs) -> Result<Self, Error> {
        let at = (&args.place, &args.ownership);
        if let Some(request) = bundle::request(context, &args.from, &args.layers, at)? {
            return Ok(Self::Bundle(Box::new(request)));
        }
        let chosen = place::load(context, &args.layers, &args.place)?;
        Ok(Self::Project(Box::new(chosen)))
    }

    pub(super) fn config(&self) -> &Config {
        match self {
            Self::Project(chosen) => &chosen.loaded.config,
            Self::Bundle(request) => &request.config,
        }
    }
}

pub(crate) fn up(context: &Context, args: &UpArgs) -> Result<Exit, Error> {
    let source = Source::load(context, args)?;
    if args.verify {
        verify::possible(source.config())?;
    }
    let readers = Readers::new(args.stream.events.as_ref())?;
    let brought = bring(context, args, source, readers)?;
    end(context, args, brought)
}

/// Brings the stack up where its configuration says.
pub(super) fn bring(
    context: &Context,
    args: &UpArgs,
    source: Source,
    readers: Readers,
) -> Result<Brought, Error> {
    let chosen = match source {
        Source::Project(chosen) => *chosen,
        Source::Bundle(request) => return cluster(context, args, *request, None, readers),
    };
    match chosen.loaded.config.provider {
        Provider::Auto | Provider::Local => local(context, args, chosen, readers),
        _ => {
            let Chosen { loaded, choice } = chosen;
            let templates = super::render::templates(context, &loaded.config)?;
            let request = place::request(
                context,
                loaded.config,
                templates,
                &args.place,
                &args.ownership,
            )?;
            cluster(context, args, request, choice, readers)
        }
    }
}

fn local(
    context: &Context,
    args: &UpArgs,
    chosen: Chosen,
    readers: Readers,
) -> Result<Brought, Error> {
    let Chosen { loaded, choice } = chosen;
    let name = context.name_of(&loaded.config);
    place::only_cluster(&args.place, &args.ownership, args.plan.as_deref())?;
    place::not_on_a_cluster(context, &name)?;
    let manifests = super::render::manifests(context, &loaded.config)?;
    let config = loaded.config.clone();
    let mut desired = Desired::of(loaded.config, &manifests);
    desired.monitoring = super::render::monitoring(context, &config)?;
    let request = LocalRequest {
        dir: context.dir_of(&name)?,
        desired,
        helper: vec![std::env::current_exe()?.into(), super::local::WORD.into()],
        within: args.timeout.unwrap_or(LOCAL_WITHIN),
    };
    if !readers.own_stderr() {
        let head = style::head(&name);
        context
            .printer
            .say(&place::head(&head, Provider::Local, choice.as_ref()));
    }
    let outcome = follow(context.printer, readers, |sink| {
        block_on(async { Ok(kedactl_local::up(&request, sink).await?) })
    })?;
    let value = serde_json::json!({
        "changed": outcome.changed, "api_url": outcome.api_url, "metrics_url": outcome.metrics_url,
        "prometheus_url": outcome.prometheus_url, "alertmanager_url": outcome.alertmanager_url,
    });
    Ok(Brought {
        text: text(&outcome),
        name,
        config,
        value: with(value, Provider::Local, choice),
    })
}

fn cluster(
    context: &Context,
    args: &UpArgs,
    mut request: Request,
    choice: Option<Choice>,
    readers: Readers,
) -> Result<Brought, Error> {
    request.within = args.timeout.unwrap_or(CLUSTER_WITHIN);
    if let Some(path) = &args.plan {
        request.plan = Some(kedactl_cluster::Plan::load(path)?);
    }
    if !readers.own_stderr() {
        let head = style::head(request.home.stack());
        let provider = request.config.provider;
        context
            .printer
            .say(&place::head(&head, provider, choice.as_ref()));
    }
    let control = Control::default();
    let outcome = follow(context.printer, readers, |sink| {
        super::block_on_job(&control, 0, async {
            Ok(kedactl_stack::up(&request, sink, &control).await?)
        })
    })?;
    let value = with(serde_json::json!(outcome), request.config.provider, choice);
    Ok(Brought {
        name: request.home.stack().to_owned(),
        config: request.config,
        value,
        text: view::stack::up(&outcome),
    })
}

/// Adds where the stack runs, and where nobody said so, why.
fn with(
    mut value: serde_json::Value,
    provider: Provider,
    choice: Option<Choice>,
) -> serde_json::Value {
    value["provider"] = provider.environment().into();
    if let Some(choice) = choice {
        value["why"] = choice.why.into();
        value["others"] = serde_json::json!(choice.others);
    }
    value
}

/// Proves the stack where that was asked for, and says how it is.
fn end(context: &Context, args: &UpArgs, brought: Brought) -> Result<Exit, Error> {
    let Brought {
        name,
        config,
        mut value,
        mut text,
    } = brought;
    let mut failure = None;
    if args.verify {
        let readers = Readers::again(args.stream.events.as_ref())?;
        let proven = verify::verify(context, &name, &config, readers)?;
        text += &format!("\n{}", view::proof::text(&proven));
        value["verify"] = serde_json::json!(proven);
        failure = verify::failure(&proven);
    }
    if context.json() {
        value["schema"] = "kedactl.up/v1".into();
        value["stack"] = name.into();
        text = crate::output::json(&value)?;
    }
    context.printer.data(&text)?;
    failure.map_or(Ok(Exit::Done), Err)
}

fn text(outcome: &UpOutcome) -> String {
    let what = if outcome.changed {
        "ready"
    } else {
        "ready, nothing to change"
    };
    let mut text = format!(
        "{what}: {}  (docs at {}/docs, metrics at {})",
        outcome.api_url, outcome.api_url, outcome.metrics_url
    );
    if let (Some(prometheus), Some(alertmanager)) =
        (&outcome.prometheus_url, &outcome.alertmanager_url)
    {
        text += &format!("\nmonitored: Prometheus at {prometheus}, Alertmanager at {alertmanager}");
    }
    text
}
