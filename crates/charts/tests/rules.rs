//! Each rule once broken and once not, by releases as small as the rule needs them; and that its cure cures.
//! What real charts render is tested where helm is.
#![expect(
    clippy::needless_pass_by_value,
    reason = "a case is read where its values are written"
)]

use std::collections::{BTreeMap, BTreeSet};

use kedactl_charts::{Around, Finding, Outcome, Owner, Release, check, lay, rules};
use serde_json::{Map, Value, json};

fn release(name: &str, chart: &str, given: Value, objects: Value) -> Release {
    let Value::Object(given) = given else {
        panic!("values are a map");
    };
    let parts = match chart {
        "loki-stack" => vec![
            ("loki", "2.16.0"),
            ("prometheus", "19.7.2"),
            ("promtail", "6.17.1"),
        ],
        "redis" => vec![("common", "2.31.4")],
        _ => Vec::new(),
    };
    let parts = parts
        .into_iter()
        .map(|(name, version)| (name.to_owned(), version.to_owned()));
    let objects = objects.as_array().cloned().unwrap_or_default();
    Release {
        name: name.to_owned(),
        namespace: "keda".to_owned(),
        chart: chart.to_owned(),
        version: "2.10.3".to_owned(),
        parts: parts.collect::<BTreeMap<_, _>>(),
        given,
        outcome: Outcome::Objects(objects),
    }
}

fn refused(name: &str, said: &str) -> Release {
    refused_chart(name, "redis", said)
}

fn refused_chart(name: &str, chart: &str, said: &str) -> Release {
    Release {
        outcome: Outcome::Refused(said.to_owned()),
        ..release(name, chart, json!({}), json!([]))
    }
}

fn pod(kind: &str, name: &str, image: &str, more: Value) -> Value {
    let mut container = json!({"name": "c", "image": image});
    lay(&mut container, &more);
    json!({"kind": kind, "metadata": {"name": name}, "spec": {"replicas": 3, "template": {"spec": {"containers": [container]}}}})
}

fn service(name: &str) -> Value {
    json!({"kind": "Service", "metadata": {"name": name}, "spec": {"ports": [{"port": 3100}]}})
}

fn promtail(host: &str) -> Value {
    let text = format!("clients: [{{url: 'http://{host}:3100/loki/api/v1/push'}}]\n");
    json!({"kind": "Secret", "metadata": {"name": "promtail"}, "stringData": {"promtail.yaml": text}})
}

fn sources(default: &[(&str, bool)]) -> Value {
    let all: Vec<Value> = default
        .iter()
        .map(|(name, is)| json!({"name": name, "isDefault": is}))
        .collect();
    let text = json!({"datasources": all}).to_string();
    json!({"kind": "ConfigMap", "metadata": {"name": "sources", "labels": {"grafana_datasource": "1"}}, "data": {"s.yaml": text}})
}

fn api(name: &str) -> Value {
    json!({"kind": "APIService", "metadata": {"name": name}})
}

fn alertmanager(receivers: &[&str]) -> Value {
    let receivers: Vec<Value> = receivers.iter().map(|name| json!({"name": name})).collect();
    let text = json!({"route": {"receiver": "null", "routes": [{"receiver": "phone"}]}, "receivers": receivers});
    json!({"kind": "ConfigMap", "metadata": {"name": "alertmanager"}, "data": {"alertmanager.yml": text.to_string()}})
}

fn spread(name: &str) -> Value {
    let mut set = pod("StatefulSet", name, "redis:8", json!({}));
    set["spec"]["template"]["spec"]["affinity"] = json!({"podAntiAffinity": {
        "requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": "kubernetes.io/hostname"}]}});
    set
}

fn laptop() -> Around {
    Around {
        kube_version: Some((1, 34)),
        own_certificates: true,
        kubeadm: true,
        loaded_images: true,
        nodes: Some(1),
        memory: Some(4 << 30),
        owners: Vec::new(),
        redis_secret: Some(("redis".to_owned(), "redis-password".to_owned())),
    }
}

/// A rule, releases that break it, and the same ones cured.
struct Case {
    rule: &'static str,
    broken: Vec<Release>,
    whole: Vec<Release>,
    around: Around,
    /// What `values` of the release must be laid over with; `null` where no values cure it.
    patch: Value,
}

