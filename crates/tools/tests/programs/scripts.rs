//! The chart's scripts with real servers and Sentinels as processes of this machine: each "pod" is an address of the loopback.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use kedactl_exec::{Job, Run};
use kedactl_testkit::until;
use kedactl_tools::CancellationToken;
use kedactl_tools::helm::Helm;
use tokio::task::JoinHandle;

use crate::support::{declared, helms, name, settings};

/// Redis reads it as one word only where it is quoted well.
const PASSWORD: &str = r#"can"ary\pass w"#;
const WITHIN: Duration = Duration::from_secs(90);

struct Stack {
    directory: tempfile::TempDir,
    network: String,
    nodes: usize,
    running: Vec<Vec<(CancellationToken, JoinHandle<()>)>>,
}

impl Stack {
    /// Three servers with their Sentinels, or one server alone.
    async fn new(program: PathBuf, nodes: usize) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let never = CancellationToken::new();
        let helm = Helm::open(settings(program, directory.path()), &never)
            .await
            .unwrap();
        let sentinels = nodes > 1;
        let release = declared(&format!(
            "{{chart: redis-sentinel, namespace: keda, values: {{replica: {{replicaCount: {nodes}}}, \
             sentinel: {{enabled: {sentinels}, downAfterMilliseconds: 1000, startupDownAfterMilliseconds: 60000}}}}}}",
        ));
        let rendered = helm.render(&name("redis"), &release, &never).await.unwrap();
        let map = rendered
            .objects
            .iter()
            .find(|object| object["kind"] == "ConfigMap")
            .unwrap();
        let network = free_network(100 + 10 * nodes as u32);
        for pod in 0..nodes {
            let root = directory.path().join(pod.to_string());
            for folder in ["scripts", "run", "data", "secrets"] {
                fs::create_dir_all(root.join(folder)).unwrap();
            }
            fs::write(root.join("secrets/redis-password"), PASSWORD).unwrap();
            if sentinels {
                fs::write(root.join("secrets/sentinel-password"), "canary-sentinel\n").unwrap();
            }
            for (file, text) in map["data"].as_object().unwrap() {
                let text = text
                    .as_str()
                    .unwrap()
                    .replace("bind * -::*", &format!("bind {network}.{}", pod + 10));
                let path = root.join("scripts").join(file);
                fs::write(&path, text).unwrap();
                executable(&path);
            }
            let over = format!(
                "{}\nRUN={r}/run\nDATA={r}/data\nSECRETS={r}/secrets\nSCRIPTS={r}/scripts\nPATIENCE=10\nhost() {{ printf '{network}.%s' $(($1 + 10)); }}\n",
                fs::read_to_string(root.join("scripts/settings.sh")).unwrap(),
                r = root.display()
            );
            fs::write(root.join("scripts/settings.sh"), over).unwrap();
        }
        Self {
            directory,
            network,
            nodes,
            running: (0..nodes).map(|_| Vec::new()).collect(),
        }
    }

    fn root(&self, pod: usize) -> PathBuf {
        self.directory.path().join(pod.to_string())
    }

    fn script(&self, pod: usize, script: &str) -> Run {
        Run::new("sh")
            .arg(self.root(pod).join("scripts").join(script))
            .env("POD_NAME", format!("redis-node-{pod}"))
    }

    /// A new pod: its memory is empty, its volume is what it was.
    fn start(&mut self, pod: usize) {
        let run = self.root(pod).join("run");
        fs::remove_dir_all(&run).unwrap();
        fs::create_dir(&run).unwrap();
        self.script(pod, "init.sh").run().unwrap();
        let scripts = ["redis.sh", "sentinel.sh"];
        for script in &scripts[..self.nodes.min(2)] {
            let end = CancellationToken::new();
            let job = Job::new("/bin/sh")
                .arg(self.root(pod).join("scripts").join(script))
                .env("POD_NAME", format!("redis-node-{pod}"))
                .within(Duration::from_mins(30))
                // As a lost node: no time to end well.
                .patience(Duration::ZERO);
            let stop = end.clone();
            let task = tokio::spawn(async move {
                // It runs until it is stopped; how it ended is no matter.
                drop(job.run(&stop).await);
            });
            self.running[pod].push((end, task));
        }
    }

    async fn kill(&mut self, pod: usize) {
        for (end, task) in self.running[pod].drain(..) {
            end.cancel();
            task.await.unwrap();
        }
    }

    /// What a server answers; nothing where it does not.
    fn ask(&self, pod: usize, command: &str) -> Option<String> {
        let quoted = PASSWORD.replace('\\', r"\\").replace('"', "\\\"");
        let said = Run::new("redis-cli")
            .args(["-h".to_owned(), format!("{}.{}", self.network, pod + 10)])
            .stdin(format!("AUTH \"{quoted}\"\n{command}\n"))
            .run()
            .ok()?;
        said.stdout
            .strip_prefix("OK\n")
            .map(|rest| rest.trim().to_owned())
    }

    fn master(&self) -> Option<usize> {
        let masters: Vec<usize> = (0..self.nodes)
            .filter(|pod| {
                self.ask(*pod, "INFO replication")
                    .is_some_and(|info| info.contains("role:master"))
            })
            .collect();
        if let [one] = masters[..] {
            Some(one)
        } else {
            None
        }
    }

    /// Waits until all pods are ready; the master among them.
    fn settled(&self, when: &str) -> usize {
        let ready = |pod: usize| self.script(pod, "ready.sh").run().is_ok();
        until(when, WITHIN, || {
            self.master().is_some() && (0..self.nodes).all(ready)
        });
        self.master().unwrap()
    }

    fn set(&self, master: usize, value: &str) {
        until("a write is taken", WITHIN, || {
            self.ask(master, &format!("SET a {value}")).as_deref() == Some("OK")
        });
        until("it is replicated", WITHIN, || {
            (0..self.nodes).all(|pod| self.ask(pod, "GET a").as_deref() == Some(value))
        });
    }

    async fn kill_sentinels(&mut self) {
        for pod in &mut self.running {
            let (end, task) = pod.remove(1);
            end.cancel();
            task.await.unwrap();
        }
    }

    async fn kill_all(&mut self) {
        for pod in 0..self.nodes {
            self.kill(pod).await;
        }
    }

    fn start_all(&mut self) {
        (0..self.nodes).for_each(|pod| self.start(pod));
    }
}

