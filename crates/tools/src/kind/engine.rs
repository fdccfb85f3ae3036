//! The container engine beneath kind: containers of a cluster that stand still, and the network that they leave behind.
//! Must not make or remove a container; kind does.

use std::time::Duration;

use kedactl_exec::{CancellationToken, Job};

use super::Kind;
use crate::{Action, ToolError};

/// How long one question to the engine may take.
const SOON: Duration = Duration::from_mins(1);
/// kind puts the nodes of all its clusters into one network of this name, and never removes it.
const NETWORK: &str = "kind";

impl Kind {
    /// What kind must be told to use this engine; without a word it takes the first that it finds.
    pub(super) fn engine_env(&self) -> Option<&'static str> {
        let name = self.engine.file_stem()?.to_str()?;
        match name {
            "podman" => Some("podman"),
            "nerdctl" | "finch" => Some("nerdctl"),
            _ => None,
        }
    }

    /// Names of the cluster's containers that are stopped: their machine was restarted, or somebody stopped them.
    pub(super) async fn stopped(
        &self,
        name: &str,
        cancel: &CancellationToken,
    ) -> Result<Vec<String>, ToolError> {
        let label = format!("label=io.x-k8s.kind.cluster={name}");
        let args = ["ps", "--all", "--filter", "status=exited", "--filter"];
        let job = self.engine_job(&args);
        let job = job.args([&label, "--format", "{{.Names}}"]);
        let said = self.finish_engine(Action::List, name, &job, cancel).await?;
        let names = said.lines().map(str::trim).filter(|it| !it.is_empty());
        Ok(names.map(str::to_owned).collect())
    }

    /// Starts containers.
    pub(super) async fn start(
        &self,
        containers: &[String],
        cancel: &CancellationToken,
    ) -> Result<(), ToolError> {
        let job = self.engine_job(&["start"]).args(containers.iter().cloned());
        self.finish_engine(Action::Start, &containers.join(", "), &job, cancel)
            .await?;
        Ok(())
    }

    /// Whether kind's network is there.
    pub(super) async fn has_network(&self, cancel: &CancellationToken) -> Result<bool, ToolError> {
        let filter = format!("name=^{NETWORK}$");
        let args = ["network", "ls", "--format", "{{.Name}}", "--filter"];
        let job = self.engine_job(&args).arg(filter);
        let said = self
            .finish_engine(Action::List, NETWORK, &job, cancel)
            .await?;
        Ok(said.lines().any(|line| line.trim() == NETWORK))
    }

    /// Removes kind's network. Where it is still in use, the engine refuses, and that is right.
    pub(super) async fn remove_network(&self, cancel: &CancellationToken) {
        let job = self.engine_job(&["network", "rm", NETWORK]);
        if let Err(error) = self
            .finish_engine(Action::Delete, NETWORK, &job, cancel)
            .await
        {
            tracing::debug!(%error, "the network of kind stays");
        }
    }

    fn engine_job(&self, args: &[&str]) -> Job {
        Job::new(&self.engine)
            .args(args.iter().copied())
            .without_env("KEDACTL_")
            .within(SOON)
    }

    async fn finish_engine(
        &self,
        action: Action,
        subject: &str,
        job: &Job,
        cancel: &CancellationToken,
    ) -> Result<String, ToolError> {
        self.ended("the container engine", action, subject, job, cancel)
            .await
    }
}
