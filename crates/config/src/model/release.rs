//! A Helm release as values declare it: which chart, where, with what, after what.
//! Must not read a file: paths stay paths until a driver needs them.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Text;
use crate::format;

/// Name of a release; what helm accepts: lower-case letters, digits and dashes, 1 to 53 of them, no dash at either end.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ReleaseName(String);

/// A text that helm would not take as the name of a release.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is not the name of a release: {}", format::RELEASE_NAME)]
pub struct NotAName {
    /// The text.
    pub name: String,
}

impl ReleaseName {
    /// Takes a text for a name.
    ///
    /// # Errors
    /// Where helm would refuse it.
    pub fn new(name: impl Into<String>) -> Result<Self, NotAName> {
        let name = name.into();
        if format::release_name(&name) {
            Ok(Self(name))
        } else {
            Err(NotAName { name })
        }
    }

    /// The name itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ReleaseName {
    type Error = NotAName;
    fn try_from(name: String) -> Result<Self, NotAName> {
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

impl JsonSchema for ReleaseName {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "ReleaseName".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "format": "release-name"})
    }
}

/// One declared release. What no layer says has the value that stands here, since no layer knows the releases of others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Release {
    /// One of our own charts by its name, a path (`./chart`, `/x/chart-1.tgz`), an `oci://` reference, or a name in `repo`
    #[schemars(length(min = 1))]
    pub chart: String,
    /// Address of the chart repository in which `chart` is a name
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub repo: Option<String>,
    /// Version of the chart; must be given for charts that are fetched
    #[serde(default)]
    #[schemars(length(min = 1), extend("x-text" = true))]
    pub version: Option<String>,
    /// Namespace of the release; absent: the stack's, and `keda.namespace` for the release `keda`
    #[serde(default)]
    #[schemars(extend("format" = "dns-label"))]
    pub namespace: Option<String>,
    /// Make the namespace where it is missing
    #[serde(default)]
    pub create_namespace: bool,
    /// Handlebars template of values that lie below `valuesFiles` and `values`: a path that begins with `.` or `/`, else a
    /// name below `templates/`
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub values_template: Option<String>,
    /// Values files; helm reads them as they are, later ones win
    #[serde(default)]
    pub values_files: Vec<PathBuf>,
    /// Values that win over the files; `null` deletes the chart's own
    #[serde(default)]
    pub values: Map<String, Value>,
    /// Releases that must be ready first
    #[serde(default)]
    pub depends_on: Vec<ReleaseName>,
    /// SHA-256 of the chart's archive, `sha256:…`: another one is refused
    #[serde(default)]
    #[schemars(extend("format" = "digest"))]
    pub digest: Option<String>,
    /// How the chart's source lets us in
    #[serde(default)]
    pub access: ChartAccess,
    /// Secrets that are there before the release, in its namespace, by name: made once, then left as they are
    #[serde(default)]
    #[schemars(extend("x-keys" = "dns-name"))]
    pub secrets: BTreeMap<String, MadeSecret>,
    /// Leave out what the chart has in `crds/`: somebody else applies it
    #[serde(default)]
    pub skip_crds: bool,
    /// Seconds for each of helm's own operations
    #[serde(default = "timeout")]
    #[schemars(range(min = 1, max = 86400))]
    pub timeout_seconds: u64,
    /// Revisions that helm keeps; 0: all
    #[serde(default = "history")]
    #[schemars(range(max = 1000))]
    pub history_max: u32,
    /// Objects that say that the cluster has this already; then it is left alone
    #[serde(default)]
    pub detect: Vec<Detect>,
}

/// How the source of a chart lets us in. Logins of `docker login` count for `oci://` without it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ChartAccess {
    /// User at the source
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub username: Option<String>,
    /// File that holds the password
    #[serde(default)]
    pub password_file: Option<PathBuf>,
    /// File with the certificates of authorities that the source's certificate is from
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
}

/// A Secret that is made before a release.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MadeSecret {
    /// Texts that are no secrets, by key
    #[serde(default)]
    #[schemars(extend("x-keys" = "secret-key"))]
    pub given: BTreeMap<String, Text>,
    /// Keys whose text is drawn: 32 letters and digits
    #[serde(default)]
    #[schemars(extend("x-items" = "secret-key"))]
    pub random: Vec<String>,
}