fn case(rule: &'static str, broken: Vec<Release>, whole: Vec<Release>, patch: Value) -> Case {
    Case {
        rule,
        broken,
        whole,
        around: laptop(),
        patch,
    }
}

fn values(name: &str, values: Value) -> Value {
    json!({"releases": {name: {"values": values}}})
}

fn taken() -> Vec<Case> {
    let external = json!([api("v1beta1.external.metrics.k8s.io")]);
    let metrics = json!([api("v1beta1.metrics.k8s.io")]);
    let custom = json!([api("v1beta1.custom.metrics.k8s.io")]);
    let mut taken = case(
        "KC0003",
        vec![release(
            "metrics-server",
            "metrics-server",
            json!({}),
            metrics,
        )],
        vec![release("mine", "x", json!({}), custom)],
        json!({"releases": {"metrics-server": null}}),
    );
    let owner = |api: &str, release: Option<&str>| Owner {
        api: api.to_owned(),
        release: release.map(str::to_owned),
    };
    taken.around.owners = vec![
        owner("v1beta1.metrics.k8s.io", None),
        owner("v1beta1.custom.metrics.k8s.io", Some("keda/mine")),
    ];
    let keda = || release("keda", "keda", json!({}), external.clone());
    let other = release("other", "x", json!({}), external.clone());
    let patch = json!({"releases": {"other": null}});
    vec![
        taken,
        case("KC0003", vec![keda(), other], vec![keda()], patch),
    ]
}

fn any_chart() -> Vec<Case> {
    let psp = json!({"kind": "PodSecurityPolicy", "metadata": {"name": "p", "labels": {"app.kubernetes.io/name": "promtail"}}});
    let large = |memory: &str| {
        json!([pod(
            "StatefulSet",
            "loki-chunks-cache",
            "memcached:1.6",
            json!({"resources": {"requests": {"memory": memory}}})
        )])
    };
    vec![
        case(
            "KC0001",
            vec![refused(
                "redis",
                "execution error at (redis/templates/NOTES.txt:202:4): no",
            )],
            vec![release("redis", "x", json!({}), json!([]))],
            Value::Null,
        ),
        case(
            "KC0002",
            vec![release("loki", "loki-stack", json!({}), json!([psp]))],
            vec![release("loki", "loki-stack", json!({}), json!([]))],
            values("loki", json!({"promtail": {"rbac": {"pspEnabled": false}}})),
        ),
        case(
            "KC0004",
            vec![release(
                "redis",
                "redis-sentinel",
                json!({}),
                json!([spread("redis-node")]),
            )],
            vec![release(
                "redis",
                "redis-sentinel",
                json!({}),
                json!([pod("StatefulSet", "redis-node", "redis:8", json!({}))]),
            )],
            json!({"redis": {"antiAffinity": "soft"}}),
        ),
        case(
            "KC0006",
            vec![refused_chart(
                "loki",
                "loki-stack",
                "found in Chart.yaml, but missing in charts/ directory: loki, promtail, grafana\n\nUse --debug flag",
            )],
            vec![release("loki", "loki-stack", json!({}), json!([]))],
            json!({"releases": {"loki": {
                "chart": "loki-stack", "repo": "https://grafana.github.io/helm-charts", "version": "2.10.3"}}}),
        ),
        case(
            "KC0005",
            vec![release("loki", "loki", json!({}), large("9830Mi"))],
            vec![release("loki", "loki", json!({}), large("1Gi"))],
            values("loki", json!({"chunksCache": {"enabled": false}})),
        ),
    ]
}

