//! Brings a profile to be: adopts the one that is there, starts it where it stopped, or makes it; what was cut off half-way
//! is made anew.
//! Must not wait for more than minikube waits for, and must not delete a profile that it did not begin itself.

use std::path::Path;
use std::time::Duration;

use kedactl_exec::{CancellationToken, Job};
use kedactl_plan::Step;

use super::differs::differs;
use super::record::Phase;
use super::spec::Spec;
use super::told::Told;
use super::{Minikube, Status};
use crate::{Action, ToolError};

/// How long minikube may take beyond what it waits for by itself: downloads on a slow line.
const BEYOND: Duration = Duration::from_mins(20);
const UNPAUSE: Duration = Duration::from_mins(2);
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
