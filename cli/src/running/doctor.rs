//! What `doctor` looks at: a recorded stack where it runs, else what the configuration would need.
//!
//! It must not mend anything.

use super::Running;
use crate::context::Context;
use crate::error::Error;
use kedactl_config::{Config, Provider};
use kedactl_render::Manifests;
use kedactl_stack::{Check, CheckStatus};

/// Every check of the stack `name`, which need not be recorded, and what other providers would need.
pub(crate) async fn doctor(
    context: &Context,
    name: &str,
    config: Config,
    manifests: Manifests,
) -> Result<Vec<Check>, Error> {
    let providers = kedactl_stack::providers(&config).await;
    let mut checks = Box::pin(of_stack(context, name, config, manifests)).await?;
    checks.extend(providers);
    Ok(checks)
}

async fn of_stack(
    context: &Context,
    name: &str,
    config: Config,
    manifests: Manifests,
) -> Result<Vec<Check>, Error> {
    let on_cluster = !matches!(config.provider, Provider::Auto | Provider::Local);
    match Running::find(context, name)? {
        Some(Running::Cluster(it)) => {
            let checks = kedactl_stack::doctor(it.home(), &config, Some(it.record()));
            Ok(Box::pin(checks).await)
        }
        None if on_cluster => {
            let home = context.home(name)?;
            Ok(Box::pin(kedactl_stack::doctor(&home, &config, None)).await)
        }
        Some(Running::Local(_)) | None => {
            let desired = kedactl_local::Desired::of(config, &manifests);
            let checks = kedactl_local::doctor(&context.dir_of(name)?, &desired).await;
            Ok(checks.into_iter().map(of_local).collect())
        }
    }
}

fn of_local(it: kedactl_local::Check) -> Check {
    Check {
        code: it.code,
        title: it.title,
        status: match it.status {
            kedactl_local::CheckStatus::Ok => CheckStatus::Ok,
            kedactl_local::CheckStatus::Warn => CheckStatus::Warn,
            kedactl_local::CheckStatus::Fail => CheckStatus::Fail,
            kedactl_local::CheckStatus::Skip => CheckStatus::Skip,
        },
        detail: it.detail,
        cure: it.cure,
    }
}
