//! Renders a release without a cluster: for the mark of its revision, for lint and for the inventory.
//! Must not leave a value in a file that outlives the run.

use std::path::PathBuf;

use kedactl_exec::CancellationToken;
use serde_json::{Map, Value};

use super::Helm;
use super::marks::Marks;
use crate::private::read;
use crate::release::namespace;
use crate::{Action, Chart, Mask, PrivateDir, Release, ReleaseName, ToolError};

/// What a release would put on the cluster.
#[derive(Debug, Clone, PartialEq)]
pub struct Rendered {
    /// The chart.
    pub chart: Chart,
    /// Its objects, hooks and CRDs among them.
    pub objects: Vec<Value>,
    /// The text as helm wrote it. May hold Secrets.
    pub text: String,
}

impl Rendered {
    /// Whether some of it comes from a folder `crds/`, which helm reads at the first install alone.
    pub(super) fn has_crds_folder(&self) -> bool {
        let mut lines = self.text.lines();
        lines.any(|line| line.starts_with("# Source: ") && line.contains("/crds/"))
    }
}

/// A release with its files in place, ready for helm. The private folder goes with it.
pub(super) struct Prepared {
    pub(super) chart: Chart,
    /// Values files in the order in which they win.
    pub(super) files: Vec<PathBuf>,
    /// Their contents.
    values: Vec<Vec<u8>>,
    /// What errors about this release must not show.
    pub(super) mask: Mask,
    _private: PrivateDir,
}

impl Prepared {
    /// `--values FILE` for each file.
    pub(super) fn values_args(&self) -> Vec<String> {
        let flag = |file: &PathBuf| ["--values".to_owned(), file.to_string_lossy().into_owned()];
        self.files.iter().flat_map(flag).collect()
    }

    pub(super) fn marks(&self, stack: &str, rendered: &str) -> Marks {
        Marks::new(stack, &self.chart.digest, &self.values, rendered)
    }
}

impl Helm {
    /// The values that a release is given, in one map: its template's, its files', its own; `null` stays, as it deletes.
    pub fn given(
        &self,
        name: &ReleaseName,
        release: &Release,
    ) -> Result<Map<String, Value>, ToolError> {
        let mut given = Value::Object(self.beneath.get(name).cloned().unwrap_or_default());
        for file in &release.values_files {
            let text = String::from_utf8_lossy(&read(file)?).into_owned();
            let documents = kedactl_config::documents(&text).map_err(|(line, problem)| {
                ToolError::Declaration {
                    release: name.to_string(),
                    problem: format!("{}:{line}: {problem}", file.display()),
                }
            })?;
            for document in documents {
                lay(&mut given, document);
            }
        }
        lay(&mut given, Value::Object(release.values.clone()));
        match given {
            Value::Object(given) => Ok(given),
            _ => Ok(Map::new()),
        }
    }

    /// Renders a release as a first install would.
    pub async fn render(
        &self,
        name: &ReleaseName,
        release: &Release,
        cancel: &CancellationToken,
    ) -> Result<Rendered, ToolError> {
        let mut prepared = self.prepare(name, release, cancel).await?;
        self.rendered(name, release, &mut prepared, cancel).await
    }

    pub(super) async fn prepare(
        &self,
        name: &ReleaseName,
        release: &Release,
        cancel: &CancellationToken,
    ) -> Result<Prepared, ToolError> {
        let chart = self.chart(name, release, cancel).await?;
        let private = PrivateDir::inside(&self.settings.state.join("tmp"))?;
        let mut mask = self.settings.mask.clone();
        let mut files = Vec::new();
        let mut values = Vec::new();
        if let Some(beneath) = self.beneath.get(name) {
            let beneath = Value::Object(beneath.clone());
            mask.add_values(&beneath);
            let bytes = beneath.to_string().into_bytes();
            files.push(private.write("beneath.json", &bytes)?);
            values.push(bytes);
        }
        for (index, file) in release.values_files.iter().enumerate() {
            let bytes = read(file)?;
            if let Ok(documents) = kedactl_config::documents(&String::from_utf8_lossy(&bytes)) {
                for document in &documents {
                    mask.add_values(document);
                }
            }
            // A copy: what is hashed is what helm reads, whatever happens to the file meanwhile.
            files.push(private.write(&format!("{index}.yaml"), &bytes)?);
            values.push(bytes);
        }
        let inline = Value::Object(release.values.clone());
        mask.add_values(&inline);
        let bytes = inline.to_string().into_bytes();
        files.push(private.write("values.json", &bytes)?);
        values.push(bytes);
        Ok(Prepared {
            chart,
            files,
            values,
            mask,
            _private: private,
        })
    }

    /// Renders what is prepared; from then on its Secrets are masked too.
    pub(super) async fn rendered(
        &self,
        name: &ReleaseName,
        release: &Release,
        prepared: &mut Prepared,
        cancel: &CancellationToken,
    ) -> Result<Rendered, ToolError> {
        let chart = prepared.chart.path.to_string_lossy().into_owned();
        let mut job = self
            .job(&[
                "template",
                name.as_str(),
                &chart,
                "--namespace",
                namespace(name, release)?,
            ])
            .args(prepared.values_args());
        if !release.skip_crds {
            job = job.arg("--include-crds");
        }
        if let Some(version) = &self.settings.kube_version {
            job = job.args(["--kube-version", version]);
        }
        for version in &self.settings.api_versions {
            job = job.args(["--api-versions", version]);
        }
        let text = self
            .finish(Action::Render, name.as_str(), &job, &prepared.mask, cancel)
            .await?;
        let objects: Vec<Value> =
            kedactl_config::documents(&text).map_err(|(line, problem)| ToolError::Garbled {
                program: "helm",
                action: Action::Render,
                subject: name.to_string(),
                problem: prepared.mask.apply(&format!("line {line}: {problem}")),
            })?;
        prepared.mask.add_objects(&objects);
        Ok(Rendered {
            chart: prepared.chart.clone(),
            objects,
            text,
        })
    }
}

/// Lays values over others as helm does: maps merge, everything else replaces.
fn lay(below: &mut Value, over: Value) {
    match (below, over) {
        (Value::Object(below), Value::Object(over)) => {
            for (key, value) in over {
                lay(below.entry(key).or_insert(Value::Null), value);
            }
        }
        (below, over) => *below = over,
    }
}
