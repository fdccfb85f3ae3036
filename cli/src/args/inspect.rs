//! Grammar of the commands that look: `status`, `logs`, `queue`, `redis`, `render`, `config`, `completions`.
//!
//! Clap types only.

use clap::{Args, Subcommand};
use clap_complete::Shell;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Show it again every second until Ctrl-C
    #[arg(short, long)]
    pub watch: bool,
}

#[derive(Debug, Args)]
pub struct LogsArgs {
    /// Services to show: api, worker, redis, sentinel, proxy, supervisor, or one process (default: all)
    pub services: Vec<String>,
    /// Go on showing what is written
    #[arg(short, long)]
    pub follow: bool,
    /// Start with the last N lines of each
    #[arg(short = 'n', long, value_name = "N", default_value_t = 20)]
    pub lines: usize,
    /// Show one task's life in order: who accepted it, who ran it, what failed and why, how it ended
    #[arg(long, value_name = "ID", conflicts_with_all = ["follow", "lines"])]
    pub task: Option<String>,
    /// Queue of that task (default: all are searched)
    #[arg(long, value_name = "QUEUE", requires = "task")]
    pub queue: Option<String>,
}

#[derive(Debug, Args)]
pub struct QueueArgs {
    #[command(subcommand)]
    pub command: QueueCommand,
}

/// The queue that a command acts on.
#[derive(Debug, Args)]
pub struct QueueName {
    /// Queue (default: the stack's)
    #[arg(value_name = "QUEUE")]
    pub queue: Option<String>,
}

#[derive(Debug, Subcommand)]
pub enum QueueCommand {
    /// List queues: waiting, running, delayed, dead
    Ls,
    /// Show the tasks that wait, first to run first
    Peek {
        #[command(flatten)]
        name: QueueName,
        /// Most tasks to show
        #[arg(short = 'n', long, value_name = "N", default_value_t = 10)]
        limit: usize,
    },
    /// Stop handing out tasks; running ones finish
    Pause {
        #[command(flatten)]
        name: QueueName,
    },
    /// Hand out tasks again
    Resume {
        #[command(flatten)]
        name: QueueName,
    },
    /// List the tasks that failed for good
    Dead {
        #[command(flatten)]
        name: QueueName,
        /// Most tasks to show
        #[arg(short = 'n', long, value_name = "N", default_value_t = 10)]
        limit: usize,
    },
    /// Put dead tasks back into the queue
    Retry {
        /// Tasks to put back
        #[arg(value_name = "ID", required_unless_present = "all")]
        ids: Vec<String>,
        /// All of them
        #[arg(long, conflicts_with = "ids")]
        all: bool,
        /// Queue (default: the stack's)
        #[arg(long, value_name = "QUEUE")]
        queue: Option<String>,
    },
    /// Remove every task that waits (and with --dead the dead ones)
    Purge {
        #[command(flatten)]
        name: QueueName,
        /// Remove dead tasks too
        #[arg(long)]
        dead: bool,
        /// Do it; without this the command only says what it would remove
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, Args)]
pub struct RedisArgs {
    #[command(subcommand)]
    pub command: RedisCommand,
}

#[derive(Debug, Subcommand)]
pub enum RedisCommand {
    /// Make Sentinel promote a replica, and wait until it is the master
    Failover,
}

#[derive(Debug, Args)]
pub struct DoctorArgs {
    #[command(flatten)]
    pub layers: super::Layers,
}

#[derive(Debug, Args)]
pub struct RenderArgs {
    /// Write one file a template into this folder in place of stdout
    #[arg(long, value_name = "DIR")]
    pub out_dir: Option<PathBuf>,
    #[command(flatten)]
    pub layers: super::Layers,
}

#[derive(Debug, Args)]
pub struct ConfigArgs {
    #[command(subcommand)]
    pub command: ConfigCommand,
}

#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Print the configuration that results from all layers
    Show(ConfigShowArgs),
    /// Print the JSON schema of values files
    Schema,
}

#[derive(Debug, Args)]
pub struct ConfigShowArgs {
    /// Say for each value which file and line set it
    #[arg(long)]
    pub origin: bool,
    #[command(flatten)]
    pub layers: super::Layers,
}

#[derive(Debug, Args)]
pub struct CompletionsArgs {
    pub shell: Shell,
}

#[derive(Debug, Args)]
pub struct ManArgs {
    /// Folder to write one page a command into (default: kedactl's own page to stdout)
    #[arg(value_name = "DIR")]
    pub dir: Option<PathBuf>,
}
