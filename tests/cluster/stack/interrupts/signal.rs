//! SIGINT and SIGTERM at random moments of `up`, on the way from nothing and with changes.
//!
//! It must not choose moments by steps: what lies between two of them is cut too.

use super::run::Cut;
use super::{Trial, left};
use crate::turn;
use rustix::process::Signal;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::Instant;

/// So many where the whole suite is asked for, and so many in every run.
const ALL: usize = 20;
const FEW: usize = 8;
/// So many from nothing and what the one before left of it, then changes, then a run to its end.
const BLOCK: usize = 8;
/// How many of them may take as long as one from nothing.
const FROM_NOTHING: usize = 3;
/// How long a run may take to end once it was told to: a helm at work has a moment to write down that it was stopped.
const ENDS_WITHIN: Duration = Duration::from_secs(10);
/// A program of this machine, whose end it waits for, is gone with it; a stream to a node sees it at once.
const CHILD_WITHIN: Duration = Duration::from_secs(2);

#[test]
fn told_to_end_at_random_moments_it_ends_at_once_and_the_next_run_goes_on() {
    let _turn = turn::beside_others();
    told_at(FEW);
}

#[test]
#[ignore = "minutes: `./test --cluster` runs it"]
fn many_random_moments_to_be_told_to_end() {
    let _turn = turn::beside_others();
    told_at(ALL);
}

fn told_at(moments: usize) {
    let trial = Trial::new("told");
    let mut random = Random::seeded();
    let whole = measured(&trial, 0);
    let change = measured(&trial, 1);
    println!("from nothing {whole:?}, a change {change:?}");
    let (mut slowest, mut cut) = (Duration::ZERO, 0);
    for moment in 0..moments {
        if moment % BLOCK == 0 {
            trial.rig.run(&["down", "--purge"]).check(0);
        }
        trial.vary(moment);
        let from_nothing = moment % BLOCK < FROM_NOTHING;
        let length = if from_nothing { whole } else { change };
        let (told, took) = tell(&trial, length.mul_f64(random.fraction()), moment);
        cut += usize::from(told);
        slowest = slowest.max(took);
        if moment % BLOCK == BLOCK - 1 || moment == moments - 1 {
            trial.converges(moment);
        }
    }
    println!("{cut} of {moments} were cut off, the slowest ended after {slowest:?}");
    assert!(cut * 2 > moments, "the moments were too late: {cut}");
}

/// How long `up` takes by itself.
fn measured(trial: &Trial, round: usize) -> Duration {
    trial.vary(round);
    let run = trial.up();
    let start = run.start;
    run.end().check(0);
    start.elapsed()
}

/// Tells a run to end at the moment; whether it had not ended before, and how long it took then.
fn tell(trial: &Trial, moment: Duration, number: usize) -> (bool, Duration) {
    let (signal, code) = if number % 4 == 3 {
        (Signal::TERM, 143)
    } else {
        (Signal::INT, 130)
    };
    let mut run = trial.up();
    let start = run.start;
    let early = run.until(|_| start.elapsed() >= moment);
    let told = Instant::now();
    run.signal(signal);
    if number % 5 == 2 {
        // Somebody who does not want to wait.
        run.signal(signal);
    }
    let steps = last_steps(&run);
    let ended = run.end();
    let took = told.elapsed();
    println!(
        "{moment:<14?} {} after {took:?} in {steps}",
        ended.code.unwrap()
    );
    // One that was at its end already may come to it.
    let codes = if early { [0, code] } else { [0, 0] };
    assert!(codes.contains(&ended.code.unwrap()), "{ended:?}");
    assert!(took < ENDS_WITHIN, "{took:?}: {ended:?}");
    left::children_end(&trial.rig, CHILD_WITHIN);
    assert_eq!(left::leases(&trial.rig), "", "{ended:?}");
    (ended.code != Some(0), took)
}

/// The steps that were at work.
fn last_steps(run: &Cut) -> String {
    let events = run.events();
    let mut open: Vec<&str> = Vec::new();
    for event in &events {
        let step = event.step.0.as_str();
        open.retain(|known| *known != step);
        if !event.kind.is_last() {
            open.push(step);
        }
    }
    open.join(", ")
}

#[expect(
    clippy::disallowed_methods,
    reason = "how a person repeats the moments of another run"
)]
fn wanted_seed() -> Option<u64> {
    let text = std::env::var("KEDACTL_TEST_SEED").ok()?;
    Some(text.parse().expect("KEDACTL_TEST_SEED is a number"))
}

/// Moments that another run can repeat.
pub(crate) struct Random(u64);

impl Random {
    /// From `KEDACTL_TEST_SEED`, or from the clock; said, so that the run can be repeated.
    pub(crate) fn seeded() -> Self {
        let clock = || {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
            since.as_nanos() as u64 & 0xffff_ffff
        };
        let seed = wanted_seed().unwrap_or_else(clock);
        println!("KEDACTL_TEST_SEED={seed}");
        Self(seed)
    }

    /// From 0 to 1.
    pub(crate) fn fraction(&mut self) -> f64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^= bits >> 31;
        (bits >> 11) as f64 / (1_u64 << 53) as f64
    }
}
