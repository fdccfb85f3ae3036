//! How long a user without any cluster waits: `up --provider kind` from nothing to ready, beyond what `kind create cluster`
//! of the same cluster takes by itself.
//!
//! It must not run beside other work: `tests/cluster/lab exec -- cargo xtask bench kind`.

use crate::cluster::{tool, variable};
use crate::report::{Goal, Report};
use kedactl_tests::{Context, chart_of};
use std::path::Path;
use std::time::Duration;
use tokio::time::Instant;

const STACK: &str = "bench-kind";
const KIND_WITHIN: Duration = Duration::from_mins(10);

pub(crate) fn run(report: &mut Report) -> anyhow::Result<()> {
    let found = (
        variable("KEDACTL_TEST_NODE_IMAGE"),
        variable("KEDACTL_TEST_MANIFESTS"),
    );
    let (Some(image), Some(manifests)) = found else {
        report.note("kind: not measured, no test cluster: `tests/cluster/lab exec -- …`");
        return Ok(());
    };
    let bin = std::env::current_exe()?;
    let mut context = Context::new(bin.with_file_name("kedactl"));
    if let Some(engine) = variable("DOCKER_HOST") {
        context.set_env("DOCKER_HOST", &engine);
    }
    let alone = created_by_kind(&context, &image)?;
    context.write(
        "kedactl.yaml",
        &values(&context, &bin, &image, Path::new(&manifests)),
    );
    let start = Instant::now();
    let up = context.run(&["up", "--provider", "kind"]);
    let took = start.elapsed().as_secs_f64();
    let down = context.run(&["down", "--purge", "--stack", STACK]);
    up.check(0);
    down.check(0);
    let peer = Some(("kind-create", alone));
    report.figure("kind.up_from_nothing", took, "s", peer, Goal::None);
    let beyond = took - alone;
    report.figure(
        "kind.up_beyond_create",
        beyond,
        "s",
        peer,
        Goal::AtMost(60.0),
    );
    Ok(())
}

/// Seconds that kind takes for the same cluster.
fn created_by_kind(context: &Context, image: &str) -> anyhow::Result<f64> {
    let kubeconfig = context.dir().join("kubeconfig").display().to_string();
    let name = ["--name", "bench-kind-alone", "--kubeconfig", &kubeconfig];
    let start = Instant::now();
    let create = [&["create", "cluster", "--image", image], &name[..]].concat();
    let created = tool("kind", &create, KIND_WITHIN);
    let took = start.elapsed().as_secs_f64();
    tool(
        "kind",
        &[&["delete", "cluster"], &name[..]].concat(),
        KIND_WITHIN,
    )?;
    created.map(|_| took)
}

fn values(context: &Context, bin: &Path, image: &str, manifests: &Path) -> String {
    let beside = |name: &str| bin.with_file_name(name).display().to_string();
    let chart = |name, file| {
        let chart = chart_of(&context.dir().join("charts"), name, &manifests.join(file));
        chart.display().to_string()
    };
    format!(
        "name: {STACK}
tunnel: {{port: {}}}
images:
  build: [api, worker, redis]
  programs: {{api: {}, worker: {}}}
kind: {{image: '{image}'}}
redis:
  storage: {{size: 64Mi}}
  resources: {{requests: {{cpu: 25m, memory: 32Mi}}, limits: {{cpu: '1', memory: 256Mi}}}}
releases:
  keda: {{chart: '{}', repo: null, version: null, values: null}}
  metrics-server: {{chart: '{}', repo: null, version: null, values: null}}
",
        kedactl_testkit::free_port(),
        beside("kedactl-api"),
        beside("kedactl-worker"),
        chart("keda", "keda.yaml"),
        chart("metrics-server", "metrics-server-15s.yaml"),
    )
}
