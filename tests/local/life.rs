//! From nothing to a stack, through deaths, back to nothing.
//!
//! It must not look at tasks.

use crate::{context, kill, pids, running, status, until};
use rustix::process::Signal;
use std::net::TcpListener;

#[test]
fn up_twice_changes_nothing_and_down_leaves_nothing() {
    let context = running();
    let before = status(&context);
    let again = context.up(&["-o", "json"]).expect(0).json();
    assert_eq!(again["changed"], false);
    let names = |status: &serde_json::Value| -> Vec<(String, i64)> {
        let all = status["processes"].as_array().unwrap();
        all.iter()
            .map(|p| {
                (
                    p["name"].as_str().unwrap().to_owned(),
                    p["pid"].as_i64().unwrap_or(0),
                )
            })
            .collect()
    };
    assert_eq!(
        names(&before),
        names(&status(&context)),
        "no process was replaced"
    );
    let ids: Vec<i64> = names(&before)
        .into_iter()
        .map(|(_, pid)| pid)
        .filter(|&pid| pid > 0)
        .collect();
    assert!(
        ids.len() >= 9,
        "supervisor, proxy, three redis, three sentinels and an api: {before}"
    );
    context.run(&["down", "--purge"]).check(0);
    for pid in ids {
        // An ended process whose parent has not asked for its exit code yet is a line in a table, not a process.
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        assert!(
            stat.is_empty() || stat.contains(") Z "),
            "process {pid} is left: {stat}"
        );
    }
    let files = std::fs::read_dir(context.dir().join("state/local")).map_or(0, Iterator::count);
    assert_eq!(files, 0, "files are left");
    context.run(&["down", "--purge"]).check(0);
}

#[test]
fn up_after_the_supervisor_was_killed_takes_over_what_still_runs() {
    let context = running();
    let api = pids(&context, "api");
    let redis = pids(&context, "redis-master");
    let old = pids(&context, "supervisor");
    kill(old[0], Signal::KILL);
    until("the supervisor's death", || {
        !std::path::Path::new(&format!("/proc/{}", old[0])).exists()
    });
    context.up(&[]).check(0);
    assert_eq!(pids(&context, "api"), api);
    assert_eq!(pids(&context, "redis-master"), redis);
    let new = pids(&context, "supervisor");
    assert!(new.len() == 1 && new != old, "{new:?}");
}

#[test]
fn what_dies_is_started_again() {
    let context = running();
    let api = pids(&context, "api");
    kill(api[0], Signal::KILL);
    until("another API process", || {
        pids(&context, "api")
            .first()
            .is_some_and(|pid| *pid != api[0])
    });
    let sentinel = pids(&context, "sentinel");
    kill(sentinel[0], Signal::KILL);
    until("three Sentinels", || {
        let now = pids(&context, "sentinel");
        now.len() == 3 && !now.contains(&sentinel[0])
    });
}

#[test]
fn data_survives_down_and_a_reboot() {
    let context = running();
    context.run(&["queue", "pause"]).check(0);
    context.run(&["down"]).check(0);
    context.up(&[]).check(0);
    assert_eq!(status(&context)["queue"]["paused"], true, "after down");
    // A reboot: everything is gone at once, nothing could say goodbye.
    let all = status(&context);
    let ids = all["processes"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|p| p["pid"].as_i64());
    ids.for_each(|pid| drop(std::panic::catch_unwind(|| kill(pid, Signal::KILL))));
    context.up(&[]).check(0);
    assert_eq!(status(&context)["queue"]["paused"], true, "after a reboot");
}

#[test]
fn a_taken_api_port_is_an_error_with_a_cure_and_nothing_is_left() {
    let context = context();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let outcome = context
        .up(&["--set", &format!("api.port={port}")])
        .expect(1);
    assert!(
        outcome.stderr.contains("KD0201") && outcome.stderr.contains("--set api.port"),
        "{outcome:?}"
    );
    context.run(&["down"]).check(0);
}

#[test]
fn a_missing_redis_server_is_an_error_with_a_cure() {
    let context = context();
    let outcome = context
        .up(&["--set", "local.programs.redisServer=/nowhere/redis-server"])
        .expect(1);
    assert!(
        outcome.stderr.contains("KD0202") && outcome.stderr.contains("hint:"),
        "{outcome:?}"
    );
}

#[test]
fn a_redis_fail_over_moves_the_master() {
    let context = running();
    let before = status(&context)["redis"]["master"].clone();
    let outcome = context.run(&["redis", "failover"]).expect(0);
    assert!(outcome.stdout.contains("master moved"), "{outcome:?}");
    until("the new master in the status", || {
        let now = status(&context)["redis"]["master"].clone();
        now.is_string() && now != before
    });
}

#[test]
fn doctor_finds_a_healthy_stack_healthy() {
    let context = running();
    // The programs that `up` was told of by options: beside this `kedactl` there are none of the names that it would look for.
    context.write_project();
    let outcome = context.run(&["doctor", "-f", "fast", "-o", "json"]);
    let checks = outcome.json();
    let failed: Vec<_> = checks["checks"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|c| c["status"] == "fail")
        .collect();
    assert!(failed.is_empty(), "{failed:?}");
}