/// An object whose presence on the cluster makes a release unnecessary.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Detect {
    /// `apps/v1`
    #[schemars(length(min = 1))]
    pub api_version: String,
    /// `Deployment`
    #[schemars(length(min = 1))]
    pub kind: String,
    /// Its name
    #[schemars(length(min = 1))]
    pub name: String,
    /// Its namespace; none for objects of the cluster
    #[serde(default)]
    #[schemars(extend("format" = "dns-label"))]
    pub namespace: Option<String>,
}

const fn timeout() -> u64 {
    300
}

const fn history() -> u32 {
    5
}

/// Where a chart comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
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

/// Why it cannot be said where a chart comes from.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ChartProblem {
    /// The key to change: `chart`, `repo` or `version`.
    pub key: &'static str,
    /// What is wrong.
    pub message: String,
}

/// Our own charts, by name.
pub const OWN_CHARTS: &[&str] = &[MONITORING_CHART, REDIS_CHART];
/// Our own chart of Prometheus and what belongs to it.
pub const MONITORING_CHART: &str = "monitoring";
/// Our own chart of Redis with Sentinels.
pub const REDIS_CHART: &str = "redis-sentinel";

/// The template that tells Bitnami's chart what the section `redis` says.
pub(crate) const BITNAMI_TEMPLATE: &str = "releases/redis/bitnami.yaml.hbs";

/// Whether an address, `[scheme://]host[:port][/path]`, is one of this machine: plain HTTP is spoken to it alone.
pub fn is_loopback(address: &str) -> bool {
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    let host = rest.split('/').next().unwrap_or(rest);
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    let name = match host.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or(v6),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name == "localhost" || name.parse::<IpAddr>().is_ok_and(|it| it.is_loopback())
}

impl Release {
    /// How long each of helm's own operations may take.
    pub fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout_seconds)
    }

    /// Where its chart comes from, by the way in which it is written.
    ///
    /// # Errors
    /// Keys that contradict each other, or do not say enough.
    pub fn source(&self) -> Result<ChartSource, ChartProblem> {
        let wrong = |key, message: &str| {
            let message = message.to_owned();
            Err(ChartProblem { key, message })
        };
        let pinned = || {
            self.version.clone().ok_or(ChartProblem {
            key: "version",
            message: "a value is needed: a chart that is fetched has one, so that the same one comes every time".into(),
        })
        };
        let chart = self.chart.clone();
        let oci = chart.starts_with("oci://");
        match &self.repo {
            Some(_) if is_path(&chart) => wrong("repo", "has no effect: `chart` is a path"),
            Some(_) if oci => wrong("repo", "has no effect: `chart` is an oci:// reference"),
            Some(repo) => Ok(ChartSource::Repo(repo.clone(), chart, pinned()?)),
            None if oci => Ok(ChartSource::Oci(chart, pinned()?)),
            None if is_path(&chart) => Ok(ChartSource::Path(PathBuf::from(chart))),
            None if OWN_CHARTS.contains(&chart.as_str()) => Ok(ChartSource::Embedded(chart)),
            None => {
                let near = crate::nearest(&chart, OWN_CHARTS.iter().copied());
                let meant = near.map(|near| format!(", did you mean `{near}`?"));
                Err(ChartProblem {
                    key: "chart",
                    message: format!(
                        "`{chart}` is neither a path nor oci:// nor one of our own charts, and no `repo` is given{}",
                        meant.unwrap_or_default()
                    ),
                })
            }
        }
    }

    /// Whether it is our own chart of Redis.
    pub fn is_own_redis(&self) -> bool {
        self.repo.is_none() && self.chart == REDIS_CHART
    }

    /// Whether it is our own chart of Prometheus and what belongs to it.
    pub fn is_own_monitoring(&self) -> bool {
        self.repo.is_none() && self.chart == MONITORING_CHART
    }

    /// Whether the section `redis` is told to Bitnami's chart.
    pub fn is_bitnami_redis(&self) -> bool {
        self.values_template.as_deref() == Some(BITNAMI_TEMPLATE)
    }
}

/// Whether a chart is written as a path: `./x`, `../x`, `/x`, or an archive.
pub(crate) fn is_path(chart: &str) -> bool {
    let archive = std::path::Path::new(chart).extension();
    let here = chart.starts_with("./") || chart.starts_with("../") || matches!(chart, "." | "..");
    here || chart.starts_with('/')
        || (archive.is_some_and(|it| it == "tgz") && !chart.starts_with("oci://"))
}
