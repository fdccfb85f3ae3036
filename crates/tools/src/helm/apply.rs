//! Brings a release to what is declared: nothing, an install, or an upgrade.
//! Must not write a revision where the last one was made from the same chart, values and objects.

use kedactl_exec::{CancellationToken, Job};
use kedactl_plan::Step;
use serde::Deserialize;

use super::command::json;
use super::render::{Prepared, Rendered};
use super::{Helm, LeaseHeld};
use crate::release::namespace;
use crate::{Action, Release, ReleaseName, ToolError};

/// What became of a release.
#[derive(Debug, Clone, PartialEq)]
pub struct Applied {
    /// Whether a revision was written.
    pub changed: bool,
    /// The revision that counts now.
    pub revision: u32,
    /// What it has on the cluster.
    pub rendered: Rendered,
}

/// The one field that is read of what helm prints; the rest holds values and Secrets.
#[derive(Deserialize)]
struct Written {
    version: u32,
}

impl Helm {
    /// Installs or upgrades a release, unless it is there as declared. Repairs a lock where the caller holds the stack's
    /// lease; else a lock is an error. Does not wait for readiness. On cancel, helm gets one `SIGINT` and marks the
    /// revision failed, which the next call goes on from.
    pub async fn apply(
        &self,
        name: &ReleaseName,
        release: &Release,
        lease: Option<&LeaseHeld>,
        step: &Step<'_>,
        cancel: &CancellationToken,
    ) -> Result<Applied, ToolError> {
        self.bring(name, release, (lease, false), step, cancel)
            .await
    }

    /// The same, and a revision is written in any case: its objects are not there any more.
    pub async fn apply_again(
        &self,
        name: &ReleaseName,
        release: &Release,
        lease: Option<&LeaseHeld>,
        step: &Step<'_>,
        cancel: &CancellationToken,
    ) -> Result<Applied, ToolError> {
        self.bring(name, release, (lease, true), step, cancel).await
    }

    async fn bring(
        &self,
        name: &ReleaseName,
        release: &Release,
        (lease, again): (Option<&LeaseHeld>, bool),
        step: &Step<'_>,
        cancel: &CancellationToken,
    ) -> Result<Applied, ToolError> {
        let mut prepared = self.prepare(name, release, cancel).await?;
        let rendered = self.rendered(name, release, &mut prepared, cancel).await?;
        let marks = prepared.marks(&self.settings.stack, &rendered.text).pairs();
        let namespace = namespace(name, release)?;
        let deployed = self.deployed_with(name, namespace, &marks, cancel).await?;
        if let Some(revision) = deployed.filter(|_| !again) {
            return Ok(Applied {
                changed: false,
                revision,
                rendered,
            });
        }
        self.repair(name, namespace, lease, step, cancel).await?;
        let before = if rendered.has_crds_folder() {
            self.last_chart(name, namespace, cancel).await?
        } else {
            None
        };
        step.progress(0, None, format!("helm upgrades {name}"));
        let job = self.upgrade_job(name, release, &prepared, &marks)?;
        let said = self
            .finish(Action::Upgrade, name.as_str(), &job, &prepared.mask, cancel)
            .await?;
        let written: Written = json(Action::Upgrade, name.as_str(), &said)?;
        match self.deployed_with(name, namespace, &marks, cancel).await? {
            Some(revision) if revision == written.version => {
                if let Some(before) = before {
                    let now = self.last_chart(name, namespace, cancel).await?;
                    step_over_definitions(step, &before, &now.unwrap_or_default(), &rendered);
                }
                Ok(Applied {
                    changed: true,
                    revision,
                    rendered,
                })
            }
            found => Err(ToolError::NoEffect {
                program: "helm",
                action: Action::Upgrade,
                subject: name.to_string(),
                found: found.map_or_else(
                    || format!("revision {} is not deployed", written.version),
                    |other| format!("revision {other} is deployed, not {}", written.version),
                ),
            }),
        }
    }

    /// Name and version of the chart that the last revision was made from.
    async fn last_chart(
        &self,
        name: &ReleaseName,
        namespace: &str,
        cancel: &CancellationToken,
    ) -> Result<Option<String>, ToolError> {
        let mut history = self.history(name, namespace, cancel).await?;
        Ok(history.pop().map(|it| it.chart))
    }

    fn upgrade_job(
        &self,
        name: &ReleaseName,
        release: &Release,
        prepared: &Prepared,
        marks: &str,
    ) -> Result<Job, ToolError> {
        let chart = prepared.chart.path.to_string_lossy().into_owned();
        let history = release.history_max.to_string();
        let description = format!("run={}", self.settings.run);
        let mut job = self
            .cluster_job(
                name,
                namespace(name, release)?,
                &[
                    "upgrade",
                    name.as_str(),
                    &chart,
                    "--install",
                    "--hide-notes",
                    "--output",
                    "json",
                ],
            )?
            .args([
                "--history-max",
                &history,
                "--labels",
                marks,
                "--description",
                &description,
            ])
            .args(prepared.values_args());
        if release.create_namespace {
            job = job.arg("--create-namespace");
        }
        if release.skip_crds {
            job = job.arg("--skip-crds");
        }
        // Helm 3 waits for hooks alone where `--wait` is left out; helm 4 has a word for it.
        if self.version.major >= 4 {
            job = job.arg("--wait=hookOnly");
        }
        Ok(Self::timed(job, release.timeout()))
    }
}

/// Says that helm installs what a chart has in `crds/` and never looks at it again, where another version of the chart came.
fn step_over_definitions(step: &Step<'_>, before: &str, now: &str, rendered: &Rendered) {
    if before == now {
        return;
    }
    let chart = rendered.chart.path.display();
    let note = format!(
        "warning: helm left the definitions in crds/ as {before} brought them; \
         those of {now}: `helm show crds {chart} | kubectl apply --server-side -f -`"
    );
    step.progress(0, None, note);
}
