//! What templates may call: `yaml`, `quote`, `toYaml`, `json`, and stricter forms of `if` and `unless`.
//! Each writes a value so that YAML reads the same value back.

use handlebars::{
    Context, Handlebars, Helper, HelperDef, HelperResult, Output, RenderContext, RenderErrorReason,
    Renderable as _,
};
use kedactl_config::{scalar_text, to_yaml};
use serde_json::Value as Json;

/// Registers all helpers.
pub(crate) fn register(engine: &mut Handlebars<'_>) {
    engine.register_helper("yaml", written(scalar));
    engine.register_helper(
        "quote",
        written(|value| match value {
            Json::String(_) => scalar(value).map(quoted),
            other => scalar(other).map(|text| format!("\"{text}\"")),
        }),
    );
    engine.register_helper("json", written(|value| Ok(json(value))));
    engine.register_helper("toYaml", Box::new(block));
    engine.register_helper("if", Box::new(Condition(true)));
    engine.register_helper("unless", Box::new(Condition(false)));
}

type Failure = RenderErrorReason;

/// A helper that writes its one parameter as a text.
fn written(
    write: impl Fn(&Json) -> Result<String, Failure> + Send + Sync + 'static,
) -> Box<dyn HelperDef + Send + Sync> {
    Box::new(
        move |helper: &Helper<'_>,
              _: &Handlebars<'_>,
              _: &Context,
              _: &mut RenderContext<'_, '_>,
              out: &mut dyn Output|
              -> HelperResult { Ok(out.write(&write(value(helper)?)?)?) },
    )
}

/// The first parameter; a name that does not exist is an error.
fn value<'a>(helper: &'a Helper<'_>) -> Result<&'a Json, Failure> {
    let Some(param) = helper.param(0) else {
        return Err(Failure::Other(format!("`{}` needs a value", helper.name())));
    };
    if param.is_value_missing() {
        return Err(Failure::MissingVariable(param.relative_path().cloned()));
    }
    Ok(param.value())
}

fn scalar(value: &Json) -> Result<String, Failure> {
    match value {
        Json::Array(_) | Json::Object(_) => Err(Failure::Other(
            "a list or a map is written with `toYaml`, not on one line".into(),
        )),
        Json::Null => Err(Failure::Other(
            "the value is not set; ask with `if` first".into(),
        )),
        other => Ok(scalar_text(other)),
    }
}

fn quoted(text: String) -> String {
    if text.starts_with('"') {
        text
    } else {
        format!("\"{text}\"")
    }
}

/// JSON on one line, without characters that YAML would take for a line break.
fn json(value: &Json) -> String {
    let mut out = String::new();
    for c in value.to_string().chars() {
        match c {
            '\u{7f}'..='\u{a0}'
            | '\u{2028}'
            | '\u{2029}'
            | '\u{feff}'
            | '\u{fffe}'
            | '\u{ffff}' => {
                out.extend(format!("\\u{:04x}", u32::from(c)).chars());
            }
            c => out.push(c),
        }
    }
    out
}

/// `key:{{toYaml value indent=4}}`: a block on the lines below, or ` {}` and ` []` where it is empty.
fn block(
    helper: &Helper<'_>,
    _: &Handlebars<'_>,
    _: &Context,
    _: &mut RenderContext<'_, '_>,
    out: &mut dyn Output,
) -> HelperResult {
    let value = value(helper)?;
    let indent = helper
        .hash_get("indent")
        .and_then(|indent| indent.value().as_u64());
    let indent = indent.ok_or_else(|| Failure::Other("`toYaml` needs indent=N".into()))?;
    let empty = match value {
        Json::Object(map) => map.is_empty(),
        Json::Array(items) => items.is_empty(),
        _ => true,
    };
    if empty {
        let text = match value {
            Json::Object(_) => "{}".to_owned(),
            Json::Array(_) => "[]".to_owned(),
            other => scalar(other)?,
        };
        return Ok(out.write(&format!(" {text}"))?);
    }
    let text = to_yaml(value).map_err(|error| Failure::Other(error.to_string()))?;
    let width = usize::try_from(indent).unwrap_or(0).min(256);
    for line in text.lines() {
        out.write(&format!("\n{:width$}{line}", ""))?;
    }
    Ok(())
}

/// `if` (true) and `unless` (false): handlebars' own take a name that does not exist for false.
struct Condition(bool);

impl HelperDef for Condition {
    fn call<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        engine: &'reg Handlebars<'reg>,
        context: &'rc Context,
        rc: &mut RenderContext<'reg, 'rc>,
        out: &mut dyn Output,
    ) -> HelperResult {
        let holds = truthy(value(helper)?) == self.0;
        match if holds {
            helper.template()
        } else {
            helper.inverse()
        } {
            Some(template) => template.render(engine, context, rc, out),
            None => Ok(()),
        }
    }
}

/// What counts as set: not `null`, `false`, 0, or empty.
fn truthy(value: &Json) -> bool {
    match value {
        Json::Null => false,
        Json::Bool(value) => *value,
        Json::Number(number) => number.as_f64() != Some(0.0),
        Json::String(text) => !text.is_empty(),
        Json::Array(items) => !items.is_empty(),
        Json::Object(map) => !map.is_empty(),
    }
}
