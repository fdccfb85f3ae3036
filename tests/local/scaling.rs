//! Load, real scaling decisions, and the audit of every accepted task.
//!
//! It must not assert times: the machine is shared.

use crate::{pids, running, status, until};

#[test]
fn load_takes_workers_from_zero_and_back_and_loses_nothing() {
    let context = running();
    assert!(
        pids(&context, "worker").is_empty(),
        "no worker runs while nothing is queued"
    );
    let args = [
        "load",
        "--rps",
        "100",
        "--duration",
        "8s",
        "--payload",
        r#"{"ms":100}"#,
        "--wait-zero",
        "60s",
        "-o",
        "json",
    ];
    let outcome = context.run(&args);
    let result = outcome.json();
    let audit = &result["audit"];
    assert_eq!(
        (audit["lost"].as_u64(), audit["duplicated"].as_u64()),
        (Some(0), Some(0)),
        "{audit}"
    );
    assert_eq!(audit["acknowledged"], result["accounting"]["ok"]);
    assert!(
        result["scaling"]["workers_peak"].as_u64() >= Some(2),
        "{}",
        result["scaling"]
    );
    assert!(
        result["scaling"]["to_zero_s"].is_number(),
        "{}",
        result["scaling"]
    );
    let reasons: Vec<_> = result["timeline"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|p| p["reasons"].as_array().unwrap())
        .collect();
    assert!(!reasons.is_empty(), "decisions have reasons");
    until("no worker", || pids(&context, "worker").is_empty());
    assert_eq!(status(&context)["queue"]["keda"], 0);
}
