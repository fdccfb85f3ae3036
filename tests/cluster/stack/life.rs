//! A stack's life on a cluster: from nothing, again with nothing to do, down with and without its data.
//!
//! It must not put load on it.

use crate::rig::Rig;
use serde_json::Value;

#[test]
fn from_nothing_to_ready_and_back_to_nothing() {
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

    let tasks = rig
        .run(&["load", "--rps", "20", "--duration", "5s", "-o", "json"])
        .expect(0)
        .json();
    assert_eq!(tasks["audit"]["lost"], 0);

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

    rig.run(&["down", "--purge"]).check(0);
    assert_eq!(rig.leftovers(), Vec::<String>::new());
    rig.run(&["down", "--purge"]).check(0);
}
