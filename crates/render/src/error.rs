//! Why a template or a manifest was refused.
//! Words the refusal; never decides it.

use std::fmt;

/// A template that cannot be rendered, or a manifest that Kubernetes would not take.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct RenderError {
    /// Name of the template, `api.yaml.hbs`; empty for what concerns several.
    pub template: String,
    /// Where in it, where that is known.
    pub place: Place,
    /// What is wrong, in lower case, without a full stop.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// A place in a template or in what it rendered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Place {
    /// Not known.
    #[default]
    Unknown,
    /// Line of the template, from 1.
    Template(usize),
    /// Line of the rendered text, from 1, and what stands there.
    Output(usize, String),
    /// Kind and name of the object, and the path of the field.
    Field(String, String),
}

impl fmt::Display for RenderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.template.is_empty() {
            write!(f, "template `{}`", self.template)?;
            match &self.place {
                Place::Unknown => {}
                Place::Template(line) => write!(f, " line {line}")?,
                Place::Output(line, text) => write!(f, ", line {line} of its output (`{text}`)")?,
                Place::Field(object, path) if path.is_empty() => write!(f, ", {object}")?,
                Place::Field(object, path) => write!(f, ", {object}, `{path}`")?,
            }
            f.write_str(": ")?;
        }
        f.write_str(&self.message)
    }
}

impl RenderError {
    pub(crate) fn new(template: &str, place: Place, message: impl Into<String>) -> Self {
        Self {
            template: template.to_owned(),
            place,
            message: message.into(),
            hint: None,
        }
    }

    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        Self {
            hint: Some(hint.into()),
            ..self
        }
    }
}
