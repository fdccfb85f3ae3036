//! A release as values declare it: which chart, where, with what, after what.
//! Must not read a file: paths stay paths until the driver needs them.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::ToolError;

/// Helm's own limit, so that names of objects can be made from it.
const LONGEST_NAME: usize = 53;

/// Name of a release; what helm accepts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ReleaseName(String);

impl ReleaseName {
    /// Lower-case letters, digits and dashes, 1 to 53 of them, no dash at either end.
    pub fn new(name: impl Into<String>) -> Result<Self, ToolError> {
        let name = name.into();
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let well = !name.is_empty()
            && name.len() <= LONGEST_NAME
            && name.chars().all(plain)
            && !name.starts_with('-')
            && !name.ends_with('-');
        if well {
            Ok(Self(name))
        } else {
            Err(ToolError::Name {
                name,
                most: LONGEST_NAME,
            })
        }
    }

    /// The name itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ReleaseName {
    type Error = ToolError;
    fn try_from(name: String) -> Result<Self, ToolError> {
        Self::new(name)
    }
}

impl From<ReleaseName> for String {
    fn from(name: ReleaseName) -> Self {
        name.0
    }
}

impl fmt::Display for ReleaseName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The section `releases` of values.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Releases {
    /// Every declared release by its name.
    #[serde(default)]
    pub releases: BTreeMap<ReleaseName, Release>,
}

/// The releases that are built in: name of the file below `values/releases/` and its text.
pub const RELEASES: &[(&str, &str)] = &[
    (
        "keda.yaml",
        include_str!("../../../values/releases/keda.yaml"),
    ),
    (
        "metrics-server.yaml",
        include_str!("../../../values/releases/metrics-server.yaml"),
    ),
    (
        "redis.yaml",
        include_str!("../../../values/releases/redis.yaml"),
    ),
];

/// One declared release.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Release {
    /// A path (`./chart`, `/x/chart-1.tgz`), an `oci://` reference, a name in `repo`, or one of our own charts
    pub chart: String,
    /// Address of the chart repository in which `chart` is a name
    #[serde(default)]
    pub repo: Option<String>,
    /// Version of the chart; must be given for charts that are fetched
    #[serde(default)]
    pub version: Option<String>,
    /// Namespace of the release
    pub namespace: String,
    /// Make the namespace where it is missing
    #[serde(default)]
    pub create_namespace: bool,
    /// Values files; helm reads them as they are, later ones win
    #[serde(default)]
    pub values_files: Vec<PathBuf>,
    /// Values that win over the files
    #[serde(default)]
    pub values: Map<String, Value>,
    /// Releases that must be ready first
    #[serde(default)]
    pub depends_on: Vec<ReleaseName>,
    /// Which of several ways to provide the same thing this is
    #[serde(default)]
    pub profile: Option<String>,
    /// Leave out what the chart has in `crds/`: somebody else applies it
    #[serde(default)]
    pub skip_crds: bool,
    /// Seconds for each of helm's own operations
    #[serde(default = "timeout")]
    pub timeout_seconds: u64,
    /// Revisions that helm keeps
    #[serde(default = "history")]
    pub history_max: u32,
    /// Objects that say that the cluster has this already; then it is left alone
    #[serde(default)]
    pub detect: Vec<Detect>,
}

/// An object whose presence on the cluster makes a release unnecessary.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Detect {
    /// `apps/v1`
    pub api_version: String,
    /// `Deployment`
    pub kind: String,
    /// Its name
    pub name: String,
    /// Its namespace; none for objects of the cluster
    #[serde(default)]
    pub namespace: Option<String>,
}

const fn timeout() -> u64 {
    300
}

const fn history() -> u32 {
    5
}

/// Where a chart comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChartSource {
    /// A folder or an archive on this machine.
    Path(PathBuf),
    /// An artifact of a registry, with its version.
    Oci(String, String),
    /// A name in a repository, with its version: address, name, version.
    Repo(String, String, String),
    /// One of our own charts.
    Embedded(String),
}

impl Release {
    /// How long each of helm's own operations may take.
    pub fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout_seconds)
    }

    /// Where its chart comes from, by the way in which it is written.
    pub fn source(&self, name: &ReleaseName) -> Result<ChartSource, ToolError> {
        let wrong = |problem: &str| ToolError::Declaration {
            release: name.to_string(),
            problem: problem.to_owned(),
        };
        let pinned = || {
            self.version
                .clone()
                .filter(|version| !version.is_empty())
                .ok_or_else(|| wrong("a chart that is fetched needs a `version`, so that the same one comes every time"))
        };
        let is_path = self.chart.starts_with(['.', '/'])
            || Path::new(&self.chart)
                .extension()
                .is_some_and(|extension| extension == "tgz");
        match (&self.repo, is_path) {
            _ if self.chart.is_empty() => Err(wrong("`chart` is empty")),
            (Some(_), true) => Err(wrong("`repo` is given, but `chart` is a path")),
            (None, true) => Ok(ChartSource::Path(PathBuf::from(&self.chart))),
            (Some(_), _) if self.chart.starts_with("oci://") => {
                Err(wrong("`repo` is given, but `chart` is an oci:// reference"))
            }
            (None, _) if self.chart.starts_with("oci://") => {
                Ok(ChartSource::Oci(self.chart.clone(), pinned()?))
            }
            (Some(repo), _) => Ok(ChartSource::Repo(
                repo.clone(),
                self.chart.clone(),
                pinned()?,
            )),
            (None, _) if crate::embedded(&self.chart).is_some() => {
                Ok(ChartSource::Embedded(self.chart.clone()))
            }
            (None, _) => Err(wrong(
                "`chart` is neither a path nor oci:// nor one of our own charts, and no `repo` is given",
            )),
        }
    }
}

impl Releases {
    /// Reads a values file that has only the section `releases`.
    pub fn parse(text: &str) -> Result<Self, ToolError> {
        let garbled = |problem: String| ToolError::Declaration {
            release: "releases".to_owned(),
            problem,
        };
        let documents = kedactl_config::documents(text)
            .map_err(|(line, message)| garbled(format!("line {line}: {message}")))?;
        let Some(document) = documents.into_iter().next() else {
            return Ok(Self::default());
        };
        serde_json::from_value(document).map_err(|error| garbled(error.to_string()))
    }

    /// Every release that is built in.
    pub fn built_in() -> Result<Self, ToolError> {
        let mut all = Self::default();
        for (_, text) in RELEASES {
            all.releases.extend(Self::parse(text)?.releases);
        }
        Ok(all)
    }

    /// The names so that each comes after what it depends on; an unknown name or a circle is an error.
    pub fn order(&self) -> Result<Vec<&ReleaseName>, ToolError> {
        let mut done: Vec<&ReleaseName> = Vec::new();
        for (name, release) in &self.releases {
            if let Some(unknown) = release
                .depends_on
                .iter()
                .find(|other| !self.releases.contains_key(*other))
            {
                return Err(ToolError::Declaration {
                    release: name.to_string(),
                    problem: format!("depends on `{unknown}`, which is not declared"),
                });
            }
        }
        while done.len() < self.releases.len() {
            let next = self.releases.iter().find(|(name, release)| {
                !done.contains(name) && release.depends_on.iter().all(|other| done.contains(&other))
            });
            let Some((name, _)) = next else {
                let stuck = self.releases.keys().find(|name| !done.contains(name));
                return Err(ToolError::Declaration {
                    release: stuck.map(ToString::to_string).unwrap_or_default(),
                    problem: "depends on itself through others".to_owned(),
                });
            };
            done.push(name);
        }
        Ok(done)
    }
}
