//! A helm that is at work when its kedactl is killed: it goes on alone, or dies too and leaves a locked release.
//!
//! It must not wait for luck: what it needs to see of the moment, it waits for or tries again.

use super::Trial;
use super::left::processes;
use kedactl_cluster::{StoredRelease, Target, stored_release};
use kedactl_exec::{ProcId, gone};
use kedactl_testkit::until;
use rustix::process::Signal;
use std::time::Duration;

/// How often the moment is looked for.
const TRIES: usize = 5;
/// Shorter than the time from helm's first record to its last: it applies the chart's objects in between.
const SLICE: Duration = Duration::from_millis(10);

/// Kills `up` while helm upgrades, and leaves helm alone: the next run tells it to end, waits for that, and goes on.
pub(super) fn goes_on_alone(trial: &Trial, round: usize) {
    trial.vary(round);
    let mut run = trial.up();
    let mut helm = None;
    run.until(|_| {
        helm = helm.or_else(|| upgrading(trial));
        helm.is_some()
    });
    run.kill();
    let helm = helm.expect("a helm that upgrades");
    // It must not end by itself before the next run looks for it.
    helm.signal(Signal::STOP).unwrap();
    let next = trial.up();
    until("the helm to be told", Duration::from_mins(1), || told(helm));
    helm.signal(Signal::CONT).unwrap();
    let ended = next.end().expect(0);
    let said = "a helm that a killed run left was ended";
    assert!(ended.stderr.contains(said), "{ended:?}");
    assert!(!helm.alive());
    trial.converges(round);
}

/// Whether a SIGINT waits for a process that is stopped.
fn told(process: ProcId) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.pid));
    let status = status.unwrap_or_default();
    let pending = status.lines().find_map(|line| line.strip_prefix("ShdPnd:"));
    let pending = u64::from_str_radix(pending.unwrap_or("0").trim(), 16).unwrap();
    pending & (1 << (Signal::INT.as_raw() - 1)) != 0
}

/// Kills `up` and helm with it, as the end of a machine would: the release is locked, and the next run repairs it.
pub(super) fn dies_too(trial: &Trial, round: usize) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    for attempt in 0..TRIES {
        trial.vary(round + attempt);
        let mut run = trial.up();
        let mut helm = None;
        run.until(|_| {
            helm = helm.or_else(|| upgrading(trial));
            helm.is_some()
        });
        if let Some(helm) = helm {
            halt_in_the_middle(helm, trial, &runtime);
        }
        run.kill();
        if let Some(helm) = helm {
            helm.signal(Signal::KILL).unwrap();
            runtime.block_on(gone(&[helm], Duration::from_secs(10)));
        }
        let status = status(trial, &runtime);
        println!("{status:<28} left by a helm that was killed");
        if status.starts_with("pending-") {
            trial.converges(round + attempt);
            return;
        }
    }
    panic!("no helm of {TRIES} was killed in the middle");
}

/// Lets helm work in slices, until it has said that it upgrades or has ended.
fn halt_in_the_middle(helm: ProcId, trial: &Trial, runtime: &tokio::runtime::Runtime) {
    helm.signal(Signal::STOP).unwrap();
    while helm.alive() && !status(trial, runtime).starts_with("pending-") {
        helm.signal(Signal::CONT).unwrap();
        runtime.block_on(slice());
        helm.signal(Signal::STOP).unwrap();
    }
}

async fn slice() {
    tokio::time::sleep(SLICE).await;
}

/// The helm that upgrades the release now.
fn upgrading(trial: &Trial) -> Option<ProcId> {
    let found = processes(&trial.rig).into_iter();
    let mut found = found.filter(|(_, line)| line.contains("helm upgrade redis "));
    found.next().map(|(process, _)| process)
}

/// How the last revision of the release stands.
fn status(trial: &Trial, runtime: &tokio::runtime::Runtime) -> String {
    let kubeconfig = crate::cluster::variable("KEDACTL_TEST_KUBECONFIG");
    let context = trial.rig.cluster.kubectl(&["config", "current-context"]);
    let namespace = trial.rig.namespace();
    let stored = runtime.block_on(async {
        let target = Target::new(kubeconfig, context.trim());
        let cluster = kedactl_cluster::Cluster::connect(&target).await.unwrap();
        stored_release(&cluster, namespace, "redis").await.unwrap()
    });
    stored.map_or_else(String::new, |StoredRelease { status, .. }| status)
}
