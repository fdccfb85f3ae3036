//! Packs a chart's folder into an archive, as helm itself would publish it: without what its `.helmignore` names.
//! Must not fetch a chart that it depends on.

use std::path::Path;

use kedactl_exec::CancellationToken;

use super::Helm;
use crate::fetch::source::archive_in;
use crate::private::read;
use crate::{Action, PrivateDir, ToolError};

impl Helm {
    /// The bytes of the archive. They hold times: two archives of the same files differ.
    pub async fn package(
        &self,
        folder: &Path,
        cancel: &CancellationToken,
    ) -> Result<Vec<u8>, ToolError> {
        let private = PrivateDir::inside(&self.settings.state.join("tmp"))?;
        let (chart, destination) = (folder.to_string_lossy(), private.path().to_string_lossy());
        let args = ["package", &*chart, "--destination", &*destination];
        self.call(Action::Pack, &chart, &args, cancel).await?;
        let archive = archive_in(private.path()).ok_or_else(|| ToolError::NoEffect {
            program: "helm",
            action: Action::Pack,
            subject: chart.clone().into_owned(),
            found: "there is no archive".to_owned(),
        })?;
        read(&archive)
    }
}
