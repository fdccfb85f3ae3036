//! The report that CI systems read: a suite for each phase, a case for each part of it.
//!
//! It must not leave a phase out: what never ran is reported as skipped.

use super::{Case, End, Ended, Verdict, plain};
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};
use std::time::Duration;

/// The report as XML (the `JUnit` schema of Jenkins, which GitHub's and GitLab's readers take).
pub(crate) fn report(stack: &str, phases: &[Ended]) -> Result<String, quick_junit::SerializeError> {
    let mut report = Report::new(format!("kedactl ci {stack}"));
    report.set_time(phases.iter().map(|it| it.took).sum());
    report.add_test_suites(phases.iter().map(suite));
    report.to_string()
}

fn suite(phase: &Ended) -> TestSuite {
    let name = phase.phase.name();
    let mut suite = TestSuite::new(name);
    suite.set_time(phase.took);
    let mut cases: Vec<TestCase> = phase.cases.iter().map(|it| case(name, it)).collect();
    // An error that no part of the phase speaks of, or a phase without parts.
    let spoken = phase
        .cases
        .iter()
        .any(|it| matches!(it.verdict, Verdict::Failed { .. }));
    if cases.is_empty() || (phase.failed() && !spoken) {
        cases.push(case(name, &whole(phase)));
    }
    suite.add_test_cases(cases);
    suite
}

/// The phase itself as a case.
fn whole(phase: &Ended) -> Case {
    Case {
        name: phase.phase.name().to_owned(),
        took: phase.took,
        verdict: match &phase.end {
            End::Passed => Verdict::Passed(phase.note.clone()),
            End::Failed(error) => Verdict::Failed {
                message: error.to_string(),
                detail: plain(&error.report()),
            },
            End::Skipped(reason) => Verdict::Skipped(reason.clone()),
        },
    }
}

fn case(suite: &str, case: &Case) -> TestCase {
    let mut out = TestCase::new(&case.name, status(&case.verdict));
    out.set_classname(format!("kedactl.{suite}"));
    out.set_time(case.took.max(Duration::ZERO));
    if let Verdict::Passed(note) = &case.verdict {
        out.set_system_out(plain(note));
    }
    out
}

fn status(verdict: &Verdict) -> TestCaseStatus {
    match verdict {
        Verdict::Passed(_) => TestCaseStatus::success(),
        Verdict::Failed { message, detail } => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            status.set_message(plain(message));
            status.set_description(plain(&format!("{message}\n{detail}")));
            status
        }
        Verdict::Skipped(reason) => {
            let mut status = TestCaseStatus::skipped();
            status.set_message(plain(reason));
            status
        }
    }
}
