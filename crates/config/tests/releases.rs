//! Releases as a user declares them: layers, types, namespaces, paths, and what contradicts what.
//! Reads no real file: the reader is a map.

mod support;

use kedactl_config::{
    ChartSource, Config, Layer, Loaded, OWN_CHARTS, Release, ReleaseName, Request, SetArg, load,
};
use serde_json::json;
use support::{problems, project, reader, set};

const CLUSTERS: [&str; 4] = ["kind", "minikube", "context", "cloud"];

fn cluster(env: &str, more: &[&str]) -> Loaded {
    let ingress = (env == "cloud").then_some("ingress.host=tasks.example.com");
    let sets: Vec<&str> = ingress.into_iter().chain(more.iter().copied()).collect();
    set(env, &sets).expect("the environment is right")
}

fn names(config: &Config) -> Vec<&str> {
    config
        .wanted_releases()
        .map(|(name, _)| name.as_str())
        .collect()
}

#[test]
fn the_built_in_releases_are_whole_everywhere() {
    for env in CLUSTERS {
        let config = cluster(env, &[]).config;
        assert_eq!(names(&config), ["keda", "metrics-server", "redis"]);
        for (name, release) in config.wanted_releases() {
            release.source().unwrap();
            assert_eq!(release.detect.is_empty(), name.as_str() == "redis");
            assert_eq!((release.timeout_seconds, release.history_max), (300, 5));
        }
        // Kubelets with certificates that nobody signed are those of laptops.
        let args = config.release("metrics-server").unwrap().values.get("args");
        let laptop = matches!(env, "kind" | "minikube");
        assert_eq!(args.is_some(), laptop, "{env}");
        assert!(config.release("redis").unwrap().is_own_redis());
    }
    assert_eq!(OWN_CHARTS, ["monitoring", "redis-sentinel"]);
}

#[test]
fn a_release_without_a_namespace_lives_where_its_users_look_for_it() {
    let loaded = cluster("kind", &["namespace=shop", "keda.namespace=scaling"]);
    let at = |name| {
        loaded
            .config
            .release(name)
            .unwrap()
            .namespace
            .clone()
            .unwrap()
    };
    assert_eq!((at("redis"), at("keda")), ("shop".into(), "scaling".into()));
    assert_eq!(at("metrics-server"), "kube-system");
    assert_eq!(loaded.config.monitoring.namespace, "shop-monitoring");
    // It is shown, at the place that decided.
    assert_eq!(loaded.origins["releases.redis.namespace"].layer, Layer::Set);
    assert!(loaded.to_text(true).contains("namespace: scaling"));
}

