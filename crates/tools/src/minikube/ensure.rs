//! Brings a profile to be: adopts the one that is there, starts it where it stopped, or makes it; what was cut off half-way
//! is made anew.
//! Must not wait for more than minikube waits for, and must not delete a profile that it did not begin itself.

use std::path::{Path, PathBuf};
use std::time::Duration;

use kedactl_exec::{CancellationToken, Job};
use kedactl_plan::Step;

use super::differs::differs;
use super::record::Phase;
use super::{Minikube, Said, Status, parse};
use crate::{Action, ToolError};

/// How long minikube may take beyond what it waits for by itself: downloads on a slow line.
const BEYOND: Duration = Duration::from_mins(20);
const UNPAUSE: Duration = Duration::from_mins(2);
/// Names of machines become host names.
const LONGEST_NAME: usize = 50;

/// The profile that should be. What is left open, a profile that is there decides.
#[derive(Debug, Clone)]
pub struct Spec {
    /// Its name.
    pub profile: String,
    /// minikube's `--driver`; `None`: `docker` for one that is made.
    pub driver: Option<String>,
    /// minikube's `--container-runtime`; `None`: `containerd` for one that is made.
    pub runtime: Option<String>,
    /// minikube's `--kubernetes-version`.
    pub kubernetes: Option<String>,
    /// Number of nodes.
    pub nodes: Option<u32>,
    /// CPUs of each node.
    pub cpus: Option<u32>,
    /// MiB of each node.
    pub memory: Option<u32>,
    /// More arguments of `minikube start`.
    pub more: Vec<String>,
    /// How long the components of Kubernetes may take.
    pub wait: Duration,
    /// Where the logs go if it cannot be made.
    pub logs: PathBuf,
}

/// What the caller found when it asked the API server behind a kubeconfig.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// It answers.
    Answers,
    /// It does not.
    Silent,
}

/// How the profile came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ensured {
    /// It ran already.
    Adopted,
    /// It was there, and was started or unfrozen.
    Started,
    /// It was made.
    Created,
}

impl Spec {
    /// A profile of that name, everything else left open.
    pub fn named(profile: impl Into<String>) -> Self {
        Self {
            profile: profile.into(),
            driver: None,
            runtime: None,
            kubernetes: None,
            nodes: None,
            cpus: None,
            memory: None,
            more: Vec::new(),
            wait: Duration::from_mins(6),
            logs: PathBuf::new(),
        }
    }

    fn check_name(&self) -> Result<(), ToolError> {
        let name = &self.profile;
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let edge = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        // minikube itself refuses a name of one character: a volume may not have it.
        if (2..=LONGEST_NAME).contains(&name.len())
            && name.starts_with(edge)
            && name.ends_with(edge)
            && name.chars().all(plain)
        {
            return Ok(());
        }
        Err(ToolError::Profile { name: name.clone() })
    }

    /// `minikube start` for a profile that is not there yet.
    fn to_create(&self) -> Vec<String> {
        let mut args = vec![
            format!("--driver={}", self.driver.as_deref().unwrap_or("docker")),
            format!(
                "--container-runtime={}",
                self.runtime.as_deref().unwrap_or("containerd")
            ),
            // The kubeconfig must work wherever $MINIKUBE_HOME points later.
            "--embed-certs".to_owned(),
        ];
        let said = |flag: &str, value: String| format!("--{flag}={value}");
        args.extend(
            self.kubernetes
                .iter()
                .map(|it| said("kubernetes-version", it.clone())),
        );
        args.extend(self.nodes.map(|it| said("nodes", it.to_string())));
        args.extend(self.cpus.map(|it| said("cpus", it.to_string())));
        args.extend(self.memory.map(|it| said("memory", format!("{it}mb"))));
        args.extend(self.more.iter().cloned());
        args
    }
}

