//! Random graphs: edges are respected, nothing runs twice, and nothing waits that need not.
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests fail the test they help"
)]

use std::sync::Mutex;
use std::time::Duration;

use kedactl_plan::{Control, Discard, Done, Graph, Outcome};
use proptest::prelude::*;
use tokio::time::{Instant, sleep};

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("broken")]
struct Broken;

/// One node: how long it takes, whether it fails, and which earlier nodes (by place) it waits for.
#[derive(Debug, Clone)]
struct Plan {
    took: u64,
    fails: bool,
    after: Vec<usize>,
}

fn plans(fails: f64) -> impl Strategy<Value = Vec<Plan>> {
    let node = (
        0_u64..20,
        prop::bool::weighted(fails),
        prop::collection::vec(any::<prop::sample::Index>(), 0..4),
    );
    prop::collection::vec(node, 1..25).prop_map(|nodes| {
        let of =
            |(at, (took, fails, after)): (usize, (u64, bool, Vec<prop::sample::Index>))| Plan {
                took,
                fails,
                after: if at == 0 {
                    Vec::new()
                } else {
                    after.iter().map(|index| index.index(at)).collect()
                },
            };
        nodes.into_iter().enumerate().map(of).collect()
    })
}

/// When each node began and ended, in seconds; `None` for one that never ran.
type Times = Vec<Option<(u64, u64)>>;

fn run(plans: &[Plan], backwards: bool) -> (Times, Vec<Outcome<Broken>>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let times: Mutex<Times> = Mutex::new(vec![None; plans.len()]);
    let report = runtime.block_on(async {
        let began = Instant::now();
        let mut graph = Graph::new();
        let mut places: Vec<usize> = (0..plans.len()).collect();
        if backwards {
            places.reverse();
        }
        for at in places {
            let (plan, times) = (&plans[at], &times);
            let after = plan.after.iter().map(|other| format!("n{other}"));
            graph.add(format!("n{at}"), "node", after, move |_| async move {
                let first = began.elapsed().as_secs();
                sleep(Duration::from_secs(plan.took)).await;
                let place = &mut times.lock().unwrap()[at];
                assert!(place.is_none(), "node {at} ran twice");
                *place = Some((first, began.elapsed().as_secs()));
                if plan.fails {
                    return Err(Broken);
                }
                Ok(Done::changed("there", ()))
            });
        }
        graph.run(&Discard, &Control::default()).await.unwrap()
    });
    let end = |at: usize| report.outcome(&format!("n{at}")).unwrap().clone();
    let ends = (0..plans.len()).map(end).collect();
    (times.into_inner().unwrap(), ends)
}

proptest! {
    #[test]
    fn every_node_starts_the_moment_its_last_dependency_ends(plans in plans(0.0), backwards: bool) {
        let (times, _) = run(&plans, backwards);
        for (at, plan) in plans.iter().enumerate() {
            let (first, _) = times[at].unwrap();
            let ready = plan.after.iter().map(|other| times[*other].unwrap().1).max().unwrap_or(0);
            prop_assert_eq!(first, ready, "node {} of {:?}", at, plans);
        }
    }

    #[test]
    fn exactly_what_a_failure_stands_before_is_skipped(plans in plans(0.15), backwards: bool) {
        let (times, ends) = run(&plans, backwards);
        for (at, plan) in plans.iter().enumerate() {
            let blocked = plan.after.iter().any(|other| !matches!(ends[*other], Outcome::Done { .. }));
            prop_assert_eq!(blocked, times[at].is_none());
            match &ends[at] {
                Outcome::Skipped { because } => {
                    prop_assert!(blocked);
                    let cause: usize = because.0[1..].parse().unwrap();
                    prop_assert!(plans[cause].fails);
                }
                Outcome::Failed(_) => prop_assert!(!blocked && plan.fails),
                Outcome::Done { .. } => prop_assert!(!blocked && !plan.fails),
                other => prop_assert!(false, "{:?}", other),
            }
        }
    }
}
