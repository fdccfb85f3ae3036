//! Any text is read or refused at its place, and whatever is read is checked without a panic.
//! Which rules speak is `rules`' business.

mod support;

use kedactl_lint::{Severity, lint, parse};
use proptest::prelude::*;
use serde_json::{Value as Json, json};

#[test]
fn documents_keep_their_lines_and_lists_are_taken_apart() {
    let text = "# chart\n---\n# Source: a\napiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {type: NodePort}\n---\n\n--- # two\napiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Pod, metadata: {name: b}}\n- {apiVersion: v1, kind: Pod, metadata: {name: c}}\n";
    let objects = parse("x.yaml", text).unwrap();
    let names: Vec<_> = objects.iter().map(|it| (it.kind(), it.name())).collect();
    assert_eq!(names, [("Service", "a"), ("Pod", "b"), ("Pod", "c")]);
    let lines: Vec<_> = lint(&objects)
        .findings
        .iter()
        .map(|it| it.place.line)
        .collect();
    assert!(lines.contains(&4) && lines.contains(&11), "{lines:?}");
}

#[test]
fn what_is_no_manifest_is_refused_at_its_line() {
    let refused = |text: &str| parse("x.yaml", text).unwrap_err().to_string();
    insta::assert_snapshot!(refused("apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n---\nb: [1\n"), @"x.yaml:5: unclosed bracket '['");
    insta::assert_snapshot!(refused("apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n---\nreplicaCount: 3\n"), @"x.yaml:5: this is no Kubernetes object: `apiVersion` or `kind` is missing");
    insta::assert_snapshot!(refused("apiVersion: v1\nkind: Pod\nkind: Pod\n"), @"x.yaml:3: the key `kind` is given twice");
}

#[test]
fn a_pod_that_says_nothing_breaks_what_reviewers_name() {
    let text = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: seed}\nspec:\n  selector: {matchLabels: {app: seed}}\n  template:\n    metadata: {labels: {app: seed}}\n    spec:\n      containers:\n      - {name: seed, image: 'seed:latest', env: [{name: REDIS_PASSWORD, value: hunter2}]}\n";
    let report = lint(&parse("seed.yaml", text).unwrap());
    let shown: Vec<String> = report
        .findings
        .iter()
        .map(|it| {
            format!(
                "{} {} {}: {}",
                it.rule.severity, it.rule.id, it.path, it.message
            )
        })
        .collect();
    insta::assert_snapshot!(shown.join("\n"), @r"
    error KL0111 spec.template.spec.containers[0].securityContext.allowPrivilegeEscalation: container `seed` does not forbid it
    error KL0112 spec.template.spec.containers[0].securityContext.capabilities.drop: container `seed` does not drop ALL
    error KL0113 spec.template.spec.containers[0].securityContext.runAsNonRoot: container `seed` does not have it, nor has its pod
    error KL0115 spec.template.spec.containers[0].securityContext.seccompProfile: container `seed` has no profile, nor has its pod
    warning KL0201 spec.template.spec.containers[0].securityContext.readOnlyRootFilesystem: container `seed` may write everywhere
    warning KL0202 spec.template.spec.containers[0].securityContext.runAsUser: runAsUser of container `seed` is not set
    warning KL0202 spec.template.spec.containers[0].securityContext.runAsGroup: runAsGroup of container `seed` is not set
    warning KL0203 spec.template.spec.automountServiceAccountToken: the token of `default` is mounted, and no binding here gives it rights
    note KL0204 spec.template.spec.enableServiceLinks: it is not switched off
    warning KL0301 spec.template.spec.containers[0].resources.requests.cpu: container `seed` has no request of cpu
    warning KL0301 spec.template.spec.containers[0].resources.requests.memory: container `seed` has no request of memory
    warning KL0302 spec.template.spec.containers[0].resources.limits.cpu: container `seed` has no limit of cpu
    warning KL0302 spec.template.spec.containers[0].resources.limits.memory: container `seed` has no limit of memory
    warning KL0303 spec.template.spec.containers[0].resources.requests.ephemeral-storage: container `seed` has no request
    warning KL0303 spec.template.spec.containers[0].resources.limits.ephemeral-storage: container `seed` has no limit
    warning KL0311 spec.template.spec.containers[0].livenessProbe: container `seed`
    warning KL0312 spec.template.spec.containers[0].readinessProbe: container `seed`
    error KL0401 spec.template.spec.containers[0].image: `seed:latest`
    note KL0403 spec.template.spec.containers[0].image: `seed:latest`
    note KL0404 spec.template.spec.containers[0].imagePullPolicy: it is not set for `seed:latest`
    error KL0501 spec.template.spec.containers[0].env[0].value: `REDIS_PASSWORD` is written out
    warning KL0651 spec.template.metadata.labels: none for Ingress and Egress
    note KL0707 spec.replicas: one pod
    ");
    assert!(
        !format!("{report:?}").contains("hunter2"),
        "a finding never shows a secret"
    );
}