impl Minikube {
    /// Adopts, starts or makes the profile, and leaves its kubeconfig at [`Minikube::kubeconfig`]. `ask` asks the API server
    /// behind a kubeconfig; it decides itself how long it tries.
    pub async fn ensure(
        &self,
        spec: &Spec,
        ask: impl AsyncFn(&Path) -> Seen,
        step: &Step<'_>,
        cancel: &CancellationToken,
    ) -> Result<Ensured, ToolError> {
        spec.check_name()?;
        let name = &spec.profile;
        self.end_left_behind(name).await?;
        let say = |text: String| step.progress(0, None, text);
        let begun = self.phase(name) == Some(Phase::Creating);
        let status = match self.status(name, cancel).await {
            Ok(status) => status,
            // Its configuration cannot be read.
            Err(ToolError::Minikube(error)) if begun => {
                tracing::debug!(%error, "status of what was cut off");
                Status::Bodiless
            }
            Err(error) => return Err(error),
        };
        if status != Status::Missing && begun {
            say(format!(
                "profile {name} was left half made: deleting it and starting again"
            ));
            self.delete(name, cancel).await?;
        } else if status != Status::Missing {
            return self.adopt(spec, status, ask, step, cancel).await;
        }
        self.create(spec, step, cancel).await?;
        Ok(Ensured::Created)
    }

    /// Takes the profile that is there, if it is what is asked for.
    async fn adopt(
        &self,
        spec: &Spec,
        status: Status,
        ask: impl AsyncFn(&Path) -> Seen,
        step: &Step<'_>,
        cancel: &CancellationToken,
    ) -> Result<Ensured, ToolError> {
        let name = &spec.profile;
        let profile = self.profile(name, cancel).await?;
        let profile = profile.ok_or_else(|| ToolError::OtherProfile {
            name: name.clone(),
            differs: "its configuration cannot be read".to_owned(),
        })?;
        if let Some(differs) = differs(spec, &profile) {
            return Err(ToolError::OtherProfile {
                name: name.clone(),
                differs,
            });
        }
        let say = |text: String| step.progress(0, None, text);
        let mut ensured = Ensured::Adopted;
        match status {
            Status::Running | Status::Missing => {}
            Status::Paused => {
                say(format!("profile {name} is paused: unpausing it"));
                self.unpause(name, cancel).await?;
                ensured = Ensured::Started;
            }
            Status::Stopped | Status::Bodiless | Status::Unwell => {
                let why = match status {
                    Status::Stopped => "is stopped",
                    Status::Bodiless => "has lost its nodes",
                    _ => "is not well",
                };
                say(format!("profile {name} {why}: starting it"));
                self.start(spec, &[], step, cancel).await?;
                ensured = Ensured::Started;
            }
        }
        let kubeconfig = self.write_kubeconfig(name, cancel).await?;
        if ask(&kubeconfig).await == Seen::Answers {
            return Ok(ensured);
        }
        if ensured == Ensured::Adopted {
            // minikube asks from inside of the node; from here it may look otherwise.
            say(format!(
                "the API server of {name} does not answer: starting it"
            ));
            self.start(spec, &[], step, cancel).await?;
            let kubeconfig = self.write_kubeconfig(name, cancel).await?;
            if ask(&kubeconfig).await == Seen::Answers {
                return Ok(Ensured::Started);
            }
        }
        Err(ToolError::NoEffect {
            program: "minikube",
            action: Action::Start,
            subject: name.clone(),
            found: "its API server does not answer".to_owned(),
        })
    }

    async fn create(
        &self,
        spec: &Spec,
        step: &Step<'_>,
        cancel: &CancellationToken,
    ) -> Result<(), ToolError> {
        let name = &spec.profile;
        self.remember(name, Phase::Creating)?;
        step.progress(0, None, format!("minikube creates {name}"));
        let made = self.start(spec, &spec.to_create(), step, cancel).await;
        if let Err(error) = made {
            // Cut off by the user: the record says so, and the next run begins anew.
            if !cancel.is_cancelled() {
                self.give_up(spec, step, cancel).await;
            }
            return Err(error);
        }
        self.remember(name, Phase::Created)
    }

    /// Keeps the logs of what could not be made, then deletes it. The first error counts, not what goes wrong here.
    async fn give_up(&self, spec: &Spec, step: &Step<'_>, cancel: &CancellationToken) {
        let name = &spec.profile;
        match self.export_logs(name, &spec.logs, cancel).await {
            Ok(file) => step.progress(
                0,
                None,
                format!("minikube's logs are in {}", file.display()),
            ),
            // Where it failed early there is nothing that could have logs.
            Err(error) => tracing::debug!(%error, "logs of a profile that could not be made"),
        }
        if let Err(error) = self.delete(name, cancel).await {
            tracing::warn!(%error, "a profile that could not be made is left");
        }
    }

    async fn unpause(&self, profile: &str, cancel: &CancellationToken) -> Result<(), ToolError> {
        let job = self
            .job(profile, &["unpause", "-p", profile])
            .about(&self.kubeconfig(profile))
            .within(UNPAUSE);
        self.finish(Action::Start, profile, &job, cancel).await?;
        Ok(())
    }

