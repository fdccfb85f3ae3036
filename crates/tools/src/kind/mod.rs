//! kind: clusters of containers, made, adopted, deleted.
//! Must not touch the user's kubeconfig, must not take kind's word for a ready cluster, and deletes only what it made itself.

mod engine;
mod ensure;
mod record;

use std::path::{Path, PathBuf};
use std::time::Duration;

use kedactl_exec::{CancellationToken, Job, find, last_words};
use tokio::time::{Instant, sleep};

pub use ensure::{Seen, Spec, Standing};

use crate::private::{folder, replace};
use crate::{Action, ToolError};

const SHORT: Duration = Duration::from_mins(1);
const DELETE: Duration = Duration::from_mins(3);
/// How long after kind's word a container may still come up that the engine was making.
const LATE: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(200);
const CREATE: Duration = Duration::from_mins(15);
const LOAD: Duration = Duration::from_mins(10);

/// A kind that was found.
#[derive(Debug, Clone)]
pub struct Kind {
    program: PathBuf,
    /// The client of the container engine that nodes are made on.
    engine: PathBuf,
    /// Private folder for kubeconfigs and for what is known about clusters.
    state: PathBuf,
}

impl Kind {
    /// Finds kind and its engine; `program` is kind's path, `None`: `kind`, beside this program or in PATH.
    pub fn open(program: Option<&Path>, engine: &str, state: &Path) -> Result<Self, ToolError> {
        let program = program.map_or("kind".into(), Path::to_string_lossy);
        let program = find(&program).map_err(|_| ToolError::Missing {
            program: program.into_owned(),
            what: "kind",
            key: "kind.program",
        })?;
        let engine = find(engine).map_err(|_| ToolError::Missing {
            program: engine.to_owned(),
            what: "Docker or Podman",
            key: "images.engine",
        })?;
        folder(state)?;
        Ok(Self {
            program,
            engine,
            state: state.to_owned(),
        })
    }

    /// Names of the clusters of this engine, half made ones among them.
    pub async fn clusters(&self, cancel: &CancellationToken) -> Result<Vec<String>, ToolError> {
        // With no cluster kind says so on standard error, and nothing on standard output.
        let said = self
            .call(Action::List, "clusters", &["get", "clusters"], cancel)
            .await?;
        Ok(lines(&said))
    }

    /// Names of a cluster's nodes, which are its containers' names; empty where there is no such cluster.
    pub async fn nodes(
        &self,
        name: &str,
        cancel: &CancellationToken,
    ) -> Result<Vec<String>, ToolError> {
        let said = self
            .call(
                Action::List,
                name,
                &["get", "nodes", "--name", name],
                cancel,
            )
            .await?;
        Ok(lines(&said))
    }

    /// Where the cluster's kubeconfig is kept. The user's own file is never written.
    pub fn kubeconfig(&self, name: &str) -> PathBuf {
        self.state.join(format!("{name}.kubeconfig"))
    }

    /// The context in that file.
    pub fn context(name: &str) -> String {
        format!("kind-{name}")
    }

    /// Whether a cluster of that name was begun or made by this program, with this folder for its state.
    pub fn made_here(state: &Path, name: &str) -> bool {
        record::path(state, name).exists()
    }

    /// Writes the cluster's kubeconfig anew: ports change when its containers are started again.
    pub async fn write_kubeconfig(
        &self,
        name: &str,
        cancel: &CancellationToken,
    ) -> Result<PathBuf, ToolError> {
        let said = self
            .call(
                Action::Kubeconfig,
                name,
                &["get", "kubeconfig", "--name", name],
                cancel,
            )
            .await?;
        if !said.contains("certificate-authority-data") || !said.contains("server:") {
            return Err(ToolError::Garbled {
                program: "kind",
                action: Action::Kubeconfig,
                subject: name.to_owned(),
                problem: "no kubeconfig".to_owned(),
            });
        }
        let path = self.kubeconfig(name);
        replace(&path, said.as_bytes())?;
        Ok(path)
    }

