//! What can go wrong with a stack of local processes, and what to do about it.
//! Must not decide exit codes: the program that prints maps variants to codes.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use kedactl_exec::ExecError;

/// Why a stack could not be brought up, down, or asked.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// A program that the stack needs is not installed.
    #[error("{what} needs the program {program}, which was not found")]
    ProgramMissing {
        /// What needs it.
        what: String,
        /// The name it was looked for under.
        program: String,
        /// How to get it.
        cure: String,
    },
    /// A port that must be this one is taken.
    #[error("port {port} for {what} is taken{}", by(owner.as_deref()))]
    PortTaken {
        /// The port.
        port: u16,
        /// What it is for.
        what: String,
        /// Who has it: "nginx (pid 42)", where that can be seen.
        owner: Option<String>,
        /// The value that moves it: `api.port`.
        setting: String,
    },
    /// The webhook has routes and no token.
    #[error("the webhook has routes, and no token of a bot: {why}")]
    NoBotToken {
        /// Which file, and what is wrong with it.
        why: String,
    },
    /// No free port in the range.
    #[error("no free port for {what} from {first} on")]
    NoPort {
        /// What it is for.
        what: String,
        /// Where the search began.
        first: u16,
    },
    /// A manifest asks for what processes of one machine cannot be.
    #[error("{object} cannot run on this machine alone: {message}")]
    Manifest {
        /// `Deployment/api`.
        object: String,
        /// What it asks for.
        message: String,
    },
    /// A trigger of another kind than those that are read here.
    #[error(
        "ScaledObject/{scaled_object} has a trigger of type {kind}, which the local provider does not read"
    )]
    TriggerUnsupported {
        /// The object.
        scaled_object: String,
        /// The trigger's type.
        kind: String,
    },
    /// The state directory is another user's.
    #[error("the stack in {} belongs to user {owner}", dir.display())]
    OtherUser {
        /// The state directory.
        dir: PathBuf,
        /// Its owner's uid.
        owner: u32,
    },
    /// The state directory was written by another version of this program.
    #[error("{} was written by another version (format {found}, this program knows {known})", path.display())]
    OtherVersion {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// Ours.
        known: u32,
    },
    /// A file of the state directory cannot be understood.
    #[error("{} is damaged: {message}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// Another `up` or `down` of the same stack is running.
    #[error("another run holds the stack in {}", dir.display())]
    Busy {
        /// The state directory.
        dir: PathBuf,
    },
    /// The supervisor ended before it did its job.
    #[error("the supervisor ended{}", words(log_tail))]
    Supervisor {
        /// Its last log lines.
        log_tail: String,
        /// Its log file.
        log: PathBuf,
    },
    /// Something did not become ready in time.
    #[error("{what} not ready after {within:?}: {reason}{}", words(log_tail))]
    NotReady {
        /// `pod api-…`, `redis`.
        what: String,
        /// Why, as far as known.
        reason: String,
        /// The last lines of its log.
        log_tail: String,
        /// Its log file.
        log: Option<PathBuf>,
        /// The limit.
        within: Duration,
    },
    /// There is no such stack, or it does not run.
    #[error("no stack runs in {}", dir.display())]
    NotRunning {
        /// The state directory.
        dir: PathBuf,
    },
    /// The Sentinels did not do what they were asked.
    #[error("fail-over failed: {message}")]
    Failover {
        /// Their words.
        message: String,
    },
    /// The state names no Redis server.
    #[error("the stack has no Redis server yet")]
    NoServer,
    /// Redis did not answer as it must.
    #[error("redis: {what}")]
    Redis {
        /// What was being done.
        what: String,
        /// The answer.
        #[source]
        source: redis::RedisError,
    },
    /// Processes that would not end.
    #[error("{} still running: {}", processes.len(), processes.join(", "))]
    Left {
        /// "api-… (pid 42)".
        processes: Vec<String>,
    },
    /// A file could not be read or written.
    #[error("could not {what} {}", path.display())]
    File {
        /// "read", "write", "create".
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// The refusal.
        source: io::Error,
    },
    /// A process could not be started, signalled or run.
    #[error(transparent)]
    Exec(#[from] ExecError),
}

fn by(owner: Option<&str>) -> String {
    owner.map_or_else(String::new, |owner| format!(" by {owner}"))
}

fn words(tail: &str) -> String {
    if tail.is_empty() {
        String::new()
    } else {
        format!("; its last words:\n{tail}")
    }
}

impl LocalError {
    /// What the user can do, in one line; `None` where only the message helps.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::ProgramMissing { cure, .. } => cure.clone(),
            Self::PortTaken { setting, .. } => {
                format!("stop what holds it, or pass --set {setting}=PORT")
            }
            Self::NoBotToken { .. } => {
                "put the token that @BotFather gave into a file that only you can read, and set webhook.botTokenFile to its path".to_owned()
            }
            Self::NoPort { .. } => "free some ports, or set local.ports in kedactl.yaml".to_owned(),
            Self::Manifest { .. } => "change the values, or use a provider with a cluster".to_owned(),
            Self::TriggerUnsupported { .. } => {
                "use redis-sentinel or redis, or a provider with a cluster".to_owned()
            }
            Self::OtherUser { owner, .. } => {
                format!("run as user {owner}, or choose another name with --set name=NAME")
            }
            Self::OtherVersion { .. } => {
                "stop the stack with the version that started it, or remove it with `kedactl down --purge`".to_owned()
            }
            Self::Damaged { .. } => "remove the stack with `kedactl down --purge`, then `kedactl up`".to_owned(),
            Self::Busy { .. } => "wait for it to end".to_owned(),
            Self::Supervisor { log, .. } | Self::NotReady { log: Some(log), .. } => {
                format!("the whole log is in {}", log.display())
            }
            Self::NotRunning { .. } => "start it with `kedactl up`".to_owned(),
            Self::NoServer => "wait until it is up: `kedactl status`".to_owned(),
            Self::Failover { .. } => "`kedactl status` shows which servers answer".to_owned(),
            Self::Left { .. } => "they did not end on SIGKILL; look for processes in state D".to_owned(),
            Self::NotReady { log: None, .. } | Self::Redis { .. } | Self::File { .. } | Self::Exec(_) => return None,
        })
    }
}
