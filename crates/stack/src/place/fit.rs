//! Whether this machine can have a cluster of kind: asked before the first container is made.
//! Must not look at what the cluster would hold.

use kedactl_config::Config;
use kedactl_plan::Step;
use kedactl_tools::CancellationToken;

use crate::doctor::nodes;
use crate::job::until_stopped;
use crate::{CheckStatus, StackError};

/// Refuses where a cluster would not come to life here, and says what may go wrong with it.
pub(super) async fn check(
    config: &Config,
    step: &Step<'_>,
    stop: &CancellationToken,
) -> Result<(), StackError> {
    let checks = until_stopped(stop, async { Ok(nodes::checks(config, true).await) }).await?;
    for it in checks {
        let cure = it.cure.unwrap_or_default();
        match it.status {
            CheckStatus::Fail => {
                return Err(StackError::Machine {
                    what: it.title,
                    problem: it.detail,
                    cure,
                });
            }
            CheckStatus::Warn => {
                let note = format!("warning: {}: {}; {cure}", it.title, it.detail);
                step.progress(0, None, note);
            }
            CheckStatus::Ok | CheckStatus::Skip => {}
        }
    }
    Ok(())
}