fn logs() -> Vec<Case> {
    let both = |loki: &str, grafana: &str| {
        let loki = pod("StatefulSet", "loki", loki, json!({}));
        let grafana = pod("Deployment", "grafana", grafana, json!({}));
        vec![release(
            "loki",
            "loki-stack",
            json!({}),
            json!([loki, grafana]),
        )]
    };
    let tag = values("loki", json!({"loki": {"image": {"tag": "2.9.8"}}}));
    let stack = |objects: Value| vec![release("monitoring", "loki-stack", json!({}), objects)];
    vec![
        case(
            "KC0101",
            both("grafana/loki:2.6.1", "grafana/grafana:10.4.3"),
            both("grafana/loki:2.9.8", "grafana/grafana:10.4.3"),
            tag.clone(),
        ),
        case(
            "KC0101",
            both("mirror.local/grafana/loki:2.9.2", "grafana/grafana:9.5.0"),
            both("grafana/loki:2.6.1", "grafana/grafana:8.3.5"),
            tag.clone(),
        ),
        case(
            "KC0102",
            both("docker.io/grafana/loki:3.1.0", "busybox:1"),
            both("docker.io/grafana/loki:2.9.8", "busybox:1"),
            tag,
        ),
        case(
            "KC0103",
            stack(json!([service("monitoring-loki"), promtail("monitoring")])),
            stack(json!([
                service("monitoring-loki"),
                promtail("monitoring-loki")
            ])),
            values(
                "monitoring",
                json!({
                    "promtail": {"config": {"clients": [{"url": "http://monitoring-loki:3100/loki/api/v1/push"}]}},
                    "loki": {"url": "http://monitoring-loki:3100"},
                }),
            ),
        ),
        case(
            "KC0104",
            stack(json!([sources(&[("Loki", true), ("Prometheus", true)])])),
            stack(json!([sources(&[("Loki", false), ("Prometheus", true)])])),
            values("monitoring", json!({"loki": {"isDefault": false}})),
        ),
        case(
            "KC0105",
            vec![refused_chart(
                "loki",
                "loki",
                "execution error at (loki/templates/validate.yaml:31:4): You have more than zero replicas configured for \
                 both the single binary and simple scalable targets.",
            )],
            vec![release("loki", "loki", json!({}), json!([]))],
            values(
                "loki",
                json!({"deploymentMode": "SingleBinary", "read": {"replicas": 0}, "write": {"replicas": 0}, "backend": {"replicas": 0}}),
            ),
        ),
    ]
}

fn redis() -> Vec<Case> {
    let node = |image: &str, more: Value| json!([pod("StatefulSet", "redis-node", image, more)]);
    let secret = json!({"auth": {"existingSecret": "redis"}});
    let port = json!({"auth": {"existingSecret": "redis"}, "sentinel": {"enabled": true, "service": {"type": "NodePort"}}});
    let scripts = json!({"args": ["/opt/bitnami/scripts/start-scripts/start-node.sh"]});
    let good = "docker.io/bitnamilegacy/redis:8.2.1-debian-12-r0";
    let bitnami = |given: Value, objects: Value| vec![release("redis", "redis", given, objects)];
    let legacy = json!({"global": {"security": {"allowInsecureImages": true}}, "image": {"repository": "bitnamilegacy/redis"}});
    vec![
        case(
            "KC0201",
            bitnami(port.clone(), json!([service("redis")])),
            bitnami(port, node(good, json!({}))),
            values(
                "redis",
                json!({"sentinel": {"service": {"type": "ClusterIP"}}}),
            ),
        ),
        case(
            "KC0202",
            bitnami(json!({}), node(good, json!({}))),
            bitnami(secret.clone(), node(good, json!({}))),
            values(
                "redis",
                json!({"auth": {"existingSecret": "redis", "existingSecretPasswordKey": "redis-password"}}),
            ),
        ),
        case(
            "KC0203",
            bitnami(
                secret.clone(),
                node("docker.io/bitnami/redis:8.2.1-debian-12-r0", json!({})),
            ),
            bitnami(secret.clone(), node(good, json!({}))),
            values("redis", legacy),
        ),
        case(
            "KC0204",
            vec![refused(
                "redis",
                "ERROR: Original containers have been substituted for unrecognized ones.",
            )],
            bitnami(secret.clone(), node(good, json!({}))),
            values(
                "redis",
                json!({"global": {"security": {"allowInsecureImages": true}}}),
            ),
        ),
        case(
            "KC0205",
            bitnami(
                secret.clone(),
                node("docker.io/library/redis:8.2.1", scripts.clone()),
            ),
            bitnami(secret, node(good, scripts)),
            values(
                "redis",
                json!({
                    "global": {"security": {"allowInsecureImages": true}},
                    "image": {"registry": "docker.io", "repository": "bitnamilegacy/redis", "tag": "8.2.1-debian-12-r0"},
                }),
            ),
        ),
    ]
}