fn executable(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// A part of the loopback network that no other test uses: its first port is free.
fn free_network(first: u32) -> String {
    let seed = std::process::id();
    (0..200)
        .map(|try_| format!("127.{}.{}", first + (seed / 250) % 10, (seed + try_) % 250))
        .find(|network| TcpListener::bind(format!("{network}.10:6379")).is_ok())
        .unwrap()
}

/// One test, because each state comes from the one before it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn restarts_in_any_order_lose_nothing_and_need_no_surgery() {
    let Some(program) = helms().into_iter().next() else {
        return;
    };
    if kedactl_exec::find("redis-cli").is_err() {
        kedactl_testkit::skipped("no redis-cli is installed");
        return;
    }
    let mut stack = Stack::new(program, 3).await;
    stack.start_all();
    let master = stack.settled("the first start");
    assert_eq!(master, 0, "the first pod leads where nobody has data");
    stack.set(master, "1");
    (0..stack.nodes).for_each(|pod| {
        stack.script(pod, "alive.sh").run().unwrap();
        stack.script(pod, "sentinel-alive.sh").run().unwrap();
        stack.script(pod, "sentinel-ready.sh").run().unwrap();
    });
    for pod in 0..stack.nodes {
        let remembered = fs::read_to_string(stack.root(pod).join("data/sentinel/master")).unwrap();
        assert!(!remembered.contains("canary"));
        assert!(
            !fs::read_dir(stack.root(pod).join("data/sentinel"))
                .unwrap()
                .any(|file| {
                    fs::read_to_string(file.unwrap().path())
                        .unwrap()
                        .contains("canary")
                })
        );
    }

    stack.kill(master).await;
    until("another leads", WITHIN, || {
        stack.master().is_some_and(|now| now != master)
    });
    stack.start(master);
    let second = stack.settled("the old master is back");
    assert_ne!(second, master, "it came back as a replica");
    stack.set(second, "2");

    stack.script(second, "prestop.sh").run().unwrap();
    let third = stack.settled("the master handed over");
    assert_ne!(third, second);
    stack.set(third, "3");

    stack.kill_all().await;
    stack.start_all();
    let fourth = stack.settled("all start at once");
    assert_eq!(stack.ask(fourth, "GET a").as_deref(), Some("3"));

    stack.kill_all().await;
    fs::remove_dir_all(stack.root(fourth).join("data")).unwrap();
    fs::create_dir(stack.root(fourth).join("data")).unwrap();
    stack.start_all();
    let fifth = stack.settled("all start and the master's volume is lost");
    assert_ne!(fifth, fourth);
    assert_eq!(stack.ask(fifth, "GET a").as_deref(), Some("3"));

    // As when all pods are deleted: nobody is waited for, and whoever waits with a write is answered.
    stack.kill_sentinels().await;
    let ended = stack.script(fifth, "prestop.sh").run().unwrap();
    assert!(ended.stderr.contains("no Sentinel answers"), "{ended:?}");
    stack.set(fifth, "4");
    stack.kill_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_server_alone_starts_at_once_and_comes_back_with_its_data() {
    let Some(program) = helms().into_iter().next() else {
        return;
    };
    if kedactl_exec::find("redis-cli").is_err() {
        kedactl_testkit::skipped("no redis-cli is installed");
        return;
    }
    let mut stack = Stack::new(program, 1).await;
    stack.start(0);
    assert_eq!(stack.settled("the first start"), 0);
    stack.set(0, "1");
    stack.script(0, "alive.sh").run().unwrap();
    // Nobody takes over: it stops at once.
    stack
        .script(0, "prestop.sh")
        .within(Duration::from_secs(5))
        .run()
        .unwrap();
    assert!(!stack.root(0).join("run/auth.sentinel").exists());
    // Its file is flushed once a second.
    until("the write is on the disk", WITHIN, || {
        let info = stack.ask(0, "INFO persistence").unwrap_or_default();
        info.contains("aof_pending_bio_fsync:0") && info.contains("aof_buffer_length:0")
    });
    stack.kill(0).await;
    stack.start(0);
    stack.settled("it is back");
    assert_eq!(stack.ask(0, "GET a").as_deref(), Some("1"));
    stack.kill(0).await;
}
