//! No secret where it does not belong: words and variables of processes, output, logs, events, plans, files, releases, layers.
//!
//! It must not know where the product keeps secrets: it looks everywhere, and the few places that may have one are named.

mod canary;
mod recorder;

use crate::rig::Rig;
use crate::turn;
use base64::Engine as _;
use canary::{Canary, Evidence};
use kedactl_exec::Run;
use kedactl_testkit::{Registry, RegistryOptions};
use kedactl_tests::{Context, Outcome};
use recorder::{Programs, Watch};
use serde_json::Value;
use std::os::unix::fs::PermissionsExt as _;

/// A password that a user gives to a chart, in every kind of letters.
const OF_A_CHART: &str = "ch4rt/p+ss=w\"ord of the canary";
/// One that a user wrote into the configuration itself.
const INLINE: &str = "inline-t0ken-of-the-canary";
/// A password for a registry, in the file that `docker login` writes.
const OF_A_REGISTRY: &str = "r3gistry-passw0rd-of-the-canary";

/// Places that must have a secret, and why.
const PERMITTED: [(&str, &str, &str); 5] = [
    (
        "cluster: releases",
        "chart",
        "helm keeps the values of a release in its record, a Secret in the release's namespace",
    ),
    (
        "cluster: releases",
        "inline",
        "it is a value like any other",
    ),
    (
        "state: stack.json",
        "inline",
        "the record keeps the configuration, which has it in place of a file; nobody else may read it",
    ),
    (
        "cluster: secret redis:",
        "redis",
        "it is the Secret that is made for it",
    ),
    (
        "cluster: secret redis:",
        "sentinel",
        "it is the Secret that is made for it",
    ),
];

#[test]
fn no_secret_is_where_it_does_not_belong() {
    // It looks at every process of the machine all the time, which leaves others little of it.
    let _turn = turn::alone();
    let mut trial = Trial::new();
    trial.up("first up", &[]);
    let passwords = passwords(&trial.rig);
    trial.values(2);
    trial.run("diff", &["diff"], true);
    trial.planned();
    for (name, words) in [
        ("status", &["status"][..]),
        ("logs", &["logs", "--lines", "1000"]),
        ("queue", &["queue", "ls"]),
        ("doctor", &["doctor"]),
        ("failover", &["redis", "failover"]),
        ("tunnel", &["tunnel", "status"]),
    ] {
        trial.run(name, words, false);
    }
    let load = [
        "load",
        "--rps",
        "20",
        "--duration",
        "2s",
        "--slo",
        "p99<60s",
    ];
    trial.run("load", &load, false);
    trial.refused_push();
    trial.cluster();
    trial.files("while it runs");
    trial.run("down", &["down"], false);
    trial.files("when it is down");
    let canaries = [
        Canary::new("redis", &passwords[0]),
        Canary::new("sentinel", &passwords[1]),
        Canary::new("chart", OF_A_CHART),
        Canary::new("inline", INLINE),
        Canary::new("registry", OF_A_REGISTRY),
    ];
    trial.judge(&canaries);
}

/// The passwords of Redis as they were made.
fn passwords(rig: &Rig) -> [String; 2] {
    ["redis-password", "sentinel-password"].map(|key| {
        let path = format!("go-template={{{{index .data \"{key}\" | base64decode}}}}");
        rig.kubectl(&["get", "secret", "redis", "-o", &path])
    })
}

struct Trial {
    rig: Rig,
    programs: Programs,
    watch: Watch,
    evidence: Evidence,
}

impl Trial {
    fn new() -> Self {
        let mut rig = Rig::new("canary");
        let dir = rig.context.dir().to_owned();
        let programs = Programs::new(&dir);
        let (temporary, docker) = (dir.join("tmp"), dir.join("docker"));
        for folder in [&temporary, &docker] {
            std::fs::create_dir(folder).unwrap();
        }
        rig.context = std::mem::replace(&mut rig.context, Context::new(""))
            .with_env("PATH", &programs.path())
            .with_env("TMPDIR", &temporary.display().to_string())
            .with_env("DOCKER_CONFIG", &docker.display().to_string());
        let trial = Self {
            rig,
            programs,
            watch: Watch::start(),
            evidence: Evidence::default(),
        };
        trial.values(1);
        trial
    }

    /// Values of the release that have a secret, and one that makes a new revision.
    fn values(&self, budget: usize) {
        let secret = serde_json::json!({"integration": {"password": OF_A_CHART}});
        let file = self.rig.context.write("chart.yaml", &secret.to_string());
        let more = format!(
            "releases: {{redis: {{valuesFiles: [{}], values: {{pdb: {{maxUnavailable: {budget}}}, sent: {{token: {INLINE}}}}}}}}}\n",
            file.display()
        );
        self.rig.context.write("more.yaml", &more);
    }

    /// A command with everything that it can be made to say.
    fn run(&mut self, name: &str, words: &[&str], placed: bool) -> Outcome {
        let mut args = words.to_vec();
        let place = self.rig.place();
        if placed {
            args.extend(place.iter().map(String::as_str));
        }
        args.push("-vvv");
        let ended = self.rig.run(&args).expect(0);
        self.keep(name, &ended);
        ended
    }

    fn keep(&mut self, name: &str, ended: &Outcome) {
        self.evidence
            .add(format!("output: {name}: stdout"), ended.stdout.as_str());
        self.evidence
            .add(format!("output: {name}: stderr"), ended.stderr.as_str());
    }

