//! Grammar of `charts`.
//!
//! Clap types only.

use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Debug, Args)]
pub struct ChartsArgs {
    #[command(subcommand)]
    pub command: ChartsCommand,
}

#[derive(Debug, Subcommand)]
pub enum ChartsCommand {
    /// Show every release's chart: version, source, and where it is on this machine
    List(ChartsListArgs),
    /// Fetch charts from their sources, ahead of `up` or into a folder of archives
    Pull(ChartsPullArgs),
    /// Render every release and look for charts and values that are known not to work together
    Check(ChartsCheckArgs),
}

#[derive(Debug, Args)]
pub struct ChartsListArgs {
    /// Releases (default: all)
    #[arg(value_name = "RELEASE")]
    pub releases: Vec<String>,
    #[command(flatten)]
    pub layers: super::Layers,
}

#[derive(Debug, Args)]
pub struct ChartsPullArgs {
    /// Releases (default: all)
    #[arg(value_name = "RELEASE")]
    pub releases: Vec<String>,
    /// Folder for the archives and their lock, for `helm.vendored`
    #[arg(long, value_name = "DIR")]
    pub to: Option<PathBuf>,
    #[command(flatten)]
    pub layers: super::Layers,
}

#[derive(Debug, Args)]
pub struct ChartsCheckArgs {
    /// Releases (default: all)
    #[arg(value_name = "RELEASE")]
    pub releases: Vec<String>,
    /// Version of Kubernetes that is rendered for (default: the cluster's where the stack is up, else podSecurityVersion)
    #[arg(long, value_name = "VERSION", value_parser = kube_version)]
    pub kube_version: Option<String>,
    /// Write the values that cure what is found into this values file, for -f
    #[arg(long, value_name = "FILE")]
    pub fix: Option<PathBuf>,
    #[command(flatten)]
    pub layers: super::Layers,
}

/// `1.34`, `v1.34.1`: what helm takes for a version of Kubernetes.
fn kube_version(text: &str) -> Result<String, String> {
    let parts: Vec<&str> = text.trim_start_matches('v').split('.').collect();
    let number = |it: &&str| it.parse::<u32>().is_ok();
    if !(2..=3).contains(&parts.len()) || !parts.iter().all(number) {
        return Err("it is no version of Kubernetes such as 1.34 or 1.34.1".to_owned());
    }
    let patch = parts.get(2).copied().unwrap_or("0");
    Ok(format!("{}.{}.{patch}", parts[0], parts[1]))
}
