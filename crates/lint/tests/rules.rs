//! Each rule once broken, as `broken.txt` says: manifests that break none, a change, and the rule speaks.
//! What a finding says word by word is not repeated here.

mod changes;
mod support;

use std::collections::BTreeSet;

use changes::{cases, own};
use kedactl_lint::{Severity, lint, rules};

#[test]
fn own_manifests_break_no_rule_not_even_a_note() {
    let report = lint(&own());
    let found: Vec<_> = report.at_least(Severity::Note).collect();
    assert!(found.is_empty(), "{found:#?}");
    let reasons = report.suppressed.iter().map(|it| it.reason.len());
    assert!(reasons.min() > Some(15), "each reason is a sentence");
}

#[test]
fn each_change_breaks_its_rule_and_its_place_is_named() {
    let mut wrong = Vec::new();
    for case in cases() {
        let mut objects = own();
        case.apply(&mut objects);
        let report = lint(&objects);
        let mut broken = report.findings.iter().filter(|it| it.rule.id == case.rule);
        match broken.next() {
            None => {
                let found = report.findings.iter().map(|it| (it.rule.id, &it.message));
                let found: Vec<_> = found.collect();
                wrong.push(format!(
                    "line {}: {} says nothing, but {found:?}",
                    case.line, case.rule
                ));
            }
            Some(it) if it.message.is_empty() || it.path.is_empty() => {
                wrong.push(format!("line {}: no place: {it:?}", case.line));
            }
            Some(_) => {}
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn of_a_shell_before_the_worker_it_is_not_said_that_the_worker_is_process_1() {
    let shells: Vec<_> = cases()
        .into_iter()
        .filter(|it| it.rule == "KL0830")
        .collect();
    assert!(!shells.is_empty());
    for case in shells {
        let mut objects = own();
        case.apply(&mut objects);
        let report = lint(&objects);
        assert!(
            report.findings.iter().all(|it| it.rule.id != "KL0837"),
            "line {}",
            case.line
        );
    }
}

#[test]
fn every_rule_has_a_case_and_whole_words() {
    let cases = cases();
    let broken: BTreeSet<&str> = cases.iter().map(|case| case.rule.as_str()).collect();
    let ids: Vec<&str> = rules().map(|rule| rule.id).collect();
    let sorted: BTreeSet<&str> = ids.iter().copied().collect();
    assert_eq!(
        sorted.iter().copied().collect::<Vec<_>>(),
        ids,
        "ids are unique and sorted"
    );
    let untested: Vec<_> = sorted.difference(&broken).collect();
    assert!(untested.is_empty(), "{untested:?}");
    for rule in rules() {
        let why = rule.why.len() > 30 && rule.why.ends_with('.');
        let cure = rule.cure.len() > 10 && !rule.cure.ends_with('.');
        assert!(why && cure && !rule.title.ends_with('.'), "{}", rule.id);
    }
}
