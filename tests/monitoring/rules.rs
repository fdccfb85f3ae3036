//! The rules as promtool reads them.

use kedactl_render::monitoring;

use crate::programs::{config, folder, program, run};

/// Configurations that take every branch of the templates.
const CASES: [(&str, &[&str]); 5] = [
    ("local", &[]),
    ("kind", &[]),
    (
        "kind",
        &[
            "redis={nodes: 1, sentinels: 0, minReplicasToWrite: 0}",
            "api.durability=none",
        ],
    ),
    (
        "context",
        &[
            "redis.sentinelAddresses=['a:1','b:1','c:1']",
            "releases={redis: null}",
        ],
    ),
    (
        "local",
        &["monitoring.rules={holdSeconds: 0, windowSeconds: 4, budget: {windowSeconds: 60}}"],
    ),
];

#[test]
fn every_rule_is_one_for_promtool() {
    let Some(promtool) = program("promtool") else {
        return;
    };
    for (env, sets) in CASES {
        let text = monitoring::rules(&config(env, sets)).unwrap();
        let folder = folder(&[("rules.yml", &text)]);
        let args = ["check", "rules", "--lint-fatal", "rules.yml"];
        let checked = run(&promtool, &args, folder.path());
        assert!(checked.is_ok(), "{env} {sets:?}: {checked:?}\n{text}");
    }
}
