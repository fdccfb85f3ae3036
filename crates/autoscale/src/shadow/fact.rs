//! What was seen of a cluster, one fact a line: the journal from which a comparison can be computed at any time.
//!
//! Must not interpret: a fact is what an API server said, reduced to what a controller looks at.

use std::collections::BTreeMap;

use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use serde::{Deserialize, Serialize};

use crate::api::ScaledObject;
use crate::hpa::{HpaOptions, Pod, PodSample};
use crate::time::Timestamp;

/// One line of a recording.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Line {
    /// When it reached the recorder, by the API server's clock as far as that is known.
    pub at: Timestamp,
    /// What was seen.
    #[serde(flatten)]
    pub fact: Fact,
}

/// Something that was seen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(
    tag = "fact",
    rename_all = "kebab-case",
    rename_all_fields = "camelCase"
)]
pub enum Fact {
    /// The recording starts: everything that is there already follows, then changes.
    Start {
        /// The namespace that is recorded.
        namespace: String,
        /// Flags and gates of the HPA controller.
        options: HpaOptions,
        /// Where they come from.
        source: FlagSource,
    },
    /// All that was there at the start has been told.
    Complete,
    /// An HPA, new or changed.
    Hpa {
        /// Without managed fields and annotations.
        object: Box<HorizontalPodAutoscaler>,
    },
    /// A `ScaledObject`, new or changed, with its status.
    ScaledObject {
        /// Without managed fields.
        object: Box<ScaledObject>,
    },
    /// The scale of a Deployment, new or changed.
    Target {
        /// What of it counts.
        target: Target,
    },
    /// A pod, new or changed.
    Pod {
        /// What of it counts.
        pod: SeenPod,
    },
    /// An object was deleted.
    Gone {
        /// Its kind.
        kind: String,
        /// Its name.
        name: String,
    },
    /// All that the resource metrics API knows of the namespace's pods, where it differs from before.
    Samples {
        /// By pod.
        samples: BTreeMap<String, SeenSample>,
    },
    /// What a `ScaledObject`'s external metric read, asked for by the recorder or handed to it.
    Reading {
        /// The `ScaledObject`.
        scaled_object: String,
        /// Name of the metric.
        metric: String,
        /// Thousandths; absent where it failed.
        milli: Option<i64>,
        /// Why it failed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    },
    /// A watch was interrupted; what changed meanwhile is only known by its outcome.
    Interrupted {
        /// The kind that was watched.
        kind: String,
        /// Why.
        reason: String,
    },
    /// An object that this version cannot read, so that nothing about it is compared.
    Unread {
        /// Its kind.
        kind: String,
        /// Its name.
        name: String,
        /// What is odd.
        problem: String,
    },
}

/// Where the controller's flags come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FlagSource {
    /// The command line of the controller's pod.
    CommandLine,
    /// Given by the caller.
    Given,
    /// Nobody could be asked: Kubernetes' defaults.
    Defaults,
}

/// A Deployment as `/scale` shows it, and who wrote its size last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Target {
    /// Its name.
    pub name: String,
    /// `spec.replicas`.
    pub spec_replicas: i32,
    /// `status.replicas`.
    pub status_replicas: i32,
    /// `status.readyReplicas`.
    pub ready_replicas: i32,
    /// Which pods are its own.
    pub selector: LabelSelector,
    /// Field manager that owns `spec.replicas`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub writer: Option<String>,
}

/// A pod with its labels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SeenPod {
    /// What the controller looks at.
    pub pod: Pod,
    /// Labels, which say whose it is.
    pub labels: BTreeMap<String, String>,
}

/// What the resource metrics API says of one pod.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SeenSample {
    /// When the sample was taken; whole seconds.
    pub at: Timestamp,
    /// Microseconds that it averages over.
    pub window_micros: i64,
    /// Thousandths by resource (`cpu`), and by `container/resource`.
    pub usage: BTreeMap<String, i64>,
}

impl SeenSample {
    /// Returns one resource's sample, where there is one.
    pub(super) fn of(&self, key: &str) -> Option<PodSample> {
        self.usage.get(key).map(|milli| PodSample {
            milli: *milli,
            at: self.at,
            window_micros: self.window_micros,
        })
    }
}

impl Fact {
    /// Wraps a reading that succeeded.
    pub fn reading(scaled_object: &str, metric: &str, milli: i64) -> Self {
        Self::Reading {
            scaled_object: scaled_object.to_owned(),
            metric: metric.to_owned(),
            milli: Some(milli),
            error: None,
        }
    }

    /// Wraps a reading that failed.
    pub fn failed_reading(scaled_object: &str, metric: &str, error: String) -> Self {
        Self::Reading {
            scaled_object: scaled_object.to_owned(),
            metric: metric.to_owned(),
            milli: None,
            error: Some(error),
        }
    }
}
