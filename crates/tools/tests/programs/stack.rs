//! A stack's manifests and its own Redis together, as they meet on a cluster: what reviewers say, and who may talk to whom.
//! Must not repeat the tests of the templates or of the chart alone.

use std::io;
use std::path::Path;

use kedactl_config::{Config, Request, SetArg, load};
use kedactl_lint::Severity;
use kedactl_render::{Templates, release_values};
use kedactl_tools::CancellationToken;
use kedactl_tools::helm::Helm;
use serde_json::Value;

use crate::network::{Network, Pod};
use crate::support::{helms, name, settings};

/// Environments, and values that change what the two say about each other.
const STACKS: &[(&str, &[&str])] = &[
    ("kind", &[]),
    ("minikube", &["network.dnsAddresses=[169.254.20.10/32]"]),
    (
        "context",
        &[
            "name=shop",
            "namespace=shop-tasks",
            "keda.namespace=scaling",
        ],
    ),
    (
        "cloud",
        &[
            "ingress.host=tasks.example.com",
            "redis={nodes: 5, sentinels: 5}",
        ],
    ),
    (
        "kind",
        &[
            "redis={nodes: 1, sentinels: 0, minReplicasToWrite: 0}",
            "api.durability=none",
        ],
    ),
    (
        "kind",
        &[
            "redis.image=kedactl.local/redis:0123456789abcdef",
            "labels={team: 'yes'}",
            "annotations={a.b/c: '1'}",
        ],
    ),
];

fn config(env: &str, sets: &[&str]) -> Config {
    let sets = sets.iter().map(|set| SetArg::Value((*set).into()));
    let request = Request {
        env: env.into(),
        sets: sets.collect(),
        ..Request::default()
    };
    let files = |_: &Path, _: u64| -> io::Result<Vec<u8>> { Err(io::ErrorKind::NotFound.into()) };
    load(&request, &files).unwrap().config
}

/// What the stack and its release `redis` put on a cluster.
struct Together {
    config: Config,
    objects: Vec<Value>,
    /// The same as a user would hand it to `kedactl lint -f`.
    text: String,
}

impl Together {
    async fn new(program: &Path, config: Config) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let never = CancellationToken::new();
        let settings = settings(program.to_owned(), directory.path());
        let (templates, redis) = (Templates::embedded(), name("redis"));
        let release = config.release("redis").unwrap();
        let values = release_values(&config, &templates, &redis, release).unwrap();
        let helm = Helm::open(settings, &never).await.unwrap();
        let helm = helm.beneath(&redis, values);
        let chart = helm.render(&redis, release, &never).await.unwrap();
        let manifests = templates.render(&config).unwrap();
        let mut objects = chart.objects;
        objects.extend(manifests.objects.iter().map(|it| it.object.to_json()));
        Self {
            text: format!("{}---\n{}", manifests.to_yaml(), chart.text),
            config,
            objects,
        }
    }

    fn object(&self, kind: &str, name: &str) -> &Value {
        let found = |it: &&Value| it["kind"] == kind && it["metadata"]["name"] == name;
        self.objects.iter().find(found).unwrap()
    }

    fn pods(&self) -> [Pod; 3] {
        [
            Pod::of("api", self.object("Deployment", "api")),
            Pod::of("worker", self.object("Deployment", "worker")),
            Pod::of("redis", self.object("StatefulSet", "redis-node")),
        ]
    }
}

#[tokio::test]
async fn reviewers_find_nothing_in_any_environment() {
    for program in helms() {
        for (env, sets) in STACKS {
            let together = Together::new(&program, config(env, sets)).await;
            let objects = kedactl_lint::parse("all.yaml", &together.text).unwrap();
            assert_eq!(objects.len(), together.objects.len());
            let report = kedactl_lint::lint(&objects);
            let found: Vec<String> = report
                .findings
                .iter()
                .filter(|it| it.rule.severity >= Severity::Note)
                .map(|it| {
                    format!(
                        "{} {} {}: {}",
                        it.rule.id, it.place.name, it.path, it.message
                    )
                })
                .collect();
            assert!(found.is_empty(), "{env} {sets:?}: {found:#?}");
        }
    }
}

#[tokio::test]
async fn every_object_lives_in_the_stacks_namespace_under_the_names_that_clients_use() {
    for program in helms() {
        for (env, sets) in STACKS {
            let together = Together::new(&program, config(env, sets)).await;
            let config = &together.config;
            let api = together.object("Deployment", "api");
            let env = api["spec"]["template"]["spec"]["containers"][0]["env"]
                .as_array()
                .unwrap();
            let value = |name: &str| {
                let found = env.iter().find(|variable| variable["name"] == name);
                found.map(|variable| variable["value"].as_str().unwrap().to_owned())
            };
            let redis = together.object("StatefulSet", "redis-node");
            let namespace = config.namespace.as_str();
            assert_eq!(redis["metadata"]["namespace"], namespace);
            assert_eq!(
                redis["metadata"]["labels"]["kedactl.io/stack"],
                config.name.as_str()
            );
            assert_eq!(redis["spec"]["replicas"], config.redis.nodes);
            let headless = redis["spec"]["serviceName"].as_str().unwrap();
            if config.redis.sentinels == 0 {
                let address = value("KEDACTL_REDIS_ADDR").unwrap();
                assert_eq!(address, format!("redis-master.{namespace}.svc:6379"));
                together.object("Service", "redis-master");
            } else {
                let hosts: Vec<String> = (0..config.redis.nodes)
                    .map(|node| format!("redis-node-{node}.{headless}.{namespace}.svc:26379"))
                    .collect();
                assert_eq!(value("KEDACTL_REDIS_SENTINELS").unwrap(), hosts.join(","));
                together.object("Service", headless);
            }
        }
    }
}

