//! What a user sees of the configuration: layers, origins and errors with their places.
//! Reads no real file: the reader is a map.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use kedactl_config::{ConfigError, Layer, Loaded, Request, SetArg, load};

fn reader(files: &[(&str, &str)]) -> impl Fn(&Path, u64) -> io::Result<Vec<u8>> + use<> {
    let files: HashMap<PathBuf, Vec<u8>> = files
        .iter()
        .map(|(name, text)| (PathBuf::from(name), text.as_bytes().to_vec()))
        .collect();
    move |path, _| {
        files
            .get(path)
            .cloned()
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

fn request() -> Request {
    Request {
        env: "local".into(),
        ..Request::default()
    }
}

/// Loads with a kedactl.yaml of this text.
fn project(text: &str) -> Result<Loaded, ConfigError> {
    let request = Request {
        project: Some("p".into()),
        ..request()
    };
    load(&request, &reader(&[("p/kedactl.yaml", text)]))
}

fn set(args: &[&str]) -> Result<Loaded, ConfigError> {
    let sets = args
        .iter()
        .map(|arg| SetArg::Value((*arg).into()))
        .collect();
    load(&Request { sets, ..request() }, &reader(&[]))
}

fn problems(text: &str) -> String {
    project(text).expect_err("it is wrong").to_string()
}

#[test]
fn the_embedded_layers_are_complete() {
    let loaded = load(&request(), &reader(&[])).unwrap();
    assert_eq!(loaded.config.api.port, 8000);
    assert_eq!(loaded.config.list_name(), "kq:{default}:live");
    assert_eq!(
        loaded.config.list_length(),
        loaded.config.worker.concurrency
    );
    assert_eq!(loaded.config.worker.autoscaling.polling_interval, 30);
    let text = serde_json::to_string(&loaded.config).unwrap();
    let back: kedactl_config::Config = serde_json::from_str(&text).unwrap();
    assert_eq!(back, loaded.config);
}

#[test]
fn a_later_layer_wins_and_is_remembered() {
    let files = reader(&[
        (
            "p/kedactl.yaml",
            "api:\n  port: 8001\n  metricsPort: 9101\nworker: {concurrency: 2}\n",
        ),
        ("more.yaml", "api:\n  port: 8002\n"),
        ("secret.txt", "from a file\n"),
    ]);
    let request = Request {
        project: Some("p".into()),
        files: vec!["more.yaml".into(), "fast".into()],
        sets: vec![
            SetArg::Value("worker.concurrency=4".into()),
            SetArg::Text("api.env.N=1".into()),
            SetArg::File("worker.env.TEXT=secret.txt".into()),
        ],
        provider: Some(serde_json::json!({"redis": {"sentinelAddresses": ["127.0.0.1:26379"]}})),
        ..request()
    };
    let loaded = load(&request, &files).unwrap();
    let at = |path: &str| {
        let origin = &loaded.origins[path];
        (origin.layer, origin.to_string())
    };
    assert_eq!(loaded.config.api.port, 8002);
    assert_eq!(at("api.port"), (Layer::File, "more.yaml:2:9".into()));
    assert_eq!(
        at("api.metricsPort"),
        (Layer::Project, "p/kedactl.yaml:3:16".into())
    );
    assert_eq!(
        at("worker.concurrency"),
        (Layer::Set, "--set worker.concurrency".into())
    );
    assert_eq!(at("redis.downAfterMs").0, Layer::Env);
    assert_eq!(
        at("redis.sentinelAddresses[0]"),
        (Layer::Provider, "provider".into())
    );
    assert_eq!(
        at("worker.autoscaling.pollingInterval"),
        (Layer::File, "values/fast.yaml:16:22".into())
    );
    assert_eq!(at("queue.name").0, Layer::Base);
    assert_eq!(&*loaded.config.api.env["N"], "1");
    assert_eq!(&*loaded.config.worker.env["TEXT"], "from a file\n");
    assert_eq!(
        loaded
            .config
            .worker
            .autoscaling
            .behavior
            .scale_down
            .policies
            .len(),
        1
    );
}

#[test]
fn a_projects_values_win_over_the_embedded_ones() {
    let base = include_str!("../../../values/base.yaml").replace("port: 8000", "port: 8080");
    let files = reader(&[
        ("p/kedactl.yaml", ""),
        ("p/values/base.yaml", &base),
        ("p/values/env/ci.yaml", "name: ci\n"),
    ]);
    let request = Request {
        env: "ci".into(),
        project: Some("p".into()),
        ..Request::default()
    };
    let loaded = load(&request, &files).unwrap();
    assert_eq!(
        (loaded.config.api.port, loaded.config.name.as_str()),
        (8080, "ci")
    );
    assert_eq!(
        loaded.origins["api.port"].file.as_ref(),
        "p/values/base.yaml"
    );
}

#[test]
fn null_deletes_and_lists_replace() {
    let loaded = project(
        "api:\n  env: {A: x, B: y}\n  resources: {limits: {cpu: null}}\n  autoscaling: {behavior: {scaleUp: {policies: [{type: Pods, value: 1, periodSeconds: 9}]}}}\n",
    )
    .unwrap();
    assert_eq!(loaded.config.api.resources.limits.cpu, None);
    assert_eq!(
        loaded
            .config
            .api
            .autoscaling
            .behavior
            .scale_up
            .policies
            .len(),
        1
    );
    insta::assert_snapshot!(problems("worker:\n  image: null\n  probes: null\n"), @r"
    the configuration is not valid:
      p/kedactl.yaml:2:10: worker.image: a value is needed, and `null` deletes it here
      p/kedactl.yaml:3:11: worker.probes: a value is needed, and `null` deletes it here
    ");
}

#[test]
fn every_problem_of_a_file_is_told_at_once() {
    let text = "\
nmae: x
name: My Stack
provider: lokal
api:
  port: 80
  metricsPort: '9001'
  replicas: 3
  env: {BAD-NAME: x, GOOD: 1.10, LIST: [1]}
  resources: {requests: {cpu: 100q, memory: 1.5Gi, disk: 1Gi}}
  image: kedactl-api
worker:
  autoscaling:
    min_replicas: 1
    pollingInterval: 30s
    behavior:
      scaleDown: {stabilizationWindowSeconds: 4000, policies: []}
redis: yes
local: {ports: {redis: 70000}}
";
    insta::assert_snapshot!(problems(text));
}

#[test]
fn contradictions_point_at_the_value_to_change() {
    let text = "\
api:
  port: 9001
  env: {KEDACTL_LISTEN: x, DB_PASSWORD: hunter2, DB_PASSWORD_FILE: /run/x}
  autoscaling: {minReplicas: 5}
  resources: {requests: {cpu: 3, memory: null}}
worker:
  autoscaling: {idleReplicas: 0, activationListLength: 0}
  podLabels: {app.kubernetes.io/name: x}
queue: {kind: list}
redis: {nodes: 1, sentinels: 0, sentinelAddresses: ['a:1']}
local: {restart: {initialBackoffMs: 400000}}
";
    insta::assert_snapshot!(problems(text));
    let error = set(&["queue.listName=x", "redis.failoverTimeoutMs=100"]).unwrap_err();
    insta::assert_snapshot!(error.to_string(), @r"
    the configuration is not valid:
      --set queue.listName: has an effect for `queue.kind: list` only
      --set redis.failoverTimeoutMs: is less than redis.downAfterMs, 1500
    ");
}

#[test]
fn a_file_that_is_not_yaml_is_told_with_its_line() {
    let deep = format!("api: {}1{}", "[".repeat(100), "]".repeat(100));
    let bomb = "a: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: [*e,*e,*e,*e,*e,*e,*e,*e,*e]\n";
    let large = format!("# {}", "x".repeat(1 << 20));
    let cases: &[(&str, &str)] = &[
        ("twice", "api:\n  port: 1\n  port: 2\n"),
        ("tab", "api:\n\tport: 1\n"),
        ("bracket", "api: [1\n"),
        ("documents", "name: a\n---\nname: b\n"),
        ("list", "- a\n"),
        ("key", "? [a]\n: b\n"),
        ("anchor", "name: *nobody\n"),
        ("deep", &deep),
        ("bomb", bomb),
        ("large", &large),
    ];
    let shown = cases.iter().fold(String::new(), |shown, (name, text)| {
        let error = project(text).unwrap_err();
        shown
            + name
            + ":"
            + &error
                .to_string()
                .replace("the configuration is not valid:", "")
            + "\n"
    });
    insta::assert_snapshot!(shown);
}

#[test]
fn wrong_arguments_are_told() {
    let mut shown = Vec::new();
    for args in [
        &["api.port"][..],
        &["api..port=1"],
        &["api.prot=1"],
        &["api.port=[1"],
        &["worker.autoscaling=1"],
        &["worker.autoscaling.maxReplicas=0", "worker.concurrency=x"],
        &["name=null"],
    ] {
        let error = set(args).unwrap_err().to_string();
        shown.push(format!(
            "{args:?}{}",
            error.replace("the configuration is not valid:", "")
        ));
    }
    let request = Request {
        files: vec!["slow".into()],
        env: "lokal".into(),
        ..Request::default()
    };
    let error = load(&request, &reader(&[])).unwrap_err();
    shown.extend([error.to_string(), error.hints().join("\n")]);
    insta::assert_snapshot!(shown.join("\n"));
}

#[test]
fn show_prints_values_and_origins() {
    let loaded = project("api:\n  env: {A: 'yes', B: 1.10, C: \"a: b\", D: 'two\n\n  lines'}\n  extraArgs: [--x, '1']\n").unwrap();
    insta::assert_snapshot!("show_origin", loaded.to_text(true));
    // What is shown is a configuration: given back as a file, it is the same.
    let shown = loaded.to_text(false);
    assert_eq!(project(&shown).unwrap().config, loaded.config);
    let json = loaded.to_json(true);
    assert_eq!(json["origins"]["api.env.B"]["line"], 2);
    assert_eq!(json["config"]["api"]["env"]["B"], "1.10");
}

#[test]
fn a_port_mapping_has_a_port_of_the_node_and_is_made_with_the_cluster() {
    let text = "provider: kind\nname: demo\ntunnel: {mode: port-mapping, port: 8080}\n";
    let config = project(text).unwrap().config;
    assert_eq!(config.api.node_port, Some(30_800));
    let mapping = serde_json::json!([{"hostPort": 8080, "containerPort": 30_800, "listenAddress": "127.0.0.1", "protocol": "TCP"}]);
    let made = config.kind_config();
    assert_eq!(made["nodes"][0]["extraPortMappings"], mapping);
    assert_eq!(made["nodes"][0]["role"], "control-plane");

    let own = "kind: {config: {nodes: [{role: control-plane, extraPortMappings: [{hostPort: 1, containerPort: 2}]}, {role: worker}]}}\napi: {nodePort: 31000}\n";
    let made = project(&format!("{text}{own}"))
        .unwrap()
        .config
        .kind_config();
    let mapped = made["nodes"][0]["extraPortMappings"].as_array().unwrap();
    assert_eq!(
        (mapped.len(), &mapped[1]["containerPort"]),
        (2, &31_000.into())
    );
    assert_eq!(made["nodes"].as_array().unwrap().len(), 2);

    // Without it nothing is added, and elsewhere it is a mistake.
    let none = project("provider: kind\n").unwrap().config;
    assert!(none.kind_config().is_empty() && none.api.node_port.is_none());
    let elsewhere = problems("provider: context\ntunnel: {mode: port-mapping}\n");
    assert!(elsewhere.contains("kind` only"), "{elsewhere}");
    // What `auto` comes to is not known yet.
    project("tunnel: {mode: port-mapping}\n").unwrap();
    let closed = problems(&format!("{text}api: {{serviceType: ClusterIP}}\n"));
    assert!(closed.contains("has no node port"), "{closed}");
}
