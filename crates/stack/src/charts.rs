//! The charts of a stack before they are installed: where they are, fetched ahead, and held against what is known to fail.
//! Must not write to a cluster.

mod check;

use std::path::{Path, PathBuf};

use kedactl_config::Config;
use kedactl_images::Credentials;
use kedactl_plan::{Sink, Step};
use kedactl_render::Templates;
use kedactl_tools::helm::Helm;
use kedactl_tools::{
    Came, CancellationToken, Chart, Locked, Place, Pulled, Store, ToolError, Vendored,
};
use serde::Serialize;

use crate::job::told;
use crate::releases::{self, Declared};
use crate::{Home, StackError};

pub use check::{ChartsChecked, check};

/// Which charts, and how they are reached.
#[derive(Debug, Clone)]
pub struct ChartsRequest {
    /// Where the stack's files are: fetched charts are kept there.
    pub home: Home,
    /// The releases.
    pub config: Config,
    /// What their values are made from.
    pub templates: Templates,
    /// Logins at registries.
    pub credentials: Credentials,
    /// Names of releases; empty: all.
    pub only: Vec<String>,
}

/// A release's chart, and where it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChartLook {
    /// The release.
    pub release: String,
    /// Its chart, as the release names it.
    pub chart: String,
    /// Version of the chart; `None` where its folder is not readable or no version is given.
    pub version: Option<String>,
    /// Version of what it installs, where the chart is on this machine.
    pub app_version: Option<String>,
    /// Repository, registry or `built in`.
    pub source: String,
    /// `own`, `folder`, `archive`, `vendored`, `cached`, `not-fetched` or `broken`.
    pub place: String,
    /// Its folder or archive on this machine.
    pub path: Option<PathBuf>,
    /// SHA-256 of the archive, or of the folder's files.
    pub digest: Option<String>,
    /// Why it cannot be used.
    pub problem: Option<String>,
}

/// A chart that was fetched, or need not be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChartPulled {
    /// The release.
    pub release: String,
    /// Its chart, as the release names it.
    pub chart: String,
    /// Version of the chart.
    pub version: String,
    /// SHA-256 of the archive, or of the folder's files.
    pub digest: String,
    /// `fetched`, `kept`, `vendored` or `here`.
    pub came: &'static str,
    /// Why the source gave nothing, where that is so.
    pub reason: Option<String>,
    /// The archive in the folder that was asked for.
    pub file: Option<PathBuf>,
}

impl ChartsRequest {
    fn declared(&self) -> Result<Vec<Declared>, StackError> {
        let mut declared = releases::declared(&self.config, &self.templates)?;
        let wanted = |it: &Declared| self.only.iter().any(|name| name == it.name.as_str());
        declared.retain(|it| self.only.is_empty() || wanted(it));
        Ok(declared)
    }
}

/// Where the chart of every release is. No program is run and nothing is fetched.
pub fn list(request: &ChartsRequest) -> Result<Vec<ChartLook>, StackError> {
    let vendored = request.config.helm.vendored.as_deref();
    let store = Store::open(&request.home.helm(), vendored)?;
    let declared = request.declared()?;
    Ok(declared.iter().map(|it| look(&store, it)).collect())
}

fn look(store: &Store, it: &Declared) -> ChartLook {
    let release = &it.release;
    let mut look = ChartLook {
        release: it.name.to_string(),
        chart: release.chart.clone(),
        version: release.version.clone(),
        app_version: None,
        source: source(it),
        place: "broken".to_owned(),
        path: None,
        digest: None,
        problem: None,
    };
    let found = store.place(&it.name, release).and_then(|place| {
        let about = place.chart().map(Chart::about).transpose()?;
        Ok((place, about))
    });
    match found {
        Ok((place, about)) => {
            place.word().clone_into(&mut look.place);
            if let (Some(chart), Some(about)) = (place.chart(), about) {
                look.version = Some(about.version);
                look.app_version = about.app_version;
                look.digest = Some(format!("sha256:{}", chart.digest));
                look.path = (!matches!(place, Place::Own(_))).then(|| chart.path.clone());
            }
        }
        Err(error) => look.problem = Some(error.to_string()),
    }
    look
}

fn source(it: &Declared) -> String {
    let release = &it.release;
    match (&release.repo, release.chart.strip_prefix("oci://")) {
        (Some(repo), _) => repo.clone(),
        (None, Some(rest)) => format!("oci://{}", rest.rsplit_once('/').map_or("", |it| it.0)),
        (None, None) if kedactl_config::OWN_CHARTS.contains(&release.chart.as_str()) => {
            "built in".to_owned()
        }
        (None, None) => release.chart.clone(),
    }
}

/// Fetches the charts from their sources, each again; with a folder, archives go there as well, with a lock beside them.
pub async fn pull(
    request: &ChartsRequest,
    to: Option<&Path>,
    sink: &dyn Sink,
    stop: &CancellationToken,
) -> Result<Vec<ChartPulled>, StackError> {
    let declared = request.declared()?;
    let settings = releases::settings(&request.home, &request.config, &request.credentials);
    let helm = Helm::open(settings, stop).await?;
    let mut folder = to.map(Vendored::open_or_new).transpose()?;
    let mut all = Vec::new();
    for it in &declared {
        let step = Step::start(
            sink,
            format!("chart/{}", it.name),
            format!("chart of {}", it.name),
        );
        let tell = |text: String| step.waiting(text);
        let pulled = helm.pull(&it.name, &it.release, &tell, stop).await;
        let pulled = pulled.and_then(|pulled| entry(it, pulled, folder.as_mut(), to));
        all.push(told(step, pulled.map_err(StackError::from), |it| {
            (word(it), it.came == "fetched")
        })?);
    }
    Ok(all)
}

fn word(it: &ChartPulled) -> String {
    let what = format!("{} {}", it.chart, it.version);
    match (it.came, &it.reason) {
        ("fetched", _) => format!("{what} fetched"),
        ("kept", Some(reason)) => format!("{what} was fetched before, and is used: {reason}"),
        ("vendored", _) => format!("{what} is vendored"),
        _ => format!("{what} is on this machine"),
    }
}

fn entry(
    it: &Declared,
    pulled: Pulled,
    folder: Option<&mut Vendored>,
    to: Option<&Path>,
) -> Result<ChartPulled, ToolError> {
    let about = pulled.chart.about()?;
    let (came, reason) = match pulled.came {
        Came::Here => ("here", None),
        Came::Vendored => ("vendored", None),
        Came::Fetched => ("fetched", None),
        Came::Kept(reason) => ("kept", Some(reason)),
    };
    let mut entry = ChartPulled {
        release: it.name.to_string(),
        chart: it.release.chart.clone(),
        version: about.version.clone(),
        digest: format!("sha256:{}", pulled.chart.digest),
        came,
        reason,
        file: None,
    };
    // What is on this machine by itself is named by its path and stays there.
    if let (Some(folder), Some(to), false) = (folder, to, came == "here") {
        let file = format!("{}-{}.tgz", about.name, about.version);
        let locked = Locked {
            chart: it.release.chart.clone(),
            repo: it.release.repo.clone(),
            version: it.release.version.clone().unwrap_or(about.version),
            file: file.clone(),
            digest: String::new(),
        };
        folder.add(&pulled.chart, locked)?;
        entry.file = Some(to.join(file));
    }
    Ok(entry)
}
