//! Grammar of `tunnel`.
//!
//! Clap types only.

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, Args, Subcommand, ValueEnum};
use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug, Args)]
#[command(
    override_usage = "kedactl tunnel [OPTIONS]\n       kedactl tunnel [GLOBAL OPTIONS] <COMMAND>"
)]
pub struct TunnelArgs {
    #[command(subcommand)]
    pub command: Option<TunnelCommand>,
    #[command(flatten)]
    pub open: TunnelOpen,
}

#[derive(Debug, Args)]
pub struct TunnelOpen {
    /// Service to bring here, as NAMESPACE/NAME[:PORT[=LOCALPORT]]; may be repeated (default: the stack's LoadBalancers)
    #[arg(short = 's', long = "service", value_name = "SERVICE")]
    pub services: Vec<String>,
    /// Kubeconfig of the cluster (default: $KUBECONFIG, ~/.kube/config)
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// Context in the kubeconfig; the current one is never taken by itself
    #[arg(long, value_name = "CONTEXT")]
    pub context: Option<String>,
    /// How connections go into the cluster
    #[arg(long, value_name = "MODE", default_value = "auto")]
    pub mode: TunnelMode,
    /// Take the next free port where one is taken
    #[arg(long)]
    pub any_port: bool,
    /// How long a new connection waits for a pod or for the API server
    #[arg(long, value_name = "TIME", default_value = "15s", value_parser = super::load::duration)]
    pub hold: Duration,
    /// Go on in the background
    #[arg(long)]
    pub detach: bool,
    /// With --detach: how long to wait until every service answers
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = super::load::duration)]
    pub timeout: Duration,
}

/// How connections go into the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TunnelMode {
    /// By the node port where a node answers, else through the API server
    Auto,
    /// By the node port only
    NodePort,
    /// Through the API server only
    PortForward,
    /// By `minikube tunnel`, which adds a route and needs root; for a stack on minikube
    Minikube,
}

#[derive(Debug, Subcommand)]
pub enum TunnelCommand {
    /// Show the tunnel that runs: ports, ways, health, connections
    Status,
    /// End the tunnel, and repair what a killed one left
    Stop,
}

/// Refuses options of an opening before `status` and `stop`, which open nothing. clap's own
/// `args_conflicts_with_subcommands` would refuse the global ones there too.
pub(super) fn check(matches: &ArgMatches, grammar: &mut clap::Command) -> Result<(), clap::Error> {
    let Some(tunnel) = matches.subcommand_matches("tunnel") else {
        return Ok(());
    };
    let Some(subcommand) = tunnel.subcommand_name() else {
        return Ok(());
    };
    let of_opening = TunnelOpen::augment_args(clap::Command::new("open"));
    let given = of_opening
        .get_arguments()
        .find(|it| tunnel.value_source(it.get_id().as_str()) == Some(ValueSource::CommandLine));
    let Some(long) = given.and_then(clap::Arg::get_long) else {
        return Ok(());
    };
    let message = format!("the subcommand '{subcommand}' cannot be used with '--{long}'");
    match grammar.find_subcommand_mut("tunnel") {
        Some(tunnel) => Err(tunnel.error(ErrorKind::ArgumentConflict, message)),
        None => Ok(()),
    }
}