    /// Deletes a cluster's containers and what is kept about it. A cluster that is not there is deleted already.
    pub async fn delete(&self, name: &str, cancel: &CancellationToken) -> Result<bool, ToolError> {
        self.end_left_behind(name).await?;
        let there = self.is_there(name, cancel).await?;
        if there {
            self.delete_containers(name, cancel).await?;
        }
        if self.record(name).is_some_and(|it| it.network) {
            self.remove_network(cancel).await;
        }
        self.forget(name)?;
        Ok(there)
    }

    /// The engine finishes a container whose creation was cut off, and may do so after kind saw the last of it: the one
    /// that comes then is deleted too.
    async fn delete_containers(
        &self,
        name: &str,
        cancel: &CancellationToken,
    ) -> Result<(), ToolError> {
        let kubeconfig = self.kubeconfig(name);
        let until = Instant::now() + LATE;
        loop {
            let job = self
                .job(&["delete", "cluster", "--name", name, "--kubeconfig"])
                .about(&kubeconfig)
                .arg(&kubeconfig)
                .within(DELETE);
            self.finish(Action::Delete, name, &job, cancel).await?;
            if !self.is_there(name, cancel).await? {
                return Ok(());
            }
            if Instant::now() >= until {
                return Err(ToolError::NoEffect {
                    program: "kind",
                    action: Action::Delete,
                    subject: name.to_owned(),
                    found: "its containers are still there".to_owned(),
                });
            }
            sleep(LOOK_EVERY).await;
        }
    }

    async fn is_there(&self, name: &str, cancel: &CancellationToken) -> Result<bool, ToolError> {
        let all = self.clusters(cancel).await?;
        Ok(all.iter().any(|other| other == name))
    }

    /// Hands an archive of images to all nodes. That it ends well says nothing about what the nodes have then.
    pub async fn load_archive(
        &self,
        name: &str,
        archive: &Path,
        cancel: &CancellationToken,
    ) -> Result<(), ToolError> {
        let job = self
            .job(&["load", "image-archive", "--name", name])
            .arg(archive)
            .within(LOAD);
        self.finish(Action::Load, name, &job, cancel).await?;
        Ok(())
    }

    /// Collects the logs of a cluster's nodes in a folder.
    pub async fn export_logs(
        &self,
        name: &str,
        into: &Path,
        cancel: &CancellationToken,
    ) -> Result<(), ToolError> {
        folder(into)?;
        let job = self
            .job(&["export", "logs", "--name", name])
            .arg(into)
            .within(DELETE);
        self.finish(Action::ExportLogs, name, &job, cancel).await?;
        Ok(())
    }

    /// A kind that a killed run left making or deleting this cluster would go on beside us.
    async fn end_left_behind(&self, name: &str) -> Result<(), ToolError> {
        kedactl_exec::end_left_behind(&self.kubeconfig(name), SHORT).await?;
        Ok(())
    }

    async fn call(
        &self,
        action: Action,
        subject: &str,
        args: &[&str],
        cancel: &CancellationToken,
    ) -> Result<String, ToolError> {
        let job = self.job(args).within(SHORT);
        self.finish(action, subject, &job, cancel).await
    }

    fn job(&self, args: &[&str]) -> Job {
        let job = Job::new(&self.program)
            .args(args.iter().copied())
            .without_env("KUBECONFIG")
            .without_env("KEDACTL_")
            .without_env("KIND_CLUSTER_NAME")
            .env("NO_COLOR", "1");
        match self.engine_env() {
            Some(engine) => job.env("KIND_EXPERIMENTAL_PROVIDER", engine),
            None => job,
        }
    }

    async fn finish(
        &self,
        action: Action,
        subject: &str,
        job: &Job,
        cancel: &CancellationToken,
    ) -> Result<String, ToolError> {
        self.ended("kind", action, subject, job, cancel).await
    }

    async fn ended(
        &self,
        program: &'static str,
        action: Action,
        subject: &str,
        job: &Job,
        cancel: &CancellationToken,
    ) -> Result<String, ToolError> {
        let ended = job.run(cancel).await?;
        if ended.code == Some(0) {
            return Ok(ended.stdout);
        }
        Err(ToolError::Refused {
            program,
            action,
            subject: subject.to_owned(),
            how: ended.how,
            said: last_words(ended.stderr.trim_start_matches("ERROR: ")),
        })
    }
}

fn lines(said: &str) -> Vec<String> {
    said.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.contains(' '))
        .map(str::to_owned)
        .collect()
}
