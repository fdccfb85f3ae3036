//! Our own chart of the monitoring, rendered by the real helm: names, security, switches, and what its programs say of their files.
//! Must not need an image, nor repeat what the profile tells the chart.

use std::collections::BTreeSet;

use kedactl_exec::{Run, find};
use kedactl_lint::Severity;
use kedactl_testkit::skipped;
use kedactl_tools::helm::{Helm, Rendered};
use kedactl_tools::{CancellationToken, ToolError};
use serde_json::Value;

use crate::support::{declared, helms, name, settings};

/// Two namespaces, a rule whose text helm would read as a template of its own, and all that is mounted.
const WHOLE: &str = r#"{
    namespaces: [keda, keda-system], webhook: {secret: webhook-token},
    prometheus: {
        targets: [{name: keda-operator, namespace: keda-system, selector: {app: keda-operator}, port: 8080}],
        rules: {groups: [{name: g, rules: [{alert: A, expr: 'up == 0', annotations: {summary: '{{ $labels.queue }}: {{ $value }}'}}]}]}},
    grafana: {dashboards: {queue: '{"title": "{{queue}} \"q\""}'}}}"#;

async fn render(values: &str) -> Vec<Result<Rendered, ToolError>> {
    let mut all = Vec::new();
    for program in helms() {
        let directory = tempfile::tempdir().unwrap();
        let never = CancellationToken::new();
        let helm = Helm::open(settings(program, directory.path()), &never)
            .await
            .unwrap();
        let release = declared(&format!(
            "{{chart: monitoring, namespace: keda-monitoring, values: {values}}}"
        ));
        all.push(helm.render(&name("monitoring"), &release, &never).await);
    }
    all
}

async fn rendered(values: &str) -> Vec<Rendered> {
    let all = render(values).await;
    all.into_iter().map(Result::unwrap).collect()
}

fn text<'a>(object: &'a Value, path: &str) -> &'a str {
    object.pointer(path).and_then(Value::as_str).unwrap()
}

fn object<'a>(rendered: &'a Rendered, kind: &str, name: &str) -> &'a Value {
    let found = |it: &&Value| it["kind"] == kind && it["metadata"]["name"] == name;
    let found = rendered.objects.iter().find(found);
    found.unwrap_or_else(|| panic!("{kind} {name}"))
}

fn workloads(rendered: &Rendered) -> Vec<&Value> {
    let is = |it: &&Value| it["spec"]["template"].is_object();
    rendered.objects.iter().filter(is).collect()
}

