//! Charts as files: our own, built in, and what a folder or an archive holds, by digest.
//! Must not fetch anything, and must give the same digest for the same files wherever they lie.

mod archive;
mod store;
mod vendored;

use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::ToolError;
use crate::private::{read, replace};

pub use archive::{About, own_values};
pub(crate) use store::Wanted;
pub use store::{Place, Store};
pub use vendored::{LOCK, Locked, Vendored};

macro_rules! chart_files {
    ($chart:literal: $($file:literal),* $(,)?) => {
        &[$(($file, include_str!(concat!("../../../../templates/charts/", $chart, "/", $file)))),*]
    };
}

/// A chart: its name, and path and text of each file.
type Files = (&'static str, &'static [(&'static str, &'static str)]);

/// Our own charts.
pub const EMBEDDED_CHARTS: &[Files] = &[
    (
        "monitoring",
        chart_files!("monitoring":
            "Chart.yaml",
            "values.yaml",
            "templates/_helpers.tpl",
            "templates/_scrape.tpl",
            "templates/accounts.yaml",
            "templates/alertmanager.yaml",
            "templates/alloy.yaml",
            "templates/grafana.yaml",
            "templates/kube-state-metrics.yaml",
            "templates/loki.yaml",
            "templates/networkpolicy.yaml",
            "templates/pods.yaml",
            "templates/prometheus.yaml",
            "templates/targets.yaml",
        ),
    ),
    (
        "redis-sentinel",
        chart_files!("redis-sentinel":
            "Chart.yaml",
            "values.yaml",
            "files/alive.sh",
            "files/init.sh",
            "files/lib.sh",
            "files/prestop.sh",
            "files/ready.sh",
            "files/redis.sh",
            "files/remember.sh",
            "files/sentinel-alive.sh",
            "files/sentinel-ready.sh",
            "files/sentinel.sh",
            "templates/_helpers.tpl",
            "templates/configmap.yaml",
            "templates/networkpolicy.yaml",
            "templates/pdb.yaml",
            "templates/serviceaccount.yaml",
            "templates/services.yaml",
            "templates/statefulset.yaml",
        ),
    ),
];

/// The files of one of our own charts.
pub fn embedded(name: &str) -> Option<&'static [(&'static str, &'static str)]> {
    EMBEDDED_CHARTS
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, files)| *files)
}

/// A chart on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chart {
    /// Its folder or archive.
    pub path: PathBuf,
    /// SHA-256 of its files' names and bytes, or of the archive, in hex.
    pub digest: String,
}

impl Chart {
    /// The chart in a folder or an archive.
    pub fn at(path: &Path) -> Result<Self, ToolError> {
        let digest = if path.is_dir() {
            if !path.join("Chart.yaml").is_file() {
                return Err(ToolError::Chart {
                    chart: path.display().to_string(),
                    problem: "the folder has no Chart.yaml".to_owned(),
                });
            }
            let mut files = Vec::new();
            collect(path, path, &mut files)?;
            files.sort();
            let mut sum = Sum::default();
            for (name, file) in files {
                sum.file(&name, &read(&file)?);
            }
            sum.hex()
        } else {
            hex(&Sha256::digest(read(path)?))
        };
        Ok(Self {
            path: path.to_owned(),
            digest,
        })
    }

    /// What it says of itself.
    pub fn about(&self) -> Result<About, ToolError> {
        About::at(&self.path)
    }

    /// Refuses where it is not the archive of this digest, `sha256:…`.
    pub(crate) fn expect(&self, digest: Option<&str>) -> Result<(), ToolError> {
        let found = format!("sha256:{}", self.digest);
        match digest {
            Some(wanted) if wanted != found => Err(ToolError::Digest {
                chart: self.path.display().to_string(),
                wanted: wanted.to_owned(),
                found,
            }),
            _ => Ok(()),
        }
    }

    /// One of our own charts, written below a folder under its digest; what stands there already is kept.
    pub fn unpack(name: &str, below: &Path) -> Result<Self, ToolError> {
        let files = embedded(name).ok_or_else(|| ToolError::Chart {
            chart: name.to_owned(),
            problem: "there is no chart of ours with this name".to_owned(),
        })?;
        let mut sorted = files.to_vec();
        sorted.sort_unstable();
        let mut sum = Sum::default();
        for (file, text) in &sorted {
            sum.file(file, text.as_bytes());
        }
        let digest = sum.hex();
        let path = below.join(&digest).join(name);
        // Written again where a file is missing or was changed: a run may have been cut off here.
        if !Self::at(&path).is_ok_and(|there| there.digest == digest) {
            if path.exists() {
                fs::remove_dir_all(&path).map_err(ToolError::file(&path))?;
            }
            for (file, text) in sorted {
                replace(&path.join(file), text.as_bytes())?;
            }
        }
        Ok(Self { path, digest })
    }
}

#[derive(Default)]
struct Sum(Sha256);

impl Sum {
    /// Lengths go in as well, so that no two sets of files give the same text.
    fn file(&mut self, name: &str, bytes: &[u8]) {
        self.0.update((name.len() as u64).to_be_bytes());
        self.0.update(name);
        self.0.update((bytes.len() as u64).to_be_bytes());
        self.0.update(bytes);
    }

    fn hex(self) -> String {
        hex(&self.0.finalize())
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        text.push_str(&format!("{byte:02x}"));
        text
    })
}

fn collect(
    root: &Path,
    folder: &Path,
    files: &mut Vec<(String, PathBuf)>,
) -> Result<(), ToolError> {
    for entry in fs::read_dir(folder).map_err(ToolError::file(folder))? {
        let path = entry.map_err(ToolError::file(folder))?.path();
        if path.is_dir() {
            collect(root, &path, files)?;
        } else {
            let name = path.strip_prefix(root).unwrap_or(&path);
            files.push((name.to_string_lossy().into_owned(), path));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_embedded_chart_is_whole_and_comes_back_after_damage() {
        let directory = tempfile::tempdir().unwrap();
        for (name, _) in EMBEDDED_CHARTS {
            let chart = Chart::unpack(name, directory.path()).unwrap();
            let again = Chart::unpack(name, directory.path()).unwrap();
            assert_eq!(chart, again);
            let source = Path::new(env!("CARGO_MANIFEST_DIR"))
                .join(format!("../../templates/charts/{name}"));
            assert_eq!(
                Chart::at(&source).unwrap().digest,
                chart.digest,
                "{name}: a file is not built in"
            );
            fs::write(chart.path.join("values.yaml"), "cut").unwrap();
            assert_ne!(Chart::at(&chart.path).unwrap().digest, chart.digest);
            assert_eq!(Chart::unpack(name, directory.path()).unwrap(), chart);
            assert_eq!(Chart::at(&chart.path).unwrap().digest, chart.digest);
        }
    }
}
