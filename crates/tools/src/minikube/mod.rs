//! minikube: profiles made, adopted, started again and deleted.
//! Must not touch the user's kubeconfig, must not take minikube's exit code for an effect, and deletes only what it made itself.

mod differs;
mod ensure;
mod event;
mod failure;
mod record;
mod spec;
mod status;
mod told;

use std::path::{Path, PathBuf};
use std::time::Duration;

use kedactl_exec::{CancellationToken, Ended, Job, find, last_words};

pub use ensure::{Ensured, Seen};
pub use event::{Said, parse};
pub use failure::Failure;
pub use spec::Spec;
pub use status::{Profile, Status};

use crate::private::folder;
use crate::{Action, ToolError};

const SHORT: Duration = Duration::from_mins(1);
const DELETE: Duration = Duration::from_mins(6);
const LOAD: Duration = Duration::from_mins(10);

/// A minikube that was found.
#[derive(Debug, Clone)]
pub struct Minikube {
    program: PathBuf,
    /// Private folder for kubeconfigs and for what is known about profiles.
    state: PathBuf,
}

impl Minikube {
    /// Finds minikube; `program` is its path, `None`: `minikube`, beside this program or in PATH.
    pub fn open(program: Option<&Path>, state: &Path) -> Result<Self, ToolError> {
        let program = program.map_or("minikube".into(), Path::to_string_lossy);
        let program = find(&program).map_err(|_| ToolError::Missing {
            program: program.into_owned(),
            what: "minikube",
            key: "minikube.program",
        })?;
        folder(state)?;
        Ok(Self {
            program,
            state: state.to_owned(),
        })
    }

    /// The program's path.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// Where the kubeconfig of a profile is kept. The user's own file is never written: each call gets this one.
    pub fn kubeconfig(&self, profile: &str) -> PathBuf {
        self.state.join(format!("{profile}.kubeconfig"))
    }

    /// Whether a profile of that name was begun or made by this program, with this folder for its state.
    pub fn made_here(state: &Path, profile: &str) -> bool {
        record::path(state, profile).exists()
    }

    /// How a profile is.
    pub async fn status(
        &self,
        profile: &str,
        cancel: &CancellationToken,
    ) -> Result<Status, ToolError> {
        let job = self
            .job(profile, &["status", "-p", profile, "-o", "json"])
            .within(SHORT);
        let ended = job.run(cancel).await?;
        let judged = ended
            .code
            .and_then(|code| status::judge(code, &ended.stdout));
        judged.ok_or_else(|| Self::failure(Action::List, profile, &ended).into())
    }

    /// What a profile was made as; `None` where there is none, or none that can be read.
    pub async fn profile(
        &self,
        profile: &str,
        cancel: &CancellationToken,
    ) -> Result<Option<Profile>, ToolError> {
        let profiles = self.profiles(cancel).await?;
        Ok(profiles.into_iter().find(|it| it.name == profile))
    }

    /// All profiles that can be read, without a look at their nodes.
    pub async fn profiles(&self, cancel: &CancellationToken) -> Result<Vec<Profile>, ToolError> {
        let job = self
            .job("profiles", &["profile", "list", "--light", "-o", "json"])
            .within(SHORT);
        let ended = self.finish(Action::List, "profiles", &job, cancel).await?;
        let listed = status::profiles(&ended.stdout);
        let (valid, _) = listed.ok_or_else(|| ToolError::Garbled {
            program: "minikube",
            action: Action::List,
            subject: "profiles".to_owned(),
            problem: last_words(&ended.stdout),
        })?;
        Ok(valid)
    }

    /// Writes a running profile's kubeconfig anew: ports change when its containers are started again.
    pub async fn write_kubeconfig(
        &self,
        profile: &str,
        cancel: &CancellationToken,
    ) -> Result<PathBuf, ToolError> {
        let job = self
            .job(profile, &["update-context", "-p", profile])
            .within(SHORT);
        self.finish(Action::Kubeconfig, profile, &job, cancel)
            .await?;
        let path = self.kubeconfig(profile);
        if !path.is_file() {
            return Err(ToolError::NoEffect {
                program: "minikube",
                action: Action::Kubeconfig,
                subject: profile.to_owned(),
                found: format!("{} is not there", path.display()),
            });
        }
        Ok(path)
    }