fn others() -> Vec<Case> {
    let keda = |policy: &str| {
        let pod = pod(
            "Deployment",
            "keda-operator",
            "ghcr.io/kedacore/keda:2.20.2",
            json!({"imagePullPolicy": policy}),
        );
        vec![release("keda", "keda", json!({}), json!([pod]))]
    };
    let metrics = |given: Value, args: Value| {
        let image = "registry.k8s.io/metrics-server/metrics-server:v0.8.1";
        let pod = pod("Deployment", "metrics-server", image, json!({"args": args}));
        vec![release(
            "metrics-server",
            "metrics-server",
            given,
            json!([pod]),
        )]
    };
    let insecure = "--kubelet-insecure-tls";
    let own = ["--cert-dir=/tmp", "--v=2", insecure];
    let stack = |given: Value, objects: Value| vec![release("loki", "loki-stack", given, objects)];
    let config = json!({"route": {"receiver": "telegram"}});
    vec![
        case(
            "KC0301",
            keda("Always"),
            keda("IfNotPresent"),
            values("keda", json!({"image": {"pullPolicy": "IfNotPresent"}})),
        ),
        case(
            "KC0401",
            metrics(json!({"args": ["--v=2"]}), json!(["--v=2"])),
            metrics(
                json!({"args": [insecure]}),
                json!(["--cert-dir=/tmp", insecure]),
            ),
            values("metrics-server", json!({"args": ["--v=2", insecure]})),
        ),
        case(
            "KC0402",
            metrics(json!({"defaultArgs": own}), json!(own)),
            metrics(json!({"args": [insecure]}), json!([insecure])),
            values(
                "metrics-server",
                json!({"defaultArgs": null, "args": ["--v=2", insecure]}),
            ),
        ),
        case(
            "KC0501",
            stack(
                json!({"prometheus": {"alertmanagerFiles": {"alertmanager.yml": config}}}),
                json!([]),
            ),
            stack(
                json!({"prometheus": {"alertmanager": {"config": config}}}),
                json!([]),
            ),
            values(
                "loki",
                json!({"prometheus": {"alertmanager": {"config": {"route": {"receiver": "telegram"}}}, "alertmanagerFiles": null}}),
            ),
        ),
        case(
            "KC0502",
            stack(json!({}), json!([alertmanager(&["phone"])])),
            stack(json!({}), json!([alertmanager(&["phone", "null"])])),
            values(
                "loki",
                json!({"prometheus": {"alertmanager": {"config": {"receivers": [{"name": "phone"}, {"name": "null"}]}}}}),
            ),
        ),
    ]
}

/// Alertmanager as a chart runs it or the operator would, with a receiver of these ways.
fn told(object: Value, receiver: Value) -> Value {
    let text = json!({"route": {"receiver": "phone"}, "receivers": [receiver]});
    let map = json!({"kind": "Secret", "metadata": {"name": "alertmanager"}, "stringData": {"alertmanager.yaml": text.to_string()}});
    json!([object, map])
}

