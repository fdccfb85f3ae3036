//! How long a user of a real cluster waits: `up` from nothing, a second `up`, `status`, beside what `kubectl` and `helm`
//! take to say that the same objects are as they should be.
//!
//! It must not run beside other work on the cluster: `tests/cluster/lab exec -- cargo xtask bench cluster`.

use crate::report::{Goal, Report};
use anyhow::Context as _;
use kedactl_exec::Run;
use kedactl_tests::{Context, Outcome};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::Instant;

const STACK: &str = "bench";
const TIMES: usize = 5;
const WITHIN: Duration = Duration::from_mins(1);

struct Bench {
    context: Context,
    place: Vec<String>,
    kubeconfig: String,
}

pub(crate) fn run(report: &mut Report) -> anyhow::Result<()> {
    let found = (
        variable("KEDACTL_TEST_CLUSTER"),
        variable("KEDACTL_TEST_KUBECONFIG"),
    );
    let (Some(cluster), Some(kubeconfig)) = found else {
        report.note("cluster: not measured, no test cluster: `tests/cluster/lab exec -- …`");
        return Ok(());
    };
    Bench::new(&cluster, kubeconfig)?.measure(report)
}

impl Drop for Bench {
    fn drop(&mut self) {
        // Also where a figure could not be had.
        let ended = self.stack(&["down", "--purge"]);
        assert!(
            ended.code == Some(0) || std::thread::panicking(),
            "{ended:?}"
        );
    }
}

impl Bench {
    fn new(cluster: &str, kubeconfig: String) -> anyhow::Result<Self> {
        let bin = std::env::current_exe()?;
        let beside = |name: &str| bin.with_file_name(name);
        let mut context = Context::new(beside("kedactl"))
            .with_services(&beside("kedactl-api"), &beside("kedactl-worker"));
        if let Some(engine) = variable("DOCKER_HOST") {
            context = context.with_env("DOCKER_HOST", &engine);
        }
        let values = context.write("values.yaml", &values(cluster));
        let mut it = Self {
            context,
            place: Vec::new(),
            kubeconfig,
        };
        let uid = [
            "get",
            "namespace",
            "kube-system",
            "-o",
            "jsonpath={.metadata.uid}",
        ];
        let uid = it.kubectl(&uid)?;
        let name = it.kubectl(&["config", "current-context"])?;
        let place = [
            "--provider",
            "context",
            "--kubeconfig",
            &it.kubeconfig,
            "--context",
            name.trim(),
            "--allow-cluster",
            uid.get(..8).context("a UID")?,
            "-f",
            "fast",
            "-f",
            &values.display().to_string(),
        ];
        it.place = place.map(str::to_owned).into();
        Ok(it)
    }

    fn measure(&self, report: &mut Report) -> anyhow::Result<()> {
        let start = Instant::now();
        self.up();
        let first = start.elapsed().as_secs_f64();
        report.figure("cluster.up", first, "s", None, Goal::AtMost(60.0));

        let second = median(|| {
            self.up();
            Ok(())
        })?;
        let manifests = self.manifests();
        let peer = median(|| self.peers_look(&manifests))?;
        let peer = Some(("kubectl+helm", peer));
        report.figure("cluster.second_up", second, "s", peer, Goal::AtMost(2.0));

        let status = median(|| {
            self.stack(&["status"]).check(0);
            Ok(())
        })?;
        let get = ["-n", STACK, "get", "all,scaledobjects,pvc"];
        let peer = median(|| self.kubectl(&get).map(drop))?;
        let peer = Some(("kubectl-get", peer));
        report.figure("cluster.status", status, "s", peer, Goal::AtMost(0.5));
        Ok(())
    }

    /// What `up` compares with the cluster, as a file that the peer reads.
    fn manifests(&self) -> PathBuf {
        let from = self.place.iter().position(|it| it == "-f").unwrap_or(0);
        let layers = self.place[from..].iter().map(String::as_str);
        let render: Vec<&str> = ["render"].into_iter().chain(layers).collect();
        let rendered = self.context.run(&render).expect(0).stdout;
        self.context.write("rendered.yaml", &rendered)
    }

    /// The API server is asked about every object, helm about the release; nothing is written.
    fn peers_look(&self, manifests: &Path) -> anyhow::Result<()> {
        let file = manifests.display().to_string();
        let apply = [
            "apply",
            "--server-side",
            "--force-conflicts",
            "--dry-run=server",
            "-f",
            &file,
        ];
        self.kubectl(&apply)?;
        let chart = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../templates/charts/redis-sentinel"
        );
        let upgrade = [
            "upgrade",
            "redis",
            chart,
            "--reuse-values",
            "--dry-run=server",
        ];
        let namespace = ["-n", STACK, "--kubeconfig", &self.kubeconfig];
        tool("helm", &[&upgrade[..], &namespace].concat(), WITHIN).map(drop)
    }

    fn kubectl(&self, args: &[&str]) -> anyhow::Result<String> {
        tool(
            "kubectl",
            &[&["--kubeconfig", &self.kubeconfig], args].concat(),
            WITHIN,
        )
    }

    fn stack(&self, args: &[&str]) -> Outcome {
        self.context.run(&[args, &["--stack", STACK]].concat())
    }

    fn up(&self) {
        let place = self.place.iter().map(String::as_str);
        let args: Vec<&str> = ["up"].into_iter().chain(place).collect();
        self.stack(&args).check(0);
    }
}

pub(crate) fn tool(program: &str, args: &[&str], within: Duration) -> anyhow::Result<String> {
    let run = Run::new(program).args(args.iter().copied());
    Ok(run.within(within).run()?.stdout)
}

#[expect(clippy::disallowed_methods, reason = "what `lab exec` sets")]
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn values(cluster: &str) -> String {
    format!(
        "name: {STACK}
namespace: {STACK}
tunnel: {{port: {}}}
images: {{build: [api, worker, redis], kindCluster: {cluster}}}
redis:
  storage: {{size: 64Mi}}
  resources: {{requests: {{cpu: 25m, memory: 32Mi}}, limits: {{cpu: '1', memory: 256Mi}}}}
",
        kedactl_testkit::free_port()
    )
}

/// Median in seconds, after one run that is not counted.
fn median(mut work: impl FnMut() -> anyhow::Result<()>) -> anyhow::Result<f64> {
    work()?;
    let mut took = Vec::new();
    for _ in 0..TIMES {
        let start = Instant::now();
        work()?;
        took.push(start.elapsed().as_secs_f64());
    }
    took.sort_by(f64::total_cmp);
    Ok(took[TIMES / 2])
}
