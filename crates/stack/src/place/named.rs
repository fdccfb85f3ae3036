//! A cluster that exists already, named by its kubeconfig and context.
//! Must not take a kubeconfig's current context.

use std::path::Path;

use kedactl_config::Config;

use super::Way;
use crate::{Record, StackError};

/// The record of a stack on such a cluster: what the command line names, else what was recorded.
pub(super) fn record(
    config: &Config,
    way: &Way,
    default_kubeconfig: Option<&Path>,
    before: Option<Record>,
) -> Result<Record, StackError> {
    let known = before.as_ref();
    let kubeconfig = way.kubeconfig.clone();
    let kubeconfig = kubeconfig.or_else(|| known.map(|it| it.kubeconfig.clone()));
    let kubeconfig = kubeconfig.or_else(|| default_kubeconfig.map(Path::to_owned));
    let context = way.context.clone();
    let context = context.or_else(|| known.map(|it| it.context.clone()));
    let (Some(kubeconfig), Some(context)) = (kubeconfig, context) else {
        return Err(StackError::Config {
            problem: "no cluster is named: the current context of a kubeconfig is never taken"
                .to_owned(),
            cure: "pass --context NAME (and --kubeconfig FILE), see `kubectl config get-contexts`"
                .to_owned(),
        });
    };
    let kubeconfig =
        std::path::absolute(&kubeconfig).map_err(StackError::file("find", &kubeconfig))?;
    let mut record = Record::new(config.provider, kubeconfig, context, config.clone());
    if let Some(before) = before {
        record.cluster = before.cluster;
        record.last_run = before.last_run;
    }
    Ok(record)
}