    /// `up` with its events, and what else it needs.
    fn up(&mut self, name: &str, words: &[&str]) {
        let file = self.rig.context.dir().join("events.jsonl");
        let events = format!("jsonl={}", file.display());
        let words = [&["up"], words, &["--events", &events]].concat();
        let ended = self.run(name, &words, true);
        assert!(ended.stderr.contains("TRACE"), "{name}: {ended:?}");
        let said = std::fs::read(file).unwrap();
        assert!(!said.is_empty());
        self.evidence.add(format!("events: {name}"), said);
    }

    /// A plan in a file, and an `up` that carries it out.
    fn planned(&mut self) {
        let file = self.rig.context.dir().join("plan.json");
        let path = file.display().to_string();
        self.run("plan", &["plan", "--out", &path], true);
        self.evidence.add("plan", std::fs::read(&file).unwrap());
        self.up("second up", &[&path]);
    }

    /// A registry that does not let us in, though we send what `docker login` left.
    fn refused_push(&mut self) {
        let registry = Registry::start(&RegistryOptions {
            htpasswd: Some(format!("other:{}", "$2y$05$".to_owned() + &"a".repeat(53))),
            ..RegistryOptions::default()
        });
        let login = format!("user:{OF_A_REGISTRY}");
        let login = base64::engine::general_purpose::STANDARD.encode(login);
        let logins = serde_json::json!({"auths": {registry.host(): {"auth": login}}});
        let file = self.rig.context.dir().join("docker/config.json");
        std::fs::write(file, logins.to_string()).unwrap();
        let target = format!("{}/team", registry.host());
        let ended = self.rig.run(&["images", "push", &target, "-vvv"]);
        assert_ne!(ended.code, Some(0), "{ended:?}");
        self.keep("push", &ended);
    }

    /// What the cluster has of the stack.
    fn cluster(&mut self) {
        let rig = &self.rig;
        let kinds = rig.kubectl(&[
            "api-resources",
            "--namespaced",
            "--verbs=list",
            "--output=name",
        ]);
        let kinds: Vec<&str> = kinds.lines().filter(|it| *it != "secrets").collect();
        let objects = rig.kubectl(&["get", &kinds.join(","), "-o", "json"]);
        let parsed: Value = serde_json::from_str(&objects).unwrap();
        for kind in ["ConfigMap", "Pod", "Event", "Deployment", "ScaledObject"] {
            let mut items = parsed["items"].as_array().unwrap().iter();
            assert!(items.any(|it| it["kind"] == kind), "{kind} was not read");
        }
        self.evidence.add("cluster: objects", objects);
        let namespace = rig.kubectl(&["get", "namespace", rig.namespace(), "-o", "json"]);
        self.evidence.add("cluster: namespace", namespace);

        let secrets = rig.cluster.json(&["-n", rig.namespace(), "get", "secrets"]);
        for secret in secrets["items"].as_array().unwrap() {
            let name = secret["metadata"]["name"].as_str().unwrap();
            let place = if secret["type"] == "helm.sh/release.v1" {
                format!("cluster: releases: {name}")
            } else {
                format!("cluster: secret {name}")
            };
            self.evidence.add(place, secret.to_string());
        }
        for (place, words) in [
            ("cluster: history", &["history", "redis"][..]),
            ("cluster: releases: values", &["get", "values", "redis"]),
            ("cluster: manifest", &["get", "manifest", "redis"]),
            ("cluster: notes", &["get", "notes", "redis"]),
            ("cluster: list", &["list"]),
        ] {
            let said = self.helm(words);
            assert!(place == "cluster: notes" || !said.is_empty(), "{place}");
            self.evidence.add(place, said);
        }
    }

    fn helm(&self, words: &[&str]) -> String {
        let kubeconfig = crate::cluster::variable("KEDACTL_TEST_KUBECONFIG");
        let mut run = Run::new("helm")
            .args(words.iter().copied())
            .args(["--namespace", self.rig.namespace()])
            .args(["--kubeconfig", &kubeconfig]);
        if ["history", "list"].contains(&words[0]) || words[1] == "values" {
            run = run.args(["--output", "json"]);
        }
        run.run().unwrap().stdout
    }

    /// What lies on this machine: the state of stacks with every layer of their images, and temporary files.
    fn files(&mut self, when: &str) {
        let dir = self.rig.context.dir().to_owned();
        let record = dir
            .join("state/clusters")
            .join(&self.rig.name)
            .join("stack.json");
        let mode = std::fs::metadata(&record).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{mode:o}");
        let said = std::fs::read(&record).unwrap();
        self.evidence.add("state: stack.json", said);
        let count = self
            .evidence
            .folder("state", &dir.join("state"), &[&record]);
        assert!(count > 10, "{count} files");
        let left = self
            .evidence
            .folder(&format!("temporary, {when}"), &dir.join("tmp"), &[]);
        assert_eq!(left, 0, "temporary files {when}");
    }

    /// Nothing is found but what is permitted, and that is found: whoever looks, sees.
    fn judge(mut self, canaries: &[Canary]) {
        self.programs.give(&mut self.evidence);
        self.watch.give(&mut self.evidence);
        for place in ["process", "output", "events", "plan", "state", "cluster"] {
            assert!(self.evidence.count(place) > 0, "{place}");
        }
        let found = self.evidence.of(canaries);
        let permitted = |place: &str| {
            PERMITTED.iter().find(|(known, canary, _)| {
                place.starts_with(known) && place.contains(&format!(": {canary} ("))
            })
        };
        for (known, canary, why) in PERMITTED {
            let mut found = found.iter().filter_map(|place| permitted(place));
            let seen = found.any(|it| (it.0, it.1) == (known, canary));
            assert!(seen, "{known} has no secret of {canary}, though {why}");
        }
        let wrong: Vec<&String> = found.iter().filter(|it| permitted(it).is_none()).collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
    }
}
