//! `kedactl charts list|pull|check`.
//!
//! It must not know what is wrong with a chart, nor how one is fetched.

use super::block_on_until_stopped;
use crate::args::{ChartsArgs, ChartsCheckArgs, ChartsCommand, ChartsPullArgs, Layers};
use crate::context::{Context, read_file};
use crate::error::{Code, Error, Exit};
use crate::output::view::charts as view;
use crate::output::{Readers, follow};
use kedactl_config::{Limits, documents, nearest, to_yaml};
use kedactl_images::Credentials;
use kedactl_stack::charts::{ChartsRequest, check, list, pull};
use kedactl_tools::CancellationToken;
use serde_json::{Value, json};
use std::path::Path;

pub(crate) fn charts(context: &Context, args: &ChartsArgs) -> Result<Exit, Error> {
    match &args.command {
        ChartsCommand::List(args) => {
            let charts = list(&request(context, &args.layers, &args.releases)?)?;
            let text = if context.json() {
                crate::output::json(&json!({"schema": "kedactl.charts/v1", "charts": charts}))?
            } else {
                view::list(&charts)
            };
            context.printer.data(&text)?;
            Ok(Exit::Done)
        }
        ChartsCommand::Pull(args) => pull_all(context, args),
        ChartsCommand::Check(args) => check_all(context, args),
    }
}

fn request(context: &Context, layers: &Layers, only: &[String]) -> Result<ChartsRequest, Error> {
    let config = super::place::as_recorded(context, layers)?.config;
    for name in only {
        if config.release(name).is_none() {
            let known = config.wanted_releases().map(|(known, _)| known.as_str());
            let known: Vec<&str> = known.collect();
            let near = nearest(name, known.iter().copied());
            let meant = near.map(|near| format!(", did you mean `{near}`?"));
            let message = format!("there is no release `{name}`{}", meant.unwrap_or_default());
            let hint = format!("releases of this configuration: {}", known.join(", "));
            return Err(Error::new(Code::Usage, message).hint(hint));
        }
    }
    let templates = super::render::templates(context, &config)?;
    let docker = context.env.docker_config();
    Ok(ChartsRequest {
        home: context.home(&context.name_of(&config))?,
        config,
        templates,
        credentials: docker.map_or(Credentials::Anonymous, Credentials::DockerConfig),
        only: only.to_vec(),
    })
}

fn pull_all(context: &Context, args: &ChartsPullArgs) -> Result<Exit, Error> {
    let request = request(context, &args.layers, &args.releases)?;
    let stop = CancellationToken::new();
    let pulled = follow(context.printer, Readers::new(None)?, |sink| {
        block_on_until_stopped(&stop, async {
            Ok(pull(&request, args.to.as_deref(), sink, &stop).await?)
        })
    })?;
    let text = if context.json() {
        crate::output::json(&json!({"schema": "kedactl.charts.pull/v1", "charts": pulled}))?
    } else {
        view::pulled(&pulled)
    };
    context.printer.data(&text)?;
    Ok(Exit::Done)
}

fn check_all(context: &Context, args: &ChartsCheckArgs) -> Result<Exit, Error> {
    let request = request(context, &args.layers, &args.releases)?;
    let stop = CancellationToken::new();
    let checked = follow(context.printer, Readers::new(None)?, |sink| {
        block_on_until_stopped(&stop, async {
            let version = args.kube_version.clone();
            Ok(Box::pin(check(&request, version, sink, &stop)).await?)
        })
    })?;
    let text = if context.json() {
        crate::output::json(&view::checked_json(&checked))?
    } else {
        view::checked(&checked)?
    };
    context.printer.data(&text)?;
    if checked.findings.is_empty() {
        return Ok(Exit::Done);
    }
    let found = Error::new(Code::ChartFindings, checked.sentence());
    let Some(path) = &args.fix else {
        return Err(found);
    };
    let mut values = written_before(path)?;
    for finding in &checked.findings {
        kedactl_charts::lay(&mut values, &finding.patch);
    }
    let text = to_yaml(&values).map_err(|error| Error::new(Code::Internal, error.to_string()))?;
    std::fs::write(path, format!("{HEAD}{text}")).map_err(|error| {
        Error::new(Code::Io, format!("{} could not be written", path.display())).source(error)
    })?;
    Err(found.hint(format!(
        "the cures are in {0}: look at them, then pass `-f {0}`",
        path.display()
    )))
}

/// The first line of a file that is written over: it has no words of a person's in it.
const HEAD: &str = "# Written by `kedactl charts check --fix`.\n";

/// What an earlier `--fix` wrote there; a file of somebody else's is not touched.
fn written_before(path: &Path) -> Result<Value, Error> {
    let text = match read_file(path, Limits::BYTES) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(json!({})),
        Err(error) => {
            let message = format!("{} could not be read", path.display());
            return Err(Error::new(Code::Io, message).source(error));
        }
    };
    if !text.starts_with(HEAD) {
        let message = format!(
            "{} is a file of yours, and --fix would write over it",
            path.display()
        );
        return Err(Error::new(Code::Usage, message).hint("name a file that does not exist"));
    }
    let documents = documents(&text).map_err(|(line, problem)| {
        Error::new(
            Code::Config,
            format!("{}:{line}: {problem}", path.display()),
        )
    })?;
    Ok(documents.into_iter().next().unwrap_or_else(|| json!({})))
}
