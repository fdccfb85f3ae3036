//! `kedactl ci` on kind: from no cluster to no cluster in one command, and everything that a failed run needs.
//!
//! It must not leave a cluster where the run fails.

use super::{containers, of_its_own};
use crate::rig::Rig;
use crate::turn;
use serde_json::Value;
use std::fs;
use std::path::PathBuf;

fn artifact(rig: &Rig, name: &str) -> PathBuf {
    rig.context
        .dir()
        .join("project/kedactl-artifacts")
        .join(name)
}

fn read(rig: &Rig, name: &str) -> String {
    let path = artifact(rig, name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn a_cold_run_that_fails_leaves_every_artifact_and_no_cluster() {
    let _turn = turn::beside_others();
    let rig = of_its_own("ci");
    // The command sees the cluster, breaks the API, and fails.
    let command = "kubectl -n \"$1\" set image deployment/api api=localhost/none:1 && kubectl -n \"$1\" delete pod -l app.kubernetes.io/component=api --wait=false; \
        until kubectl -n \"$1\" get pods | grep -E 'ErrImagePull|ImagePullBackOff'; do sleep 0.2; done; exit 3";
    let load = [
        "--rps",
        "100",
        "--duration",
        "5s",
        "--slo",
        "p99<60s,lost=0,duplicated=0",
        "--wait-zero",
        "120s",
    ];
    let end = ["--", "sh", "-c", command, "sh", rig.namespace()];
    let failed = rig.command("ci", &[&load[..], &end[..]].concat()).expect(1);
    assert!(failed.stderr.contains("KD1404"), "{failed:?}");
    assert_eq!(containers(&rig.name), Vec::<String>::new());
    rig.run(&["status"]).check(1);

    let run: Value = serde_json::from_str(&read(&rig, "run.json")).unwrap();
    let phases: Vec<(&str, &str, u64)> = run["phases"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| {
            (
                it["phase"].as_str().unwrap(),
                it["end"].as_str().unwrap(),
                it["took_ms"].as_u64().unwrap(),
            )
        })
        .collect();
    println!("{phases:?}");
    let ends: Vec<(&str, &str)> = phases.iter().map(|it| (it.0, it.1)).collect();
    let wanted = [
        ("up", "passed"),
        ("load", "passed"),
        ("command", "failed"),
        ("artifacts", "passed"),
        ("down", "passed"),
    ];
    assert_eq!(ends, wanted);

    the_artifacts_are_complete(&rig);
    no_secret_is_in(&rig);
}

/// Report, load, objects, logs, events and the nodes' own logs.
fn the_artifacts_are_complete(rig: &Rig) {
    let load: Value = serde_json::from_str(&read(rig, "load.json")).unwrap();
    assert_eq!(
        (&load["audit"]["done"], &load["audit"]["lost"]),
        (&500.into(), &0.into())
    );
    assert!(
        load["scaling"]["to_zero_s"].is_number(),
        "{}",
        load["scaling"]
    );
    let junit = read(rig, "junit.xml");
    for part in [
        "name=\"release keda\"",
        "name=\"readiness\"",
        "name=\"lost=0\"",
        "<failure",
    ] {
        assert!(junit.contains(part), "{part}: {junit}");
    }
    let namespace = rig.namespace();
    let described = read(rig, &format!("describe/{namespace}.txt"));
    assert!(described.contains("localhost/none:1"), "{described}");
    assert!(described.contains("ImagePull"), "{described}");
    assert!(read(rig, "events.txt").contains("localhost/none:1"));
    let timeline = read(rig, "timeline.txt");
    for source in [" up ", " scaling ", " cluster "] {
        assert!(timeline.contains(source), "{source}: {timeline}");
    }
    for name in [
        "status.json",
        "doctor.json",
        "events.jsonl",
        "kedactl.log",
        "objects/cluster/Node.json",
    ] {
        assert!(!read(rig, name).is_empty(), "{name}");
    }
    let redis = format!("logs/{namespace}/redis-node-0/redis.log");
    assert!(
        read(rig, &redis).contains("Ready to accept connections"),
        "{redis}"
    );
    let nodes = fs::read_dir(artifact(rig, "nodes")).unwrap().count();
    assert!(nodes > 0, "kind's own logs");
}

/// What a Secret holds is in no artifact: its objects are there, masked.
fn no_secret_is_in(rig: &Rig) {
    let secrets = read(rig, &format!("objects/{}/Secret.json", rig.namespace()));
    let secrets: Value = serde_json::from_str(&secrets).unwrap();
    let shown = secrets
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|it| it["data"].as_object().unwrap().values());
    let shown: Vec<&str> = shown.map(|it| it.as_str().unwrap()).collect();
    assert!(
        !shown.is_empty() && shown.iter().all(|it| it.starts_with("***(")),
        "{shown:?}"
    );
}