#[test]
fn every_environment_breaks_no_rule() {
    for (env, sets) in [
        ("local", &[][..]),
        ("kind", &[]),
        ("minikube", &[]),
        ("context", &[]),
        ("cloud", &["ingress.host=tasks.example.com"]),
        (
            "kind",
            &[
                "queue={kind: list, listName: mail}",
                "worker.image=shop/mail:2.5",
            ],
        ),
        (
            "kind",
            &[
                "queue={kind: list, listName: huey.redis.mail}",
                "worker.image=shop/huey:3.5",
                "worker.command=[sh, -ec, 'migrate; exec huey_consumer app.huey -g TERM -t 50']",
                "worker.shareProcessNamespace=true",
            ],
        ),
        (
            "kind",
            &[
                "queue={kind: list, listName: huey.redis.mail}",
                "worker.image=shop/huey:2.5",
                "worker.preStopCommand=[sh, -c, 'kill -INT 1; while kill -0 1; do sleep 1; done']",
            ],
        ),
        (
            "kind",
            &[
                "queue={kind: list, listName: celery}",
                "worker.command=[tini, --, celery, -A, shop, worker, --time-limit=50]",
            ],
        ),
        (
            "kind",
            &[
                "queue={kind: list, listName: celery}",
                "worker.image=shop/celery:5.7",
                "worker.extraArgs=[celery, -A, shop, worker, --time-limit=50]",
            ],
        ),
        (
            "kind",
            &[
                "queue={kind: list, listName: huey.redis.mail}",
                "worker.image=shop/huey:2.5",
                "worker.shareProcessNamespace=true",
                "worker.preStopCommand=[sh, -c, 'kill -INT $(pgrep -o huey); while pgrep huey; do sleep 1; done']",
            ],
        ),
        ("cloud", &["ingress=null", "api.serviceType=NodePort"]),
    ] {
        let objects = parse(env, &support::rendered(env, sets)).unwrap();
        let report = lint(&objects);
        let found: Vec<_> = report.at_least(Severity::Note).collect();
        assert!(found.is_empty(), "{env} {sets:?}: {found:#?}");
    }
}

