//! What is known about a cluster beyond its containers: who made it, from what, and whether that came to an end.
//! Must not be taken for the cluster: a record without containers says nothing.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Kind;
use crate::ToolError;
use crate::private::replace;

/// How far the making of a cluster came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Phase {
    /// Begun; if no kedactl is at it, it was cut off.
    Creating,
    /// kind came to its end.
    Created,
}

/// One cluster that was made here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) phase: Phase,
    /// Hash of the configuration.
    pub(super) config: String,
    /// Whether kind's network was not there before.
    #[serde(default)]
    pub(super) network: bool,
}

impl Kind {
    pub(super) fn record(&self, name: &str) -> Option<Record> {
        let bytes = fs::read(self.record_path(name)).ok()?;
        serde_json::from_slice(&bytes).ok()
    }

    pub(super) fn remember(&self, name: &str, record: &Record) -> Result<(), ToolError> {
        let path = self.record_path(name);
        let bytes = serde_json::to_vec(record)
            .map_err(io::Error::other)
            .map_err(ToolError::file(&path))?;
        replace(&path, &bytes)
    }

    pub(super) fn forget(&self, name: &str) -> Result<(), ToolError> {
        for path in [self.record_path(name), self.kubeconfig(name)] {
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(ToolError::file(path)(error));
                }
                _ => {}
            }
        }
        // Folders of other clusters' files are not empty, and stay.
        for empty in [self.state.join("tmp"), self.state.clone()] {
            if let Err(error) = fs::remove_dir(&empty) {
                tracing::debug!(%error, "{} stays", empty.display());
            }
        }
        Ok(())
    }

    fn record_path(&self, name: &str) -> PathBuf {
        path(&self.state, name)
    }
}

/// Where the record of a cluster lies below the folder of their state.
pub(super) fn path(state: &Path, name: &str) -> PathBuf {
    state.join(format!("{name}.kind.json"))
}
