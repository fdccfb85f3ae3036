//! `kedactl plan` and `kedactl diff`: what `up` would do, in short or field by field.
//!
//! It must not write to a cluster.

use super::{block_on_job, bundle, place};
use crate::args::{BundleUse, DiffArgs, Layers, OwnershipArgs, PlaceArgs, PlanArgs};
use crate::context::Context;
use crate::error::{Code, Error, Exit};
use crate::output::{Readers, follow, view};
use kedactl_config::Provider;
use kedactl_plan::Control;
use kedactl_stack::{Look, Request};

pub(crate) fn plan(context: &Context, args: &PlanArgs) -> Result<Exit, Error> {
    let request = request(
        context,
        &args.from,
        &args.layers,
        (&args.place, &args.ownership),
    )?;
    if args.graph {
        let shape = kedactl_stack::shape(&request)?;
        let text = if context.json() {
            crate::output::json(&shape)?
        } else {
            shape.to_text()
        };
        context.printer.data(&text)?;
        return Ok(Exit::Done);
    }
    let look = look(context, &request)?;
    if let Some(path) = &args.out {
        keep(&look)?.save(path)?;
    }
    show(
        context,
        &request,
        &look,
        "kedactl.plan/v1",
        view::stack::plan,
    )?;
    Ok(exit(&look, args.exit_code))
}

pub(crate) fn diff(context: &Context, args: &DiffArgs) -> Result<Exit, Error> {
    let request = request(
        context,
        &args.from,
        &args.layers,
        (&args.place, &args.ownership),
    )?;
    let look = look(context, &request)?;
    show(
        context,
        &request,
        &look,
        "kedactl.diff/v1",
        view::stack::diff,
    )?;
    Ok(exit(&look, args.exit_code))
}

fn request(
    context: &Context,
    from: &BundleUse,
    layers: &Layers,
    (at, ownership): (&PlaceArgs, &OwnershipArgs),
) -> Result<Request, Error> {
    if let Some(request) = bundle::request(context, from, layers, (at, ownership))? {
        return Ok(request);
    }
    let loaded = place::load(context, layers, at)?.loaded;
    if matches!(loaded.config.provider, Provider::Auto | Provider::Local) {
        let message = "the provider local compares by itself: `up` changes what differs";
        return Err(Error::new(Code::Usage, message)
            .hint("add --provider context, kind or minikube for a cluster"));
    }
    let templates = super::render::templates(context, &loaded.config)?;
    place::request(context, loaded.config, templates, at, ownership)
}

fn look(context: &Context, request: &Request) -> Result<Look, Error> {
    let control = Control::default();
    follow(context.printer, Readers::new(None)?, |sink| {
        block_on_job(&control, 0, async {
            Ok(kedactl_stack::look(request, sink, &control.stop).await?)
        })
    })
}

fn keep(look: &Look) -> Result<&kedactl_cluster::Plan, Error> {
    look.plan.as_ref().ok_or_else(|| {
        let message = if look.cluster.is_none() {
            "there is no cluster yet that a plan could be bound to"
        } else {
            "`up` would be refused: a plan of it could not be carried out"
        };
        Error::new(Code::Unplannable, message)
    })
}

fn show(
    context: &Context,
    request: &Request,
    look: &Look,
    schema: &str,
    text: fn(&Look) -> String,
) -> Result<(), Error> {
    if !context.json() {
        return Ok(context.printer.data(&text(look))?);
    }
    let mut value = serde_json::json!(look);
    value["schema"] = schema.into();
    value["stack"] = request.home.stack().into();
    value["changes"] = look.has_changes().into();
    Ok(context.printer.data(&crate::output::json(&value)?)?)
}

fn exit(look: &Look, asked: bool) -> Exit {
    if asked && look.has_changes() {
        Exit::Changes
    } else {
        Exit::Done
    }
}
