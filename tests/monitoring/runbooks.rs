//! docs/runbooks.md: every alert has its section, every section its alert, and what it tells to run exists.
//!
//! It must not judge the advice.

use std::collections::BTreeSet;

use crate::programs::config;
use crate::rules::alerts;

const RUNBOOKS: &str = include_str!("../../docs/runbooks.md");
const REFERENCE: &str = include_str!("../../docs/cli.md");

#[test]
fn every_alert_has_its_section_and_every_section_its_alert() {
    let sections: Vec<&str> = RUNBOOKS
        .lines()
        .filter_map(|line| line.strip_prefix("## "))
        .collect();
    let once: BTreeSet<String> = sections.iter().map(|&it| it.to_owned()).collect();
    assert_eq!(once.len(), sections.len(), "a section is there twice");
    let alerts: BTreeSet<String> = alerts(&config("kind", &[])).into_keys().collect();
    assert_eq!(once, alerts);
}

#[test]
fn every_section_says_something() {
    for section in RUNBOOKS.split("\n## ").skip(1) {
        let (name, text) = section.split_once('\n').unwrap();
        assert!(
            text.lines().any(|line| line.starts_with("- ")),
            "{name}: no step"
        );
        assert!(text.len() > 150, "{name}");
    }
}

/// What stands in backquotes and begins with `kedactl` is a command.
#[test]
fn commands_exist() {
    let commands: BTreeSet<&str> = REFERENCE
        .lines()
        .filter_map(|line| line.strip_prefix("## "))
        .collect();
    let mut seen = 0;
    for text in RUNBOOKS.split('`').skip(1).step_by(2) {
        if !text.starts_with("kedactl ") {
            continue;
        }
        let words: Vec<&str> = text.split_whitespace().collect();
        let known = (2..=words.len()).any(|end| commands.contains(words[..end].join(" ").as_str()));
        assert!(known, "`{text}` is no command");
        seen += 1;
    }
    assert!(seen > 20, "{seen}");
}

/// Values that it names are values that there are.
#[test]
fn values_exist() {
    let schema = kedactl_config::schema().to_string();
    for text in RUNBOOKS.split('`').skip(1).step_by(2) {
        let sections = [
            "queue.",
            "tasks.",
            "restarts.",
            "api.",
            "outbox.",
            "redis.",
            "worker.",
            "monitoring.",
        ];
        if sections.iter().any(|it| text.starts_with(it)) && !text.contains(' ') {
            let key = text.rsplit('.').next().unwrap();
            assert!(
                schema.contains(&format!("\"{key}\"")),
                "`{text}` is no value"
            );
        }
    }
}
