//! What a real API server says about the manifests of every environment: server-side dry-run in a namespace that enforces
//! `restricted`, without one warning.
//!
//! It must not start pods: nothing but namespaces of its own is really made, and they are deleted. It needs
//! `KEDACTL_TEST_KUBECONFIG`, and kubectl in the search path; `./test --cluster` runs it.

use kedactl_tests::Context;
use serde_json::Value as Json;
use std::io::Write as _;
use std::process::{Command, Stdio};

const ENVIRONMENTS: &[(&str, &[&str])] = &[
    ("local", &[]),
    ("kind", &[]),
    ("minikube", &[]),
    ("context", &[]),
    ("cloud", &["--set", "ingress.host=tasks.example.com"]),
    (
        "kind",
        &[
            "--set",
            "queue={kind: list, listName: mail}",
            "--set",
            "worker.image=shop/mail:2.5",
        ],
    ),
];

/// Namespaces of one test, deleted with it.
struct Namespaces {
    name: String,
}

impl Namespaces {
    fn new() -> Self {
        let mut bytes = [0; 4];
        let flags = rustix::rand::GetRandomFlags::empty();
        rustix::rand::getrandom(&mut bytes, flags).expect("random bytes");
        let name = format!("kd-manifests-{:08x}", u32::from_ne_bytes(bytes));
        Self { name }
    }

    /// The objects that an environment renders for these namespaces.
    fn rendered(&self, env: &str, more: &[&str]) -> Vec<Json> {
        let app = format!("namespace={}", self.name);
        let monitoring = format!("monitoring.namespace={}-mon", self.name);
        let args = [
            "render",
            "-o",
            "json",
            "--env",
            env,
            "--set",
            &app,
            "--set",
            &monitoring,
        ];
        let context = Context::new(env!("CARGO_BIN_EXE_kedactl-under-test"));
        let outcome = context.run(&[&args[..], more].concat()).expect(0);
        let list = outcome.json();
        list["items"].as_array().expect("a list").clone()
    }
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        let monitoring = format!("{}-mon", self.name);
        let args = [
            "delete",
            "namespace",
            "--ignore-not-found",
            "--wait=false",
            &self.name,
            &monitoring,
        ];
        let (_, _) = kubectl(&args, "");
    }
}

