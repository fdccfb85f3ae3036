//! A journal replays to the same decisions, and a changed one does not.

#![expect(clippy::unwrap_used, reason = "a helper of tests fails by panicking")]

mod support;

use kedactl_autoscale::journal::{Entry, ReplayError, Replayer, Verdict};
use support::{Signal, World, scaled_object};

fn journal() -> Vec<String> {
    let arrivals = |tick| if tick < 3000 { tick % 2 } else { 0 };
    let object = scaled_object(2, true);
    let signal = Signal::WaitingAndRunning;
    let world = World {
        object,
        signal,
        arrivals,
        service: 15,
        start_delay: 30,
        ticks: 9000,
    };
    let run = world.run();
    run.journal
        .iter()
        .map(|entry| serde_json::to_string(entry).unwrap())
        .collect()
}

#[test]
fn every_decision_comes_out_again() {
    let lines = journal();
    let mut replayer = Replayer::new();
    let mut same = 0;
    for line in &lines {
        match replayer.line(line).unwrap() {
            Verdict::Same => same += 1,
            Verdict::Applied => {}
            Verdict::Different { recorded, computed } => panic!("{recorded}\n{computed}"),
        }
    }
    // 30 polls, 60 queries and 60 syncs in 900 s.
    assert_eq!((lines.len(), same), (152, 150));
}

#[test]
fn a_changed_reading_shows() {
    let mut lines = journal();
    let position = lines
        .iter()
        .rposition(|line| line.contains("\"hpa-sync\""))
        .unwrap();
    let mut entry: Entry = serde_json::from_str(&lines[position]).unwrap();
    let Entry::HpaSync { input, .. } = &mut entry else {
        panic!("not a sync")
    };
    input.spec_replicas = 7;
    lines[position] = serde_json::to_string(&entry).unwrap();
    let mut replayer = Replayer::new();
    let verdicts: Vec<Verdict> = lines
        .iter()
        .map(|line| replayer.line(line).unwrap())
        .collect();
    assert!(matches!(verdicts[position], Verdict::Different { .. }));
}

#[test]
fn a_journal_that_starts_in_the_middle_is_refused() {
    let lines = journal();
    let error = Replayer::new().line(&lines[2]).unwrap_err();
    assert!(matches!(error, ReplayError::NotStarted { .. }), "{error}");
    assert!(matches!(
        Replayer::new().line("{}"),
        Err(ReplayError::Json(_))
    ));
}
