//! A namespace of one test, gone with it, and kubectl for what the driver under test must not be asked.
//! Must not touch another namespace.

use std::path::{Path, PathBuf};
use std::time::Duration;

use kedactl_exec::Run;
use kedactl_tools::helm::{Cluster, Helm, Settings};
use kedactl_tools::{CancellationToken, Mask, Release, ReleaseName};

pub(crate) const WITHIN: Duration = Duration::from_mins(4);

pub(crate) struct Lab {
    pub(crate) namespace: String,
    pub(crate) directory: tempfile::TempDir,
    kubeconfig: PathBuf,
}

#[expect(clippy::disallowed_methods, reason = "a test's own environment")]
pub(crate) fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set; CONTRIBUTING.md says how"))
}

pub(crate) fn helms() -> Vec<PathBuf> {
    std::env::split_paths(&variable("KEDACTL_TEST_HELM")).collect()
}

pub(crate) fn image() -> (String, String) {
    let image = variable("KEDACTL_TEST_REDIS_IMAGE");
    let (name, tag) = image.rsplit_once(':').unwrap();
    (name.to_owned(), tag.to_owned())
}

pub(crate) fn name(text: &str) -> ReleaseName {
    ReleaseName::new(text).unwrap()
}

impl Lab {
    pub(crate) fn new(what: &str) -> Self {
        let lab = Self {
            namespace: format!("t-{what}-{}", std::process::id()),
            directory: tempfile::tempdir().unwrap(),
            kubeconfig: variable("KEDACTL_TEST_KUBECONFIG").into(),
        };
        lab.whole(&["create", "namespace", &lab.namespace]).unwrap();
        lab.whole(&[
            "label",
            "namespace",
            &lab.namespace,
            "pod-security.kubernetes.io/enforce=restricted",
        ])
        .unwrap();
        lab
    }

    fn whole(&self, args: &[&str]) -> Result<String, String> {
        Run::new("kubectl")
            .env("KUBECONFIG", &self.kubeconfig)
            .args(args.iter().copied())
            .within(WITHIN)
            .run()
            .map(|said| said.stdout)
            .map_err(|error| error.to_string())
    }

    pub(crate) fn kubectl(&self, args: &[&str]) -> Result<String, String> {
        let mut all = vec!["--namespace", self.namespace.as_str()];
        all.extend(args);
        self.whole(&all)
    }

    pub(crate) fn apply(&self, manifest: &str) {
        Run::new("kubectl")
            .env("KUBECONFIG", &self.kubeconfig)
            .args(["--namespace", &self.namespace, "apply", "-f", "-"])
            .stdin(manifest)
            .run()
            .unwrap();
    }

    pub(crate) fn state(&self, program: &Path) -> PathBuf {
        let parts: Vec<_> = program
            .components()
            .map(|part| part.as_os_str().len().to_string())
            .collect();
        self.directory.path().join(parts.join("-"))
    }

    pub(crate) async fn helm(&self, program: &Path) -> Helm {
        let context = self.whole(&["config", "current-context"]).unwrap();
        let settings = Settings {
            program: Some(program.to_owned()),
            state: self.state(program),
            stack: "test".to_owned(),
            run: "r1".to_owned(),
            cluster: Some(Cluster {
                kubeconfig: self.kubeconfig.clone(),
                context: context.trim().to_owned(),
            }),
            kube_version: Some("1.34.0".to_owned()),
            api_versions: Vec::new(),
            registry_config: None,
            vendored: None,
            fetch_within: Duration::from_mins(1),
            mask: Mask::default(),
        };
        Helm::open(settings, &CancellationToken::new())
            .await
            .unwrap()
    }

    pub(crate) fn release(&self, chart: &str, values: &str) -> Release {
        let text = format!(
            "{{chart: {chart}, namespace: {}, values: {values}}}",
            self.namespace
        );
        let document = kedactl_config::documents(&text).unwrap().remove(0);
        serde_json::from_value(document).unwrap()
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if let Err(error) = self.whole(&["delete", "namespace", &self.namespace, "--wait=false"]) {
            eprintln!("namespace {} is left: {error}", self.namespace);
        }
    }
}
