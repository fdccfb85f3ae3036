//! Grammar of `bundle`.
//!
//! Clap types only.

use clap::{Args, Subcommand};
use kedactl_images::{Platform, Requested};
use std::path::PathBuf;

#[derive(Debug, Args)]
pub struct BundleArgs {
    #[command(subcommand)]
    pub command: BundleCommand,
}

#[derive(Debug, Subcommand)]
pub enum BundleCommand {
    /// Put charts, images and values of a stack into one folder, or into one file
    Create(Box<BundleCreateArgs>),
    /// Prove, without a network, that a bundle is whole and that every image of every rendered object is inside
    Verify(BundleVerifyArgs),
    /// List what a bundle holds
    List(BundlePath),
}

/// The bundle.
#[derive(Debug, Args)]
pub struct BundlePath {
    /// The bundle: a folder, or a tar file
    #[arg(value_name = "PATH")]
    pub path: PathBuf,
}

#[derive(Debug, Args)]
pub struct BundleCreateArgs {
    /// Where to put it: one file where the name ends in .tar, else a folder; an earlier bundle there is replaced
    #[arg(value_name = "PATH")]
    pub path: PathBuf,
    /// Where the stack will run
    #[arg(long, value_name = "PROVIDER", default_value = "auto")]
    pub provider: super::Provider,
    #[command(flatten)]
    pub layers: super::Layers,
    #[command(flatten)]
    pub images: BundleImages,
    #[command(flatten)]
    pub render: BundleRender,
}

/// Which images, and from where.
#[derive(Debug, Args)]
#[command(next_help_heading = "Images")]
pub struct BundleImages {
    /// Platform of the nodes, as in linux/arm64 (default: this machine's)
    #[arg(long, value_name = "PLATFORM")]
    pub platform: Option<Platform>,
    /// Take images out of this file (`docker save`, OCI archive) before any registry is asked; may be repeated
    #[arg(long, value_name = "FILE")]
    pub from_archive: Vec<PathBuf>,
    /// One more image that nothing names; may be repeated
    #[arg(long, value_name = "IMAGE")]
    pub image: Vec<Requested>,
    /// Leave out what looks like an image and is none, or is never used; the bundle tells; may be repeated
    #[arg(long, value_name = "IMAGE")]
    pub without: Vec<Requested>,
}

/// How charts are rendered.
#[derive(Debug, Args)]
#[command(next_help_heading = "Rendering")]
pub struct BundleRender {
    /// Kubernetes that charts are rendered for (default: that of `create`; there: 1.34.0)
    #[arg(long, value_name = "VERSION")]
    pub kube_version: Option<String>,
}

/// A bundle in the place of the project, for `up`, `ci`, `plan` and `diff`.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Bundle")]
pub struct BundleUse {
    /// Take charts, images and values out of this bundle and fetch nothing; -f and --set lie above its values
    #[arg(long, value_name = "PATH")]
    pub bundle: Option<PathBuf>,
    /// An image that the bundle need not have, since the nodes can get it otherwise; may be repeated
    #[arg(long, value_name = "IMAGE", requires = "bundle")]
    pub outside: Vec<Requested>,
}

#[derive(Debug, Args)]
pub struct BundleVerifyArgs {
    #[command(flatten)]
    pub bundle: BundlePath,
    #[command(flatten)]
    pub above: super::Layers,
    #[command(flatten)]
    pub render: BundleRender,
}