#[tokio::test]
async fn redis_is_open_to_its_clients_and_to_nobody_else() {
    for program in helms() {
        for (env, sets) in STACKS {
            let together = Together::new(&program, config(env, sets)).await;
            judge(&together, &format!("{env} {sets:?}"));
        }
    }
}

fn judge(together: &Together, which: &str) {
    let config = &together.config;
    let network = Network::new(&together.objects);
    let [api, worker, redis] = together.pods();
    let here = config.namespace.as_str();
    let keda = Pod::new("keda", &config.keda.namespace, &[("app", "keda-operator")]);
    let prometheus = Pod::new("prometheus", &config.monitoring.namespace, &[]);
    let neighbour = Pod::new(
        "neighbour",
        here,
        &[("app.kubernetes.io/name", "neighbour")],
    );
    // Labels alone open nothing from another namespace, and another stack's instance is not this one.
    let twin = Pod::new(
        "twin",
        "elsewhere",
        &[
            ("app.kubernetes.io/name", "api"),
            ("app.kubernetes.io/instance", &config.name),
        ],
    );
    let other = Pod::new(
        "other",
        here,
        &[
            ("app.kubernetes.io/name", "api"),
            ("app.kubernetes.io/instance", "other"),
        ],
    );
    let dns = Pod::new("dns", "kube-system", &[("k8s-app", "kube-dns")]);
    let mut ports = vec![6379];
    ports.extend((config.redis.sentinels > 0).then_some(26379));
    for port in ports {
        for (from, may) in [
            (&api, true),
            (&worker, true),
            (&redis, true),
            (&keda, true),
            (&prometheus, false),
            (&neighbour, false),
            (&other, false),
            (&twin, false),
        ] {
            let can = network.connects(from, &redis, "TCP", port);
            assert_eq!(can, may, "{which}: {} to redis:{port}", from.name);
        }
    }
    for from in [&api, &worker, &redis] {
        assert!(
            network.connects(from, &dns, "UDP", 53),
            "{which}: {}",
            from.name
        );
        let cache = [169, 254, 20, 10].into();
        let named = !config.network.dns_addresses.is_empty();
        assert_eq!(
            network.leaves(from, cache, "UDP", 53),
            named,
            "{which}: {}",
            from.name
        );
        assert!(
            !network.leaves(from, [8, 8, 8, 8].into(), "TCP", 443),
            "{which}: {}",
            from.name
        );
    }
    for (from, to, port, may) in [
        (&redis, &api, 8000, false),
        (&redis, &dns, 443, false),
        (&worker, &api, 8000, false),
        (&keda, &api, 9001, false),
        (&keda, &api, 8000, true),
        (&prometheus, &api, 9001, true),
        (&prometheus, &worker, 9001, true),
        (&keda, &redis, 22, false),
    ] {
        let can = network.connects(from, to, "TCP", port);
        assert_eq!(can, may, "{which}: {} to {}:{port}", from.name, to.name);
    }
}

#[tokio::test]
async fn two_stacks_of_one_cluster_have_nothing_in_common() {
    for program in helms() {
        let one = Together::new(&program, config("kind", &[])).await;
        let two = ["name=shop", "namespace=shop-tasks"];
        let two = Together::new(&program, config("kind", &two)).await;
        let key = |object: &Value| {
            let of = &object["metadata"];
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            (
                text(&object["kind"]),
                text(&of["namespace"]),
                text(&of["name"]),
            )
        };
        for object in &two.objects {
            let same = one.objects.iter().find(|other| key(other) == key(object));
            assert!(same.is_none(), "{:?}", key(object));
        }
        let network = Network::new(one.objects.iter().chain(&two.objects));
        let ([ones_api, _, ones_redis], [twos_api, _, twos_redis]) = (one.pods(), two.pods());
        assert!(network.connects(&ones_api, &ones_redis, "TCP", 6379));
        assert!(network.connects(&twos_api, &twos_redis, "TCP", 6379));
        for (from, to) in [(&ones_api, &twos_redis), (&ones_redis, &twos_redis)] {
            assert!(!network.connects(from, to, "TCP", 6379), "{}", from.name);
        }
        // Sentinels know each other by ids, which must not be those of another stack's.
        let ids = [&one, &two].map(|it| {
            let settings = &it.object("ConfigMap", "redis-scripts")["data"]["settings.sh"];
            let id = settings
                .as_str()
                .unwrap()
                .lines()
                .find(|line| line.starts_with("ID="));
            id.unwrap().to_owned()
        });
        assert_ne!(ids[0], ids[1]);
    }
}

#[tokio::test]
async fn limits_that_nobody_wants_are_not_the_charts_own() {
    for program in helms() {
        let sets = ["redis.resources={limits: {cpu: null}}"];
        let together = Together::new(&program, config("kind", &sets)).await;
        let pod = &together.object("StatefulSet", "redis-node")["spec"]["template"]["spec"];
        let limits = &pod["containers"][0]["resources"]["limits"];
        assert_eq!(limits["cpu"], Value::Null);
        assert_eq!(limits["memory"], "512Mi");
    }
}
