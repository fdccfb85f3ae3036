//! Annotations by which KEDA is paused, forced or told how to own its HPA.
//!
//! Must not act on them: it only says what an object's annotations ask for.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Stops the loop, deletes the HPA and keeps the present count. Anything that is not a boolean counts as true.
pub const PAUSED: &str = "autoscaling.keda.sh/paused";
/// Stops the loop, deletes the HPA and sets the count to the annotation's number.
pub const PAUSED_REPLICAS: &str = "autoscaling.keda.sh/paused-replicas";
/// Keeps the HPA but disables every step down, in the HPA and in the operator.
pub const PAUSED_SCALE_IN: &str = "autoscaling.keda.sh/paused-scale-in";
/// Keeps the HPA but disables every step up, in the HPA and in the operator.
pub const PAUSED_SCALE_OUT: &str = "autoscaling.keda.sh/paused-scale-out";
/// Treats the object as active, whatever its triggers say.
pub const FORCE_ACTIVATION: &str = "autoscaling.keda.sh/force-activation";
/// Lets KEDA take over an HPA that exists already.
pub const TRANSFER_HPA_OWNERSHIP: &str = "scaledobject.keda.sh/transfer-hpa-ownership";
/// Comma-separated labels that are not copied to the HPA.
pub const HPA_EXCLUDED_LABELS: &str = "scaledobject.keda.sh/hpa-excluded-labels";
/// Label by which the metrics API finds the object that a metric belongs to.
pub const OWNER: &str = "scaledobject.keda.sh/name";

/// What the pausing annotations of one object ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Pause {
    /// Everything stands still (`paused` or a valid `paused-replicas`).
    pub full: bool,
    /// The count to hold while paused; `None` keeps the present one.
    pub replicas: Option<i32>,
    /// No step down.
    pub scale_in: bool,
    /// No step up.
    pub scale_out: bool,
    /// Act as if a trigger were active.
    pub force_activation: bool,
}

impl Pause {
    /// Reads the annotations of an object; `None` when it has none.
    ///
    /// An unparsable `paused-replicas` is ignored, as the operator ignores it after logging: it then neither
    /// pauses nor scales.
    pub fn from_annotations(annotations: Option<&BTreeMap<String, String>>) -> Self {
        let Some(annotations) = annotations else {
            return Self::default();
        };
        let flag = |name: &str| annotations.get(name).is_some_and(|text| lenient_bool(text));
        let pinned = annotations.get(PAUSED_REPLICAS);
        let replicas = pinned.and_then(|text| text.parse().ok());
        Self {
            // `paused-replicas` wins over `paused` as soon as it is present.
            full: if pinned.is_some() {
                replicas.is_some()
            } else {
                flag(PAUSED)
            },
            replicas,
            scale_in: flag(PAUSED_SCALE_IN),
            scale_out: flag(PAUSED_SCALE_OUT),
            force_activation: flag(FORCE_ACTIVATION),
        }
    }
}

/// Go's `strconv.ParseBool`, with KEDA's rule that anything unparsable means true.
fn lenient_bool(text: &str) -> bool {
    !matches!(text, "0" | "f" | "F" | "false" | "False" | "FALSE")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pause(pairs: &[(&str, &str)]) -> Pause {
        let map = pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        Pause::from_annotations(Some(&map))
    }

    #[test]
    fn an_unparsable_flag_means_true() {
        assert!(pause(&[(PAUSED, "yes please")]).full);
        assert!(!pause(&[(PAUSED, "F")]).full);
        assert!(pause(&[(PAUSED_SCALE_IN, "true")]).scale_in);
    }

    #[test]
    fn paused_replicas_win_over_paused() {
        let both = pause(&[(PAUSED, "false"), (PAUSED_REPLICAS, "4")]);
        assert_eq!((both.full, both.replicas), (true, Some(4)));
        assert!(!pause(&[(PAUSED, "true"), (PAUSED_REPLICAS, "four")]).full);
    }
}
