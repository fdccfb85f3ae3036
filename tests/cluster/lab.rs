//! `tests/cluster/lab` itself: nothing to do twice, and a way back from every half-made state.
//!
//! It must not touch the cluster that the other tests use, except by an `up` that has nothing to do.

use kedactl_exec::{ExecError, Run};
use kedactl_testkit::until;
use std::path::{Path, PathBuf};
use std::time::Duration;

const LAB: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/cluster/lab");

fn lab(args: &[&str]) -> Result<String, ExecError> {
    let output = Run::new(LAB)
        .args(args)
        .within(Duration::from_secs(400))
        .run()?;
    Ok(output.stderr + &output.stdout)
}

/// A cluster of this test's own, taken down on drop.
struct Own(String);

impl Own {
    fn new() -> Self {
        Self(format!("t{}", std::process::id()))
    }

    fn sockets(&self) -> PathBuf {
        Path::new("/run/kedactl-cluster").join(&self.0)
    }

    fn network(&self) -> PathBuf {
        Path::new("/run/netns").join(format!("kedactl-{}", self.0))
    }

    fn works(&self) -> bool {
        lab(&["exec", &self.0, "--", "kubectl", "get", "--raw", "/readyz"]).is_ok()
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        drop(lab(&["down", &self.0]));
    }
}

#[test]
fn a_second_up_has_nothing_to_do() {
    let cluster = crate::cluster::variable("KEDACTL_TEST_CLUSTER");
    let name = cluster.trim_start_matches("kedactl-");
    let words = lab(&["up", name]).unwrap();
    assert!(
        words.contains(&format!("the cluster {name} is up")),
        "{words}"
    );
    assert!(!words.contains("kind create cluster"), "{words}");
}

#[test]
fn an_engine_that_was_killed_is_cleaned_up_and_down_leaves_nothing() {
    let own = Own::new();
    lab(&["up", &own.0, "--bare"]).unwrap();
    assert!(own.works());
    let other = lab(&["up", &own.0]).unwrap_err().to_string();
    assert!(other.contains("other options"), "{other}");

    let pid: u32 = std::fs::read_to_string(own.sockets().join("dockerd.pid"))
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    let engine = kedactl_exec::ProcId::of(pid).unwrap();
    engine.signal(kedactl_exec::Signal::KILL).unwrap();
    until("the engine's end", Duration::from_secs(10), || {
        !engine.alive()
    });
    let words = lab(&["up", &own.0, "--bare"]).unwrap();
    assert!(words.contains("removing what is left"), "{words}");
    assert!(own.works());

    lab(&["down", &own.0]).unwrap();
    assert!(!own.sockets().exists() && !own.network().exists());
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains(&format!("/run/{}/", own.0)), "{mounts}");
    for group in [
        "/sys/fs/cgroup",
        "/sys/fs/cgroup/pids",
        "/sys/fs/cgroup/memory",
        "/sys/fs/cgroup/cpu",
    ] {
        assert!(
            !Path::new(group).join(format!("kedactl-{}", own.0)).exists(),
            "{group}"
        );
    }
    assert!(
        lab(&["env", &own.0])
            .unwrap_err()
            .to_string()
            .contains("there is no cluster")
    );
}

#[test]
fn bad_arguments_are_refused_with_their_cure() {
    for (args, words) in [
        (&["up", "No_Name"][..], "is no name for a cluster"),
        (&["up", "--nodes", "3"], "--nodes is 1 or 2"),
        (&["down", "--bare"], "only `lab up` has options"),
        (&["sideways"], "unknown verb `sideways`"),
        (&["up", "--fast"], "unknown option `--fast`"),
    ] {
        let refused = lab(args).unwrap_err().to_string();
        assert!(refused.contains(words), "{args:?}: {refused}");
    }
}