fn monitoring() -> Vec<Case> {
    let receiver = |url: Value, chat: Value| json!({"name": "phone", "webhook_configs": [url], "telegram_configs": [chat]});
    let url = json!({"url": "http://webhook:8080"});
    let slow = json!({"url": "http://webhook:8080", "timeout": "10s"});
    let chat = json!({"chat_id": 1, "bot_token": "x"});
    let topic = json!({"chat_id": 1, "bot_token": "x", "message_thread_id": 2});
    let set = |tag: &str| {
        pod(
            "StatefulSet",
            "alertmanager",
            &format!("quay.io/prometheus/alertmanager:{tag}"),
            json!({}),
        )
    };
    let asked = |tag: &str| json!({"kind": "Alertmanager", "metadata": {"name": "a"}, "spec": {"image": format!("quay.io/prometheus/alertmanager:{tag}")}});
    let stack = |chart: &str, objects: Value| vec![release("m", chart, json!({}), objects)];
    let cure =
        json!({"alertmanager": {"config": {"receivers": [receiver(url.clone(), chat.clone())]}}});
    let plane = |names: &[&str]| {
        let all: Vec<Value> = names.iter().map(|it| service(&format!("m-{it}"))).collect();
        stack("kube-prometheus-stack", all.into())
    };
    vec![
        case(
            "KC0503",
            stack(
                "loki-stack",
                told(set("v0.25.0"), receiver(slow.clone(), chat.clone())),
            ),
            stack(
                "loki-stack",
                told(set("v0.28.0"), receiver(slow.clone(), chat.clone())),
            ),
            values("m", json!({"prometheus": cure})),
        ),
        case(
            "KC0503",
            stack(
                "kube-prometheus-stack",
                told(asked("v0.27.0"), receiver(slow, topic)),
            ),
            stack(
                "kube-prometheus-stack",
                told(asked("v0.27.0"), receiver(url, chat)),
            ),
            values("m", cure),
        ),
        case(
            "KC0504",
            plane(&["kube-scheduler", "kube-etcd", "prometheus"]),
            plane(&["prometheus", "alertmanager"]),
            values(
                "m",
                json!({"kubeEtcd": {"enabled": false}, "kubeScheduler": {"enabled": false}}),
            ),
        ),
    ]
}

fn cases() -> Vec<Case> {
    [
        any_chart(),
        taken(),
        logs(),
        redis(),
        others(),
        monitoring(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn ids(findings: &[Finding]) -> Vec<&str> {
    findings.iter().map(|it| it.rule.id).collect()
}

#[test]
fn each_rule_speaks_where_it_is_broken_and_nowhere_else() {
    for case in cases() {
        let found = check(&case.broken, &case.around);
        assert_eq!(ids(&found), [case.rule], "{found:#?}");
        assert_eq!(found[0].patch, case.patch, "{}", case.rule);
        assert!(!found[0].message.is_empty());
        let found = check(&case.whole, &case.around);
        assert!(found.is_empty(), "{}: {found:#?}", case.rule);
    }
}

#[test]
fn every_rule_has_a_case_and_whole_words() {
    let known: Vec<&str> = rules().map(|rule| rule.id).collect();
    let sorted: BTreeSet<&str> = known.iter().copied().collect();
    assert_eq!(
        sorted.iter().copied().collect::<Vec<_>>(),
        known,
        "ids are unique and sorted"
    );
    let broken: BTreeSet<&str> = cases().iter().map(|case| case.rule).collect();
    assert_eq!(broken, sorted, "a case for each rule");
    for rule in rules() {
        assert!(
            rule.why.ends_with('.') && rule.why.len() > 30,
            "{}",
            rule.id
        );
        assert!(
            !rule.title.ends_with('.') && rule.title.len() > 15,
            "{}",
            rule.id
        );
        let issue = rule.issues.contains('#') || matches!(rule.id, "KC0001" | "KC0501");
        assert!(issue, "{} names who met it", rule.id);
    }
}

#[test]
fn what_nobody_knows_of_the_cluster_is_no_finding() {
    for case in cases() {
        let found = check(&case.broken, &Around::default());
        let needs = ["KC0002", "KC0004", "KC0005", "KC0301", "KC0401", "KC0504"];
        let known = !needs.contains(&case.rule) && (case.rule != "KC0003" || case.broken.len() > 1);
        assert_eq!(!found.is_empty(), known, "{}", case.rule);
    }
}

#[test]
fn several_cures_lie_in_one_file() {
    let mut all = json!({});
    for case in cases() {
        for finding in check(&case.broken, &case.around) {
            lay(&mut all, &finding.patch);
        }
    }
    assert_eq!(all["releases"]["other"], Value::Null);
    assert_eq!(
        all["releases"]["loki"]["values"]["loki"]["image"]["tag"],
        "2.9.8"
    );
    assert_eq!(
        all["releases"]["loki"]["values"]["chunksCache"]["enabled"],
        false
    );
    assert_eq!(all["redis"]["antiAffinity"], "soft");
    let releases: &Map<String, Value> = all["releases"].as_object().unwrap();
    assert!(releases.contains_key("other") && releases.contains_key("keda"));
}
