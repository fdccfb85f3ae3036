//! `kedactl alerts ls|retry|drop|render|test`.
//!
//! It must not know how the outbox is stored: the outbox does.

use super::block_on;
use crate::args::{AlertsArgs, AlertsCommand, AlertsRenderArgs};
use crate::context::Context;
use crate::error::{Code, Error, Exit};
use crate::output::view::alerts as view;
use crate::running::Running;
use kedactl_alerts::{Notification, Template};
use kedactl_outbox::{GroupId, Outbox, OutboxOptions};
use std::io::Read as _;
use std::path::Path;

/// Largest notification that is read: what the webhook takes.
const LARGEST: u64 = 4 << 20;

pub(crate) fn alerts(context: &Context, args: AlertsArgs) -> Result<Exit, Error> {
    let text = match args.command {
        AlertsCommand::Render(args) => render(context, &args)?,
        AlertsCommand::Test(args) => super::alerts_test::test(context, &args)?,
        AlertsCommand::Ls { limit } => {
            on_outbox(context, async |outbox| ls(context, outbox, limit).await)?
        }
        AlertsCommand::Retry { groups } => {
            let groups = groups_of(&groups)?;
            on_outbox(context, async |outbox| {
                retry(context, outbox, &groups).await
            })?
        }
        AlertsCommand::Drop { groups, dead: _ } => {
            let groups = groups_of(&groups)?;
            on_outbox(context, async |outbox| {
                drop_groups(context, outbox, &groups).await
            })?
        }
    };
    context.printer.data(&text)?;
    Ok(Exit::Done)
}

/// Does something with the outbox of the stack that the command line names.
fn on_outbox(
    context: &Context,
    work: impl AsyncFnOnce(&Outbox) -> Result<String, Error>,
) -> Result<String, Error> {
    let running = Running::open(context)?;
    block_on(async {
        let redis = running.redis().await?;
        work(&Outbox::new(&redis, OutboxOptions::default())).await
    })
}

async fn ls(context: &Context, outbox: &Outbox, limit: u32) -> Result<String, Error> {
    let (rows, depth) = (outbox.list(limit).await?, outbox.depth().await?);
    if !context.json() {
        return Ok(view::outbox(&rows, &depth));
    }
    let value = serde_json::json!({
        "schema": "kedactl.alerts/v1", "groups": rows, "waiting": depth.waiting, "sending": depth.sending,
        "dead": depth.dead, "closed_chats": depth.closed_chats, "oldest_ms": depth.oldest.as_millis() as u64,
        "counts": depth.counts,
    });
    crate::output::json(&value)
}

async fn retry(context: &Context, outbox: &Outbox, groups: &[GroupId]) -> Result<String, Error> {
    let mut number = 0;
    if groups.is_empty() {
        number = outbox.retry(None).await?;
    }
    for group in groups {
        match outbox.retry(Some(group)).await? {
            0 => {
                return Err(no_group(
                    group,
                    "is neither dead nor does it wait for a chat",
                ));
            }
            more => number += more,
        }
    }
    said(
        context,
        &format!("{number} groups are tried again"),
        "retried",
        number,
    )
}

async fn drop_groups(
    context: &Context,
    outbox: &Outbox,
    groups: &[GroupId],
) -> Result<String, Error> {
    let mut number = 0;
    if groups.is_empty() {
        number = outbox.drop_groups(None).await?;
    }
    for group in groups {
        match outbox.drop_groups(Some(group)).await? {
            0 => return Err(no_group(group, "is not there")),
            more => number += more,
        }
    }
    said(
        context,
        &format!("{number} groups forgotten"),
        "dropped",
        number,
    )
}

fn said(context: &Context, text: &str, key: &str, number: u64) -> Result<String, Error> {
    if !context.json() {
        return Ok(text.to_owned());
    }
    crate::output::json(&serde_json::json!({"schema": "kedactl.alerts-acted/v1", key: number}))
}

fn groups_of(texts: &[String]) -> Result<Vec<GroupId>, Error> {
    let read = |text: &String| {
        let wrong = |_| {
            Error::new(Code::Usage, format!("`{text}` is not the id of a group"))
                .hint("`kedactl alerts ls` shows them")
        };
        text.parse().map_err(wrong)
    };
    texts.iter().map(read).collect()
}

fn no_group(group: &GroupId, what: &str) -> Error {
    Error::new(Code::NoGroup, format!("the group {group} {what}"))
        .hint("`kedactl alerts ls` shows those that are there")
}

/// As the webhook does it, with the template of the configuration.
fn render(context: &Context, args: &AlertsRenderArgs) -> Result<String, Error> {
    let config = context.load(&args.layers)?.config;
    let template = match config.webhook.routes.get(&args.route) {
        // Checked with the configuration.
        Some(route) => Template::new(&route.template.texts())
            .map_err(|error| Error::new(Code::Config, error.to_string()))?,
        None if args.route == kedactl_config::Webhook::DEFAULT_ROUTE => Template::built_in(),
        None => {
            let names: Vec<&str> = config.webhook.routes.keys().map(String::as_str).collect();
            let error = Error::new(
                Code::Usage,
                format!("the webhook has no route `{}`", args.route),
            );
            return Err(error.hint(format!("routes in webhook.routes: {}", names.join(", "))));
        }
    };
    let bytes = read(&args.file)?;
    let notification = Notification::read(&bytes).map_err(|error| {
        let shown = args.file.display();
        Error::new(Code::Usage, format!("{shown} is no notification of Alertmanager: {error}"))
            .hint("it is the JSON that Alertmanager posts to a webhook: an object with `groupKey`, `status` and `alerts`")
    })?;
    let rendered = template.render(&args.route, &notification);
    if let Some(warning) = &rendered.warning {
        context
            .printer
            .say(&format!("the built-in template was taken: {warning}"));
    }
    if !context.json() {
        return Ok(rendered.html.text());
    }
    let value = serde_json::json!({
        "schema": "kedactl.alert-rendered/v1", "html": rendered.html.text(), "plain": rendered.html.plain(),
        "length": rendered.html.length(), "left_out": rendered.left_out, "warning": rendered.warning,
    });
    crate::output::json(&value)
}

fn read(file: &Path) -> Result<Vec<u8>, Error> {
    let refused =
        |error| Error::new(Code::Io, format!("{} could not be read", file.display())).source(error);
    let mut bytes = Vec::new();
    let read = if file == Path::new("-") {
        std::io::stdin()
            .lock()
            .take(LARGEST + 1)
            .read_to_end(&mut bytes)
    } else {
        std::fs::File::open(file).and_then(|it| it.take(LARGEST + 1).read_to_end(&mut bytes))
    };
    read.map_err(refused)?;
    if bytes.len() as u64 > LARGEST {
        let most = LARGEST >> 20;
        return Err(Error::new(
            Code::Usage,
            format!(
                "{} is larger than {most} MiB, which the webhook refuses",
                file.display()
            ),
        ));
    }
    Ok(bytes)
}
