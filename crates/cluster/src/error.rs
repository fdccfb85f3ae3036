//! What can go wrong between this program and a cluster, and what to do about it.
//! Must not decide exit codes or carry a secret: the program that prints maps classes to codes.

use std::path::PathBuf;
use std::time::Duration;

use crate::api::ApiError;
use crate::apply::Conflict;
use crate::object::ObjectRef;
use crate::ready::NotReady;

/// How an error counts, for the exit code of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// The API server could not be reached or did not let us in.
    Connection,
    /// The guard refused the cluster (exit 5).
    Refused,
    /// Another run holds the stack, or a plan is stale (exit 6).
    Locked,
    /// Something did not become ready (exit 3).
    NotReady,
    /// An object belongs to somebody else, or a field does.
    Ownership,
    /// Input that cannot be used (exit 65).
    Input,
    /// It was told to stop (exit 130 or 143).
    Interrupted,
    /// Anything else that the API server refused.
    Api,
}

/// Why a job on a cluster ended badly.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A kubeconfig file cannot be used.
    #[error("kubeconfig {} {problem}", path.display())]
    Kubeconfig {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, without its content.
        problem: String,
    },
    /// The context is in none of the files.
    #[error("context {context} is not in {}", path.display())]
    NoContext {
        /// The name that was asked for.
        context: String,
        /// The file that was read.
        path: PathBuf,
        /// The names that are there.
        known: Vec<String>,
    },
    /// A request did not come to a good end.
    #[error("could not {action}")]
    Api {
        /// "apply Deployment keda/api".
        action: String,
        /// The answer, or why there is none.
        #[source]
        source: ApiError,
    },
    /// The user lacks rights without which the job would stop half-way.
    #[error("{user} may not {}", some_of(missing))]
    NotAllowed {
        /// Who the API server takes us for.
        user: String,
        /// "create, patch networkpolicies.networking.k8s.io in namespace keda", one a resource.
        missing: Vec<String>,
        /// The command that asks the API server for the first of them.
        question: String,
    },
    /// The cluster is not the one that the stack is bound to.
    #[error("{reason}")]
    WrongCluster {
        /// Why it is refused, with both identities.
        reason: String,
        /// The UID of the cluster that answered.
        found: String,
        /// What else could be seen: address, version, namespaces.
        about: String,
    },
    /// An object or a name that cannot be used.
    #[error("{what} is not usable: {problem}")]
    Malformed {
        /// What it is.
        what: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The API server does not serve a kind.
    #[error("the cluster does not know {kind} of {api_version}")]
    KindMissing {
        /// `keda.sh/v1alpha1`.
        api_version: String,
        /// `ScaledObject`.
        kind: String,
    },
    /// Fields that other managers own.
    #[error("{}", conflicts(.0))]
    Conflict(Vec<Conflict>),
    /// An object of that name exists and is not ours.
    #[error("{object} exists and belongs to {owner}")]
    Foreign {
        /// The object.
        object: Box<ObjectRef>,
        /// "Helm release cache in namespace keda", "stack other", "nobody that is known".
        owner: String,
        /// Whether a flag may adopt it.
        adoptable: bool,
    },
    /// Another run holds the stack's Lease.
    #[error("another run holds stack {stack}: {holder}, renewed {age} s ago")]
    Locked {
        /// The stack.
        stack: String,
        /// Who holds it.
        holder: String,
        /// Seconds since it was renewed.
        age: i64,
    },
    /// The Lease was lost while the run went on.
    #[error("the lock of stack {stack} was lost: {reason}")]
    LeaseLost {
        /// The stack.
        stack: String,
        /// Who took it, or why it could not be renewed.
        reason: String,
    },
    /// Objects that did not become ready.
    #[error("{0}")]
    NotReady(Box<NotReady>),
    /// The cluster or the configuration is not what it was when the plan was made.
    #[error("the plan is stale: {}", first_of(differences))]
    Stale {
        /// What differs, one line each.
        differences: Vec<String>,
    },
    /// A plan file cannot be read or written.
    #[error("plan file {} {problem}", path.display())]
    PlanFile {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// An object does not go away.
    #[error("{object} is still there {} s after its deletion: {reason}", waited.as_secs())]
    Stuck {
        /// The object.
        object: Box<ObjectRef>,
        /// Which finalizer holds it, or what it still contains.
        reason: String,
        /// How long it was waited for.
        waited: Duration,
        /// What to do.
        cure: String,
    },
    /// It was told to stop while it waited; what it had asked for goes on by itself.
    #[error("stopped")]
    Stopped,
    /// Several objects failed in one step.
    #[error("{} objects failed, first: {}", .0.len(), first(.0))]
    Several(Vec<Self>),
}

impl Error {
    /// Wraps the failure of one request.
    pub(crate) fn api(action: impl Into<String>, source: ApiError) -> Self {
        Self::Api {
            action: action.into(),
            source,
        }
    }

    /// One error for one or many.
    pub(crate) fn from_many(mut errors: Vec<Self>) -> Option<Self> {
        match errors.len() {
            0 | 1 => errors.pop(),
            _ if errors.iter().all(|it| matches!(it, Self::Conflict(_))) => {
                let all = errors.into_iter().flat_map(|it| match it {
                    Self::Conflict(conflicts) => conflicts,
                    _ => Vec::new(),
                });
                Some(Self::Conflict(all.collect()))
            }
            _ => Some(Self::Several(errors)),
        }
    }

    /// How the error counts.
    pub fn class(&self) -> Class {
        match self {
            Self::Kubeconfig { .. } | Self::NoContext { .. } => Class::Connection,
            Self::Api { source, .. } if source.is_connection() => Class::Connection,
            Self::Api { .. } | Self::NotAllowed { .. } => Class::Api,
            Self::WrongCluster { .. } => Class::Refused,
            Self::Malformed { .. } | Self::KindMissing { .. } | Self::PlanFile { .. } => {
                Class::Input
            }
            Self::Conflict(_) | Self::Foreign { .. } => Class::Ownership,
            Self::Locked { .. } | Self::LeaseLost { .. } | Self::Stale { .. } => Class::Locked,
            Self::NotReady(_) | Self::Stuck { .. } => Class::NotReady,
            Self::Stopped => Class::Interrupted,
            Self::Several(all) => all.first().map_or(Class::Api, Self::class),
        }
    }

    /// What else is known about it, a line each.
    pub fn notes(&self) -> Vec<String> {
        match self {
            Self::NotReady(it) => it.notes(),
            _ => Vec::new(),
        }
    }

    /// What to do about it, where that is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Kubeconfig { path, .. } if !path.exists() => Some(
                "`kedactl up` writes the one of a cluster that it makes; another one is named by --kubeconfig FILE"
                    .into(),
            ),
            Self::Kubeconfig { path, .. } => Some(format!(
                "look at it with `kubectl config view --kubeconfig {}`",
                path.display()
            )),
            Self::NoContext { known, .. } if known.is_empty() => {
                Some("the file holds no context at all".into())
            }
            Self::NoContext { known, .. } => Some(format!("it holds {}", known.join(", "))),
            Self::Api { source, .. } => source.hint(),
            Self::NotAllowed { question, .. } => Some(format!(
                "ask who runs the cluster for a role with these, until `{question}` says yes; or name another context"
            )),
            Self::WrongCluster { found, about, .. } => {
                let prefix = found.get(..8).unwrap_or(found);
                Some(format!(
                    "{about}; if it is meant, pass --allow-cluster {prefix}"
                ))
            }
            Self::KindMissing { kind, api_version } if api_version.starts_with("keda.sh/") => Some(
                format!("{kind} comes with KEDA, which is not installed there"),
            ),
            Self::KindMissing { .. } => {
                Some("install the definition first, or check apiVersion and kind".into())
            }
            Self::Conflict(all) => all.first().map(Conflict::cure),
            Self::Foreign {
                adoptable: true,
                object,
                ..
            } if object.kind == "Namespace" => Some(
                "pass --adopt to use it (what is in it stays whose it is, and `down` leaves it), or name another namespace"
                    .into(),
            ),
            Self::Foreign {
                adoptable: true,
                object,
                ..
            } => Some(format!(
                "pass --adopt to take it over, or remove it: kubectl delete {}{} {}",
                object.kind.to_ascii_lowercase(),
                object
                    .namespace
                    .as_ref()
                    .map(|it| format!(" -n {it}"))
                    .unwrap_or_default(),
                object.name
            )),
            Self::Foreign { owner, .. } => Some(format!(
                "give this stack another name or namespace; to take the object over from {owner}, pass --adopt=all"
            )),
            Self::Locked { .. } => Some(
                "wait for it; a run that died is taken over when its lock expires, after 15 s"
                    .into(),
            ),
            Self::LeaseLost { .. } => Some("run the command again when the other one ended".into()),
            Self::NotReady(it) => it.cure(),
            Self::Stale { .. } => Some("make a new plan: kedactl plan --out FILE".into()),
            Self::Stuck { cure, .. } => Some(cure.clone()),
            Self::Several(all) => all.first().and_then(Self::hint),
            Self::Malformed { .. } | Self::PlanFile { .. } | Self::Stopped => None,
        }
    }
}

