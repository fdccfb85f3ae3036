//! `up` on the way from no cluster at all, cut off at random moments.
//!
//! It must not choose moments by steps.

use super::{containers, of_its_own};
use crate::interrupts::run::Cut;
use crate::interrupts::signal::Random;
use crate::rig::Rig;
use crate::turn;
use rustix::process::Signal;
use std::time::Duration;
use tokio::time::Instant;

/// So many where the whole suite is asked for, and so many in every run.
const ALL: usize = 10;
const FEW: usize = 3;
/// The time in which kind is at work, and much of what comes after it.
const SPAN: Duration = Duration::from_secs(75);
/// A container that the engine is making is waited for.
const ENDS_WITHIN: Duration = Duration::from_secs(30);

#[test]
fn a_few_random_moments_on_the_way_from_nothing() {
    let _turn = turn::beside_others();
    cut_at_random(FEW);
}

#[test]
#[ignore = "minutes for each moment: `./test --cluster` runs it"]
fn many_random_moments_on_the_way_from_nothing() {
    let _turn = turn::beside_others();
    cut_at_random(ALL);
}

/// Interrupted and killed by turns; then one run comes to its end.
fn cut_at_random(moments: usize) {
    let rig = of_its_own("moments");
    let mut random = Random::seeded();
    let place = rig.place();
    let args: Vec<&str> = place.iter().map(String::as_str).collect();
    for number in 0..moments {
        // What the one before left is gone through faster.
        let moment = SPAN.mul_f64(random.fraction() * if number == 0 { 0.3 } else { 1.0 });
        let mut run = Cut::start(&rig, "up", &args);
        let start = run.start;
        let early = run.until(|_| start.elapsed() >= moment);
        let events = run.events();
        let making = events.iter().any(|it| it.step.0 == "cluster")
            && !events
                .iter()
                .any(|it| it.step.0 == "cluster" && it.kind.is_last());
        let told = Instant::now();
        if number % 2 == 1 {
            run.kill();
            println!(
                "{moment:?} killed, {}",
                if making { "kind at work" } else { "after kind" }
            );
            continue;
        }
        run.signal(Signal::INT);
        let ended = run.end();
        let took = told.elapsed();
        println!(
            "{moment:?} interrupted, ended with {:?} after {took:?}",
            ended.code
        );
        assert_eq!(ended.code, Some(if early { 130 } else { 0 }), "{ended:?}");
        assert!(took < ENDS_WITHIN, "{took:?}");
        gone_where_it_was_not_made(&rig, &ended.stderr);
    }
    let up = rig.up(&["-o", "json"]).expect(0).json();
    println!("then {} ms", up["took_ms"]);
    assert_eq!(rig.up(&["-o", "json"]).expect(0).json()["changed"], false);
    let load = [
        "load",
        "--rps",
        "20",
        "--duration",
        "2s",
        "--slo",
        "lost=0,p99<60s",
    ];
    rig.run(&load).check(0);
}

/// Ctrl-C while kind is at it gives back a machine without containers.
fn gone_where_it_was_not_made(rig: &Rig, said: &str) {
    if said.contains("deleting what kind made") {
        assert_eq!(containers(&rig.name), Vec::<String>::new(), "{said}");
    }
}
