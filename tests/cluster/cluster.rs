//! The cluster that `lab up` started, as a test uses it: kubectl and what it prints.
//!
//! It must not start or stop a cluster.

use kedactl_exec::{ExecError, Run};
use serde_json::Value;
use std::path::PathBuf;
use std::time::Duration;

const HOW: &str = "no test cluster: start one with `tests/cluster/lab up`, then run this as \
                   `tests/cluster/lab exec -- TEST-PROGRAM`; `./test --cluster` does both";

/// A variable that `lab exec` sets.
///
/// # Panics
/// Where it is not set.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place where these tests read their environment"
)]
pub(crate) fn variable(name: &str) -> String {
    std::env::var(name).expect(HOW)
}

pub(crate) struct Cluster {
    kubeconfig: PathBuf,
}

impl Cluster {
    /// The cluster of this run.
    ///
    /// # Panics
    /// Where there is none, or it does not answer.
    pub(crate) fn of_this_run() -> Self {
        let cluster = Self::at(variable("KEDACTL_TEST_KUBECONFIG").into());
        if let Err(error) = cluster.try_kubectl(&["get", "--raw", "/readyz"]) {
            panic!("{HOW}: {error}");
        }
        cluster
    }

    /// The one that a file leads to.
    pub(crate) fn at(kubeconfig: PathBuf) -> Self {
        Self { kubeconfig }
    }

    pub(crate) fn run(&self, args: &[&str]) -> Run {
        Run::new("kubectl")
            .arg("--kubeconfig")
            .arg(&self.kubeconfig)
            .args(args)
            .within(Duration::from_mins(2))
    }

    /// Its stdout.
    pub(crate) fn try_kubectl(&self, args: &[&str]) -> Result<String, ExecError> {
        Ok(self.run(args).run()?.stdout)
    }

    /// As [`Self::try_kubectl`], where an error ends the test.
    pub(crate) fn kubectl(&self, args: &[&str]) -> String {
        self.try_kubectl(args)
            .unwrap_or_else(|error| panic!("{error}"))
    }

    pub(crate) fn json(&self, args: &[&str]) -> Value {
        let text = self.kubectl(&[args, &["-o", "json"]].concat());
        serde_json::from_str(&text).unwrap()
    }
}
