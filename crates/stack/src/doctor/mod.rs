//! Looks at everything that a stack on a cluster needs, one by one, with a cure for each finding.
//!
//! Must not change anything, and must not take longer than ten seconds: what does not answer is a finding.

mod charts;
mod keda;
mod machine;
pub(crate) mod nodes;
mod pods;
mod redis;
mod rights;
mod scaling;

use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt as _, join_all};
use kedactl_cluster::Error as ClusterError;
use kedactl_config::{Config, Provider};
use serde::Serialize;

use crate::status::in_full;
use crate::{Home, Live, Record};

/// How long one check may take. Connecting comes before the others: the two together are less than ten seconds.
const WITHIN: Duration = Duration::from_secs(4);
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// One look at one thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Short and fixed: `keda-operator`.
    pub code: String,
    /// What was looked at.
    pub title: String,
    /// The verdict.
    pub status: CheckStatus,
    /// What was found.
    pub detail: String,
    /// What to do about it.
    pub cure: Option<String>,
}

/// The verdict of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckStatus {
    /// As it should be.
    Ok,
    /// It works, and will not for ever.
    Warn,
    /// It does not work.
    Fail,
    /// It could not be looked at.
    Skip,
}

impl Check {
    fn new(
        code: &str,
        title: impl Into<String>,
        status: CheckStatus,
        detail: impl Into<String>,
    ) -> Self {
        Self {
            code: code.to_owned(),
            title: title.into(),
            status,
            detail: detail.into(),
            cure: None,
        }
    }

    fn ok(code: &str, title: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(code, title, CheckStatus::Ok, detail)
    }

    fn warn(
        code: &str,
        title: impl Into<String>,
        detail: impl Into<String>,
        cure: impl Into<String>,
    ) -> Self {
        Self::new(code, title, CheckStatus::Warn, detail).cured_by(cure)
    }

    fn fail(
        code: &str,
        title: impl Into<String>,
        detail: impl Into<String>,
        cure: impl Into<String>,
    ) -> Self {
        Self::new(code, title, CheckStatus::Fail, detail).cured_by(cure)
    }

    fn skip(code: &str, title: impl Into<String>, why: impl Into<String>) -> Self {
        Self::new(code, title, CheckStatus::Skip, why)
    }

    fn cured_by(mut self, cure: impl Into<String>) -> Self {
        self.cure = Some(cure.into());
        self
    }

    /// Something that could not be asked for.
    fn unread(code: &str, title: &str, error: &ClusterError) -> Self {
        let check = Self::skip(code, title, in_full(error));
        match error.hint() {
            Some(hint) => check.cured_by(hint),
            None => check,
        }
    }
}

/// Looks at this machine, and at the cluster of a recorded stack. Where none is recorded, at what `config` asks for.
pub async fn doctor(home: &Home, config: &Config, record: Option<&Record>) -> Vec<Check> {
    let config = record.map_or(config, |record| &record.config);
    let (machine, cluster) = tokio::join!(machine::checks(home, config, record), async {
        match record {
            Some(record) => Box::pin(on_cluster(home, record)).await,
            None => Vec::new(),
        }
    });
    machine.into_iter().chain(cluster).collect()
}

async fn on_cluster(home: &Home, record: &Record) -> Vec<Check> {
    let title = format!("cluster of context {}", record.context);
    let open = Live::open(home.clone(), record.clone());
    let live = match tokio::time::timeout(CONNECT_WITHIN, open).await {
        Ok(Ok(live)) => live,
        Ok(Err(error)) => {
            let check = Check::new("cluster", title, CheckStatus::Fail, in_full(&error));
            return vec![match error.hint() {
                Some(hint) => check.cured_by(hint),
                None => check.cured_by(start(record)),
            }];
        }
        Err(_) => {
            let detail = format!("no answer within {} s", CONNECT_WITHIN.as_secs());
            return vec![Check::fail("cluster", title, detail, start(record))];
        }
    };
    let mut checks = vec![version(&live, title)];
    checks.extend(beside(&live).await);
    checks
}

fn start(record: &Record) -> String {
    match record.provider {
        Provider::Kind => {
            "start the cluster's containers (`docker start`), or bring it up anew with `kedactl up`"
                .to_owned()
        }
        Provider::Minikube => {
            "`kedactl up` starts the profile again, with the ports that it has then".to_owned()
        }
        _ => format!(
            "look whether the cluster runs, and whether {} still leads to it",
            record.kubeconfig.display()
        ),
    }
}

/// All checks side by side, in their order.
async fn beside(live: &Live) -> Vec<Check> {
    let parts: Vec<(&str, BoxFuture<'_, Vec<Check>>)> = vec![
        ("rights", rights::checks(live).boxed()),
        ("keda", keda::checks(live).boxed()),
        ("metrics-server", keda::metrics_server(live).boxed()),
        ("releases", charts::checks(live).boxed()),
        ("scalers", scaling::checks(live).boxed()),
        ("storage", pods::storage(live).boxed()),
        ("pods", pods::checks(live).boxed()),
        ("redis", redis::checks(live).boxed()),
    ];
    let bounded = parts.into_iter().map(|(code, part)| async move {
        let done = tokio::time::timeout(WITHIN, part).await;
        let late = format!("no answer within {} s", WITHIN.as_secs());
        done.unwrap_or_else(|_| vec![Check::skip(code, code, late)])
    });
    join_all(bounded).await.into_iter().flatten().collect()
}

/// Oldest minor version of Kubernetes that KEDA's chart accepts, and that has `autoscaling/v2`.
const OLDEST: u32 = 23;
/// KEDA supports the three newest minor versions at the time of its release; before this one nobody patches Kubernetes.
const PATCHED: u32 = 31;

fn version(live: &Live, title: String) -> Check {
    let cluster = live.cluster();
    let about = format!(
        "{} {}, UID {}",
        cluster.server(),
        cluster.version(),
        cluster.uid().get(..8).unwrap_or_default()
    );
    match minor(cluster.version()) {
        None => Check::skip(
            "cluster",
            title,
            format!("{about}: its version cannot be read"),
        ),
        Some(minor) if minor < OLDEST => Check::fail(
            "cluster",
            title,
            format!("{about}: too old for KEDA"),
            format!("take a cluster of Kubernetes 1.{OLDEST} or newer"),
        ),
        Some(minor) if minor < PATCHED => Check::warn(
            "cluster",
            title,
            format!("{about}: older than what KEDA is tested with"),
            "upgrade the cluster",
        ),
        Some(_) => Check::ok("cluster", title, about),
    }
}

/// 34 of `v1.34.1`.
fn minor(version: &str) -> Option<u32> {
    let mut parts = version.strip_prefix('v')?.split('.');
    let (major, minor) = (parts.next()?, parts.next()?);
    let digits = minor.trim_end_matches(|c: char| !c.is_ascii_digit());
    (major == "1").then(|| digits.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::minor;

    #[test]
    fn a_version_of_any_vendor_has_a_minor_number() {
        assert_eq!(minor("v1.34.1"), Some(34));
        assert_eq!(minor("v1.31.4-eks-1234"), Some(31));
        assert_eq!(minor("v1.30+"), Some(30));
        assert_eq!((minor(""), minor("v2.0.0")), (None, None));
    }
}
