//! What a closure finds, in manifests of the shapes that operators and charts have.
//!
//! It must not need a chart: the manifests are written here, with the places where published charts hide images.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use kedactl_bundle::{Certainty, Closure, Sourced};
use serde_json::{Value, json};

fn closure(text: &str) -> Closure {
    let objects = kedactl_config::documents(text).unwrap().into_iter();
    let objects: Vec<Sourced> = objects
        .map(|object| Sourced {
            source: "release r".to_owned(),
            object,
        })
        .collect();
    Closure::of(&objects)
}

/// One line for each place.
fn lines(closure: &Closure) -> String {
    let line = |it: &kedactl_bundle::Found| {
        let sure = if it.certainty == Certainty::Certain {
            ""
        } else {
            "? "
        };
        let always = if it.always { " always" } else { "" };
        let place = &it.place;
        format!(
            "{sure}{}{always} | {} | {} | {}",
            it.image, place.object, place.path, place.reason
        )
    };
    closure
        .found
        .iter()
        .map(line)
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn an_operator_whose_images_are_its_own_containers() {
    let found = closure(
        "apiVersion: apps/v1
kind: Deployment
metadata: {name: keda-operator, namespace: keda-system, annotations: {checksum/config: abc}}
spec:
  template:
    metadata: {annotations: {prometheus.io/port: '8080'}}
    spec:
      containers:
        - name: operator
          image: ghcr.io/kedacore/keda:2.20.2
          imagePullPolicy: Always
          command: [/keda]
          args: ['--leader-elect', '--zap-log-level=info', '--metrics-service-address=keda-operator.keda.svc:9666']
          env: [{name: WATCH_NAMESPACE, value: ''}, {name: KEDA_HTTP_DEFAULT_TIMEOUT, value: '3000'}]
---
apiVersion: apiregistration.k8s.io/v1
kind: APIService
metadata: {name: v1beta1.external.metrics.k8s.io}
spec: {group: external.metrics.k8s.io, service: {name: keda-operator-metrics-apiserver, namespace: keda-system}}
",
    );
    insta::assert_snapshot!(lines(&found), @"ghcr.io/kedacore/keda:2.20.2 always | Deployment keda-system/keda-operator | spec.template.spec.containers[0].image | a container");
}

#[test]
fn an_operator_that_hands_images_to_what_it_makes() {
    let digest = "a".repeat(64);
    let found = closure(&format!(
        "apiVersion: apps/v1
kind: Deployment
metadata: {{name: operator, namespace: monitoring}}
spec:
  template:
    spec:
      initContainers: [{{name: wait, image: busybox}}]
      containers:
        - name: operator
          image: quay.io/prometheus-operator/prometheus-operator@sha256:{digest}
          args:
            - --kubelet-service=kube-system/kubelet
            - --prometheus-config-reloader=quay.io/prometheus-operator/prometheus-config-reloader:v0.93.1
            - --thanos-default-base-image
            - quay.io/thanos/thanos:v0.42.4
            - --config-reloader-cpu-request=0
            - --log-format=logfmt
          env:
            - {{name: RELATED_IMAGE_SIDECAR, value: 'team/sidecar:1'}}
            - {{name: HELPER_IMAGE, value: helper}}
            - {{name: ADDRESS, value: '10.0.0.1:9090'}}
            - {{name: REGISTRY_IMAGE_PREFIX, value: quay.io/prometheus}}
---
apiVersion: monitoring.coreos.com/v1
kind: Prometheus
metadata: {{name: p, namespace: monitoring}}
spec:
  image: quay.io/prometheus/prometheus:v3.14.0-distroless
  version: v3.14.0
  externalUrl: http://p.monitoring:9090
  containers: [{{name: extra, image: 'team/extra:2'}}]
  thanos: {{baseImage: quay.io/thanos/thanos, version: v0.42.4}}
  additionalScrapeConfigs: {{key: x.yaml, name: y}}
---
apiVersion: monitoring.coreos.com/v1
kind: ServiceMonitor
metadata: {{name: s}}
spec: {{endpoints: [{{port: http, relabelings: [{{targetLabel: image, replacement: '$1'}}]}}]}}
",
    ));
    insta::assert_snapshot!(lines(&found));
}

#[test]
fn logging_and_dashboards_with_hooks_and_sidecars() {
    let found = closure(
        "apiVersion: apps/v1
kind: DaemonSet
metadata: {name: loki-promtail, namespace: logs}
spec: {template: {spec: {containers: [{name: promtail, image: 'docker.io/grafana/promtail:3.5.1', args: ['-config.file=/etc/promtail/promtail.yaml']}]}}}
---
apiVersion: v1
kind: Pod
metadata: {name: loki-test, namespace: logs, annotations: {helm.sh/hook: test-success}}
spec: {containers: [{name: test, image: 'bats/bats:1.8.2', command: [/bin/sh, -c, 'curl http://loki:3100/ready']}], volumes: [{name: x, configMap: {name: y}}]}
---
apiVersion: batch/v1
kind: Job
metadata: {name: admission-create, annotations: {helm.sh/hook: 'pre-install,pre-upgrade'}}
spec: {template: {spec: {containers: [{name: create, image: ghcr.io/jkroepke/kube-webhook-certgen:1.8.7, args: [create, '--host=operator,operator.monitoring.svc']}]}}}
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: nightly}
spec: {jobTemplate: {spec: {template: {spec: {containers: [{name: c, image: 'team/cron:1'}], ephemeralContainers: [{name: e, image: 'team/debug:1'}], volumes: [{name: v, image: {reference: 'quay.io/team/data:7', pullPolicy: Always}}]}}}}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: loki-config}
data:
  loki.yaml: |
    ingester: {chunk_idle_period: 3m}
    storage_config: {boltdb_shipper: {cache_location: /data/loki}}
    # image: not this
  job.yaml: |
    containers:
      - name: main
        image: \"quay.io/team/job:1.2\"
        imagePullPolicy: IfNotPresent
  SIDECAR_IMAGE: quay.io/team/sidecar:3
  address: 10.0.0.1:3100
  grafana.ini: |
    [server]
    root_url = http://grafana.example.com/x:1
---
apiVersion: v1
kind: Secret
metadata: {name: s}
stringData: {alertmanager.yaml: 'receivers: []', image: quay.io/team/secret:1}
",
    );
    insta::assert_snapshot!(lines(&found));
}

