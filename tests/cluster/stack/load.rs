//! Load on the whole platform: the real KEDA and the real HPA follow it, and nothing that was accepted is lost.
//!
//! It must not judge by what was sent: the audit says what was done.

use crate::faults::{self, Fault};
use crate::rig::Rig;
use crate::turn;
use kedactl_shadow::{Controller, Report};
use serde_json::Value;

#[test]
fn five_hundred_a_second_take_the_workers_from_zero_and_back_and_the_api_up() {
    let _turn = turn::alone();
    let rig = Rig::new("load");
    rig.up(&[]).check(0);
    let (result, decisions) = rig.recorded(|| {
        rig.run(&[
            "load",
            "--rps",
            "500",
            "--duration",
            "40s",
            "--arrivals",
            "uniform",
            "--seed",
            "1",
            "--wait-zero",
            "120s",
            "--slo",
            "errors=0%,lost=0,duplicated=0,p99<60s",
            "-o",
            "json",
        ])
        .expect(0)
        .json()
    });
    println!("{decisions}");
    computed_alike(&decisions);
    assert_eq!(result["audit"]["acknowledged"], 20_000);
    assert_eq!(result["audit"]["done"], 20_000);
    let scaling = &result["scaling"];
    let count = |name: &str| scaling[name].as_u64().unwrap();
    assert_eq!(count("workers_at_start"), 0);
    assert!(count("workers_peak") > 1, "{scaling}");
    assert!(count("api_peak") > 1, "{scaling}");
    assert!(scaling["to_zero_s"].is_number(), "{scaling}");
    println!("{}", summary(&result));

    for fault in faults::ALL {
        under(&rig, fault);
    }
}

/// The same with the intervals that users have: KEDA looks every 30 seconds and waits 300 before it takes the last worker away,
/// the HPA looks every 15 and remembers 300.
#[test]
#[ignore = "needs a cluster of `lab up NAME --real-intervals`, and ten minutes"]
fn with_real_intervals_the_workers_come_and_go_as_computed() {
    let _turn = turn::alone();
    let rig = Rig::new("real").unhurried();
    rig.up(&[]).check(0);
    let load = ["load", "--rps", "200", "--duration", "120s", "--seed", "1"];
    let end = ["--wait-zero", "900s", "-o", "json", "--slo"];
    let slo = ["errors=0%,lost=0,duplicated=0,p99<60s"];
    let (result, decisions) =
        rig.recorded(|| rig.run(&[&load[..], &end, &slo].concat()).expect(0).json());
    println!("{decisions}\n{}", summary(&result));
    let scaling = &result["scaling"];
    assert_eq!(scaling["workers_at_start"], 0, "{scaling}");
    assert!(scaling["workers_peak"].as_u64() > Some(1), "{scaling}");
    // Its cooldown keeps the last worker for 300 seconds after the queue was seen empty.
    let to_zero = scaling["to_zero_s"].as_f64().unwrap();
    assert!((270.0..600.0).contains(&to_zero), "{scaling}");
    assert_eq!(decisions.differences().count(), 0, "{decisions}");
}

/// The HPA controller did what is computed from the same readings. KEDA's operator reads a queue that is emptied many times
/// between two looks of the recording: where it saw another length than any that was recorded, its decision cannot be computed.
fn computed_alike(decisions: &Report) {
    for (comparison, step) in decisions.differences() {
        assert_eq!(
            comparison.controller,
            Controller::Keda,
            "{step:?}\n{decisions}"
        );
    }
    let counts = decisions.counts();
    let different = decisions.differences().count();
    assert!(
        counts.compared() > 50 && different * 20 <= counts.compared(),
        "{counts}\n{decisions}"
    );
}

/// One fault in the middle of a load. Tasks may be done twice then, and none may be lost.
fn under(rig: &Rig, fault: &Fault) {
    let load = rig.spawn(&[
        "load",
        "--rps",
        "200",
        "--duration",
        "20s",
        "--arrivals",
        "uniform",
        "--seed",
        "2",
        "--slo",
        "lost=0,p99<60s",
        "-o",
        "json",
    ]);
    faults::until_working(rig);
    (fault.happens)(rig);
    let ended = load.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&ended.stdout);
    let result: Value = serde_json::from_str(&text)
        .unwrap_or_else(|_| panic!("{}: {}", fault.name, String::from_utf8_lossy(&ended.stderr)));
    let audit = &result["audit"];
    assert_eq!(audit["lost"], 0, "{}: {audit}", fault.name);
    assert!(
        audit["acknowledged"].as_u64().unwrap() > 1000,
        "{}: {audit}",
        fault.name
    );
    println!("{:<28} {}", fault.name, summary(&result));
    rig.up(&["--revert-edits"]).check(0);
}

fn summary(result: &Value) -> String {
    let (audit, scaling) = (&result["audit"], &result["scaling"]);
    format!(
        "{} accepted, {} done, {} lost, {} duplicated, workers up to {}, API up to {}",
        audit["acknowledged"],
        audit["done"],
        audit["lost"],
        audit["duplicated"],
        scaling["workers_peak"],
        scaling["api_peak"]
    )
}