    /// Starts a profile, its events told as progress.
    async fn start(
        &self,
        spec: &Spec,
        more: &[String],
        step: &Step<'_>,
        cancel: &CancellationToken,
    ) -> Result<(), ToolError> {
        let name = &spec.profile;
        let mut args = vec!["start", "-p", name, "-o", "json", "--interactive=false"];
        let wait = format!("--wait-timeout={}s", spec.wait.as_secs());
        args.extend(["--keep-context", "--wait=all", &wait]);
        let job: Job = self
            .job(name, &args)
            .args(more)
            .about(&self.kubeconfig(name))
            .within(spec.wait + BEYOND);
        let mut told = Told::default();
        let ended = job.run_told(cancel, |line| told.hear(line, step)).await?;
        if ended.code == Some(0) {
            return Ok(());
        }
        let action = if more.is_empty() {
            Action::Start
        } else {
            Action::Create
        };
        Err(Self::failure(action, name, &ended).into())
    }
}

/// Turns minikube's events into ours.
#[derive(Default)]
struct Told {
    done: u64,
    total: Option<u64>,
    /// The download that was named last: its progress comes many times a second.
    fetching: String,
}

impl Told {
    fn hear(&mut self, line: &str, step: &Step<'_>) {
        let Some(said) = parse(line) else {
            tracing::debug!(line, "minikube");
            return;
        };
        let note = match said {
            Said::Step {
                current,
                total,
                message,
            } => {
                self.done = current.unwrap_or(self.done).max(self.done);
                self.total = total.or(self.total);
                message
            }
            Said::Download { artifact, progress } => {
                let share = progress.and_then(|it| it.parse::<f64>().ok());
                let tenths = share.map_or(0, |share| (share * 10.0) as u32 * 10);
                let note = format!("downloading {artifact}, {tenths} %");
                if note == self.fetching {
                    return;
                }
                note.clone_into(&mut self.fetching);
                note
            }
            Said::Warning(message) => format!("warning: {message}"),
            // The failure tells it, with its cure.
            Said::Error { message, .. } => {
                tracing::debug!(message, "minikube fails");
                return;
            }
            Said::Info(message) => {
                tracing::debug!(message, "minikube");
                return;
            }
        };
        step.progress(self.done, self.total, note);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kedactl_plan::{Collect, Kind};

    #[test]
    fn events_become_progress_that_never_goes_back() {
        let sink = Collect::default();
        let step = Step::start(&sink, "cluster", "cluster");
        let mut told = Told::default();
        for (kind, data) in [
            (
                "step",
                r#"{"currentstep":"3","totalsteps":"19","message":"Starting"}"#,
            ),
            (
                "step",
                r#"{"currentstep":"","totalsteps":"19","message":"Deleting"}"#,
            ),
            (
                "step",
                r#"{"currentstep":"1","totalsteps":"19","message":"Again"}"#,
            ),
            ("download.progress", r#"{"artifact":"a","progress":"0.11"}"#),
            ("download.progress", r#"{"artifact":"a","progress":"0.12"}"#),
            ("download.progress", r#"{"artifact":"a","progress":"0.21"}"#),
            ("warning", r#"{"message":"low disk"}"#),
            ("info", r#"{"message":"kubectl"}"#),
        ] {
            told.hear(
                &format!(r#"{{"type":"io.k8s.sigs.minikube.{kind}","data":{data}}}"#),
                &step,
            );
        }
        told.hear("! not an event", &step);
        let seen: Vec<String> = sink
            .take()
            .into_iter()
            .filter_map(|event| match event.kind {
                Kind::Progress { done, total, note } => {
                    Some(format!("{done}/{} {note}", total.unwrap_or_default()))
                }
                _ => None,
            })
            .collect();
        assert_eq!(
            seen,
            [
                "3/19 Starting",
                "3/19 Deleting",
                "3/19 Again",
                "3/19 downloading a, 10 %",
                "3/19 downloading a, 20 %",
                "3/19 warning: low disk",
            ]
        );
        step.done("", false);
    }

    #[test]
    fn names_that_minikube_or_the_engine_would_refuse_are_refused_before() {
        for name in ["", "a", "-a", "a-", "A", "a_b", "a.b", &"a".repeat(51)] {
            assert!(Spec::named(name).check_name().is_err(), "{name}");
        }
        Spec::named("a1-b").check_name().unwrap();
    }
}
