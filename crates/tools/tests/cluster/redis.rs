//! Our own chart on a real cluster, as the configuration has it: a master that goes, all pods that go, one server alone, and a
//! password that nobody sees.

use std::io;
use std::path::{Path, PathBuf};

use kedactl_config::{Config, Request, SetArg, load};
use kedactl_exec::Run;
use kedactl_plan::{Collect, Step};
use kedactl_render::{Templates, release_values};
use kedactl_testkit::until;
use kedactl_tools::CancellationToken;

use crate::lab::{Lab, WITHIN, helms, image, name};

const PASSWORD: &str = "canary-pass w";
const NODES: usize = 3;

struct Stack {
    lab: Lab,
    helm: PathBuf,
    nodes: usize,
}

impl Stack {
    /// Three servers with Sentinels, or one without; in a namespace that enforces `restricted`.
    async fn new(nodes: usize) -> Self {
        let lab = Lab::new(&format!("redis{nodes}"));
        let sentinel = match nodes {
            1 => "",
            _ => ", sentinel-password: canary-sentinel",
        };
        lab.apply(&format!(
            "apiVersion: v1\nkind: Secret\nmetadata: {{name: redis}}\nstringData: {{redis-password: '{PASSWORD}'{sentinel}}}\n"
        ));
        let config = config(&lab, nodes);
        let release = config.release("redis").unwrap();
        let (redis, templates) = (name("redis"), Templates::embedded());
        let values = release_values(&config, &templates, &redis, release).unwrap();
        let program = helms().pop().unwrap();
        let sink = Collect::default();
        let step = Step::start(&sink, "redis", "redis");
        let helm = lab.helm(&program).await.beneath(&redis, values);
        helm.apply(&redis, release, None, &step, &CancellationToken::new())
            .await
            .unwrap();
        Self {
            lab,
            helm: program,
            nodes,
        }
    }

    /// What redis-cli prints for a command to a pod's server or Sentinel; the password goes by standard input.
    fn ask(&self, pod: usize, container: &str, command: &str) -> Option<String> {
        let (port, password) = if container == "redis" {
            ("6379", PASSWORD)
        } else {
            ("26379", "canary-sentinel")
        };
        let script =
            format!("printf 'AUTH \"%s\"\\n%s\\n' '{password}' '{command}' | redis-cli -p {port}");
        let pod = format!("redis-node-{pod}");
        let said = self
            .lab
            .kubectl(&[
                "exec",
                &pod,
                "--container",
                container,
                "--",
                "sh",
                "-c",
                &script,
            ])
            .ok()?;
        said.strip_prefix("OK\n").map(|rest| rest.trim().to_owned())
    }

    /// The master as a pod's Sentinel names it.
    fn named_by(&self, pod: usize) -> Option<usize> {
        let said = self.ask(pod, "sentinel", "SENTINEL GET-MASTER-ADDR-BY-NAME mymaster")?;
        said.lines()
            .next()?
            .strip_prefix("redis-node-")?
            .split('.')
            .next()?
            .parse()
            .ok()
    }

    fn role(&self, pod: usize) -> Option<String> {
        let info = self.ask(pod, "redis", "INFO replication")?;
        info.lines()
            .find_map(|line| line.trim().strip_prefix("role:").map(str::to_owned))
    }

    fn ready(&self) -> bool {
        let wanted = [
            "get",
            "statefulset",
            "redis-node",
            "--output",
            "jsonpath={.status.readyReplicas}",
        ];
        self.lab
            .kubectl(&wanted)
            .is_ok_and(|ready| ready == self.nodes.to_string())
    }

    /// Waits until all pods are ready and agree on the master.
    fn settled(&self, when: &str) -> usize {
        until(when, WITHIN, || {
            let views: Vec<_> = (0..NODES).map(|pod| self.named_by(pod)).collect();
            self.ready()
                && views[0].is_some_and(|master| {
                    views.iter().all(|view| *view == Some(master))
                        && self.role(master).as_deref() == Some("master")
                })
        });
        self.named_by(0).unwrap()
    }

    fn set(&self, master: usize, value: &str) {
        until("a write is taken", WITHIN, || {
            self.ask(master, "redis", &format!("SET a {value}"))
                .as_deref()
                == Some("OK")
        });
    }

    fn get(&self, master: usize) -> Option<String> {
        self.ask(master, "redis", "GET a")
    }

    fn uid(&self, pod: usize) -> Option<String> {
        self.lab
            .kubectl(&[
                "get",
                "pod",
                &format!("redis-node-{pod}"),
                "--output",
                "jsonpath={.metadata.uid}",
            ])
            .ok()
    }
}

