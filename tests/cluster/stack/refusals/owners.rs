//! Causes that belong to somebody else: namespaces, releases, objects and fields.
//!
//! It must take away again what it puts in the way.

use super::{recovered, refused, run, text};
use crate::cluster::variable;
use crate::rig::Rig;
use kedactl_testkit::until;
use serde_json::json;
use std::time::Duration;

/// Somebody deleted the namespace, and something in it is held by a finalizer whose controller is gone.
pub(super) fn namespace_on_its_way_out(rig: &Rig) {
    let (cluster, name) = (&rig.cluster, rig.namespace());
    cluster.kubectl(&["create", "namespace", name]);
    rig.kubectl(&["create", "configmap", "held"]);
    let held = r#"{"metadata": {"finalizers": ["example.org/held"]}}"#;
    rig.kubectl(&["patch", "configmap", "held", "--type=merge", "-p", held]);
    cluster.kubectl(&["delete", "namespace", name, "--wait=false"]);
    let object = format!("Namespace {name}");
    let named = ["[KD0806]", &object, "example.org/held", "configmaps"];
    refused("a namespace that does not go", 3, &named, || rig.up(&[]));
    let free = r#"{"metadata": {"finalizers": null}}"#;
    rig.kubectl(&["patch", "configmap", "held", "--type=merge", "-p", free]);
    until("the end of the namespace", Duration::from_secs(30), || {
        cluster.try_kubectl(&["get", "namespace", name]).is_err()
    });
}

/// A namespace and a release that somebody else made before.
pub(super) fn made_before(rig: &Rig) {
    let name = rig.namespace();
    rig.cluster.kubectl(&["create", "namespace", name]);
    let object = format!("Namespace {name}");
    let named = ["[KD0804]", &object, "nobody that is known", "pass --adopt"];
    refused("a namespace that was made by hand", 1, &named, || {
        rig.up(&[])
    });

    rig.context.write(
        "chart/Chart.yaml",
        "{apiVersion: v2, name: theirs, version: 1.0.0}",
    );
    let theirs = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "theirs"}});
    rig.context
        .write("chart/templates/theirs.yaml", &theirs.to_string());
    let chart = rig.context.dir().join("project/chart");
    let kubeconfig = variable("KEDACTL_TEST_KUBECONFIG");
    let place = ["--namespace", name, "--kubeconfig", &kubeconfig];
    run(
        "helm",
        &[&["install", "redis", text(&chart)][..], &place].concat(),
    );
    let release = format!("Release {name}/redis");
    let named = ["[KD0804]", &release, "another user of helm", "--adopt=all"];
    refused("a release of somebody else", 1, &named, || rig.up(&[]));
    refused("a release is never nobody's", 1, &named, || {
        rig.up(&["--adopt"])
    });
    rig.kubectl(&["get", "configmap", "theirs"]);
}

/// What was adopted is the stack's, and what was there before the stack stays behind.
pub(super) fn adopted(rig: &Rig) {
    let found = rig
        .cluster
        .try_kubectl(&["-n", rig.namespace(), "get", "configmap", "theirs"]);
    assert!(found.is_err(), "the release was taken over: {found:?}");
}

pub(super) fn what_was_there_stays(rig: &Rig) {
    let name = rig.namespace();
    rig.cluster.kubectl(&["get", "namespace", name]);
    rig.cluster
        .kubectl(&["delete", "namespace", name, "--wait"]);
    assert_eq!(rig.leftovers(), Vec::<String>::new());
}

/// Somebody made an object anew by hand, under a name of the stack's.
pub(super) fn foreign_object(rig: &Rig) {
    rig.kubectl(&["delete", "service", "api"]);
    rig.kubectl(&["create", "service", "clusterip", "api", "--tcp=80"]);
    let object = format!("Service {}/api", rig.namespace());
    let named = [
        "[KD0804]",
        &object,
        "nobody that is known",
        "--adopt",
        "kubectl delete service -n",
    ];
    refused("an object that was made by hand", 1, &named, || rig.up(&[]));
    let diff = rig.command("diff", &["--exit-code"]).expect(2);
    let line = format!("{object}  belongs to nobody that is known");
    assert!(diff.stdout.contains(&line), "{}", diff.stdout);
    recovered(rig, &["--adopt"]);
    recovered(rig, &[]);
}

/// A field of ours, changed by a person.
pub(super) fn edited_by_hand(rig: &Rig) {
    let field = "/spec/template/spec/terminationGracePeriodSeconds";
    let patch = format!(r#"[{{"op": "replace", "path": "{field}", "value": 77}}]"#);
    rig.kubectl(&["patch", "deployment", "worker", "--type=json", "-p", &patch]);
    let object = format!("Deployment {}/worker", rig.namespace());
    let path = ".spec.template.spec.terminationGracePeriodSeconds";
    let named = [
        &object,
        path,
        "kubectl-patch",
        "which set 77",
        "kedactl would set 20",
    ];
    let diff = rig.command("diff", &["--exit-code"]).expect(2);
    for words in named {
        assert!(diff.stdout.contains(words), "{words}: {}", diff.stdout);
    }
    let named = [&["[KD0804]", "--revert-edits"], &named[..]].concat();
    refused("an edit by hand", 1, &named, || rig.up(&[]));
    recovered(rig, &["--revert-edits"]);
    assert_eq!(grace(rig), "20");
    rig.command("diff", &["--exit-code"]).check(0);
}

/// A field of ours, taken by a program that has its own opinion of it.
pub(super) fn owned_by_a_program(rig: &Rig) {
    let apply = |spec: serde_json::Value| {
        let theirs = json!({"apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "worker", "namespace": rig.namespace()}, "spec": spec});
        let file = rig.context.write("theirs.json", &theirs.to_string());
        rig.kubectl(&[
            "apply",
            "--server-side",
            "--field-manager=tuner",
            "--force-conflicts",
            "-f",
            text(&file),
        ]);
    };
    apply(json!({"template": {"spec": {"terminationGracePeriodSeconds": 78}}}));
    let object = format!("Deployment {}/worker", rig.namespace());
    let path = ".spec.template.spec.terminationGracePeriodSeconds";
    let named = [
        "[KD0804]",
        &object,
        path,
        "belongs to tuner",
        "which set 78",
        "stop tuner",
    ];
    refused("a field of another manager", 1, &named, || rig.up(&[]));
    // A program's field is not taken, whatever was asked for.
    refused("the same with --revert-edits", 1, &named, || {
        rig.up(&["--revert-edits"])
    });
    assert_eq!(grace(rig), "78");
    apply(json!({}));
    recovered(rig, &[]);
    assert_eq!(grace(rig), "20");
}

fn grace(rig: &Rig) -> String {
    let path = "-o=jsonpath={.spec.template.spec.terminationGracePeriodSeconds}";
    rig.kubectl(&["get", "deployment", "worker", path])
}
