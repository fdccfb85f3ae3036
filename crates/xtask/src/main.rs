//! Developer tasks: `cargo xtask gen|ratchet|bench|faults`.
//!
//! Law: it builds and calls; what is measured or broken lives in tests/, what is generated comes from the crates.
#![expect(clippy::print_stdout, reason = "a developer's program prints")]

mod generate;
mod ratchet;
mod run;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

#[derive(Debug, Parser)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Write the generated documents; with --check only say which have drifted
    Gen {
        #[arg(long)]
        check: bool,
    },
    /// Run benchmarks beside their peers: queue, api, load, images, cli, cluster (default: all)
    Bench {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Print the style's size table; fail where a figure got worse or a limit is broken
    Ratchet {
        /// Write the present figures as the new baseline
        #[arg(long)]
        accept: bool,
    },
    /// Run the fault suite against a real stack
    Faults {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
}

fn main() -> anyhow::Result<ExitCode> {
    match Cli::parse().task {
        Task::Gen { check } => generate::run(check),
        Task::Bench { args } => run::program("kedactl-bench", "dist", &args),
        Task::Ratchet { accept } => ratchet::run(accept),
        Task::Faults { args } => run::program("kedactl-faults", "release", &args),
    }
}
