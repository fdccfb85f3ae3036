//! A `down` that is killed at every step, one after it, and a scaler that does not go.
//!
//! It must not clean up for the product: what stays, fails the test.

use super::run::{Cut, started};
use super::{Trial, left, state, twice};
use crate::rig::Rig;
use crate::turn;
use kedactl_plan::Kind;
use kedactl_testkit::until;
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::time::Instant;

#[test]
fn of_two_at_once_one_works_and_a_killed_down_leaves_nothing_that_the_next_does_not_take() {
    let _turn = turn::beside_others();
    let trial = Trial::new("twice");
    twice::ups(&trial);
    killed_at_every_step(&trial.rig);
    nothing_is_left(&trial.rig);

    half_up(&trial);
    a_scaler_that_does_not_go_is_told(&trial.rig);
    twice::downs(&trial.rig);
    trial.rig.run(&["down", "--purge"]).check(0);
    nothing_is_left(&trial.rig);
}

/// Every run is killed at the first step that none was killed at before, until one has no such step.
fn killed_at_every_step(rig: &Rig) {
    let mut seen: BTreeSet<String> = BTreeSet::new();
    loop {
        let mut run = Cut::start(rig, "down", &["--purge"]);
        if !run.until(|events| started(events).any(|step| !seen.contains(step))) {
            run.end().check(0);
            break;
        }
        let events = run.events();
        let step = started(&events).find(|step| !seen.contains(*step)).unwrap();
        println!("down {step:<23} killed after {:?}", run.start.elapsed());
        seen.insert(step.to_owned());
        run.kill();
    }
    for step in ["tunnel", "scalers", "objects", "release/redis", "data"] {
        assert!(seen.contains(step), "{step} never began: {seen:?}");
    }
}

/// Down again says so, and neither the cluster nor this machine has anything of the stack.
fn nothing_is_left(rig: &Rig) {
    let again = rig.run(&["down", "--purge", "-o", "json"]).expect(0).json();
    assert_eq!(again["changed"], false, "{again}");
    assert_eq!(rig.leftovers(), Vec::<String>::new());
    let releases = rig.cluster.kubectl(&[
        "get",
        "secrets",
        "--all-namespaces",
        "-l",
        &format!("owner=helm,kedactl.io/stack={}", rig.name),
        "-o",
        "name",
    ]);
    assert_eq!(releases, "");
    left::nothing_runs(rig);
    let state = state(rig);
    for folder in ["clusters", "tunnel"] {
        assert_eq!(
            left::files(&state.join(folder).join(&rig.name)),
            Vec::<std::path::PathBuf>::new()
        );
    }
}

/// As far as scalers are there, and no further.
fn half_up(trial: &Trial) {
    trial.vary(0);
    let mut run = trial.up();
    let scaled = run.until(|events| {
        let mut done = events
            .iter()
            .filter(|event| matches!(event.kind, Kind::Done { .. }));
        done.any(|event| event.step.0 == "scaling")
    });
    assert!(scaled, "it ended before");
    run.kill();
}

/// KEDA lives and may not let go of its scaler: `down` says which, why and what to do, before its patience ends. Then it goes.
fn a_scaler_that_does_not_go_is_told(rig: &Rig) {
    let denied = Denied::new(rig);
    let start = Instant::now();
    let stuck = rig.run(&["down", "--timeout", "3s"]).expect(3);
    for part in [
        "ScaledObject",
        &format!("{}/worker", rig.namespace()),
        "finalizer.keda.sh is not removed by the KEDA operator",
        "kedactl down --release-finalizers",
    ] {
        assert!(stuck.stderr.contains(part), "{part}: {}", stuck.stderr);
    }
    assert!(start.elapsed() < Duration::from_secs(20), "{stuck:?}");
    assert_eq!(left::leases(rig), "", "the lock is given back");

    let down = rig.run(&["down", "--release-finalizers"]).expect(0);
    drop(denied);
    assert!(
        down.stderr.contains("was removed: as was asked for"),
        "{down:?}"
    );
}

/// While it lives, the API server refuses every change of the stack's scalers by KEDA's operator.
struct Denied<'r> {
    rig: &'r Rig,
}

impl<'r> Denied<'r> {
    fn new(rig: &'r Rig) -> Self {
        let name = rig.namespace();
        let policy = format!(
            "apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {{name: {name}}}
spec:
  matchConstraints:
    namespaceSelector: {{matchLabels: {{kubernetes.io/metadata.name: {name}}}}}
    resourceRules:
      - {{apiGroups: [keda.sh], apiVersions: ['*'], operations: [UPDATE], resources: [scaledobjects]}}
  validations:
    - {{expression: \"!request.userInfo.username.endsWith(':keda-operator')\", message: not now}}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {{name: {name}}}
spec: {{policyName: {name}, validationActions: [Deny]}}
"
        );
        let file = rig.context.write("denied.yaml", &policy);
        let denied = Self { rig };
        rig.kubectl(&["apply", "-f", &file.display().to_string()]);
        until("the policy to be obeyed", Duration::from_secs(30), || {
            let tried = rig.cluster.try_kubectl(&[
                "-n",
                name,
                "annotate",
                "scaledobject/worker",
                "example.com/tried=yes",
                "--dry-run=server",
                "--as=system:serviceaccount:keda:keda-operator",
                "--as-group=system:masters",
            ]);
            tried.is_err_and(|error| error.to_string().contains("not now"))
        });
        denied
    }
}

impl Drop for Denied<'_> {
    fn drop(&mut self) {
        for kind in [
            "validatingadmissionpolicybinding",
            "validatingadmissionpolicy",
        ] {
            self.rig
                .kubectl(&["delete", "--ignore-not-found", kind, self.rig.namespace()]);
        }
    }
}