fn conflicts(all: &[Conflict]) -> String {
    match all {
        [] => "fields belong to other managers".to_owned(),
        [one] => one.to_string(),
        [one, rest @ ..] => format!("{one}, and {} more", rest.len()),
    }
}

fn first(all: &[Error]) -> String {
    let Some(error) = all.first() else {
        return String::new();
    };
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        text += &format!(": {inner}");
        source = inner.source();
    }
    text
}

/// As many as a person reads.
fn some_of(all: &[String]) -> String {
    const SHOWN: usize = 6;
    let told = all.iter().take(SHOWN).cloned().collect::<Vec<_>>();
    match all.len().saturating_sub(SHOWN) {
        0 => told.join("; "),
        rest => format!("{}; and {rest} more", told.join("; ")),
    }
}

fn first_of(all: &[String]) -> String {
    match all {
        [] => "it differs".to_owned(),
        [one] => one.clone(),
        [one, rest @ ..] => format!("{one}, and {} more", rest.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kubeconfig_that_is_not_there_is_not_to_be_looked_at() {
        let dir = tempfile::tempdir().unwrap();
        let hint = |path: PathBuf| {
            let problem = String::new();
            Error::Kubeconfig { path, problem }.hint().unwrap()
        };
        let missing = hint(dir.path().join("kubeconfig"));
        assert!(missing.contains("kedactl up"), "{missing}");
        let there = hint(dir.path().to_owned());
        assert!(there.contains("kubectl config view"), "{there}");
    }
}
