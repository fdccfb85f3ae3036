//! Our own chart, rendered by the real helm: names, security, what it refuses; and its scripts' syntax.

use kedactl_exec::Run;
use kedactl_tools::helm::{Helm, Rendered};
use kedactl_tools::{CancellationToken, EMBEDDED_CHARTS, Release, ToolError};
use serde_json::Value;

use crate::support::{declared, helms, name, settings};

fn redis(values: &str) -> Release {
    declared(&format!(
        "{{chart: redis-sentinel, namespace: keda, values: {values}}}"
    ))
}

async fn render(values: &str) -> Vec<Result<Rendered, ToolError>> {
    let mut all = Vec::new();
    for program in helms() {
        let directory = tempfile::tempdir().unwrap();
        let never = CancellationToken::new();
        let helm = Helm::open(settings(program, directory.path()), &never)
            .await
            .unwrap();
        all.push(helm.render(&name("redis"), &redis(values), &never).await);
    }
    all
}

fn names(rendered: &Rendered) -> Vec<String> {
    let title = |object: &Value| {
        format!(
            "{}/{}",
            object["kind"].as_str().unwrap(),
            object["metadata"]["name"].as_str().unwrap()
        )
    };
    let mut names: Vec<String> = rendered.objects.iter().map(title).collect();
    names.sort();
    names
}

fn object<'a>(rendered: &'a Rendered, kind: &str) -> &'a Value {
    rendered
        .objects
        .iter()
        .find(|object| object["kind"] == kind)
        .unwrap()
}

#[tokio::test]
async fn names_are_those_that_clients_know() {
    for rendered in render("{metrics: {enabled: true}}").await {
        let rendered = rendered.unwrap();
        insta::allow_duplicates! {
        insta::assert_snapshot!(names(&rendered).join("\n"), @r"
        ConfigMap/redis-scripts
        NetworkPolicy/redis
        PodDisruptionBudget/redis-node
        Service/redis
        Service/redis-headless
        Service/redis-metrics
        ServiceAccount/redis
        StatefulSet/redis-node
        ");
        }
        assert!(
            rendered
                .objects
                .iter()
                .all(|object| object["metadata"]["namespace"] == "keda")
        );
        let settings = object(&rendered, "ConfigMap")["data"]["settings.sh"]
            .as_str()
            .unwrap();
        insta::allow_duplicates! {
            insta::assert_snapshot!(settings, @r"
            # shellcheck shell=sh disable=SC2034
            SCRIPTS=/scripts
            RUN=/run/redis
            DATA=/data
            SECRETS=/run/secrets/redis
            SET=redis-node
            DOMAIN=redis-headless.keda.svc.cluster.local
            ID=b10bd18b9bdbffa76bb9d8007c963a2b700a5b
            NODES=3
            PORT=6379
            SENTINEL_PORT=26379
            MASTER_SET=mymaster
            QUORUM=2
            DOWN_AFTER=2000
            STARTUP_DOWN_AFTER=30000
            FAILOVER_TIMEOUT=10000
            PARALLEL_SYNCS=1
            PATIENCE=60
            ");
        }
    }
}

#[tokio::test]
async fn every_container_is_restricted_and_bounded() {
    for rendered in render("{metrics: {enabled: true}}").await {
        let rendered = rendered.unwrap();
        let pod = &object(&rendered, "StatefulSet")["spec"]["template"]["spec"];
        assert_eq!(pod["automountServiceAccountToken"], false);
        assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
        assert!(pod["securityContext"]["runAsUser"].as_u64().unwrap() >= 10_000);
        let containers = ["containers", "initContainers"]
            .iter()
            .flat_map(|list| pod[list].as_array().unwrap());
        let mut seen = 0;
        for container in containers {
            let context = &container["securityContext"];
            assert_eq!(context["readOnlyRootFilesystem"], true);
            assert_eq!(context["allowPrivilegeEscalation"], false);
            assert_eq!(context["capabilities"]["drop"][0], "ALL");
            assert_eq!(context["seccompProfile"]["type"], "RuntimeDefault");
            for bound in ["requests", "limits"] {
                for resource in ["cpu", "memory", "ephemeral-storage"] {
                    assert!(
                        container["resources"][bound][resource].is_string(),
                        "{bound} {resource}"
                    );
                }
            }
            let env = container["env"]
                .as_array()
                .map(Vec::len)
                .unwrap_or_default();
            assert!(env <= 1, "a password must not come by the environment");
            seen += 1;
        }
        assert_eq!(seen, 4);
        let secret = pod["volumes"]
            .as_array()
            .unwrap()
            .iter()
            .find(|volume| volume["name"] == "secret")
            .unwrap();
        assert_eq!(secret["secret"]["defaultMode"], 0o400);
        assert!(
            !rendered
                .objects
                .iter()
                .any(|object| object["kind"] == "Secret")
        );
    }
}

#[tokio::test]
async fn one_server_alone_and_a_hard_spread_render_too() {
    for rendered in render("{replica: {replicaCount: 1, persistence: {enabled: false}}, networkPolicy: {enabled: false}}").await {
        let rendered = rendered.unwrap();
        insta::allow_duplicates! {
            insta::assert_snapshot!(names(&rendered).join(" "), @"ConfigMap/redis-scripts Service/redis Service/redis-headless ServiceAccount/redis StatefulSet/redis-node");
        }
        let conf = object(&rendered, "ConfigMap")["data"]["redis.conf"].as_str().unwrap();
        assert!(conf.contains("min-replicas-to-write 0\n"), "one server has no replica to wait for");
        assert_eq!(object(&rendered, "StatefulSet")["spec"]["volumeClaimTemplates"], Value::Null);
    }
    for rendered in render("{replica: {podAntiAffinityPreset: hard, replicaCount: 5}}").await {
        let rendered = rendered.unwrap();
        let spec = &object(&rendered, "StatefulSet")["spec"]["template"]["spec"];
        assert!(
            spec["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
                .is_array()
        );
        let settings = object(&rendered, "ConfigMap")["data"]["settings.sh"]
            .as_str()
            .unwrap();
        assert!(settings.contains("QUORUM=3\n"));
    }
}

#[tokio::test]
async fn what_cannot_work_is_refused_with_its_reason() {
    for (values, reason) in [
        (
            "{replica: {replicaCount: 0}}",
            "replica.replicaCount must be 1 to 9, not 0",
        ),
        (
            "{sentinel: {quorum: 4}}",
            "no fail-over could ever be agreed on",
        ),
        (
            "{replica: {podAntiAffinityPreset: strong}}",
            "must be soft, hard or empty",
        ),
        (
            "{sentinel: {masterSet: 'my master'}}",
            "sentinel.masterSet must be letters",
        ),
    ] {
        for rendered in render(values).await {
            let error = rendered.unwrap_err();
            assert!(error.to_string().contains(reason), "{error}");
        }
    }
}

#[test]
fn every_script_is_posix_shell() {
    for (path, text) in EMBEDDED_CHARTS.iter().flat_map(|(_, files)| files.iter()) {
        if path.starts_with("files/") {
            Run::new("sh")
                .args(["-n", "-s"])
                .stdin(*text)
                .run()
                .unwrap();
            if let Ok(program) = kedactl_exec::find("shellcheck") {
                let folder = concat!(
                    env!("CARGO_MANIFEST_DIR"),
                    "/../../templates/charts/redis-sentinel"
                );
                Run::new(program)
                    .cwd(format!("{folder}/files"))
                    .args(["-x", path.trim_start_matches("files/")])
                    .run()
                    .unwrap();
            }
        }
    }
}
