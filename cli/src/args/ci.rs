//! Grammar of `ci`.
//!
//! Clap types only.

use super::{BundleUse, PlaceArgs, Shape};
use clap::Args;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug, Args)]
#[command(
    after_help = "The stack is taken down at the end whatever happened, with its data and, where it was made here, its cluster. \
It must not be there before.\n\
In the environment of COMMAND: KEDACTL_API_URL, KEDACTL_STACK, KEDACTL_ARTIFACTS and, on a cluster, KUBECONFIG."
)]
pub struct CiArgs {
    /// Command to run while the stack is up; where it fails, the run fails
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
    /// Prove the platform: tasks of its own, workers from zero and back, a fail-over of Redis, no task lost
    #[arg(long)]
    pub verify: bool,
    /// Folder for everything that the run leaves: report, events, logs, objects; cleared if it is an earlier run's
    #[arg(long, value_name = "DIR", default_value = "kedactl-artifacts")]
    pub artifacts: PathBuf,
    /// JUnit report (default: junit.xml among the artifacts)
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// How long everything together may take; then, too, the stack is taken down
    #[arg(long, value_name = "TIME", default_value = "30m", value_parser = super::load::duration)]
    pub timeout: Duration,
    /// Leave the stack up at the end
    #[arg(long)]
    pub keep: bool,
    #[command(flatten)]
    pub layers: super::Layers,
    #[command(flatten)]
    pub place: PlaceArgs,
    #[command(flatten)]
    pub from: BundleUse,
    #[command(
        flatten,
        next_help_heading = "Load, where --rps or --stage asks for one"
    )]
    pub load: Shape,
}
