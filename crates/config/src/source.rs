//! Where a value came from: layer, file, line and column.
//! Knows nothing of what the value means.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

/// The layers of the configuration; a later one wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layer {
    /// `values/base.yaml`.
    Base,
    /// `values/env/<env>.yaml`.
    Env,
    /// `kedactl.yaml` of the project.
    Project,
    /// A file given with `-f`.
    File,
    /// `--set`, `--set-string` or `--set-file`.
    Set,
    /// The program itself, for example ports that the local provider found free.
    Provider,
}

/// One place in one source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Origin {
    /// The layer that set the value.
    pub layer: Layer,
    /// File name, or the argument for `--set`.
    pub file: Arc<str>,
    /// Line, from 1; 0 where the source has no lines.
    pub line: u32,
    /// Column, from 1; 0 where the source has no columns.
    pub column: u32,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.line, self.column) {
            (0, _) => f.write_str(&self.file),
            (line, 0) => write!(f, "{}:{line}", self.file),
            (line, column) => write!(f, "{}:{line}:{column}", self.file),
        }
    }
}
