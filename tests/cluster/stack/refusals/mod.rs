//! What is in the way of a stack: each cause ends within seconds with object, reason and cure, and the next `up` recovers.
//!
//! It must not look at progress: what counts is the exit code and the report at the end.

mod machine;
mod owners;
mod pods;
mod way;

use crate::rig::Rig;
use crate::turn;
use kedactl_exec::Run;
use kedactl_tests::Outcome;
use std::path::Path;
use std::time::{Duration, Instant};

/// Every cause here is known soon, a crash at its third restart, which the kubelet delays by half a minute; the time-out of
/// `up` is ten minutes.
const SOON: Duration = Duration::from_secs(90);

/// One cause, observed: the exit code, and what the report must name.
fn refused(cause: &str, code: i32, named: &[&str], command: impl FnOnce() -> Outcome) -> Outcome {
    let start = now();
    let outcome = command();
    let took = start.elapsed();
    let report = outcome.stderr.find("error[KD").unwrap_or_default();
    let report = outcome.stderr[report..].trim_end();
    println!("{cause}: {:.1} s\n{report}\n", took.as_secs_f64());
    outcome.check(code);
    for words in named.iter().chain(&["error[KD", "\nhint: "]) {
        assert!(
            report.contains(words),
            "{cause}: `{words}` is not in\n{report}"
        );
    }
    assert!(took < SOON, "{cause}: it took {took:?}");
    outcome
}

/// The cause is gone.
fn recovered(rig: &Rig, more: &[&str]) {
    let start = now();
    rig.up(more).check(0);
    println!("  recovered: {:.1} s\n", start.elapsed().as_secs_f64());
}

#[test]
fn what_is_in_the_way_is_named_with_its_cure_and_the_next_up_recovers() {
    let _turn = turn::alone();
    let rig = Rig::new("refused");
    way::another_cluster(&rig);
    way::no_way_there(&rig);
    machine::programs(&rig);
    let user = way::User::new(&rig);
    user.lacks_a_right();
    assert_eq!(rig.leftovers(), Vec::<String>::new(), "nothing was written");

    owners::namespace_on_its_way_out(&rig);
    owners::made_before(&rig);
    let class = pods::Class::missing(&rig);
    class.made();
    recovered(&rig, &["--adopt=all"]);
    owners::adopted(&rig);
    user.may_now();
    way::bound_to_another(&rig);

    owners::edited_by_hand(&rig);
    owners::owned_by_a_program(&rig);
    owners::foreign_object(&rig);
    machine::full_disk(&rig);

    pods::too_large_for_every_node(&rig);
    pods::no_such_image(&rig);
    pods::over_quota(&rig);
    pods::out_of_memory(&rig);
    pods::crashes(&rig);
    pods::keda_does_not_run(&rig);

    rig.run(&["down", "--purge"]).check(0);
    owners::what_was_there_stays(&rig);
}

#[expect(clippy::disallowed_methods, reason = "real programs take real time")]
fn now() -> Instant {
    Instant::now()
}

/// Runs a program of the machine to a good end.
fn run(program: &str, args: &[&str]) -> String {
    let run = Run::new(program).args(args.iter().copied());
    let ended = run.within(Duration::from_mins(1)).run();
    ended.unwrap_or_else(|error| panic!("{error}")).stdout
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
