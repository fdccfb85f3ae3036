//! A stack's life on a cluster: from nothing, again with nothing to do, down with and without its data.
//!
//! It must not put load on it.

use crate::rig::Rig;
use crate::turn;
use serde_json::Value;

#[test]
fn from_nothing_to_ready_and_back_to_nothing() {
    let _turn = turn::beside_others();
    let rig = Rig::new("life");
    let planned = rig
        .command("plan", &["--exit-code", "-o", "json"])
        .expect(2)
        .json();
    assert_eq!(planned["schema"], "kedactl.plan/v1");
    assert!(rig.leftovers().is_empty(), "a plan writes nothing");

    let up = rig.up(&["-o", "json"]).expect(0).json();
    assert_eq!(up["changed"], true);
    assert_eq!(up["api_url"], format!("http://127.0.0.1:{}", rig.port));
    assert_eq!(
        up["left_alone"],
        serde_json::json!(["keda", "metrics-server"])
    );

    let before = rig.versions();
    let again = rig.up(&["-o", "json"]).expect(0).json();
    assert_eq!(again["changed"], false, "{again}");
    assert_eq!(rig.versions(), before);
    println!("second up: {} ms", again["took_ms"]);
    rig.command("plan", &["--exit-code"]).check(0);
    rig.command("diff", &["--exit-code"]).check(0);

    // The bound on latency is wide: a generator that was late on a busy machine is no fault of the stack.
    let tasks = rig
        .run(&[
            "load",
            "--rps",
            "20",
            "--duration",
            "5s",
            "--slo",
            "lost=0,p99<60s",
            "-o",
            "json",
        ])
        .expect(0)
        .json();
    assert_eq!(tasks["audit"]["done"], 100);

    let down = rig
        .run(&["down", "--keep-data", "-o", "json"])
        .expect(0)
        .json();
    assert_eq!(down["releases"], serde_json::json!(["redis"]));
    let kept: Vec<&str> = down["kept"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    assert!(
        kept.iter().any(|it| it.contains("PersistentVolumeClaim")),
        "{kept:?}"
    );
    rig.run(&["down"]).check(0);

    rig.up(&[]).check(0);
    let queue = rig.run(&["queue", "ls", "-o", "json"]).expect(0).json();
    assert_eq!(queue["queues"][0]["waiting"], 0);

    // Somebody deletes what the release made: it is made again, though nothing of the release changed.
    rig.kubectl(&["delete", "statefulset", "redis-node", "--wait"]);
    rig.up(&[]).check(0);
    rig.kubectl(&["get", "statefulset", "redis-node"]);

    rig.run(&["down", "--purge"]).check(0);
    assert_eq!(rig.leftovers(), Vec::<String>::new());
    rig.run(&["down", "--purge"]).check(0);
}
