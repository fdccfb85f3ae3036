//! The process `minikube tunnel`: started, listened to, started again where it ended or does not carry, ended by one SIGINT.
//! Must not leave it behind: what a kill left is known by its mark and ended by the next start or stop.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kedactl_exec::{Ended, ExecError, Job, last_words};
use tokio::sync::Notify;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::{Minikube, PATIENCE};
use crate::TunnelError;

/// A tunnel may stay for weeks.
const FOREVER: Duration = Duration::from_hours(24 * 365);
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// What minikube says is wrong, for those who wait for an address.
pub(super) type Trouble = Arc<Mutex<Option<String>>>;

pub(super) struct Child {
    job: Job,
    profile: String,
    trouble: Trouble,
}

impl Child {
    pub(super) fn new(minikube: Minikube, kubeconfig: PathBuf, dir: &Path) -> Self {
        let job = Job::new(minikube.program)
            .args(["tunnel", "-p", &minikube.profile])
            // Routes of tunnels that were killed go first.
            .arg("--cleanup=true")
            .without_env("KEDACTL_")
            .env("KUBECONFIG", kubeconfig)
            .env("MINIKUBE_IN_STYLE", "false")
            .env("MINIKUBE_WANTUPDATENOTIFICATION", "false")
            .about(dir)
            .within(FOREVER)
            .patience(PATIENCE);
        Self {
            job,
            profile: minikube.profile,
            trouble: Trouble::default(),
        }
    }

    pub(super) fn trouble(&self) -> Trouble {
        Arc::clone(&self.trouble)
    }

    /// Keeps one running until the stop. Another one of the profile that is not ours is an error: two would fight for the routes.
    pub(super) async fn keep(
        self,
        stop: CancellationToken,
        sick: Arc<Notify>,
    ) -> Result<(), TunnelError> {
        let mut pause = FIRST_PAUSE;
        loop {
            let cancel = stop.child_token();
            let mut reader = Reader::default();
            let run = self.job.run_told(&cancel, |line| {
                if let Some(trouble) = reader.hear(line) {
                    self.set(trouble);
                }
            });
            tokio::pin!(run);
            let ended = tokio::select! {
                ended = &mut run => ended,
                () = sick.notified() => {
                    tracing::warn!("minikube tunnel runs and does not carry: starting it again");
                    cancel.cancel();
                    run.await
                }
            };
            match ended {
                Ok(ended) => {
                    let said = said(&ended);
                    if said.to_lowercase().contains("already running") {
                        return Err(TunnelError::OtherMinikube {
                            profile: self.profile.clone(),
                            said,
                        });
                    }
                    self.set(Some(format!(
                        "minikube tunnel ended ({}): {said}",
                        ended.how
                    )));
                }
                Err(ExecError::Cancelled { how, .. }) => {
                    if how == "signal 9" {
                        return Err(TunnelError::RouteLeft {
                            profile: self.profile.clone(),
                        });
                    }
                    pause = FIRST_PAUSE;
                }
                Err(error) => self.set(Some(error.to_string())),
            }
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = sleep(pause) => {}
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    fn set(&self, trouble: Option<String>) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }
}

/// Why it ended: its own line about that, which stands above a box with the address of its issue tracker.
fn said(ended: &Ended) -> String {
    let error = ended.stderr.lines().rev();
    let mut error = error.filter_map(|line| line.split_once("Exiting due to "));
    if let Some((_, error)) = error.next() {
        return error.trim().to_owned();
    }
    last_words(if ended.stderr.trim().is_empty() {
        &ended.stdout
    } else {
        &ended.stderr
    })
}

/// Reads the block that minikube prints whenever its state changes.
#[derive(Default)]
struct Reader {
    trouble: Option<String>,
    inside: bool,
}

impl Reader {
    /// The trouble of a block when its last line comes: none where all is well.
    #[expect(
        clippy::option_option,
        reason = "no news, and the news that all is well"
    )]
    fn hear(&mut self, line: &str) -> Option<Option<String>> {
        let line = line.trim();
        if line.starts_with("Status:") {
            *self = Self {
                trouble: None,
                inside: true,
            };
            return None;
        }
        if !self.inside {
            return None;
        }
        let (part, text) = line.split_once(": ")?;
        let matters = matches!(part, "minikube" | "router" | "loadbalancer emulator");
        if matters && text != "no errors" && text != "Running" && self.trouble.is_none() {
            self.trouble = Some(format!("minikube tunnel, {part}: {text}"));
        }
        if part != "loadbalancer emulator" {
            return None;
        }
        self.inside = false;
        Some(self.trouble.take())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(router: &str) -> Vec<Option<String>> {
        let block = format!(
            "Status:\t\n\tmachine: demo\n\tpid: 7\n\troute: 10.96.0.0/12 -> 192.168.49.2\n\tminikube: Running\n\tservices: [api]\n    errors: \n\t\tminikube: no errors\n\t\trouter: {router}\n\t\tloadbalancer emulator: no errors\n"
        );
        let mut reader = Reader::default();
        let lines = format!("noise\nrouter: before\n{block}{block}");
        lines.lines().filter_map(|line| reader.hear(line)).collect()
    }

    #[test]
    fn a_block_tells_its_trouble_at_its_end() {
        assert_eq!(heard("no errors"), [None, None]);
        let told = "minikube tunnel, router: conflicting route: 10.0.0.0/8".to_owned();
        assert_eq!(
            heard("conflicting route: 10.0.0.0/8"),
            [Some(told.clone()), Some(told)]
        );
    }

    /// It does not notice when its ssh or its route is gone, and looks well: whoever notices has it started again.
    #[tokio::test]
    async fn one_that_runs_and_does_not_carry_is_started_again_and_ended_with_its_owner() {
        let directory = tempfile::tempdir().unwrap();
        let fake = kedactl_testkit::FakeMinikube::new(directory.path());
        fake.foreign("demo", "Running");
        let minikube = Minikube {
            program: fake.program(),
            profile: "demo".to_owned(),
        };
        let kubeconfig = directory.path().join("kubeconfig");
        let child = Child::new(minikube, kubeconfig, directory.path());
        let (stop, sick) = (CancellationToken::new(), Arc::new(Notify::new()));
        let kept = tokio::spawn(child.keep(stop.clone(), Arc::clone(&sick)));
        let within = Duration::from_mins(1);
        let routed = || async { fake.has("route") };
        kedactl_testkit::until_async("it has its route", within, routed).await;
        sick.notify_one();
        let twice = || async { fake.calls().matches("tunnel -p demo").count() == 2 };
        kedactl_testkit::until_async("it is started again", within, twice).await;
        kedactl_testkit::until_async("it has its route again", within, routed).await;
        stop.cancel();
        kept.await.unwrap().unwrap();
        assert!(!fake.has("route"), "SIGINT takes it back");
    }
}
