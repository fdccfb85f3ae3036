//! A namespace of one test, gone with it; kubectl and helm for what the crate under test is not asked.
//! Must not touch another namespace.

use std::path::PathBuf;
use std::time::Duration;

use kedactl_exec::{ExecError, Run};
use kedactl_tunnel::{Access, connect};
use kube::Client;

/// busybox, redis-server and redis-cli; on every node of a test cluster.
pub(crate) const SAMPLE: (&str, &str) = ("localhost/kedactl/sample", "1");
pub(crate) const WITHIN: Duration = Duration::from_mins(4);

pub(crate) struct Lab {
    pub(crate) namespace: String,
    pub(crate) kubeconfig: PathBuf,
}

impl Lab {
    #[expect(clippy::disallowed_methods, reason = "a test's own environment")]
    pub(crate) fn new(what: &str) -> Self {
        let kubeconfig = std::env::var("KEDACTL_TEST_KUBECONFIG")
            .expect("KEDACTL_TEST_KUBECONFIG is not set: run this with tests/cluster/lab exec");
        let lab = Self {
            namespace: format!("reach-{what}-{}", std::process::id()),
            kubeconfig: kubeconfig.into(),
        };
        lab.whole(&["create", "namespace", &lab.namespace], "")
            .unwrap();
        lab
    }

    fn whole(&self, args: &[&str], input: &str) -> Result<String, ExecError> {
        let run = Run::new("kubectl").env("KUBECONFIG", &self.kubeconfig);
        let run = run.args(args.iter().copied()).stdin(input).within(WITHIN);
        Ok(run.run()?.stdout)
    }

    pub(crate) fn kubectl(&self, args: &[&str]) -> Result<String, ExecError> {
        self.whole(&[&["--namespace", &self.namespace], args].concat(), "")
    }

    pub(crate) fn apply(&self, manifest: &str) {
        let args = ["--namespace", &self.namespace, "apply", "-f", "-"];
        self.whole(&args, manifest).unwrap();
    }

    /// Renders one of our charts and applies it.
    pub(crate) fn chart(&self, name: &str, values: &str) {
        let charts = concat!(env!("CARGO_MANIFEST_DIR"), "/../../templates/charts");
        let rendered = Run::new("helm")
            .args(["template", name, &format!("{charts}/{name}")])
            .args(["--namespace", &self.namespace, "--values", "-"])
            .stdin(values)
            .run()
            .unwrap();
        self.apply(&rendered.stdout);
    }

    pub(crate) async fn client(&self) -> Client {
        let access = Access {
            kubeconfig: self.kubeconfig.clone(),
            context: None,
        };
        connect(&access).await.unwrap()
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let gone = ["delete", "namespace", &self.namespace, "--wait=false"];
        if let Err(error) = self.whole(&gone, "") {
            eprintln!("namespace {} is left: {error}", self.namespace);
        }
    }
}
