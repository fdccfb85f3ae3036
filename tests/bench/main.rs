//! `kedactl-bench [queue|api|webhook|load|images|cli|cluster|kind]…`: every performance promise beside a peer or a floor of the same run.
//!
//! It must not run inside the test suite: figures are for people and for docs/performance.md.
#![expect(clippy::print_stdout, reason = "a benchmark's output is its purpose")]

mod api;
mod cli;
mod cluster;
mod images;
mod kind;
mod load;
mod performance;
mod python;
mod queue;
mod report;
mod webhook;

use clap::{Parser, ValueEnum};
use report::Report;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, Parser)]
struct Args {
    /// What to measure (default: everything)
    suites: Vec<Suite>,
    /// Write the figures into this document too
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Suite {
    Queue,
    Api,
    Webhook,
    Load,
    Images,
    Cli,
    Cluster,
    Kind,
}

fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    let mut report = Report::default();
    for suite in Suite::value_variants() {
        if args.suites.is_empty() || args.suites.contains(suite) {
            match suite {
                Suite::Queue => queue::run(&mut report)?,
                Suite::Api => api::run(&mut report)?,
                Suite::Webhook => webhook::run(&mut report)?,
                Suite::Load => load::run(&mut report)?,
                Suite::Images => images::run(&mut report)?,
                Suite::Cli => cli::run(&mut report)?,
                Suite::Cluster => cluster::run(&mut report)?,
                Suite::Kind => kind::run(&mut report)?,
            }
        }
    }
    if let Some(path) = &args.write {
        performance::write(path, &report)?;
    }
    Ok(ExitCode::from(u8::from(!report.all_ok())))
}
