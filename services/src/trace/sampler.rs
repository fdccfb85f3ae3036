//! Which traces are kept.
//!
//! It must not decide anew within one process what a trace id decides: all spans of a trace are kept, or none.

use super::context::TraceContext;

/// What `OTEL_TRACES_SAMPLER` names.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Sampler {
    /// The share of traces that are kept, where it is decided here.
    pub(crate) ratio: f64,
    /// Whether a trace that began elsewhere is kept where it was kept there.
    pub(crate) parent_based: bool,
}

impl Default for Sampler {
    /// `parentbased_always_on`.
    fn default() -> Self {
        Self {
            ratio: 1.0,
            parent_based: true,
        }
    }
}

impl Sampler {
    /// Reads a name and its argument.
    pub(crate) fn read(name: &str, argument: Option<&str>) -> Result<Self, String> {
        let (parent_based, plain) = match name.strip_prefix("parentbased_") {
            Some(plain) => (true, plain),
            None => (false, name),
        };
        let ratio = match plain {
            "always_on" => 1.0,
            "always_off" => 0.0,
            "traceidratio" => share(argument.unwrap_or("1"))?,
            _ => {
                return Err(format!(
                    "`{name}` is none of always_on, always_off, traceidratio, or one of these behind `parentbased_`"
                ));
            }
        };
        Ok(Self {
            ratio,
            parent_based,
        })
    }

    /// Whether a span is kept: `parent` is what it follows.
    pub(super) fn keeps(&self, parent: Option<&TraceContext>, own: &TraceContext) -> bool {
        match parent {
            Some(parent) if self.parent_based => parent.is_sampled(),
            _ => own.share() < self.ratio,
        }
    }
}

fn share(text: &str) -> Result<f64, String> {
    let ratio = text.parse::<f64>().ok();
    ratio
        .filter(|it| (0.0..=1.0).contains(it))
        .ok_or_else(|| format!("`{text}` is not a number from 0 to 1"))
}
