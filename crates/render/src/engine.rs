//! Handlebars, set up so that a missing name is an error and no value is escaped as HTML.
//! Texts in, texts out; knows no Kubernetes.

use handlebars::{Handlebars, RenderErrorReason, TemplateError};
use kedactl_config::Config;
use serde_json::Value as Json;

use crate::error::Place;
use crate::{RenderError, Templates, context, helpers};

/// Renders these templates of a set; all others of it may be parts that they include.
pub(crate) fn render(
    templates: &Templates,
    config: &Config,
    wanted: &[&str],
) -> Result<Vec<(String, String)>, RenderError> {
    with(templates, &context::of(config), wanted)
}

/// The same for one template, with more under one more name of `computed`.
pub(crate) fn render_with(
    templates: &Templates,
    config: &Config,
    (name, more): (&str, Json),
    wanted: &str,
) -> Result<String, RenderError> {
    let mut context = context::of(config);
    if let Some(computed) = context.get_mut("computed").and_then(Json::as_object_mut) {
        computed.insert(name.to_owned(), more);
    }
    let rendered = with(templates, &context, &[wanted])?;
    Ok(rendered.into_iter().map(|(_, text)| text).collect())
}

fn with(
    templates: &Templates,
    context: &Json,
    wanted: &[&str],
) -> Result<Vec<(String, String)>, RenderError> {
    let mut engine = Handlebars::new();
    engine.set_strict_mode(true);
    engine.register_escape_fn(handlebars::no_escape);
    helpers::register(&mut engine);
    for (name, text) in templates.texts() {
        engine
            .register_template_string(name, text)
            .map_err(|error| not_a_template(name, &error))?;
    }
    let mut known: Vec<String> = templates.names().map(str::to_owned).collect();
    names(context, "", &mut known);
    let one = |name: &&str| match engine.render(name, context) {
        Ok(text) => Ok(((*name).to_owned(), text)),
        Err(error) => Err(not_rendered(name, &error, &known)),
    };
    wanted.iter().map(one).collect()
}

fn not_a_template(name: &str, error: &TemplateError) -> RenderError {
    let place = error
        .pos()
        .map_or(Place::Unknown, |(line, _)| Place::Template(line));
    RenderError::new(name, place, one_line(&error.reason().to_string()))
}

fn not_rendered(name: &str, error: &handlebars::RenderError, known: &[String]) -> RenderError {
    let template = error.template_name.as_deref().unwrap_or(name);
    let place = error.line_no.map_or(Place::Unknown, Place::Template);
    let refuse = |message: String| RenderError::new(template, place.clone(), message);
    match error.reason() {
        RenderErrorReason::MissingVariable(Some(path)) => {
            refuse(format!("unknown name `{path}`{}", meant(path, known)))
                .hint("`kedactl config show` lists the names that a template may use")
        }
        RenderErrorReason::MissingVariable(None) => refuse("unknown name".into()),
        RenderErrorReason::PartialNotFound(part) => {
            refuse(format!("unknown template `{part}`{}", meant(part, known)))
        }
        RenderErrorReason::HelperNotFound(helper) => refuse(format!("unknown helper `{helper}`"))
            .hint("helpers: yaml, quote, toYaml, json, and handlebars' own"),
        other => refuse(one_line(&other.to_string())),
    }
}

fn meant(name: &str, known: &[String]) -> String {
    let near = kedactl_config::nearest(name, known.iter().map(String::as_str));
    near.map(|near| format!(", did you mean `{near}`?"))
        .unwrap_or_default()
}

/// Every dotted name that a template may use.
fn names(value: &Json, path: &str, found: &mut Vec<String>) {
    for (key, value) in value.as_object().into_iter().flatten() {
        let dot = if path.is_empty() { "" } else { "." };
        let path = format!("{path}{dot}{key}");
        names(value, &path, found);
        found.push(path);
    }
}

fn one_line(message: &str) -> String {
    message.split_whitespace().collect::<Vec<_>>().join(" ")
}
