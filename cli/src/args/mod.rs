//! The grammar of the command line: clap types only, so that help, completions and the reference come from one place.
//!
//! Nothing here may act, read a file or decide; doc comments are the text of `--help`.

#![expect(
    clippy::doc_markdown,
    reason = "doc comments are the words of --help, where backticks would be shown"
)]

mod alerts;
mod bundle;
mod charts;
mod ci;
mod images;
mod inspect;
mod lint;
mod load;
mod stack;
mod tunnel;

pub use alerts::{AlertsArgs, AlertsCommand, AlertsRenderArgs, AlertsTestArgs};
pub use bundle::{
    BundleArgs, BundleCommand, BundleCreateArgs, BundleImages, BundlePath, BundleRender, BundleUse,
    BundleVerifyArgs,
};
pub use charts::{ChartsArgs, ChartsCheckArgs, ChartsCommand, ChartsListArgs, ChartsPullArgs};
pub use ci::CiArgs;
pub use images::{
    ImagesArgs, ImagesBuildArgs, ImagesCommand, ImagesLoadArgs, ImagesPushArgs, ImagesTarget,
};
pub use inspect::{
    CompletionsArgs, ConfigArgs, ConfigCommand, ConfigShowArgs, DoctorArgs, LogsArgs, ManArgs,
    QueueArgs, QueueCommand, QueueName, RedisArgs, RedisCommand, RenderArgs, StatusArgs,
};
pub use lint::{Level, LintArgs};
pub use load::{Arrivals, LoadArgs, Shape};
pub use stack::{
    Adopt, DiffArgs, DownArgs, Events, EventsArgs, OwnershipArgs, PlaceArgs, PlanArgs, Provider,
    UpArgs,
};
pub use tunnel::{TunnelArgs, TunnelCommand, TunnelMode, TunnelOpen};

use clap::{
    Args, ColorChoice, CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueEnum,
};
use std::ffi::OsString;
use std::path::PathBuf;

/// Brings up a task platform that KEDA scales on queue length, and drives it
#[derive(Debug, Parser)]
#[command(
    name = "kedactl",
    bin_name = "kedactl",
    version,
    propagate_version = true,
    max_term_width = 100
)]
#[command(
    after_help = "Exit codes: 0 done, 1 error, 2 changes present, 3 not ready in time, 4 check or SLO failed, 5 cluster refused, \
6 locked or stale, 7 the load generator was the limit, 8 target unreachable, 64 usage, 65 bad configuration, 130/143 signals.\n\
Each error has a code (KD0201) with a paragraph in docs/errors.md."
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
    #[command(flatten)]
    pub global: Global,
}

impl Cli {
    /// Reads a command line, the program's name first. The error is clap's own text, help among it.
    pub fn read(words: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        let mut grammar = Self::command();
        let matches = grammar.try_get_matches_from_mut(words)?;
        tunnel::check(&matches, &mut grammar)?;
        Self::from_arg_matches(&matches).map_err(|error| error.format(&mut grammar))
    }
}

/// Options that every command takes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// Project folder with kedactl.yaml, values/ and templates/ (default: this folder)
    #[arg(long, global = true, value_name = "DIR")]
    pub project: Option<PathBuf>,
    /// Stack to act on (default: `name` of the configuration)
    #[arg(long, global = true, value_name = "NAME")]
    pub stack: Option<String>,
    /// Folder of stacks' state (default: $XDG_STATE_HOME/kedactl)
    #[arg(long, global = true, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
    /// Form of the result on stdout
    #[arg(
        short = 'o',
        long,
        global = true,
        value_name = "FORM",
        default_value = "text"
    )]
    pub output: Output,
    /// When to colour: auto, always, never (NO_COLOR is honoured)
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub color: ColorChoice,
    /// Plain lines in place of bars and live views
    #[arg(long, global = true)]
    pub no_progress: bool,
    /// No progress at all, errors only
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Say more; twice for the libraries' debug log, three times for all that they have to say
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// The layers of the configuration, for the commands that read it.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Configuration")]
pub struct Layers {
    /// Values file on top of the project's; may be repeated, later wins; `fast` is the embedded short-interval profile
    #[arg(short = 'f', long = "values", value_name = "FILE")]
    pub files: Vec<PathBuf>,
    #[command(flatten)]
    pub settings: Settings,
}

/// The environment and single values.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Configuration")]
pub struct Settings {
    /// Environment layer, values/env/ENV.yaml: local, kind, minikube, context, cloud (default: the one of `provider`)
    #[arg(long = "env", value_name = "ENV", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub environment: Option<String>,
    /// One value, as a.b=c with c read as YAML; may be repeated
    #[arg(long = "set", value_name = "PATH=VALUE")]
    pub set: Vec<String>,
    /// One value taken as text whatever it looks like
    #[arg(long, value_name = "PATH=TEXT")]
    pub set_string: Vec<String>,
    /// One value read from a file, as text
    #[arg(long, value_name = "PATH=FILE")]
    pub set_file: Vec<String>,
    /// With this part too, where the configuration does not choose one; may be repeated
    #[arg(long, value_name = "PART")]
    pub with: Vec<Part>,
}

/// A part of the platform that a stack does not have by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// Prometheus and Alertmanager with their rules, and on a cluster Loki and Grafana: `monitoring.profile: minimal`
    Monitoring,
}

/// Form of a command's result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people
    Text,
    /// For programs: one JSON document (one a line where the command follows something)
    Json,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Bring the stack up, or bring it to its present configuration
    Up(UpArgs),
    /// Show what `up` would do on a cluster, and keep it in a file
    Plan(PlanArgs),
    /// Show how the cluster differs from the configuration, field by field
    Diff(DiffArgs),
    /// Stop the stack and leave nothing behind
    Down(DownArgs),
    /// Show the stack: processes, queue, replicas and why
    Status(StatusArgs),
    /// One run of CI: up, load, a command of yours, down; with a report
    Ci(Box<CiArgs>),
    /// Submit load on a schedule, follow every task to its end and audit it
    Load(Box<LoadArgs>),
    /// Bring Services of a cluster to this machine, without root
    Tunnel(TunnelArgs),
    /// Show what the services wrote
    Logs(LogsArgs),
    /// Look into queues and act on them
    Queue(QueueArgs),
    /// Look into what the webhook keeps for Telegram, act on it, and try the way there
    Alerts(AlertsArgs),
    /// Build, load and push container images
    Images(ImagesArgs),
    /// Put everything that a stack needs into one bundle, for places without a network
    Bundle(BundleArgs),
    /// Fetch, list and check the charts of the releases
    Charts(ChartsArgs),
    /// Act on Redis
    Redis(RedisArgs),
    /// Check this machine and the stack, with a cure for each finding
    Doctor(DoctorArgs),
    /// Print the manifests
    Render(RenderArgs),
    /// Check manifests for what reviewers look for, offline
    Lint(LintArgs),
    /// Show the configuration, where each value came from, and its schema
    Config(ConfigArgs),
    /// Print a completion script for a shell
    Completions(CompletionsArgs),
    /// Print the manual page, or write the pages of all commands
    Man(ManArgs),
}
