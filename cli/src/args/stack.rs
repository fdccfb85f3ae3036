//! Grammar of `up`, `plan`, `diff` and `down`.
//!
//! Clap types only.

use clap::{Args, ValueEnum};
use std::path::PathBuf;
use std::time::Duration;

/// Where a stack runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Provider {
    /// The configuration's, else the recorded stack's, else kind or minikube where its program and its engine are there, else local
    Auto,
    /// Supervised processes on this machine, scaled by the rendered manifests
    Local,
    /// A kind cluster of its own on this machine: made where it is missing
    Kind,
    /// A minikube profile of its own on this machine: made where it is missing, started where it stopped
    Minikube,
    /// An existing cluster, named by --context
    Context,
}

#[derive(Debug, Args)]
pub struct UpArgs {
    /// Carry out this plan (of `kedactl plan --out FILE`), unless something changed since
    #[arg(value_name = "PLAN")]
    pub plan: Option<PathBuf>,
    /// Then prove it: tasks of its own, workers from zero and back, a fail-over of Redis, no task lost; 4 if not
    #[arg(long)]
    pub verify: bool,
    /// How long to wait until everything is ready (default: 90s for local, 10m for a cluster)
    #[arg(long, value_name = "TIME", value_parser = super::load::duration)]
    pub timeout: Option<Duration>,
    #[command(flatten)]
    pub stream: EventsArgs,
    #[command(flatten)]
    pub layers: super::Layers,
    #[command(flatten)]
    pub place: PlaceArgs,
    #[command(flatten)]
    pub ownership: OwnershipArgs,
    #[command(flatten)]
    pub from: super::BundleUse,
}

/// Where the stack shall run.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Where")]
pub struct PlaceArgs {
    /// Where the stack runs
    #[arg(long, value_name = "PROVIDER", default_value = "auto")]
    pub provider: Provider,
    /// Kubeconfig of the cluster (default: the recorded one, $KUBECONFIG, ~/.kube/config)
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// Context in the kubeconfig; the current one is never taken by itself
    #[arg(long, value_name = "CONTEXT")]
    pub context: Option<String>,
    /// Let this cluster in, by the first characters of its UID (of the namespace kube-system)
    #[arg(long, value_name = "UID")]
    pub allow_cluster: Option<String>,
}

/// What may be taken from others.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Ownership")]
pub struct OwnershipArgs {
    /// Take over objects that are there already: `unowned` ones that no tool manages, or `all`
    #[arg(long, value_name = "WHICH", num_args = 0..=1, default_missing_value = "unowned", require_equals = true)]
    pub adopt: Option<Adopt>,
    /// Put fields back that somebody changed by hand; a controller's are never taken
    #[arg(long)]
    pub revert_edits: bool,
}

/// Objects that may be taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Adopt {
    /// Objects that no tool claims
    Unowned,
    /// Other tools' and other stacks' objects too
    All,
}

#[derive(Debug, Args)]
pub struct PlanArgs {
    /// Keep the plan in a file, for `kedactl up FILE`
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Print the nodes of `up` and what each waits for, and nothing else
    #[arg(long)]
    pub graph: bool,
    /// End with 2 where `up` would change anything
    #[arg(long)]
    pub exit_code: bool,
    #[command(flatten)]
    pub from: super::BundleUse,
    #[command(flatten)]
    pub layers: super::Layers,
    #[command(flatten)]
    pub place: PlaceArgs,
    #[command(flatten)]
    pub ownership: OwnershipArgs,
}

#[derive(Debug, Args)]
pub struct DiffArgs {
    /// End with 2 where `up` would change anything
    #[arg(long)]
    pub exit_code: bool,
    #[command(flatten)]
    pub from: super::BundleUse,
    #[command(flatten)]
    pub layers: super::Layers,
    #[command(flatten)]
    pub place: PlaceArgs,
    #[command(flatten)]
    pub ownership: OwnershipArgs,
}

/// The event stream of a long job.
#[derive(Debug, Default, Args)]
pub struct EventsArgs {
    /// Write what happens as JSON, one object a line: `jsonl` to stderr in place of progress, `jsonl=FILE` to a file beside it
    #[arg(long, value_name = "jsonl[=FILE]", value_parser = events)]
    pub events: Option<Events>,
}

/// Where the event stream goes: to a file, or to stderr.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Events {
    pub file: Option<PathBuf>,
}

fn events(text: &str) -> Result<Events, String> {
    let file = match text.strip_prefix("jsonl") {
        Some("") => None,
        Some(rest) if rest.len() > 1 && rest.starts_with('=') => Some(PathBuf::from(&rest[1..])),
        _ => return Err("the only form is jsonl, or jsonl=FILE".to_owned()),
    };
    Ok(Events { file })
}

#[derive(Debug, Args)]
pub struct DownArgs {
    /// Keep the data of Redis and the passwords for the next `up` (the default)
    #[arg(long, conflicts_with = "purge")]
    pub keep_data: bool,
    /// Remove the data of Redis too, the logs, and a cluster that was made for the stack
    #[arg(long)]
    pub purge: bool,
    /// On a cluster: take KEDA's finalizers off the stack's objects instead of waiting for its operator
    #[arg(long)]
    pub release_finalizers: bool,
    /// On a cluster: how long one object may take to go
    #[arg(long, value_name = "TIME", default_value = "3m", value_parser = super::load::duration)]
    pub timeout: Duration,
    #[command(flatten)]
    pub stream: EventsArgs,
}
