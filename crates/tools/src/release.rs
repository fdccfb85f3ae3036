//! What the driver needs of a declared release beside its values.
//! Must not guess: what a declaration leaves open is an error.

use kedactl_config::{ChartSource, Release, ReleaseName};

use crate::ToolError;

/// Where the chart of a release comes from.
pub(crate) fn source(name: &ReleaseName, release: &Release) -> Result<ChartSource, ToolError> {
    release
        .source()
        .map_err(|problem| wrong(name, format!("`{}` {problem}", problem.key)))
}

/// The namespace of a release. A loaded configuration has filled it in.
pub(crate) fn namespace<'a>(
    name: &ReleaseName,
    release: &'a Release,
) -> Result<&'a str, ToolError> {
    let given = release.namespace.as_deref();
    given.ok_or_else(|| wrong(name, "no namespace is given".to_owned()))
}

fn wrong(name: &ReleaseName, problem: String) -> ToolError {
    ToolError::Declaration {
        release: name.to_string(),
        problem,
    }
}
