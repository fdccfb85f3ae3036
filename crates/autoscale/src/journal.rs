//! Inputs and decisions as lines that can be computed again: the proof that a journal tells the truth.
//!
//! Must not write files; a line is a value here.

use std::collections::BTreeMap;

use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use serde::{Deserialize, Serialize};

use crate::api::ScaledObject;
use crate::hpa::{Hpa, HpaDecision, HpaInput, HpaOptions, HpaSpecError, HpaState};
use crate::hpa_render::RenderError;
use crate::keda::{
    KedaLoop, KedaOptions, KedaState, PollInput, PollOutcome, ServeInput, ServedMetric,
};
use crate::time::Timestamp;

/// One line of a journal. `name` tells several objects apart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(
    tag = "entry",
    rename_all = "kebab-case",
    rename_all_fields = "camelCase"
)]
pub enum Entry {
    /// A loop starts, or takes over a changed object.
    KedaStart {
        /// Which object.
        name: String,
        /// As rendered.
        object: Box<ScaledObject>,
        /// Version and creation time.
        options: KedaOptions,
        /// What it remembers at this point.
        state: KedaState,
    },
    /// A poll.
    KedaPoll {
        /// Which object.
        name: String,
        /// When.
        now: Timestamp,
        /// What it saw.
        input: PollInput,
        /// What it decided.
        outcome: PollOutcome,
    },
    /// A query of the HPA.
    KedaServe {
        /// Which object.
        name: String,
        /// What it saw.
        input: ServeInput,
        /// What it answered.
        served: Vec<ServedMetric>,
    },
    /// The write of the latest poll failed.
    KedaScaleFailed {
        /// Which object.
        name: String,
    },
    /// An HPA starts, or takes over a changed object.
    HpaStart {
        /// Which HPA.
        name: String,
        /// As rendered.
        object: Box<HorizontalPodAutoscaler>,
        /// Flags and gates.
        options: HpaOptions,
        /// What it remembers at this point.
        state: HpaState,
    },
    /// A sync.
    HpaSync {
        /// Which HPA.
        name: String,
        /// When.
        now: Timestamp,
        /// What it saw.
        input: HpaInput,
        /// What it decided.
        decision: Box<HpaDecision>,
    },
    /// The write of the latest sync failed.
    HpaRescaleFailed {
        /// Which HPA.
        name: String,
        /// Why.
        error: String,
    },
}

/// What replaying a line showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A machine was set up or told of a failure; there is nothing to compare.
    Applied,
    /// The decision came out again, bit for bit.
    Same,
    /// Another decision came out.
    Different {
        /// As recorded, in JSON.
        recorded: String,
        /// As computed, in JSON.
        computed: String,
    },
}

/// Why a line cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// Not a line of a journal.
    #[error("the line is no journal entry")]
    Json(#[from] serde_json::Error),
    /// A decision before its start.
    #[error("`{name}` has no start entry before this line")]
    NotStarted {
        /// Which object.
        name: String,
    },
    /// An object that is refused.
    #[error("the ScaledObject `{name}` is refused")]
    Object {
        /// Which object.
        name: String,
        /// Why.
        source: RenderError,
    },
    /// An HPA that is refused.
    #[error("the HPA `{name}` is refused")]
    Hpa {
        /// Which HPA.
        name: String,
        /// Why.
        source: HpaSpecError,
    },
}

/// Runs a journal's decisions again.
#[derive(Debug, Default)]
pub struct Replayer {
    loops: BTreeMap<String, KedaLoop>,
    hpas: BTreeMap<String, (Hpa, Option<HpaDecision>)>,
}

impl Replayer {
    /// Starts with no machine; a journal's start entries bring them.
    pub fn new() -> Self {
        Self::default()
    }

    /// Replays one line of JSON.
    pub fn line(&mut self, line: &str) -> Result<Verdict, ReplayError> {
        self.entry(&serde_json::from_str(line)?)
    }

    /// Replays one entry.
    pub fn entry(&mut self, entry: &Entry) -> Result<Verdict, ReplayError> {
        match entry {
            Entry::KedaStart {
                name,
                object,
                options,
                state,
            } => {
                let machine =
                    KedaLoop::restore(object, *options, state.clone()).map_err(|source| {
                        ReplayError::Object {
                            name: name.clone(),
                            source,
                        }
                    })?;
                self.loops.insert(name.clone(), machine);
                Ok(Verdict::Applied)
            }
            Entry::KedaPoll {
                name,
                now,
                input,
                outcome,
            } => compare(outcome, &self.keda(name)?.poll(*now, input)),
            Entry::KedaServe {
                name,
                input,
                served,
            } => compare(served, &self.keda(name)?.serve(input)),
            Entry::KedaScaleFailed { name } => {
                self.keda(name)?.scale_failed();
                Ok(Verdict::Applied)
            }
            Entry::HpaStart {
                name,
                object,
                options,
                state,
            } => {
                let machine =
                    Hpa::from_object(object, *options, state.clone()).map_err(|source| {
                        ReplayError::Hpa {
                            name: name.clone(),
                            source,
                        }
                    })?;
                self.hpas.insert(name.clone(), (machine, None));
                Ok(Verdict::Applied)
            }
            Entry::HpaSync {
                name,
                now,
                input,
                decision,
            } => {
                let (machine, last) = self.hpa(name)?;
                let computed = machine.sync(*now, input);
                let verdict = compare(decision.as_ref(), &computed);
                *last = Some(computed);
                verdict
            }
            Entry::HpaRescaleFailed { name, error } => {
                let (machine, last) = self.hpa(name)?;
                if let Some(decision) = last {
                    machine.rescale_failed(decision, error);
                }
                Ok(Verdict::Applied)
            }
        }
    }

    fn keda(&mut self, name: &str) -> Result<&mut KedaLoop, ReplayError> {
        self.loops
            .get_mut(name)
            .ok_or_else(|| ReplayError::NotStarted {
                name: name.to_owned(),
            })
    }

    fn hpa(&mut self, name: &str) -> Result<&mut (Hpa, Option<HpaDecision>), ReplayError> {
        self.hpas
            .get_mut(name)
            .ok_or_else(|| ReplayError::NotStarted {
                name: name.to_owned(),
            })
    }
}

/// Compares as JSON, which is what the journal holds.
fn compare<T: Serialize>(recorded: &T, computed: &T) -> Result<Verdict, ReplayError> {
    let recorded = serde_json::to_string(recorded)?;
    let computed = serde_json::to_string(computed)?;
    Ok(if recorded == computed {
        Verdict::Same
    } else {
        Verdict::Different { recorded, computed }
    })
}