    /// Deletes a profile's nodes, volumes and network, and what is kept about it. One that is not there is deleted already.
    pub async fn delete(
        &self,
        profile: &str,
        cancel: &CancellationToken,
    ) -> Result<bool, ToolError> {
        self.end_left_behind(profile).await?;
        let there = self.status(profile, cancel).await.ok() != Some(Status::Missing);
        // Also where there is no profile: a start that was cut off may have left containers without one.
        let job = self
            .job(profile, &["delete", "-p", profile, "-o", "json"])
            .about(&self.kubeconfig(profile))
            .within(DELETE);
        self.finish(Action::Delete, profile, &job, cancel).await?;
        let left = self.status(profile, cancel).await?;
        if left != Status::Missing {
            return Err(ToolError::NoEffect {
                program: "minikube",
                action: Action::Delete,
                subject: profile.to_owned(),
                found: "the profile is still there".to_owned(),
            });
        }
        self.forget(profile)?;
        Ok(there)
    }

    /// Collects the logs of a profile in a folder.
    pub async fn export_logs(
        &self,
        profile: &str,
        into: &Path,
        cancel: &CancellationToken,
    ) -> Result<PathBuf, ToolError> {
        folder(into)?;
        let file = into.join(format!("minikube-{profile}.log"));
        let job = self
            .job(profile, &["logs", "-p", profile, "--file"])
            .arg(&file)
            .within(DELETE);
        self.finish(Action::ExportLogs, profile, &job, cancel)
            .await?;
        Ok(file)
    }

    /// Hands an archive of images to all nodes. That it ends well says nothing: minikube ends so also where no node took it.
    pub async fn load_archive(
        &self,
        profile: &str,
        archive: &Path,
        cancel: &CancellationToken,
    ) -> Result<(), ToolError> {
        let job = self
            .job(profile, &["image", "load", "-p", profile])
            .arg(archive)
            .within(LOAD);
        self.finish(Action::Load, profile, &job, cancel).await?;
        Ok(())
    }

    /// A minikube that a killed run left at this profile would go on beside us.
    async fn end_left_behind(&self, profile: &str) -> Result<(), ToolError> {
        kedactl_exec::end_left_behind(&self.kubeconfig(profile), SHORT).await?;
        Ok(())
    }

    /// A call. `MINIKUBE_HOME` and the engine's variables are the user's; the kubeconfig is ours.
    fn job(&self, profile: &str, args: &[&str]) -> Job {
        Job::new(&self.program)
            .args(args.iter().copied())
            .without_env("KEDACTL_")
            .without_env("MINIKUBE_PROFILE")
            .env("KUBECONFIG", self.kubeconfig(profile))
            .env("MINIKUBE_IN_STYLE", "false")
            .env("MINIKUBE_WANTUPDATENOTIFICATION", "false")
            .env("NO_COLOR", "1")
    }

    async fn finish(
        &self,
        action: Action,
        profile: &str,
        job: &Job,
        cancel: &CancellationToken,
    ) -> Result<Ended, ToolError> {
        let ended = job.run(cancel).await?;
        if ended.code == Some(0) {
            return Ok(ended);
        }
        Err(Self::failure(action, profile, &ended).into())
    }

    fn failure(action: Action, profile: &str, ended: &Ended) -> Failure {
        let mut said = ended.stdout.lines().filter_map(parse);
        let told = said.rfind(|it| matches!(it, Said::Error { .. }));
        let told = told.or_else(|| event::spoken(&ended.stderr));
        let spoken = if ended.stderr.trim().is_empty() {
            &ended.stdout
        } else {
            &ended.stderr
        };
        let words = words(spoken);
        Failure::new(
            action,
            profile,
            (ended.how.clone(), ended.code),
            told,
            words,
        )
    }
}

/// The last words of a text that may be events.
fn words(text: &str) -> String {
    let line = |line: &str| match parse(line) {
        Some(
            Said::Step { message, .. }
            | Said::Warning(message)
            | Said::Info(message)
            | Said::Error { message, .. },
        ) => message,
        Some(Said::Download { artifact, .. }) => artifact,
        None => line.to_owned(),
    };
    let lines: Vec<String> = text.lines().map(line).collect();
    last_words(&lines.join("\n"))
}
