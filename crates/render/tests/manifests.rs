//! The rendered manifests, as a user would read them: the default, and variants that take every branch of the templates.
//! Snapshots stand beside the templates.

mod support;

use kedactl_config::Request;
use kedactl_render::{Manifests, render};
use support::config;

fn manifests(sets: &[&str]) -> Manifests {
    render(&config("local", sets)).expect("the values render")
}

/// Compares with `templates/rendered/<name>.snap`.
fn snapshot(name: &str, manifests: &Manifests) {
    support::snapshot(name, &manifests.to_yaml());
}

#[test]
fn the_default() {
    snapshot("default", &manifests(&[]));
}

#[test]
fn every_environment() {
    for (env, sets) in [
        ("kind", &[][..]),
        ("minikube", &[]),
        ("context", &[]),
        ("cloud", &["ingress.host=tasks.example.com"]),
    ] {
        let config = config(env, sets);
        snapshot(env, &render(&config).expect("the values render"));
        let provider = if env == "cloud" { "context" } else { env };
        assert_eq!(config.provider.environment(), provider);
    }
}

#[test]
fn every_option() {
    snapshot(
        "every-option",
        &manifests(&[
            "name=shop",
            "namespace=shop-tasks",
            "labels={team: 'yes'}",
            "annotations={example.com/on-call: '012'}",
            "api.env={LOG: 'a: b', N: 1_000, EMPTY: ''}",
            "api.extraArgs=[--log, debug]",
            "api.podLabels={tier: front}",
            "api.podAnnotations={note: 'two\n\nlines'}",
            "api.serviceType=ClusterIP",
            "api.resources.limits.cpu=null",
            "worker.command=[/app/run, 'yes']",
            "worker.extraArgs=[--queues=on]",
            "worker.preStopCommand=[sleep, '2']",
            "worker.env={ON: on}",
            "worker.podLabels={tier: back}",
            "worker.podAnnotations={cost: 1}",
            "worker.autoscaling={minReplicas: 1, idleReplicas: 0, listLength: 7, fallback: {failureThreshold: 3, replicas: 2, behavior: currentReplicasIfHigher}}",
            "redis={sentinelAddresses: ['10.0.0.1:26379', '10.0.0.2:26379'], username: app, sentinelUsername: watch}",
            "redis.tls={secretName: redis-tls, clientCertificate: true, insecureSkipVerify: true}",
            "api.spread=hard",
            "api.maxUnavailable=50%",
            "worker.maxUnavailable=3",
            "worker.egress=[{cidr: 0.0.0.0/0, except: [10.0.0.0/8, 169.254.0.0/16], ports: [443, 8443]}, {cidr: 'fd00::/8'}]",
            "api.probes.startup={initialDelaySeconds: 0, periodSeconds: 1, timeoutSeconds: 1, failureThreshold: 30}",
            "tracing={endpoint: 'http://collector.observability.svc:4318', ratio: 0.1, egress: [{cidr: 10.9.0.0/16, ports: [4318]}], headersSecret: {name: collector, key: headers}}",
            "network.dnsAddresses=[169.254.20.10/32]",
            "ingress={host: tasks.example.com, tlsSecret: tasks-tls, annotations: {cert-manager.io/cluster-issuer: acme}}",
            "monitoring={namespace: watch, profile: minimal}",
            "webhook.routes={default: {chats: [{id: -100}, {id: 7, thread: 3}], template: {head: '{{title}}'}}, night: {chats: [{id: 8}]}}",
            "webhook={operators: {id: 9}, users: [11], buttons: false, replicas: 3, spread: hard, botApi: 'http://bots.example.com:8081', egress: [{cidr: 10.0.0.0/8, ports: [8081]}]}",
            "webhook={botTokenSecret: {name: bot, key: it}, env: {A: '1'}, extraArgs: [--log=debug], podAnnotations: {note: '1'}, podLabels: {tier: watch}}",
            "podSecurityVersion=latest",
            "api.imagePullPolicy=Always",
            "worker.image=registry.example.com/shop/worker:2.5@sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        ]),
    );
}

#[test]
fn a_foreign_queue_on_a_single_redis() {
    snapshot(
        "foreign-queue",
        &manifests(&[
            "queue={kind: list, listName: huey.redis.tasks}",
            "worker.image=shop/huey:2.5",
            "worker.preStopCommand=[sh, -c, 'kill -INT 1; while kill -0 1; do sleep 1; done']",
            "redis={nodes: 1, sentinels: 0, minReplicasToWrite: 0}",
            "api.durability=none",
        ]),
    );
}

#[test]
fn the_same_values_give_the_same_bytes() {
    let (one, two) = (
        manifests(&["api.env={B: x, A: y}"]),
        manifests(&["api.env={A: y, B: x}"]),
    );
    assert_eq!(one, two);
    assert_eq!(one.to_yaml(), two.to_yaml());
}

#[test]
fn files_sort_in_the_order_of_application() {
    let files = manifests(&[]).files();
    let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
    assert!(names.is_sorted_by_key(|name| &name[..2]));
    insta::assert_snapshot!(names.join("\n"));
}

#[test]
fn the_demo_profile_renders() {
    let request = Request {
        env: "local".into(),
        files: vec!["fast".into()],
        ..Request::default()
    };
    let manifests = render(&support::of(&request)).unwrap();
    let spec = &manifests.scaled_object("worker").unwrap().spec;
    assert_eq!((spec.polling_interval(), spec.cooldown_period()), (2, 10));
}

#[test]
fn scaled_targets_have_no_replicas() {
    for name in ["api", "worker"] {
        let manifests = manifests(&[]);
        assert_eq!(
            manifests
                .deployment(name)
                .unwrap()
                .spec
                .as_ref()
                .unwrap()
                .replicas,
            None
        );
    }
}