#[test]
fn layers_merge_and_null_switches_off() {
    let text = "
releases:
  keda: null
  redis:
    timeoutSeconds: 60
    values: {metrics: {enabled: true}, image: null}
  loki: {chart: loki, repo: https://charts.example.com, version: 6.1, dependsOn: [redis], values: {a: {b: 1}}}
";
    let loaded = project("kind", text).unwrap();
    assert_eq!(names(&loaded.config), ["loki", "metrics-server", "redis"]);
    let keda = ReleaseName::new("keda").unwrap();
    assert_eq!(loaded.config.releases[&keda], None);
    let redis = loaded.config.release("redis").unwrap();
    assert_eq!(redis.chart, "redis-sentinel");
    assert_eq!(
        json!(redis.values),
        json!({"metrics": {"enabled": true}, "image": null})
    );
    let loki = loaded.config.release("loki").unwrap();
    assert_eq!(loki.version.as_deref(), Some("6.1"), "as it is spelt");
    assert_eq!(loki.namespace.as_deref(), Some("keda"));
    let origin = &loaded.origins["releases.loki.values.a.b"];
    assert_eq!(origin.to_string(), "p/kedactl.yaml:7:107");
    // What is shown is a configuration: given back as a file, it is the same.
    assert_eq!(
        project("kind", &loaded.to_text(false)).unwrap().config,
        loaded.config
    );
}

/// One of a layer above is one again, and what is shown says it.
#[test]
fn null_for_all_releases_wants_none_of_those_below() {
    let loaded = project("local", "releases: null\n").unwrap();
    assert!(names(&loaded.config).is_empty());
    let shown = loaded.to_text(false);
    assert!(shown.contains("\n  keda: null\n"), "{shown}");
    assert_eq!(project("local", &shown).unwrap().config, loaded.config);
    let origin = &loaded.origins["releases.keda"];
    assert_eq!(origin.to_string(), "p/kedactl.yaml:1:11");
}

#[test]
fn values_of_charts_keep_their_types() {
    let text = "
releases:
  a:
    chart: ./a
    values:
      quoted: \"yes\"
      word: yes
      on: on
      grouped: 1_000
      octal: 012
      hex: 0x1F
      whole: 12
      large: 18446744073709551615
      real: 1.50
      truth: true
      nothing: ~
      empty: {map: {}, list: []}
      text: |
        two
        lines
      '1': {\"true\": [1, \"1\", null]}
";
    let loaded = project("kind", text).unwrap();
    let expected = json!({
        "quoted": "yes", "word": "yes", "on": "on", "grouped": "1_000", "octal": "012", "hex": 31,
        "whole": 12, "large": u64::MAX, "real": 1.5, "truth": true, "nothing": null,
        "empty": {"map": {}, "list": []}, "text": "two\nlines\n", "1": {"true": [1, "1", null]},
    });
    assert_eq!(json!(loaded.config.release("a").unwrap().values), expected);
    let again = project("kind", &loaded.to_text(false)).unwrap();
    assert_eq!(json!(again.config.release("a").unwrap().values), expected);
    insta::assert_snapshot!(problems(
        "kind",
        "
releases:
  a:
    chart: ./a
    values: {list: [\"a\\0b\"]}
kind: {config: {nodes: [{extra: \"\\0\"}]}}
"
    ));
}

#[test]
fn every_problem_has_its_place() {
    insta::assert_snapshot!(problems(
        "kind",
        "
releases:
  Loki: {chart: ./x}
  a: {chrat: ./x, namespace: My-Space, historyMax: -1, dependsOn: [B]}
  b: [1]
  redis: {values: 3, detect: [{kind: Pod}], valuesFiles: x.yaml}
"
    ));
    insta::assert_snapshot!(problems("kind", "releases: {a: {version: 1.2.3}}\n"), @r"
    the configuration is not valid:
      p/kedactl.yaml:1:15: releases.a.chart: a value is needed, and no layer has one
    ");
}

#[test]
fn contradictions_of_releases_are_told() {
    insta::assert_snapshot!(problems(
        "kind",
        "
releases:
  keda: {namespace: elsewhere}
  metrics-server: null
  unknown: {chart: redis-sentinle}
  fetched: {chart: x, repo: https://x}
  oci: {chart: oci://x/y}
  both: {chart: ./x, repo: https://x}
  oci-both: {chart: oci://x/y, repo: https://x, version: 1}
  a: {chart: ./x, dependsOn: [b]}
  b: {chart: ./x, dependsOn: [c]}
  c: {chart: ./x, dependsOn: [b, rediss, metrics-server]}
  d: {chart: ./x, dependsOn: [d]}
  redis: {chart: redis, repo: https://x, version: 1, namespace: other}
"
    ));
}

#[test]
fn what_our_own_redis_cannot_do_is_told_where_it_would_run() {
    let text = "
api: {durability: none}
redis:
  nodes: 3
  sentinels: 5
  username: app
  sentinelUsername: watch
  tls: {secretName: redis-tls, clientCertificate: false, insecureSkipVerify: false}
";
    insta::assert_snapshot!(problems("context", text));
    project("local", text).unwrap();
    project("context", &format!("{text}releases: {{redis: null}}\n")).unwrap();
}

#[test]
fn a_redis_elsewhere_takes_the_place_of_the_release() {
    let outside = "redis: {sentinelAddresses: ['10.0.0.1:26379'], username: app}\n";
    insta::assert_snapshot!(problems("context", outside), @r"
    the configuration is not valid:
      p/kedactl.yaml:1:28: redis.sentinelAddresses: names a Redis elsewhere, and the release `redis` would start another one
    hint: switch the release off: `releases: {redis: null}`
    ");
    project("local", outside).unwrap();
    project("context", &format!("{outside}releases: {{redis: null}}\n")).unwrap();
    // A chart of somebody else's has names of its own, which the addresses name.
    let other = "releases: {redis: {chart: redis, repo: https://x, version: 1, namespace: data, valuesTemplate: null}}\n";
    project("context", &format!("{outside}{other}")).unwrap();
    let single = "redis: {nodes: 1, sentinels: 0, minReplicasToWrite: 0, address: 'redis.data:6379'}\napi: {durability: none}\n";
    assert!(problems("kind", single).contains("redis.address: names a Redis elsewhere"));
}

#[test]
fn relative_paths_are_read_from_the_folder_of_who_names_them() {
    let release = |chart: &str| {
        format!(
            "releases: {{a: {{chart: {chart}, valuesFiles: [v.yaml, ../w.yaml, /abs.yaml], valuesTemplate: ./t.hbs}}}}\n"
        )
    };
    let project = release("./charts/a");
    let more = release("a.tgz");
    let files = reader(&[
        ("p/kedactl.yaml", project.as_str()),
        ("deploy/more.yaml", more.as_str()),
        ("p/values/ours.yaml", more.as_str()),
        ("p/values/env/ci.yaml", "provider: context\n"),
    ]);
    let load = |file: Option<&str>, set: Option<&str>, here: Option<&str>| {
        let request = Request {
            env: "ci".into(),
            project: Some("p".into()),
            files: file.map(Into::into).into_iter().collect(),
            sets: set
                .map(|set| SetArg::Value(set.into()))
                .into_iter()
                .collect(),
            here: here.map(Into::into),
            ..Request::default()
        };
        let loaded = load(&request, &files).unwrap();
        let found = loaded.config.release("a").unwrap().clone();
        let mut paths = vec![found.chart, found.values_template.unwrap()];
        paths.extend(
            found
                .values_files
                .iter()
                .map(|path| path.display().to_string()),
        );
        paths.join(" ")
    };
    let cases = [
        load(None, None, None),
        load(Some("deploy/more.yaml"), None, None),
        load(Some("ours"), None, None),
        load(None, Some("releases.a.chart=./b"), None),
        load(Some("deploy/more.yaml"), None, Some("/home/x")),
        load(None, Some("releases.a.chart=../b"), Some("/home/x")),
    ];
    insta::assert_snapshot!(cases.join("\n"));
}

#[test]
fn names_below_templates_and_charts_that_are_names_stay() {
    let text = "releases: {a: {chart: x/y, repo: https://x, version: 1, valuesTemplate: releases/a.yaml.hbs}}\n";
    let loaded = project("kind", text).unwrap();
    let release = loaded.config.release("a").unwrap();
    assert_eq!(
        release.values_template.as_deref(),
        Some("releases/a.yaml.hbs")
    );
    let expected = ChartSource::Repo("https://x".into(), "x/y".into(), "1".into());
    assert_eq!(release.source().unwrap(), expected);
}

#[test]
fn a_projects_file_of_a_built_in_release_wins() {
    let own = "releases: {keda: {chart: ./keda}}\n";
    let files = reader(&[("p/kedactl.yaml", ""), ("p/values/releases/keda.yaml", own)]);
    let request = Request {
        env: "kind".into(),
        project: Some("p".into()),
        ..Request::default()
    };
    let keda: Release = load(&request, &files)
        .unwrap()
        .config
        .release("keda")
        .unwrap()
        .clone();
    assert_eq!((keda.chart.as_str(), keda.version), ("./p/keda", None));
}

#[test]
fn names_are_those_of_helm() {
    for good in ["a", "1", "redis-2", &"a".repeat(53)] {
        assert_eq!(ReleaseName::new(good).unwrap().as_str(), good);
    }
    for bad in ["", "A", "-a", "a-", "a.b", "a_b", &"a".repeat(54)] {
        let error = ReleaseName::new(bad).unwrap_err().to_string();
        assert!(error.contains("is not the name of a release"), "{error}");
    }
}

/// What a kedactl.yaml of this text and more files of the project make.
fn with_files(text: &str, more: &[(&str, &str)]) -> Result<Loaded, kedactl_config::ConfigError> {
    let request = Request {
        env: "kind".into(),
        project: Some("p".into()),
        ..Request::default()
    };
    let files = [&[("p/kedactl.yaml", text)], more].concat();
    load(&request, &reader(&files))
}

#[test]
fn a_profile_is_chosen_by_the_merged_value_and_lies_below_everything_else() {
    let loaded = project(
        "kind",
        "redis: {profile: bitnami}\nreleases: {redis: {version: 23.1.1}}\n",
    );
    let loaded = loaded.unwrap();
    let redis = loaded.config.release("redis").unwrap();
    assert!(redis.is_bitnami_redis() && !redis.is_own_redis());
    assert_eq!(
        redis.version.as_deref(),
        Some("23.1.1"),
        "a layer changes what a profile says"
    );
    let origin = |path: &str| loaded.origins[path].to_string();
    assert!(origin("releases.redis.chart").starts_with("values/releases/redis/bitnami.yaml:"));
    assert!(origin("redis.secret.sentinelPasswordKey").contains("bitnami.yaml"));
    assert!(
        loaded
            .to_text(true)
            .contains("# values/releases/redis/bitnami.yaml:")
    );
    // A later layer chooses again.
    let set = cluster("kind", &["redis.profile=own"]);
    assert!(set.config.release("redis").unwrap().is_own_redis());
    assert_eq!(set.config.monitoring.profile, "none");
}

#[test]
fn the_monitorings_profiles_bring_their_releases_into_its_namespace() {
    let classic = cluster("kind", &["monitoring.profile=classic", "namespace=shop"]).config;
    assert_eq!(names(&classic), ["keda", "loki", "metrics-server", "redis"]);
    let loki = classic.release("loki").unwrap();
    assert_eq!(loki.namespace.as_deref(), Some("shop-monitoring"));
    assert_eq!(loki.secrets["grafana-admin"].given["admin-user"].0, "admin");
    assert_eq!(loki.secrets["grafana-admin"].random, ["admin-password"]);
    assert_eq!(classic.monitoring.pod_security.name(), "privileged");
    let modern = cluster(
        "context",
        &["monitoring={profile: modern, namespace: watch}"],
    )
    .config;
    let all = [
        "alloy",
        "keda",
        "kube-prometheus-stack",
        "loki",
        "metrics-server",
        "redis",
    ];
    assert_eq!(names(&modern), all);
    for name in ["alloy", "kube-prometheus-stack", "loki"] {
        let release = modern.release(name).unwrap();
        assert_eq!(release.namespace.as_deref(), Some("watch"), "{name}");
    }
    assert_eq!(modern.monitoring.pod_security.name(), "restricted");
    // Both have a password that is made before the release, and its user.
    assert!(
        modern
            .release("kube-prometheus-stack")
            .unwrap()
            .secrets
            .contains_key("grafana-admin")
    );
}

#[test]
fn a_project_replaces_a_profile_and_adds_its_own() {
    let mine = "releases: {redis: {chart: ./mine}}\nredis: {secret: {sentinelPasswordKey: s}}\n";
    let loaded = with_files(
        "redis: {profile: mine}\n",
        &[("p/values/releases/redis/mine.yaml", mine)],
    );
    let config = loaded.unwrap().config;
    assert_eq!(config.release("redis").unwrap().chart, "./p/mine");
    assert_eq!(config.redis.secret.sentinel_password_key, "s");
    let own = "releases: {redis: {chart: ./other}}\nredis: {secret: {sentinelPasswordKey: s}}\n";
    let loaded = with_files("", &[("p/values/releases/redis/own.yaml", own)]).unwrap();
    assert_eq!(loaded.config.release("redis").unwrap().chart, "./p/other");
    let file = &loaded.origins["releases.redis.chart"].file;
    assert_eq!(&**file, "p/values/releases/redis/own.yaml");
}

#[test]
fn a_profile_that_is_not_there_is_told_with_those_that_are() {
    insta::assert_snapshot!(problems("kind", "redis: {profile: bitnamy}\nmonitoring: {profile: modern}\n"), @r"
    the configuration is not valid:
      p/kedactl.yaml:1:18: redis.profile: unknown profile `bitnamy`, did you mean `bitnami`?
    hint: built in: bitnami, own; a project adds its own as values/releases/redis/<name>.yaml
    ");
    let error = problems("kind", "redis: {profile: ../../x}\n");
    assert!(error.contains("redis.profile: "), "{error}");
}

#[test]
fn what_bitnamis_chart_cannot_do_is_told() {
    let text = "
redis:
  profile: bitnami
  image: redis:8
  tls: {secretName: redis-tls, clientCertificate: false, insecureSkipVerify: false}
  secret: {passwordKey: password}
";
    insta::assert_snapshot!(problems("kind", text));
    project("local", "redis: {profile: bitnami}\n").unwrap();
    let single = "redis: {profile: bitnami, nodes: 1, sentinels: 0, minReplicasToWrite: 0}\napi: {durability: none}\n";
    project("kind", single).unwrap();
}

#[test]
fn how_a_source_lets_us_in_is_checked() {
    let text = "
releases:
  a: {chart: ./a, digest: 'sha256:0000000000000000000000000000000000000000000000000000000000000000', access: {caFile: ca.crt}}
  b: {chart: b, repo: 'https://me:pw@x', version: 1}
  c: {chart: c, repo: 'http://x', version: 1, access: {username: me, passwordFile: pw}}
  d: {chart: 'oci://x/d', version: 1, access: {username: me}, digest: sha256:12}
  e: {chart: e, repo: 'http://127.0.0.1:80', version: 1, access: {username: me, passwordFile: pw}}
";
    let all = problems("kind", text);
    assert!(all.contains("releases.d.digest: expected"), "{all}");
    insta::assert_snapshot!(problems("kind", &text.replace(", digest: sha256:12", "")));
    let good = "
helm: {vendored: charts}
releases:
  e: {chart: e, repo: 'http://127.0.0.1:80', version: 1, access: {username: me, passwordFile: pw, caFile: ../ca.crt}}
";
    let config = project("kind", good).unwrap().config;
    let access = &config.release("e").unwrap().access;
    let path = |it: &Option<std::path::PathBuf>| it.as_ref().unwrap().display().to_string();
    assert_eq!(path(&access.password_file), "p/pw");
    assert_eq!(path(&access.ca_file), "p/../ca.crt");
    assert_eq!(path(&config.helm.vendored), "p/charts");
}