/// A stack of this namespace, with little of the machine.
fn config(lab: &Lab, nodes: usize) -> Config {
    let (image, tag) = image();
    let mut sets = vec![
        format!("namespace={}", lab.namespace),
        format!("redis.image={image}:{tag}"),
        "redis.resources.requests={cpu: 10m, memory: 32Mi}".to_owned(),
    ];
    if nodes == 1 {
        sets.push("redis={nodes: 1, sentinels: 0, minReplicasToWrite: 0}".to_owned());
        sets.push("api.durability=none".to_owned());
    }
    let request = Request {
        env: "kind".to_owned(),
        sets: sets.into_iter().map(SetArg::Value).collect(),
        ..Request::default()
    };
    let files = |_: &Path, _: u64| -> io::Result<Vec<u8>> { Err(io::ErrorKind::NotFound.into()) };
    load(&request, &files).unwrap().config
}

#[tokio::test]
async fn one_server_alone_comes_back_with_its_data() {
    let stack = Stack::new(1).await;
    until("the first start", WITHIN, || stack.ready());
    stack.set(0, "1");
    let uid = stack.uid(0);
    stack
        .lab
        .kubectl(&["delete", "pod", "redis-node-0", "--wait=false"])
        .unwrap();
    until("the pod is a new one", WITHIN, || {
        stack.uid(0).is_some_and(|now| Some(now) != uid)
    });
    until("it is back", WITHIN, || stack.ready());
    assert_eq!(stack.get(0).as_deref(), Some("1"));
    let services = stack
        .lab
        .kubectl(&["get", "endpointslices", "--output", "name"])
        .unwrap();
    assert!(services.contains("redis-master"), "{services}");
}

#[tokio::test]
async fn it_fails_over_comes_back_and_shows_no_password() {
    let stack = Stack::new(NODES).await;
    let first = stack.settled("the first start");
    stack.set(first, "1");
    let other = (first + 1) % NODES;

    let uid = stack.uid(first);
    stack
        .lab
        .kubectl(&[
            "delete",
            "pod",
            &format!("redis-node-{first}"),
            "--wait=false",
        ])
        .unwrap();
    until(
        "a new master in 10 s",
        std::time::Duration::from_secs(10),
        || stack.named_by(other).is_some_and(|now| now != first),
    );
    until("the pod is a new one", WITHIN, || {
        stack.uid(first).is_some_and(|now| Some(now) != uid)
    });
    let second = stack.settled("the old master is back");
    assert_ne!(second, first);
    assert_eq!(stack.role(first).as_deref(), Some("slave"));
    assert_eq!(stack.get(second).as_deref(), Some("1"));
    stack.set(second, "2");

    let uids: Vec<_> = (0..NODES).map(|pod| stack.uid(pod)).collect();
    stack
        .lab
        .kubectl(&["delete", "pod", "--all", "--grace-period=0", "--force"])
        .unwrap();
    until("all pods are new ones", WITHIN, || {
        (0..NODES).all(|pod| stack.uid(pod).is_some_and(|now| !uids.contains(&Some(now))))
    });
    let third = stack.settled("all pods are back");
    assert_eq!(stack.get(third).as_deref(), Some("2"));
    no_password_anywhere(&stack);
}

fn no_password_anywhere(stack: &Stack) {
    let mut seen = String::new();
    for pod in 0..NODES {
        let pod = format!("redis-node-{pod}");
        for container in ["redis", "sentinel"] {
            // A glob, so that every process is in it that a probe has just started.
            let processes =
                "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null; cat /data/sentinel/*";
            let script = [
                "exec",
                &pod,
                "--container",
                container,
                "--",
                "sh",
                "-c",
                processes,
            ];
            seen += &stack.lab.kubectl(&script).unwrap();
            seen += &stack
                .lab
                .kubectl(&["logs", &pod, "--container", container])
                .unwrap();
        }
    }
    assert!(seen.contains("redis-server"), "the processes were read");
    for words in [
        &["get", "all", "redis"][..],
        &["history", "redis"],
        &["status", "redis"],
    ] {
        let said = Run::new(stack.helm.as_os_str())
            .args(words.iter().copied())
            .args(["--namespace", &stack.lab.namespace])
            .env("KUBECONFIG", kubeconfig())
            .run()
            .unwrap();
        seen += &said.stdout;
    }
    seen += &stack
        .lab
        .kubectl(&["get", "all,configmap", "--output", "yaml"])
        .unwrap();
    assert!(!seen.contains("canary"), "a password is seen");
}

#[expect(clippy::disallowed_methods, reason = "a test's own environment")]
fn kubeconfig() -> String {
    std::env::var("KEDACTL_TEST_KUBECONFIG").unwrap_or_default()
}
