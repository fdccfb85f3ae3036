//! What is known about a profile beyond minikube: that it was made here, and whether that came to an end.
//! Must not be taken for the profile: a record without one says nothing.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Minikube;
use crate::ToolError;
use crate::private::replace;

/// How far the making of a profile came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Phase {
    /// Begun; if no kedactl is at it, it was cut off.
    Creating,
    /// minikube came to its end.
    Created,
}

#[derive(Debug, Serialize, Deserialize)]
struct Record {
    phase: Phase,
}

impl Minikube {
    /// How far we came with a profile; `None` where we did not begin it.
    pub(super) fn phase(&self, profile: &str) -> Option<Phase> {
        let path = path(&self.state, profile);
        let bytes = fs::read(&path).ok()?;
        let record: Result<Record, _> = serde_json::from_slice(&bytes);
        // One that cannot be read is ours all the same, and what it is about is not to be trusted.
        Some(record.map_or(Phase::Creating, |it| it.phase))
    }

    pub(super) fn remember(&self, profile: &str, phase: Phase) -> Result<(), ToolError> {
        let path = path(&self.state, profile);
        let bytes = serde_json::to_vec(&Record { phase })
            .map_err(io::Error::other)
            .map_err(ToolError::file(&path))?;
        replace(&path, &bytes)
    }

    pub(super) fn forget(&self, profile: &str) -> Result<(), ToolError> {
        let lock = self.kubeconfig(profile).with_extension("kubeconfig.lock");
        for path in [path(&self.state, profile), self.kubeconfig(profile), lock] {
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(ToolError::file(path)(error));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// Where the record of a profile lies below the folder of their state.
pub(super) fn path(state: &Path, profile: &str) -> PathBuf {
    state.join(format!("{profile}.minikube.json"))
}
