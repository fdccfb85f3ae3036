//! Asks a pod how it is: the three probes of Kubernetes with their periods and thresholds.
//! Must not restart anything: it says what it found.

use std::path::Path;
use std::time::Duration;

use kedactl_exec::Run;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::hooks::{Action, Probe};

/// Counts successes and failures of one probe.
#[derive(Debug, Clone)]
pub(crate) struct Verdict {
    failures: u32,
    successes: u32,
    needs_failures: u32,
    needs_successes: u32,
    good: bool,
}

impl Verdict {
    /// A verdict that starts as `good`.
    pub(crate) fn new(probe: &Probe, good: bool) -> Self {
        Self {
            failures: 0,
            successes: 0,
            needs_failures: probe.failures,
            needs_successes: probe.successes,
            good,
        }
    }

    /// Takes one answer and returns the verdict after it.
    pub(crate) fn take(&mut self, success: bool) -> bool {
        if success {
            self.failures = 0;
            self.successes += 1;
            self.good |= self.successes >= self.needs_successes;
        } else {
            self.successes = 0;
            self.failures += 1;
            self.good &= self.failures < self.needs_failures;
        }
        self.good
    }
}

/// Does what a probe or hook says; `Err` says why it failed. `port_of` maps the manifest's ports to those of the pod.
pub(crate) async fn act(
    action: &Action,
    within: Duration,
    directory: &Path,
    port_of: impl Fn(u16) -> u16,
) -> Result<(), String> {
    match action {
        Action::Http { port, path } => timeout(within, get(port_of(*port), path))
            .await
            .unwrap_or_else(|_| Err(format!("no answer within {within:?}"))),
        Action::Tcp { port } => {
            match timeout(within, TcpStream::connect(("127.0.0.1", port_of(*port)))).await {
                Ok(Ok(_)) => Ok(()),
                Ok(Err(error)) => Err(error.to_string()),
                Err(_) => Err(format!("no connection within {within:?}")),
            }
        }
        Action::Exec { command } => {
            let Some((program, args)) = command.split_first() else {
                return Err("its command is empty".to_owned());
            };
            let run = Run::new(program.clone())
                .args(args.to_vec())
                .cwd(directory)
                .within(within);
            match tokio::task::spawn_blocking(move || run.run()).await {
                Ok(Ok(_)) => Ok(()),
                Ok(Err(error)) => Err(error.to_string()),
                Err(error) => Err(error.to_string()),
            }
        }
    }
}

/// One GET; success is a status from 200 to 399, as for the kubelet.
pub(crate) async fn get(port: u16, path: &str) -> Result<(), String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))
        .await
        .map_err(|error| error.to_string())?;
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUser-Agent: kube-probe\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    );
    stream
        .write_all(request.as_bytes())
        .await
        .map_err(|error| error.to_string())?;
    let mut head = [0_u8; 12];
    stream
        .read_exact(&mut head)
        .await
        .map_err(|error| error.to_string())?;
    let status = std::str::from_utf8(&head)
        .ok()
        .filter(|head| head.starts_with("HTTP/1."))
        .and_then(|head| head.get(9..12)?.parse::<u16>().ok())
        .ok_or("the answer is not HTTP")?;
    if (200..400).contains(&status) {
        Ok(())
    } else {
        Err(format!("GET {path} answered {status}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probe(failures: u32, successes: u32) -> Probe {
        Probe {
            action: Action::Tcp { port: 1 },
            initial_delay: Duration::ZERO,
            period: Duration::from_secs(1),
            timeout: Duration::from_secs(1),
            failures,
            successes,
        }
    }

    #[test]
    fn a_verdict_turns_only_after_its_threshold() {
        let mut verdict = Verdict::new(&probe(3, 1), true);
        let seen: Vec<bool> = [false, false, true, false, false, false, true]
            .map(|s| verdict.take(s))
            .into();
        assert_eq!(seen, [true, true, true, true, true, false, true]);
        let mut verdict = Verdict::new(&probe(1, 2), false);
        assert_eq!(
            [true, false, true, true].map(|s| verdict.take(s)),
            [false, false, false, true]
        );
    }

    #[tokio::test]
    async fn a_closed_port_and_a_command_are_told_apart() {
        let here = Path::new(".");
        let second = Duration::from_secs(5);
        let tcp = Action::Tcp { port: 1 };
        assert!(act(&tcp, second, here, |port| port).await.is_err());
        let exec = |script: &str| Action::Exec {
            command: vec!["sh".to_owned(), "-c".to_owned(), script.to_owned()],
        };
        assert!(act(&exec("true"), second, here, |port| port).await.is_ok());
        assert!(
            act(&exec("exit 1"), second, here, |port| port)
                .await
                .is_err()
        );
    }
}
