//! What can go wrong with a tunnel, and the cures.
//! Must not carry a secret: kubeconfigs are named, never quoted.

use std::io;
use std::path::PathBuf;

/// Why a tunnel could not be opened, asked or closed.
#[derive(Debug, thiserror::Error)]
pub enum TunnelError {
    /// The text does not name a Service.
    #[error("`{text}` does not name a service: {why}")]
    Wanted {
        /// As it was given.
        text: String,
        /// What is wrong with it.
        why: String,
    },
    /// The kubeconfig cannot be used.
    #[error("kubeconfig {} cannot be used", path.display())]
    Kubeconfig {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// No context was named and the file does not leave one choice.
    #[error("kubeconfig {} has {} contexts and none was named", path.display(), contexts.len())]
    Context {
        /// The file.
        path: PathBuf,
        /// What could be named.
        contexts: Vec<String>,
    },
    /// The API server does not answer, or refuses.
    #[error("the API server did not {what}")]
    Api {
        /// What was asked: "list the services of namespace keda".
        what: String,
        /// Its answer.
        source: Box<kube::Error>,
    },
    /// There is no such Service.
    #[error("service {namespace}/{name} does not exist")]
    NoService {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
    },
    /// The Service has no such TCP port.
    #[error("service {service} has no TCP port {port}")]
    NoPort {
        /// `namespace/name`.
        service: String,
        /// The port that was asked for.
        port: String,
        /// The ports that it has.
        has: Vec<u16>,
    },
    /// No Service was named and the cluster has none for the stack.
    #[error("no service of type LoadBalancer carries the label {label}")]
    Nothing {
        /// The label that was looked for.
        label: String,
    },
    /// The local port is taken.
    #[error("port {port} of 127.0.0.1 is taken{}", by(holder.as_deref()))]
    PortTaken {
        /// The port.
        port: u16,
        /// Who listens there, as far as this user may see.
        holder: Option<String>,
        /// The Service that it is for.
        service: String,
    },
    /// No port of 127.0.0.1 can be had.
    #[error("could not listen on a free port of 127.0.0.1")]
    Listen {
        /// The refusal.
        source: io::Error,
    },
    /// Another tunnel of this stack runs.
    #[error("a tunnel of this stack runs already (pid {pid})")]
    Running {
        /// Its process.
        pid: u32,
    },
    /// No tunnel of this stack runs.
    #[error("no tunnel runs in {}", dir.display())]
    NotRunning {
        /// Where one would have left its state.
        dir: PathBuf,
    },
    /// One ran, and ended without cleaning up.
    #[error("the tunnel (pid {pid}) ended without cleaning up")]
    Stale {
        /// Its process.
        pid: u32,
    },
    /// The tunnel's process runs but does not answer.
    #[error("the tunnel (pid {pid}) does not answer")]
    Deaf {
        /// Its process.
        pid: u32,
        /// What happened to the question.
        source: io::Error,
    },
    /// The detached process ended before it was ready.
    #[error("the detached tunnel ended{}", last(log_tail))]
    Died {
        /// Where it wrote.
        log: PathBuf,
        /// Its last words.
        log_tail: String,
    },
    /// The way of minikube was asked for where no minikube is known.
    #[error("no minikube profile is known that `minikube tunnel` could serve")]
    NoProfile,
    /// `minikube tunnel` would ask for a password.
    #[error(
        "`minikube tunnel` needs root ({why}), and sudo does not give it without a question: {problem}"
    )]
    NeedsRoot {
        /// What it needs root for.
        why: String,
        /// What sudo says.
        problem: String,
    },
    /// Somebody runs `minikube tunnel` for the profile.
    #[error("another tunnel of minikube profile {profile} runs: {said}")]
    OtherMinikube {
        /// The profile.
        profile: String,
        /// minikube's words.
        said: String,
    },
    /// `minikube tunnel` had to be killed.
    #[error(
        "`minikube tunnel` of profile {profile} did not end when it was asked to, and was killed: its route may be left"
    )]
    RouteLeft {
        /// The profile.
        profile: String,
    },
    /// Not every probe passed in time.
    #[error("{service} was not reachable in time: {reason}")]
    NotReady {
        /// The Service.
        service: String,
        /// The last failure of its probe.
        reason: String,
    },
    /// An address that was published could not be taken back.
    #[error("EXTERNAL-IP of {services} could not be removed")]
    Published {
        /// The Services that still have it.
        services: String,
    },
    /// A file, socket or folder of the tunnel cannot be used.
    #[error("could not {what} {}", path.display())]
    File {
        /// "write", "lock" …
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// The refusal.
        source: io::Error,
    },
    /// A process could not be started or signalled.
    #[error(transparent)]
    Exec(#[from] kedactl_exec::ExecError),
}

fn by(holder: Option<&str>) -> String {
    holder.map_or_else(String::new, |holder| format!(" by {holder}"))
}

fn last(tail: &str) -> String {
    if tail.is_empty() {
        String::new()
    } else {
        format!(": {tail}")
    }
}

impl TunnelError {
    /// A cure that fits this very case, where one is known.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Wanted { .. } => {
                "write NAMESPACE/NAME, NAMESPACE/NAME:PORT or NAMESPACE/NAME:PORT=LOCALPORT"
                    .to_owned()
            }
            Self::Context { contexts, .. } => {
                format!("name one with --context: {}", contexts.join(", "))
            }
            Self::NoPort { service, has, .. } => {
                let has: Vec<String> = has.iter().map(ToString::to_string).collect();
                format!("{service} has: {}", has.join(", "))
            }
            Self::Nothing { .. } => {
                "name the services with --service NAMESPACE/NAME[:PORT]".to_owned()
            }
            Self::PortTaken { service, .. } => format!(
                "stop that program, choose a port with --service {service}=LOCALPORT, or let --any-port take the next free one"
            ),
            Self::Running { .. } => {
                "`kedactl tunnel status` shows it, `kedactl tunnel stop` ends it".to_owned()
            }
            Self::Stale { .. } => {
                "`kedactl tunnel stop` repairs what it left, and so does the next start".to_owned()
            }
            Self::NotRunning { .. } => "`kedactl tunnel --detach` starts one".to_owned(),
            Self::Deaf { pid, .. } => {
                format!("`kill {pid}` ends it; the next start repairs what it left")
            }
            Self::Died { log, .. } => format!("its log is {}", log.display()),
            Self::NoProfile => {
                "it serves a stack of the provider minikube: bring one up, or leave out --mode".to_owned()
            }
            Self::NeedsRoot { .. } => {
                "run `sudo -v` right before, or leave out tunnel.mode and --mode: the tunnel of kedactl needs no root".to_owned()
            }
            Self::OtherMinikube { profile, .. } => format!(
                "end it where it runs (Ctrl-C; `pgrep -af 'minikube tunnel'` shows it), or use it: it serves {profile} as well"
            ),
            Self::RouteLeft { profile } => format!(
                "the next `minikube tunnel -p {profile}` removes it; `ip route` shows it, `sudo ip route del` too removes it"
            ),
            Self::NotReady { .. } => {
                "the tunnel goes on trying: `kedactl tunnel status` shows it, `kedactl tunnel stop` ends it"
                    .to_owned()
            }
            Self::Published { .. } => {
                "`kedactl tunnel stop` tries again; the next start repairs it too".to_owned()
            }
            _ => return None,
        })
    }
}
