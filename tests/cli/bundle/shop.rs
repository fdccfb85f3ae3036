//! A project with a chart of its own, and a registry that has the images that it leads to.
//!
//! It must not need a published chart: charts and images are made here.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use crate::context;
use kedactl_images::{Credentials, Reference, Spec, Store, build, push};
use kedactl_plan::Discard;
use kedactl_testkit::{Registry, RegistryOptions, skipped};
use kedactl_tests::{Context, Outcome};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// Plays helm where none is installed: charts of these tests have no templates in their manifests. It writes down its calls.
const HELM: &str = r#"#!/bin/sh
printf '%s\n' "$*" >>"$(dirname "$0")/calls"
case $1 in
version) echo v3.19.0 ;;
template)
  if [ -d "$3" ]; then cat "$3/templates/all.yaml" 2>/dev/null
  else tar -xzOf "$3" --wildcards '*/templates/all.yaml'; fi ;;
package) exec tar -czf "$4/x-1.2.3.tgz" -C "$(dirname "$2")" "$(basename "$2")" ;;
*) echo "Error: no network" >&2; exit 1 ;;
esac
true
"#;

pub(super) const CHART: &str = "apiVersion: apps/v1
kind: Deployment
metadata: {name: operator, namespace: keda-system}
spec:
  template:
    spec:
      containers:
        - name: operator
          image: hub.example.com/team/operator:1
          args: ['--config-reloader=hub.example.com/team/reloader:2']
---
apiVersion: v1
kind: Pod
metadata: {name: check, annotations: {helm.sh/hook: test}}
spec: {containers: [{name: check, image: hub.example.com/team/check:1, imagePullPolicy: IfNotPresent}]}
";

/// Real helms, and the one that is played; all must behave the same.
pub(super) fn helms(context: &Context) -> Vec<PathBuf> {
    let played = context.write("helm/helm", HELM);
    fs::set_permissions(&played, fs::Permissions::from_mode(0o755)).unwrap();
    let listed = std::env::var_os("KEDACTL_TEST_HELM").unwrap_or_default();
    let mut all = vec![played];
    all.extend(std::env::split_paths(&listed).filter(|it| it.is_file()));
    if all.len() == 1 {
        all.extend(kedactl_exec::find("helm"));
    }
    if all.len() == 1 {
        skipped("no helm is installed: only the one that is played");
    }
    all
}

pub(super) struct Shop {
    pub(super) context: Context,
    pub(super) registry: Registry,
    pub(super) helm: PathBuf,
}

impl Shop {
    /// A project, and a registry that has what it needs.
    pub(super) fn new() -> Self {
        let context = context();
        let registry = Registry::start(&RegistryOptions::default());
        let names = [
            "operator:1",
            "reloader:2",
            "check:1",
            "worker:1",
            "extra:1",
            "node:1",
        ];
        for name in names {
            publish(&registry.host(), &format!("team/{name}"));
        }
        context.write(
            "charts/x/Chart.yaml",
            "apiVersion: v2\nname: x\nversion: 1.2.3\n",
        );
        context.write("charts/x/templates/all.yaml", CHART);
        context.write("charts/x/.helmignore", "*.bak\n");
        let helm = helms(&context).remove(0);
        let shop = Self {
            context,
            registry,
            helm,
        };
        shop.configure();
        shop
    }

    pub(super) fn configure(&self) {
        let host = self.registry.host();
        let helm = self.helm.display();
        self.context.write(
            "kedactl.yaml",
            &format!(
                "name: shop
provider: kind
images:
  build: [api]
  programs: {{api: /usr/bin/sort}}
  mirrors: {{hub.example.com: '{host}'}}
worker: {{image: 'hub.example.com/team/worker:1'}}
helm: {{program: '{helm}'}}
redis: {{sentinelAddresses: ['redis.example.com:26379']}}
releases:
  redis: null
  metrics-server: null
  keda: {{chart: ./charts/x, repo: null, version: null}}
"
            ),
        );
    }

    /// `bundle`; a bundle names no program, as its programs would be those of another machine.
    pub(super) fn bundle(&self, args: &[&str]) -> Outcome {
        let helm = format!("helm.program={}", self.helm.display());
        let above: &[&str] = match args[0] {
            "verify" => &["--set", &helm],
            _ => &[],
        };
        self.context.run(&[&["bundle"], args, above].concat())
    }

    pub(super) fn create(&self, path: &str, more: &[&str]) -> Value {
        let args = [&["create", path, "-o", "json"], more].concat();
        self.bundle(&args).expect(0).json()
    }

    pub(super) fn at(&self, path: &str) -> PathBuf {
        self.context.dir().join("project").join(path)
    }

    /// What `verify` finds wrong.
    pub(super) fn problems(&self, path: &str, more: &[&str]) -> Vec<String> {
        let outcome = self
            .bundle(&[&["verify", path, "-o", "json"], more].concat())
            .expect(4);
        assert!(outcome.stderr.contains("KD1203"), "{outcome:?}");
        let value = outcome.json();
        let problems = value["problems"].as_array().unwrap().iter();
        problems.map(|it| it.as_str().unwrap().to_owned()).collect()
    }
}

/// A small image of its own under a name.
fn publish(host: &str, name: &str) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::new(dir.path());
    let mut spec = Spec::of_programs("kedactl.local/small", &["/usr/bin/sort".into()]);
    spec.labels.insert("name".to_owned(), name.to_owned());
    let image = build(&store, &spec).unwrap();
    let target: Reference = format!("{host}/{name}").parse().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime
        .block_on(push(
            &store,
            &image,
            &target,
            &Credentials::Anonymous,
            &Discard,
        ))
        .unwrap();
}

pub(super) fn names(value: &Value) -> Vec<String> {
    let images = value["images"].as_array().unwrap().iter();
    images
        .map(|it| it["image"].as_str().unwrap().to_owned())
        .collect()
}

/// Every file below a folder with its bytes.
pub(super) fn tree(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(tree(&path));
        } else {
            all.push((path.clone(), fs::read(path).unwrap()));
        }
    }
    all.sort();
    all
}
