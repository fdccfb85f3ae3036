//! Makes a chart a file of this machine: what was fetched for a version is not fetched again, unless that is asked for.
//! Must not let half a download, or another chart than was asked for, look like a chart.

mod again;
pub(crate) mod source;

use std::path::Path;

use kedactl_exec::{CancellationToken, ExecError};

use crate::charts::Wanted;
use crate::helm::Helm;
use crate::{Chart, Place, PrivateDir, Release, ReleaseName, Store, ToolError};
use again::{Failure, Patience};

/// A chart and how it came here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pulled {
    /// The chart.
    pub chart: Chart,
    /// How it came.
    pub came: Came,
}

/// How a chart came to be on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Came {
    /// It was there, and has no source to be fetched from.
    Here,
    /// From the folder of vendored archives.
    Vendored,
    /// From its source, now.
    Fetched,
    /// Its source gave nothing, for this reason; it had been fetched before.
    Kept(String),
}

impl Helm {
    /// The chart of a release, as a folder or an archive. Its source is asked only where it is nowhere on this machine.
    pub async fn chart(
        &self,
        name: &ReleaseName,
        release: &Release,
        cancel: &CancellationToken,
    ) -> Result<Chart, ToolError> {
        let store = self.store()?;
        if let Some(chart) = store.place(name, release)?.chart() {
            return Ok(chart.clone());
        }
        let tell = |text: String| tracing::info!(release = %name, "{text}");
        match Store::wanted(name, release)? {
            Some(wanted) => self.fetch(&store, &wanted, release, &tell, cancel).await,
            None => Err(ToolError::Chart {
                chart: release.chart.clone(),
                problem: "it is nowhere".to_owned(),
            }),
        }
    }

    /// The same, and its source is asked in any case; what was fetched before serves where that gives nothing. `tell` is
    /// given what is waited for.
    pub async fn pull(
        &self,
        name: &ReleaseName,
        release: &Release,
        tell: &(dyn Fn(String) + Sync),
        cancel: &CancellationToken,
    ) -> Result<Pulled, ToolError> {
        let store = self.store()?;
        let place = store.place(name, release)?;
        let here = !matches!(place, Place::Cached(_) | Place::NotFetched);
        let wanted = Store::wanted(name, release)?.filter(|_| !here);
        let Some(wanted) = wanted else {
            let came = match place {
                Place::Vendored(_) => Came::Vendored,
                _ => Came::Here,
            };
            let chart = self.chart(name, release, cancel).await?;
            return Ok(Pulled { chart, came });
        };
        let fetched = self.fetch(&store, &wanted, release, tell, cancel).await;
        match (fetched, store.cached(&wanted)) {
            (Ok(chart), _) => Ok(Pulled {
                chart,
                came: Came::Fetched,
            }),
            // Only where the source gave nothing: another archive than the pinned one is never passed over.
            (Err(error @ ToolError::Fetch { .. }), Some(chart)) => Ok(Pulled {
                chart,
                came: Came::Kept(error.to_string()),
            }),
            (Err(error), _) => Err(error),
        }
    }

    fn store(&self) -> Result<Store, ToolError> {
        Store::open(&self.settings.state, self.settings.vendored.as_deref())
    }

    async fn fetch(
        &self,
        store: &Store,
        wanted: &Wanted,
        release: &Release,
        tell: &(dyn Fn(String) + Sync),
        cancel: &CancellationToken,
    ) -> Result<Chart, ToolError> {
        let mut patience = Patience::default();
        loop {
            let private = PrivateDir::inside(&self.settings.state.join("tmp"))?;
            let fetched = self.once(wanted, release, private.path(), cancel).await;
            let failure = match fetched {
                Ok(archive) => match whole(&archive, wanted) {
                    Ok(()) => return store.keep(wanted, &archive),
                    Err(ToolError::Chart { problem, .. }) if problem.contains("archive is cut") => {
                        Failure::cut(problem)
                    }
                    Err(error) => return Err(error),
                },
                Err(ToolError::Refused { said, .. }) => Failure::of(said),
                // It had all the time that there is.
                Err(ToolError::Exec(ExecError::TimedOut { within, .. })) => Failure::slow(within),
                Err(error) => return Err(error),
            };
            let ca = release.access.ca_file.as_deref();
            let Some(wait) = patience.after(&failure, ca).await else {
                return Err(failure.into_error(wanted, patience.tries()));
            };
            tell(format!(
                "{}: {}; again in {:.1} s",
                wanted.address(),
                failure.short(),
                wait.as_secs_f64()
            ));
            tokio::select! {
                () = cancel.cancelled() => return Err(again::cancelled(wanted)),
                () = tokio::time::sleep(wait) => {}
            }
        }
    }
}

/// Reads an archive to its end, and holds it against what was asked for.
fn whole(archive: &Path, wanted: &Wanted) -> Result<(), ToolError> {
    let named = |error| match error {
        ToolError::Chart { problem, .. } => ToolError::Chart {
            chart: wanted.chart.clone(),
            problem,
        },
        ToolError::Digest {
            wanted: digest,
            found,
            ..
        } => ToolError::Digest {
            chart: wanted.chart.clone(),
            wanted: digest,
            found,
        },
        other => other,
    };
    let chart = Chart::at(archive)?;
    // Before anything else is said of it: whoever changed it may have changed its name too.
    chart.expect(wanted.digest.as_deref()).map_err(named)?;
    let about = chart.about().map_err(named)?;
    let version = |text: &str| text.trim_start_matches('v').to_owned();
    let wrong = if about.name != wanted.name() {
        format!("the source gave the chart `{}`", about.name)
    } else if version(&about.version) != version(&wanted.version) {
        format!(
            "version {} was asked for, and the source gave {}: a version is named exactly, so that the same one comes every time",
            wanted.version, about.version
        )
    } else {
        return Ok(());
    };
    Err(ToolError::Chart {
        chart: wanted.chart.clone(),
        problem: wrong,
    })
}
