//! SIGKILL at every node of `up`, on the way from nothing and with changes.
//!
//! It must not have a list of nodes of its own: a new one is tried because the graph has it.

use super::run::started;
use super::{Trial, helm};
use crate::turn;
use std::collections::BTreeSet;

#[test]
fn killed_at_every_node_the_next_run_goes_on() {
    let _turn = turn::beside_others();
    let trial = Trial::new("killed");
    trial.vary(0);
    // From nothing: every run is killed at a later node, so that what it does there is done for the first time.
    let nodes = nodes(&trial);
    assert!(nodes.len() > 8, "{nodes:?}");
    for node in &nodes {
        kill_at(&trial, node);
    }
    trial.converges(0);

    // With changes: in the middle of each node, where its inner steps are, and behind the last one.
    let steps = steps_of_a_change(&trial);
    let writers = [
        "namespaces",
        "release/redis",
        "app",
        "scaling",
        "ready",
        "tunnel",
        "prune",
    ];
    for writer in writers {
        let within = |step: &&String| step.starts_with(writer);
        assert!(
            steps.iter().any(|step| within(&step)),
            "{writer}: {steps:?}"
        );
    }
    for (round, step) in steps.iter().enumerate() {
        trial.vary(round);
        kill_at(&trial, step);
    }
    let mut round = steps.len();
    trial.converges(round - 1);

    helm::goes_on_alone(&trial, round);
    round += 1;
    helm::dies_too(&trial, round);
}

/// The nodes of `up`.
fn nodes(trial: &Trial) -> Vec<String> {
    let graph = trial.rig.command("plan", &["--graph", "-o", "json"]);
    let graph = graph.expect(0).json();
    let nodes = graph["nodes"].as_array().unwrap().iter();
    nodes
        .map(|node| node["id"].as_str().unwrap().to_owned())
        .collect()
}

/// The steps of a run that changes everything, the nodes themselves left out where they have steps of their own.
fn steps_of_a_change(trial: &Trial) -> Vec<String> {
    trial.vary(1);
    let mut run = trial.up();
    assert!(!run.until(|_| false), "it ends by itself");
    let events = run.events();
    run.end().check(0);
    let mut seen = BTreeSet::new();
    let all: Vec<&str> = started(&events).filter(|step| seen.insert(*step)).collect();
    let has_steps = |step: &str| all.iter().any(|it| it.starts_with(&format!("{step}/")));
    let leaves = all.iter().filter(|step| !has_steps(step));
    leaves.map(|step| (*step).to_owned()).collect()
}

fn kill_at(trial: &Trial, step: &str) {
    let mut run = trial.up();
    if run.until_started(step) {
        println!("{step:<28} killed after {:?}", run.start.elapsed());
        run.kill();
    } else {
        let ended = run.end();
        panic!("{step} never began: {ended:?}");
    }
}