/// Runs kubectl with this on standard input; whether it went well, and all that it said.
#[expect(
    clippy::disallowed_methods,
    reason = "the harness asks the API server with its own client"
)]
fn kubectl(args: &[&str], input: &str) -> (bool, String) {
    let config = std::env::var_os("KEDACTL_TEST_KUBECONFIG")
        .expect("KEDACTL_TEST_KUBECONFIG names a kubeconfig");
    let mut child = Command::new("kubectl")
        .args(args)
        .env("KUBECONFIG", config)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("kubectl starts");
    let mut stdin = child.stdin.take().expect("its standard input");
    stdin.write_all(input.as_bytes()).expect("it reads");
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

fn dry_run(objects: &[Json]) -> (bool, String) {
    let list = serde_json::json!({"apiVersion": "v1", "kind": "List", "items": objects});
    let args = [
        "apply",
        "--server-side",
        "--field-manager=kedactl",
        "--dry-run=server",
        "-f",
        "-",
    ];
    kubectl(&args, &list.to_string())
}

#[test]
fn the_api_server_takes_every_object_of_every_environment_without_a_warning() {
    for (env, more) in ENVIRONMENTS {
        let namespaces = Namespaces::new();
        let objects = namespaces.rendered(env, more);
        let is_namespace = |object: &&Json| object["kind"] == "Namespace";
        let made: Vec<Json> = objects.iter().filter(is_namespace).cloned().collect();
        assert_eq!(made.len(), 2);
        let list = serde_json::json!({"apiVersion": "v1", "kind": "List", "items": made});
        let (fine, said) = kubectl(&["apply", "--server-side", "-f", "-"], &list.to_string());
        assert!(fine && !said.contains("Warning"), "{env}: {said}");

        let (fine, said) = dry_run(&objects);
        assert!(
            fine && !said.to_lowercase().contains("warning"),
            "{env} {more:?}: {said}"
        );
        assert_eq!(
            said.matches("(server dry run)").count(),
            objects.len(),
            "{env}: {said}"
        );

        // A Deployment is only warned about; its pods are what admission enforces on.
        let pods: Vec<Json> = objects.iter().filter_map(pod).collect();
        assert_eq!(pods.len(), 2);
        let (fine, said) = dry_run(&pods);
        assert!(
            fine && !said.to_lowercase().contains("warning"),
            "{env} {more:?}: {said}"
        );

        let mut bad = pods;
        bad[0]["spec"]["containers"][0]["securityContext"]["privileged"] = true.into();
        bad[0]["spec"]["containers"][0]["securityContext"]["allowPrivilegeEscalation"] =
            true.into();
        let (fine, said) = dry_run(&bad[..1]);
        assert!(
            !fine && said.contains("violates PodSecurity"),
            "{env}: a privileged pod is taken: {said}"
        );
    }
}

/// Our own chart of the monitoring, all of it: what cannot be started here for want of an image is admitted all the same.
#[test]
fn the_api_server_takes_every_object_of_the_monitoring_without_a_warning() {
    let namespaces = Namespaces::new();
    let objects = namespaces.rendered("kind", &[]);
    let is_namespace = |object: &&Json| object["kind"] == "Namespace";
    let made: Vec<Json> = objects.iter().filter(is_namespace).cloned().collect();
    let list = serde_json::json!({"apiVersion": "v1", "kind": "List", "items": made});
    let (fine, said) = kubectl(&["apply", "--server-side", "-f", "-"], &list.to_string());
    assert!(fine && !said.contains("Warning"), "{said}");

    let chart = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../templates/charts/monitoring"
    );
    let (watching, watched) = (format!("{}-mon", namespaces.name), &namespaces.name);
    let look_after = format!("namespaces={{{watched}}}");
    let keda = format!("prometheus.targets[0].namespace={watched}");
    let rendered = kedactl_exec::Run::new("helm")
        .args(["template", "monitoring", chart, "--namespace", &watching])
        // A helm that was built without its version takes the cluster for an old one.
        .args(["--kube-version", "v1.34.0"])
        .args([
            "--set",
            &look_after,
            "--set",
            "webhook.secret=webhook-token",
        ])
        .args(["--set", &keda, "--set", "prometheus.targets[0].name=x"])
        .args(["--set", "prometheus.targets[0].selector.app=x"])
        .args(["--set", "prometheus.targets[0].port=8080"])
        .run();
    let rendered = rendered.unwrap_or_else(|error| panic!("{error}")).stdout;
    let objects = kedactl_config::documents(&rendered).unwrap_or_else(|error| panic!("{error:?}"));
    let (fine, said) = dry_run(&objects);
    // Kubernetes 1.34 says this of every headless Service, because it fills in the field before it looks
    // (pkg/api/service/warnings.go).
    let unheard = "spec.SessionAffinity is ignored for headless services";
    let warned = said
        .lines()
        .any(|it| it.to_lowercase().contains("warning") && !it.contains(unheard));
    assert!(fine && !warned, "{said}");
    assert_eq!(
        said.matches("(server dry run)").count(),
        objects.len(),
        "{said}"
    );

    let pods: Vec<Json> = objects.iter().filter_map(pod).collect();
    assert_eq!(pods.len(), 6);
    let (fine, said) = dry_run(&pods);
    assert!(fine && !said.to_lowercase().contains("warning"), "{said}");
}

/// The pod that a Deployment or a `StatefulSet` would make.
fn pod(object: &Json) -> Option<Json> {
    let template = object.pointer("/spec/template")?;
    let mut pod = template.clone();
    pod["apiVersion"] = "v1".into();
    pod["kind"] = "Pod".into();
    pod["metadata"]["name"] = format!("{}-0", object["metadata"]["name"].as_str()?).into();
    pod["metadata"]["namespace"] = object["metadata"]["namespace"].clone();
    // A claim of a set is a volume of its pods.
    let claims = object.pointer("/spec/volumeClaimTemplates");
    let claims = claims.and_then(Json::as_array).into_iter().flatten();
    let volumes =
        claims.map(|it| serde_json::json!({"name": it["metadata"]["name"], "emptyDir": {}}));
    let volumes: Vec<Json> = volumes.collect();
    if !volumes.is_empty() {
        let all = pod["spec"]["volumes"].as_array_mut()?;
        all.extend(volumes);
    }
    // Accounts are looked up when a pod is admitted, and these are not really there.
    pod["spec"].as_object_mut()?.remove("serviceAccountName");
    Some(pod)
}
