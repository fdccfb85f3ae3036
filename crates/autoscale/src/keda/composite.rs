//! The one metric that a formula makes of all external triggers.
//!
//! Must not hide a failing trigger: it is `nil` in the formula, and only `??` or a fallback stands in for it.

use super::{TriggerSpec, TriggerView, fallback};
use crate::api::{Fallback, MetricType, ScaledObject};
use crate::formula::Formula;
use crate::hpa_render::RenderError;
use crate::quantity;

/// A formula with its target.
#[derive(Clone, Debug)]
pub(super) struct Composite {
    formula: Formula,
    target_milli: i64,
    metric_type: MetricType,
    activation_milli: i64,
}

impl Composite {
    /// Reads the object's formula, if it has one.
    pub(super) fn of(object: &ScaledObject) -> Result<Option<Self>, RenderError> {
        let Some(modifiers) = object.spec.modifiers() else {
            return Ok(None);
        };
        let number = |field: &'static str, text: &str| {
            let parsed = text.parse::<f64>().map(quantity::reading_to_milli);
            let text = text.to_owned();
            parsed.map_err(|_| RenderError::ModifierNumber { field, text })
        };
        let activation = modifiers.activation_target.as_deref().unwrap_or("0");
        Ok(Some(Self {
            formula: Formula::parse(&modifiers.formula)?,
            target_milli: number("target", &modifiers.target)?,
            metric_type: modifiers.metric_type.unwrap_or_default().into(),
            activation_milli: number("activationTarget", activation)?,
        }))
    }

    /// Says whether a value of the formula counts as active.
    pub(super) fn is_active(&self, milli: i64) -> bool {
        milli > self.activation_milli
    }

    /// Returns the formula's value in thousandths, truncated; where it has none, the fallback's or the error.
    pub(super) fn value(
        &self,
        triggers: &[TriggerSpec],
        views: &[TriggerView],
        fallback: Option<Fallback>,
        (current, ready): (i32, i32),
    ) -> Result<i64, String> {
        let lookup = |name: &str| {
            let named = |trigger: &&TriggerSpec| trigger.name.as_deref() == Some(name);
            let index = triggers.iter().find(named)?.index;
            let view = views
                .iter()
                .find(|view| view.trigger == index && !view.fallback)?;
            view.milli.map(|milli| milli as f64 / 1000.0)
        };
        let error = match self.formula.evaluate(&lookup) {
            Ok(Some(value)) => return Ok((value * 1000.0) as i64),
            Ok(None) => "the formula has no value while a trigger fails".to_owned(),
            Err(error) => error.to_string(),
        };
        let standing_in = views.iter().any(|view| view.fallback);
        let (target, kind) = (self.target_milli, self.metric_type);
        let value = fallback
            .filter(|_| standing_in)
            .and_then(|fallback| fallback::milli(&fallback, target, kind, current, ready));
        value.ok_or(error)
    }
}