/// `Kind/name`, with the namespace where it is not the release's.
fn names(rendered: &Rendered) -> String {
    let title = |it: &Value| {
        let (kind, name) = (text(it, "/kind"), text(it, "/metadata/name"));
        match text(it, "/metadata/namespace") {
            "keda-monitoring" => format!("{kind}/{name}"),
            other => format!("{kind}/{name} in {other}"),
        }
    };
    let names: BTreeSet<String> = rendered.objects.iter().map(title).collect();
    assert_eq!(names.len(), rendered.objects.len(), "each is there once");
    names.into_iter().collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn every_part_has_its_name_and_rights_to_read_in_the_namespaces_that_are_looked_after() {
    for rendered in rendered(WHOLE).await {
        insta::allow_duplicates! {
        insta::assert_snapshot!(names(&rendered), @r"
        ConfigMap/alertmanager
        ConfigMap/alloy
        ConfigMap/grafana
        ConfigMap/grafana-dashboards
        ConfigMap/loki
        ConfigMap/prometheus
        Deployment/alloy
        Deployment/kube-state-metrics
        NetworkPolicy/alertmanager
        NetworkPolicy/alloy
        NetworkPolicy/grafana
        NetworkPolicy/kube-state-metrics
        NetworkPolicy/loki
        NetworkPolicy/monitoring
        NetworkPolicy/prometheus
        Role/keda-monitoring-alloy
        Role/keda-monitoring-alloy in keda
        Role/keda-monitoring-alloy in keda-system
        Role/keda-monitoring-kube-state-metrics
        Role/keda-monitoring-kube-state-metrics in keda
        Role/keda-monitoring-kube-state-metrics in keda-system
        Role/keda-monitoring-prometheus
        Role/keda-monitoring-prometheus in keda
        Role/keda-monitoring-prometheus in keda-system
        RoleBinding/keda-monitoring-alloy
        RoleBinding/keda-monitoring-alloy in keda
        RoleBinding/keda-monitoring-alloy in keda-system
        RoleBinding/keda-monitoring-kube-state-metrics
        RoleBinding/keda-monitoring-kube-state-metrics in keda
        RoleBinding/keda-monitoring-kube-state-metrics in keda-system
        RoleBinding/keda-monitoring-prometheus
        RoleBinding/keda-monitoring-prometheus in keda
        RoleBinding/keda-monitoring-prometheus in keda-system
        Service/alertmanager
        Service/grafana
        Service/keda-monitoring-keda-operator in keda-system
        Service/kube-state-metrics
        Service/loki
        Service/monitoring
        Service/prometheus
        ServiceAccount/alertmanager
        ServiceAccount/alloy
        ServiceAccount/grafana
        ServiceAccount/kube-state-metrics
        ServiceAccount/loki
        ServiceAccount/prometheus
        StatefulSet/alertmanager
        StatefulSet/grafana
        StatefulSet/loki
        StatefulSet/prometheus
        ");
        }
        for role in rendered.objects.iter().filter(|it| it["kind"] == "Role") {
            for rule in role["rules"].as_array().unwrap() {
                let verbs = rule["verbs"].as_array().unwrap();
                let reads = |it: &Value| ["get", "list", "watch"].contains(&it.as_str().unwrap());
                assert!(verbs.iter().all(reads), "{role}");
                assert!(!rule.to_string().contains("secrets"), "{role}");
            }
        }
        let ports = |name: &str| {
            let service = object(&rendered, "Service", name);
            service["spec"]["ports"][0]["port"].as_u64().unwrap()
        };
        assert_eq!((ports("prometheus"), ports("alertmanager")), (9090, 9093));
        assert_eq!((ports("loki"), ports("grafana")), (3100, 80));
    }
}

#[tokio::test]
async fn every_container_is_restricted_and_bounded() {
    for rendered in rendered(WHOLE).await {
        let mut tokens = Vec::new();
        for workload in workloads(&rendered) {
            let pod = &workload["spec"]["template"]["spec"];
            let name = text(workload, "/metadata/name");
            assert_eq!(pod["securityContext"]["runAsNonRoot"], true, "{name}");
            assert!(pod["securityContext"]["runAsUser"].as_u64().unwrap() >= 10_000);
            if pod["automountServiceAccountToken"] == true {
                tokens.push(name);
            }
            for container in pod["containers"].as_array().unwrap() {
                let context = &container["securityContext"];
                assert_eq!(context["readOnlyRootFilesystem"], true, "{name}");
                assert_eq!(context["allowPrivilegeEscalation"], false);
                assert_eq!(context["capabilities"]["drop"][0], "ALL");
                for bound in ["requests", "limits"] {
                    for resource in ["cpu", "memory", "ephemeral-storage"] {
                        let amount = &container["resources"][bound][resource];
                        assert!(amount.is_string(), "{name} {bound} {resource}");
                    }
                }
            }
        }
        // The others ask the API server for nothing.
        tokens.sort_unstable();
        assert_eq!(tokens, ["alloy", "kube-state-metrics", "prometheus"]);
        assert!(!rendered.objects.iter().any(|it| it["kind"] == "Secret"));
        let claims = workloads(&rendered)
            .into_iter()
            .filter(|it| it["spec"]["volumeClaimTemplates"].is_array());
        assert_eq!(claims.count(), 4);
    }
}

#[tokio::test]
async fn reviewers_find_nothing() {
    let dns = WHOLE.replace("prometheus: {", "prometheus: {discovery: dns,");
    let small = "{loki: {enabled: false}, alloy: {enabled: false}, grafana: {enabled: false}, \
                 prometheus: {persistence: {enabled: false}}, alertmanager: {persistence: {enabled: false}}}";
    for values in [WHOLE, &dns, small] {
        for rendered in rendered(values).await {
            let objects = kedactl_lint::parse("monitoring.yaml", &rendered.text).unwrap();
            let report = kedactl_lint::lint(&objects);
            let found = report.findings.iter();
            let found = found.filter(|it| it.rule.severity >= Severity::Note);
            let found: Vec<String> = found
                .map(|it| format!("{} {}: {}", it.rule.id, it.place.name, it.message))
                .collect();
            assert!(found.is_empty(), "{found:#?}");
        }
    }
}

#[tokio::test]
async fn each_part_can_be_left_out() {
    let parts = ["alertmanager", "alloy", "grafana", "kube-state-metrics"];
    for part in parts {
        for rendered in rendered(&format!("{{{part}: {{enabled: false}}}}")).await {
            let left = names(&rendered);
            let gone = |line: &str| !line.ends_with(part) && !line.ends_with(&format!("-{part}"));
            assert!(left.lines().all(gone), "{part}: {left}");
        }
    }
    let no_logs = "{loki: {enabled: false}, alloy: {enabled: false}}";
    for rendered in rendered(no_logs).await {
        let config = object(&rendered, "ConfigMap", "grafana");
        assert!(!text(config, "/data/datasources.yaml").contains("loki"));
    }
    for (values, reason) in [
        ("{loki: {enabled: false}}", "the logs would go nowhere"),
        ("{prometheus: {enabled: false}}", "grafana.enabled without"),
        ("{loki: {retention: 3d}}", "must be whole hours"),
        (
            "{prometheus: {discovery: http}}",
            "must be kubernetes or dns",
        ),
    ] {
        for rendered in render(values).await {
            let error = rendered.unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
    }
}

#[tokio::test]
async fn what_is_told_stands_in_the_files_as_it_was_and_a_change_restarts_the_pod() {
    let changed = WHOLE
        .replace("up == 0", "up == 1")
        .replace("q\\\"", "r\\\"");
    assert_ne!(changed, WHOLE);
    for (one, other) in rendered(WHOLE).await.iter().zip(rendered(&changed).await) {
        let rules = text(object(one, "ConfigMap", "prometheus"), "/data/rules.yml");
        let rules = kedactl_config::documents(rules).unwrap().remove(0);
        let summary = "/groups/0/rules/0/annotations/summary";
        assert_eq!(text(&rules, summary), "{{ $labels.queue }}: {{ $value }}");
        let dashboards = object(one, "ConfigMap", "grafana-dashboards");
        let json = text(dashboards, "/data/queue.json");
        let dashboard: Value = serde_json::from_str(json).unwrap();
        assert_eq!(dashboard["title"], r#"{{queue}} "q""#);
        let sum = |rendered: &Rendered, name: &str| {
            let set = object(rendered, "StatefulSet", name);
            let path = "/spec/template/metadata/annotations/checksum~1config";
            text(set, path).to_owned()
        };
        for (name, same) in [
            ("prometheus", false),
            ("grafana", false),
            ("alertmanager", true),
        ] {
            assert_eq!(sum(one, name) == sum(&other, name), same, "{name}");
        }
    }
}

/// The token is where Alertmanager's configuration says, whichever profile it is.
#[tokio::test]
async fn the_webhooks_token_is_a_file_of_alertmanager_where_there_is_one() {
    for rendered in rendered(WHOLE).await {
        let pod = &object(&rendered, "StatefulSet", "alertmanager")["spec"]["template"]["spec"];
        let mounts = pod["containers"][0]["volumeMounts"].to_string();
        assert!(
            mounts.contains("/etc/alertmanager/secrets/webhook-token"),
            "{mounts}"
        );
        assert!(
            pod["volumes"]
                .to_string()
                .contains(r#""secretName":"webhook-token""#)
        );
    }
    for rendered in rendered("{}").await {
        let pod = object(&rendered, "StatefulSet", "alertmanager").to_string();
        assert!(!pod.contains("secret"), "{pod}");
    }
}

/// What a program of this machine says of a file that the chart makes.
fn says(program: &str, arguments: &[&str], file: &str, content: &str) {
    let Ok(program) = find(program) else {
        skipped(&format!("no {program} is installed"));
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(file);
    std::fs::write(&path, content).unwrap();
    let path = path.display().to_string();
    let said = Run::new(program).args(arguments).arg(path).run();
    said.unwrap_or_else(|error| panic!("{error}\n{content}"));
}

#[tokio::test]
async fn the_programs_take_their_files() {
    let dns = WHOLE.replace("prometheus: {", "prometheus: {discovery: dns,");
    for rendered in rendered(&dns).await {
        let map = object(&rendered, "ConfigMap", "prometheus");
        let config = text(map, "/data/prometheus.yml");
        // Where the rules lie is checked in a pod; what they say, here.
        let config = config.replace("/etc/prometheus/rules.yml", "none-*.yml");
        assert!(config.contains("keda-monitoring-keda-operator.keda-system.svc"));
        says("promtool", &["check", "config"], "prometheus.yml", &config);
        let rules = text(map, "/data/rules.yml");
        says("promtool", &["check", "rules"], "rules.yml", rules);
        let map = object(&rendered, "ConfigMap", "alertmanager");
        let config = text(map, "/data/alertmanager.yml");
        says("amtool", &["check-config"], "alertmanager.yml", config);
    }
}
