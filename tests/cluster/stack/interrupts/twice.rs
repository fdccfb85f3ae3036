//! Two runs of one stack at once: one works, the other is told who does.
//!
//! It must not say which of them comes first.

use super::{Trial, left};
use crate::rig::Rig;
use kedactl_tests::Outcome;

/// Brings the stack up from nothing by two runs at once; they end together with a stack that is as it should be.
pub(super) fn ups(trial: &Trial) {
    trial.vary(0);
    let place = trial.rig.place();
    let args: Vec<&str> = place.iter().map(String::as_str).collect();
    let runs = [(); 2].map(|()| trial.rig.spawn(&[&["up"], args.as_slice()].concat()));
    let pids = [0, 1].map(|which: usize| runs[which].id());
    let ended = runs.map(|run| super::run::outcome(&run.wait_with_output().unwrap()));
    let (worked, refused) = one_each(&ended);
    told_who(&ended[refused], pids[worked]);
    trial.converges(0);
}

/// Takes the stack down by two runs at once.
pub(super) fn downs(rig: &Rig) {
    let runs = [(); 2].map(|()| rig.spawn(&["down", "--keep-data"]));
    let pids = [0, 1].map(|which: usize| runs[which].id());
    let ended = runs.map(|run| super::run::outcome(&run.wait_with_output().unwrap()));
    // One that came late found nothing to do, which is well too.
    if ended.iter().any(|it| it.code != Some(0)) {
        let (worked, refused) = one_each(&ended);
        told_who(&ended[refused], pids[worked]);
    }
    left::nothing_runs(rig);
    assert_eq!(left::leases(rig), "");
}

/// Which of the two ended well, and which was refused.
fn one_each(ended: &[Outcome; 2]) -> (usize, usize) {
    let found = |code| ended.iter().position(|it| it.code == Some(code));
    match (found(0), found(6)) {
        (Some(worked), Some(refused)) => (worked, refused),
        _ => panic!("{ended:#?}"),
    }
}

/// The one that does not work says who does, and what to do.
fn told_who(refused: &Outcome, worker: u32) {
    let said = &refused.stderr;
    assert!(said.contains("another run holds stack"), "{said}");
    assert!(said.contains(&format!("(process {worker})")), "{said}");
    assert!(said.contains("hint: wait for it"), "{said}");
}
