//! Grammar of `images`.
//!
//! Clap types only.

use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Debug, Args)]
pub struct ImagesArgs {
    /// Folder of built images (default: images/ in the folder of stacks' state)
    #[arg(long, global = true, value_name = "DIR")]
    pub store: Option<PathBuf>,
    #[command(subcommand)]
    pub command: ImagesCommand,
}

#[derive(Debug, Subcommand)]
pub enum ImagesCommand {
    /// Build images from programs, with no container engine
    Build(ImagesBuildArgs),
    /// List the images that were built
    List,
    /// Load images onto nodes: only what each lacks, verified on each
    Load(ImagesLoadArgs),
    /// Push images and their bills of materials to a registry
    Push(ImagesPushArgs),
    /// Read every built image and compare it with its digests
    Check,
}

#[derive(Debug, Args)]
pub struct ImagesBuildArgs {
    /// Images to build from programs of this machine, the first one being the command (default: the platform's, the worker by
    /// images.recipes.worker where the configuration has it)
    #[arg(value_name = "NAME=PROGRAM[,PROGRAM]", conflicts_with_all = ["environment", "set", "set_string", "set_file", "files"])]
    pub images: Vec<String>,
    /// Program of the API (default: kedactl-api beside this program, or in PATH)
    #[arg(long, value_name = "FILE", conflicts_with = "images")]
    pub api: Option<PathBuf>,
    /// Program of the worker (default: kedactl-worker beside this program, or in PATH)
    #[arg(long, value_name = "FILE", conflicts_with = "images")]
    pub worker: Option<PathBuf>,
    /// Program of the webhook, which is built where the configuration has a route for it (default: kedactl-webhook beside this
    /// program, or in PATH)
    #[arg(long, value_name = "FILE", conflicts_with = "images")]
    pub webhook: Option<PathBuf>,
    /// Keep the newest N builds of each image, remove older ones
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..))]
    pub keep: u16,
    #[command(flatten)]
    pub layers: super::Layers,
}

#[derive(Debug, Args)]
pub struct ImagesLoadArgs {
    /// Images by name, or by the last part of it for the newest build (default: the newest build of each)
    #[arg(value_name = "IMAGE")]
    pub images: Vec<String>,
    /// Program that runs commands in nodes that are containers
    #[arg(
        long,
        value_name = "PROGRAM",
        default_value = "docker",
        conflicts_with = "containerd"
    )]
    pub engine: PathBuf,
    #[command(flatten)]
    pub target: ImagesTarget,
}

/// Where images go.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct ImagesTarget {
    /// Every node of this kind cluster
    #[arg(long, value_name = "NAME")]
    pub kind_cluster: Option<String>,
    /// A node that is a container, by its name; may be repeated
    #[arg(long, value_name = "CONTAINER")]
    pub node: Vec<String>,
    /// The containerd of this machine that listens on this socket
    #[arg(long, value_name = "SOCKET")]
    pub containerd: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct ImagesPushArgs {
    /// Registry and folder: registry.example.com/team; plain HTTP is spoken to this machine alone
    #[arg(value_name = "REGISTRY")]
    pub registry: String,
    /// Images by name, or by the last part of it for the newest build (default: the newest build of each)
    #[arg(value_name = "IMAGE")]
    pub images: Vec<String>,
    /// User of the registry (default: as `docker login` left it)
    #[arg(long, value_name = "NAME", requires = "password_file")]
    pub username: Option<String>,
    /// File with the password; `-` is standard input
    #[arg(long, value_name = "FILE", requires = "username")]
    pub password_file: Option<PathBuf>,
}