/// Any JSON, of words that rules look for.
fn value() -> impl Strategy<Value = Json> {
    let words = [
        "",
        "v1",
        "redis://:x@y",
        "--password=x",
        "a/b:latest",
        "$(X)",
        "0400",
        "-5",
        "é\u{2028}",
    ];
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<f64>().prop_map(Json::from),
        prop::sample::select(words.to_vec()).prop_map(Json::from),
        any::<String>().prop_map(Json::from),
    ];
    leaf.prop_recursive(6, 64, 8, |inner| {
        let keys = [
            "spec",
            "template",
            "metadata",
            "containers",
            "initContainers",
            "env",
            "name",
            "value",
            "volumes",
            "hostPath",
            "securityContext",
            "resources",
            "limits",
            "cpu",
            "labels",
            "annotations",
            "rules",
            "verbs",
            "triggers",
            "ports",
            "selector",
            "matchLabels",
            "matchExpressions",
            "subjects",
            "items",
            "lint.kedactl.io/ignore",
            "data",
            "scaleTargetRef",
            "advanced",
            "livenessProbe",
            "httpGet",
            "image",
            "command",
            "lifecycle",
            "preStop",
            "kind",
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Json::from),
            prop::collection::btree_map(prop::sample::select(keys.to_vec()), inner, 0..8)
                .prop_map(|map| json!(map)),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn whatever_is_read_is_checked(kind in prop::sample::select(KINDS.to_vec()), metadata in value(), spec in value(), rest in value()) {
        let object = json!({"apiVersion": kind.0, "kind": kind.1, "metadata": metadata, "spec": spec, "rules": rest.clone(), "subjects": rest.clone(), "data": rest});
        let text = serde_json::to_string(&object).unwrap();
        if let Ok(objects) = parse("any.yaml", &text) {
            let again = parse("any.yaml", &text).unwrap();
            prop_assert_eq!(lint(&objects), lint(&again));
        }
    }

    #[test]
    fn any_text_is_read_or_refused(text in "[-a-z:{}\\[\\]\n \"'#&*|>%@`!0-9]{0,80}") {
        drop(parse("any.yaml", &text).map(|objects| lint(&objects)));
    }

}

proptest! {
    // Each renders and reads a whole stack.
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn manifests_of_any_valid_values_break_no_rule(
        env in prop::sample::select(vec!["local", "kind", "minikube", "context"]),
        replicas in (1u32..20, 0u32..20), hard in any::<bool>(), missing in prop_oneof![(1u32..50).prop_map(|n| n.to_string()), (1u32..=100).prop_map(|n| format!("{n}%"))],
        port in 1024u16..60000, list in prop::option::of("[a-z]{1,20}"), grace in 6u32..600, service in prop::sample::select(vec!["LoadBalancer", "ClusterIP", "NodePort"]),
        digest in any::<bool>(), always in any::<bool>(), egress in prop::option::of(prop::collection::vec(1u16.., 0..4)), tls in any::<bool>(), external in any::<bool>(),
    ) {
        let image = if digest { "shop/mail@sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08" } else { "shop/mail:2.5" };
        let policy = if always { "Always" } else { "IfNotPresent" };
        let mut sets = vec![
            format!("api={{port: {port}, metricsPort: {}, spread: {}, serviceType: {service}, image: {image:?}, imagePullPolicy: {policy}}}", port + 1, if hard { "hard" } else { "soft" }),
            format!("api.autoscaling.maxReplicas={}", replicas.0),
            format!("worker={{image: {image:?}, maxUnavailable: {missing}, terminationGracePeriodSeconds: {grace}, imagePullPolicy: {policy}}}"),
            format!("worker.autoscaling.maxReplicas={}", replicas.1.max(1)),
        ];
        sets.extend(list.map(|list| format!("queue={{kind: list, listName: {list:?}}}")));
        sets.extend(egress.map(|ports| format!("worker.egress=[{{cidr: 0.0.0.0/0, ports: {ports:?}}}]")));
        if external {
            // Our own chart of Redis does not encrypt: TLS is for a Redis elsewhere.
            sets.extend(tls.then(|| "redis.tls={secretName: tls, clientCertificate: true, insecureSkipVerify: false}".to_owned()));
            sets.push("redis.sentinelAddresses=['10.0.0.1:26380']".to_owned());
            sets.push("releases={redis: null}".to_owned());
        }
        let sets: Vec<&str> = sets.iter().map(String::as_str).collect();
        let report = lint(&parse(env, &support::rendered(env, &sets)).unwrap());
        let found: Vec<_> = report.at_least(Severity::Warning).collect();
        prop_assert!(found.is_empty(), "{:#?}", found);
    }
}

const KINDS: &[(&str, &str)] = &[
    ("v1", "Pod"),
    ("v1", "Service"),
    ("v1", "ConfigMap"),
    ("v1", "Namespace"),
    ("v1", "List"),
    ("apps/v1", "Deployment"),
    ("apps/v1", "StatefulSet"),
    ("batch/v1", "CronJob"),
    ("batch/v1", "Job"),
    ("policy/v1", "PodDisruptionBudget"),
    ("networking.k8s.io/v1", "NetworkPolicy"),
    ("networking.k8s.io/v1", "Ingress"),
    ("autoscaling/v2", "HorizontalPodAutoscaler"),
    ("keda.sh/v1alpha1", "ScaledObject"),
    ("keda.sh/v1alpha1", "ScaledJob"),
    ("rbac.authorization.k8s.io/v1", "ClusterRole"),
    ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding"),
];