#[test]
fn custom_resources_that_name_images_in_parts() {
    let digest = "b".repeat(64);
    let found = closure(&format!(
        "apiVersion: example.com/v1
kind: Thing
metadata: {{name: t, annotations: {{example.com/proxy-image: 'team/proxy:1'}}}}
spec:
  server: {{image: {{registry: quay.io, repository: team/server, tag: 1.10}}}}
  client: {{image: {{repository: ghcr.io/team/client, digest: 'sha256:{digest}'}}}}
  agent: {{image: {{name: team/agent, tag: v1}}}}
  proxyImage: envoyproxy/envoy:v1
  steps: [{{name: one, image: alpine}}]
  source: {{repository: 'https://github.com/team/x', tag: v1}}
  backup: {{repository: s3-bucket}}
  nested: {{template: {{spec: {{containers: [{{name: c, image: 'team/deep:1'}}]}}}}}}
  imagePullPolicy: Always
  enabled: true
status: {{image: team/status:1}}
---
apiVersion: keda.sh/v1alpha1
kind: ScaledJob
metadata: {{name: j}}
spec: {{jobTargetRef: {{template: {{spec: {{containers: [{{name: c, image: 'team/job:1'}}]}}}}}}}}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {{name: things.example.com}}
spec: {{versions: [{{schema: {{openAPIV3Schema: {{properties: {{image: {{type: string, description: 'such as quay.io/x/y:1', default: 'quay.io/team/default:1'}}, containers: {{type: array}}}}}}}}}}]}}
"
    ));
    insta::assert_snapshot!(lines(&found));
}

#[test]
fn what_is_no_image_in_the_place_of_one_is_told() {
    let found = closure(
        "kind: List
apiVersion: v1
items:
  - {apiVersion: v1, kind: Pod, metadata: {name: p}, spec: {containers: [{name: a, image: 'Team/App:1'}, {name: b, image: ''}, {name: c}]}}
",
    );
    assert!(found.found.is_empty());
    let [it] = &found.unreadable[..] else {
        panic!("{:?}", found.unreadable)
    };
    assert_eq!(
        (it.text.as_str(), it.place.path.as_str()),
        ("Team/App:1", "spec.containers[0].image")
    );
    assert_eq!(it.place.object, "Pod p");
}

mod random {
    use super::*;
    use proptest::prelude::*;

    /// Documents of any shape.
    fn any_json() -> impl Strategy<Value = Value> {
        let key = prop_oneof![
            "[a-zA-Z]{1,8}",
            Just("containers".to_owned()),
            Just("image".to_owned()),
            Just("args".to_owned()),
            Just("metadata".to_owned()),
            Just("repository".to_owned()),
            Just("tag".to_owned()),
            Just("volumes".to_owned())
        ];
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "\\PC{0,20}".prop_map(Value::from)
        ];
        leaf.prop_recursive(5, 60, 6, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::btree_map(key.clone(), inner, 0..6).prop_map(|map| json!(map)),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_document_can_be_looked_through(object in any_json(), kind in "(ConfigMap|Pod|Thing|XList)", group in "(v1|apps/v1|example.com/v1)") {
            let mut object = object;
            if let Value::Object(map) = &mut object {
                map.insert("kind".into(), kind.into());
                map.insert("apiVersion".into(), group.into());
            }
            let sourced = [Sourced { source: "s".into(), object }];
            prop_assert_eq!(Closure::of(&sourced), Closure::of(&sourced));
        }

        #[test]
        fn a_container_is_found_at_any_depth(path in prop::collection::vec("[a-z]{1,6}", 0..6), list in any::<bool>(), tag in "[a-z0-9]{1,6}") {
            let image = format!("quay.io/team/app:{tag}");
            let mut value = json!({"containers": [{"name": "c", "image": image}]});
            for key in &path {
                value = if list { json!({key: [value]}) } else { json!({key: value}) };
            }
            let object = json!({"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "t"}, "spec": value});
            let found = Closure::of(&[Sourced { source: "s".into(), object }]);
            prop_assert!(found.found.iter().any(|it| it.image.to_string() == image && it.certainty == Certainty::Certain));
        }
    }
}
