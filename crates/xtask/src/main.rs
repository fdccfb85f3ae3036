//! Developer tasks: `cargo xtask gen|ratchet|bench|faults|dist`.
//!
//! Law: it builds and calls; what is measured or broken lives in tests/, what is generated comes from the crates.
#![expect(clippy::print_stdout, reason = "a developer's program prints")]

mod dist;
mod generate;
mod ratchet;
mod run;

use clap::{Parser, Subcommand};
use std::path::PathBuf;
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
    /// Run benchmarks beside their peers: queue, api, webhook, load, images, cli, cluster, kind (default: all)
    Bench {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Build the programs and pack them with manual pages, completions, licences and their bill of materials
    Dist {
        /// Target to build for (default: this machine's)
        #[arg(long, value_name = "TRIPLE")]
        target: Option<String>,
        /// Profile to build with; `dist` is what is given away
        #[arg(long, default_value = "dist")]
        profile: String,
        /// Folder of the archives
        #[arg(long, value_name = "DIR", default_value = "target/archives")]
        out: PathBuf,
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
        Task::Dist {
            target,
            profile,
            out,
        } => dist::run(target.as_deref(), &profile, &out),
        Task::Ratchet { accept } => ratchet::run(accept),
        Task::Faults { args } => run::program("kedactl-faults", "dev", &args),
    }
}
