//! What a service of HTTP is told about its ports, its end and who may use it.
//!
//! It must not hold a default that `--help` does not show.

use std::net::SocketAddr;
use std::time::Duration;

use super::Problems;

/// The flags; shared by the API and the webhook.
#[derive(Debug, Clone, clap::Args)]
pub struct ServingArgs {
    /// Address of `/metrics`; also serves `/healthz` and `/readyz`
    #[arg(
        long,
        env = "KEDACTL_METRICS_LISTEN",
        default_value = "0.0.0.0:9001",
        value_name = "ADDR"
    )]
    pub metrics_listen: String,
    /// Seconds between SIGTERM and the moment when the process must be gone
    #[arg(
        long,
        env = "KEDACTL_GRACE_SECONDS",
        default_value = "30",
        value_name = "S"
    )]
    pub grace_seconds: String,
    /// Milliseconds to keep serving after SIGTERM, while load balancers take this replica out
    #[arg(
        long,
        env = "KEDACTL_LAME_DUCK_MS",
        default_value = "3000",
        value_name = "MS"
    )]
    pub lame_duck_ms: String,
    /// Name of this process in records and traces [default: the host's]
    #[arg(long, env = "KEDACTL_POD_NAME", value_name = "NAME")]
    pub pod_name: Option<String>,
}

/// The same, checked.
#[derive(Debug, Clone)]
pub(super) struct Serving {
    pub(super) listen: SocketAddr,
    pub(super) metrics_listen: SocketAddr,
    pub(super) grace: Duration,
    pub(super) lame_duck: Duration,
    pub(super) pod_name: String,
}

impl ServingArgs {
    /// Checks them beside the address of the service itself.
    pub(super) fn resolve(&self, listen: &str, p: &mut Problems) -> Serving {
        let listen = p.address("listen", listen);
        let metrics_listen = p.address("metrics-listen", &self.metrics_listen);
        if listen == metrics_listen && listen.port() != 0 {
            p.add("metrics-listen", "is the address of `--listen`");
        }
        let grace = Duration::from_secs(p.number("grace-seconds", &self.grace_seconds, 1..=86_400));
        let lame_duck = p.millis("lame-duck-ms", &self.lame_duck_ms, 0..=600_000);
        if lame_duck >= grace {
            p.add("lame-duck-ms", "must be shorter than `--grace-seconds`");
        }
        let host = || {
            rustix::system::uname()
                .nodename()
                .to_string_lossy()
                .into_owned()
        };
        Serving {
            pod_name: self.pod_name.clone().unwrap_or_else(host),
            listen,
            metrics_listen,
            grace,
            lame_duck,
        }
    }
}

/// The bearer tokens of a file, one a line.
pub(super) fn tokens(p: &mut Problems, text: &str) -> Vec<String> {
    let lines = text.lines().map(str::trim).filter(|it| !it.is_empty());
    let tokens: Vec<String> = lines.map(str::to_owned).collect();
    if tokens.is_empty() {
        p.add(
            "tokens-file",
            "holds no token: nobody could use the service",
        );
    }
    if tokens.iter().any(|it| it.len() < 16) {
        p.add("tokens-file", "holds a token of fewer than 16 characters");
    }
    tokens
}
