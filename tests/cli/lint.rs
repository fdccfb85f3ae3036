//! `lint` and the environments: what a user sees of findings, reasons and files that are no manifests.
//!
//! It must not repeat the crate's own tests of every rule.

use crate::context;

const SEED: &str = "# a chart's output
apiVersion: apps/v1
kind: Deployment
metadata:
  name: seed
  namespace: keda
  annotations:
    lint.kedactl.io/ignore: KL0403 tags of this registry are never moved; KL0401
spec:
  replicas: 2
  selector: { matchLabels: { app: seed } }
  template:
    metadata: { labels: { app: seed } }
    spec:
      terminationGracePeriodSeconds: 0
      containers:
        - name: seed
          image: bitnami/seed:1.0
          env: [{ name: REDIS_PASSWORD, value: hunter2 }]
---
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: { name: seed, namespace: keda }
spec:
  scaleTargetRef: { name: seed }
  triggers:
    - type: redis
      metadata: { address: redis:6379, listName: tasks, listLength: 5 }
";

#[test]
fn findings_name_object_path_and_cure() {
    let context = context();
    let file = context.write("seed.yaml", SEED);
    let outcome = context.run(&["lint", "--level", "error", "-f", file.to_str().unwrap()]);
    insta::assert_snapshot!(outcome.block(context.dir()), @r#"
        exit: 4
        --- stdout ---
        Deployment keda/seed ([DIR]/project/seed.yaml:2)
          error KL0111 a container may gain privileges
            spec.template.spec.containers[0].securityContext.allowPrivilegeEscalation: container `seed` does not forbid it
            cure: set `allowPrivilegeEscalation: false` in the container's securityContext
          error KL0112 a container keeps or adds capabilities
            spec.template.spec.containers[0].securityContext.capabilities.drop: container `seed` does not drop ALL
            cure: set `capabilities: {drop: [ALL]}` in the container's securityContext; add nothing but NET_BIND_SERVICE
          error KL0113 a container may run as root
            spec.template.spec.containers[0].securityContext.runAsNonRoot: container `seed` does not have it, nor has its pod
            cure: set `runAsNonRoot: true` in the pod's securityContext
          error KL0115 system calls are not filtered
            spec.template.spec.containers[0].securityContext.seccompProfile: container `seed` has no profile, nor has its pod
            cure: set `seccompProfile: {type: RuntimeDefault}` in the pod's securityContext
          error KL0402 an image is at a place that is closed
            spec.template.spec.containers[0].image: `bitnami/seed:1.0`: Bitnami's free images moved to docker.io/bitnamilegacy/ in August 2025 and get no updates there
            cure: name the place where it lives now
          error KL0501 a secret stands in a variable
            spec.template.spec.containers[0].env[0].value: `REDIS_PASSWORD` is written out
            cure: put it into a Secret, and mount that as a file
          error KL0708 pods are killed without time to stop
            spec.template.spec.terminationGracePeriodSeconds: it is 0
            cure: set it to the time of the longest request or task
          error KL0801 `replicas` is set on a target of an autoscaler
            spec.replicas: ScaledObject `seed` owns it
            cure: remove `spec.replicas`; the autoscaler owns it
        ScaledObject keda/seed ([DIR]/project/seed.yaml:21)
          error KL0822 a value of a trigger's metadata is not text
            spec.triggers[0].metadata.listLength: `listLength: 5` is a number or a switch
            cure: write it in quotes: `listLength: "5"`
        2 objects: 9 errors, 18 warnings, 2 notes, 1 accepted with a reason
        --- stderr ---
        error[KD0502]: 9 findings in 2 objects
        hint: each finding above has its cure; docs/lint.md explains every rule, and how an object accepts one with a reason
    "#);
    assert!(!format!("{outcome:?}").contains("hunter2"));
}

#[test]
fn json_has_every_finding_and_every_accepted_one() {
    let context = context();
    let file = context.write("seed.yaml", SEED);
    let outcome = context.run(&[
        "lint",
        "-f",
        file.to_str().unwrap(),
        "-o",
        "json",
        "--level",
        "note",
    ]);
    outcome.check(4);
    let json = outcome.json();
    assert_eq!(json["schema"], "kedactl.lint/v1");
    assert_eq!(json["objects"], 2);
    let findings = json["findings"].as_array().unwrap();
    let rules: Vec<&str> = findings
        .iter()
        .filter_map(|it| it["rule"].as_str())
        .collect();
    for rule in [
        "KL0001", "KL0402", "KL0501", "KL0708", "KL0801", "KL0804", "KL0821", "KL0822",
    ] {
        assert!(rules.contains(&rule), "{rule} is missing in {rules:?}");
    }
    let first = &findings[0];
    for key in ["severity", "title", "why", "cure", "path", "message"] {
        assert!(
            first[key].as_str().is_some_and(|text| !text.is_empty()),
            "{key} of {first}"
        );
    }
    assert_eq!(first["object"]["name"], "seed");
    assert_eq!(json["suppressed"][0]["rule"], "KL0403");
    assert_eq!(
        json["suppressed"][0]["reason"],
        "tags of this registry are never moved"
    );
}

#[test]
fn own_manifests_of_every_environment_pass() {
    let context = context();
    for more in [
        &["--set", "provider=local"][..],
        &["--set", "provider=kind"],
        &["--set", "provider=minikube"],
        &["--set", "provider=context"],
        &["--env", "cloud", "--set", "ingress.host=tasks.example.com"],
    ] {
        let outcome = context.run(&[&["lint", "--level", "note"][..], more].concat());
        assert_eq!(outcome.code, Some(0), "{more:?}: {outcome:?}");
        assert!(
            outcome.stdout.contains("0 errors, 0 warnings, 0 notes"),
            "{outcome:?}"
        );
    }
}

#[test]
fn what_is_no_manifest_is_exit_65_with_its_line() {
    let context = context();
    let values = context.write("values.yaml", "a: 1\n---\nreplicaCount: 3\n");
    insta::assert_snapshot!(context.run(&["lint", "-f", values.to_str().unwrap()]).block(context.dir()), @r#"
        exit: 65
        --- stdout ---
        --- stderr ---
        error[KD0105]: [DIR]/project/values.yaml:1: this is no Kubernetes object: `apiVersion` or `kind` is missing
        hint: mend the place that is named; templates of a chart must be rendered first (`helm template`)
    "#);
    let broken = context.write("broken.yaml", "kind: [1\n");
    let outcome = context
        .run(&["lint", "-f", broken.to_str().unwrap()])
        .expect(65);
    assert!(outcome.stderr.contains("broken.yaml:"), "{outcome:?}");
    context.run(&["lint", "-f", "nowhere.yaml"]).check(1);
    context
        .run(&["lint", "-f", values.to_str().unwrap(), "--set", "name=x"])
        .check(64);
}

#[test]
fn a_provider_selects_its_environment() {
    let context = context();
    let shown = |args: &[&str]| {
        context
            .run(&[&["config", "show", "--origin"][..], args].concat())
            .expect(0)
            .stdout
    };
    assert!(shown(&["--set", "provider=kind"]).contains("values/env/kind.yaml"));
    context.write("kedactl.yaml", "provider: minikube\n");
    assert!(shown(&[]).contains("values/env/minikube.yaml"));
    assert!(shown(&["--env", "local"]).contains("values/env/local.yaml"));
    let cloud = context.run(&["render", "--env", "cloud"]);
    insta::assert_snapshot!(cloud.block(context.dir()), @r#"
        exit: 65
        --- stdout ---
        --- stderr ---
        error[KD0102]: the configuration is not valid:
          values/env/cloud.yaml:26:3: ingress.host: a value is needed, and no layer has one
        hint: `kedactl config schema` lists every key, `kedactl config show --origin` says where each value comes from
    "#);
}

#[test]
fn up_says_which_program_a_provider_needs() {
    let context = context();
    let missing = [
        "--set",
        "kind.program=/nonexistent/kind",
        "--set",
        "images.build=[]",
    ];
    let outcome = context.run(&[&["up", "--provider", "kind"][..], &missing].concat());
    // The build of images runs beside it, so lines of progress come in any order.
    let outcome = outcome.expect(1);
    let end = "error[KD0202]: program /nonexistent/kind not found\nhint: install kind, or name its path in kind.program\n";
    assert!(outcome.stderr.ends_with(end), "{outcome:?}");
    for skipped in ["namespaces and secrets", "application", "tunnel"] {
        let line = format!("  -- {skipped}: skipped, `cluster` failed\n");
        assert!(outcome.stderr.contains(&line), "{outcome:?}");
    }
    let missing = missing.map(|word| word.replace("kind.program", "minikube.program"));
    let missing: Vec<&str> = missing.iter().map(String::as_str).collect();
    let outcome = context.run(
        &[
            &["up", "--stack", "other", "--provider", "minikube"][..],
            &missing,
        ]
        .concat(),
    );
    let end = "hint: install minikube, or name its path in minikube.program\n";
    assert!(outcome.expect(1).stderr.ends_with(end));
}
