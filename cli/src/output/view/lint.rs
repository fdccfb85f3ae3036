//! What `lint` found: for people one block an object, for programs one document.
//!
//! It must not leave out or judge anything.

use crate::output::style;
use kedactl_lint::{Finding, Place, Report, Severity};
use serde_json::{Value, json};

/// The findings from a severity on, by object, and a line with the sum of everything.
pub(crate) fn text(report: &Report, level: Severity) -> String {
    let mut text = String::new();
    let mut last = None;
    for finding in report.at_least(level) {
        if last != Some(&finding.place) {
            text += &format!("{}\n", style::head(&title(&finding.place)));
            last = Some(&finding.place);
        }
        let severity = finding.rule.severity.to_string();
        let severity = match finding.rule.severity {
            Severity::Error => style::bad(&severity),
            Severity::Warning => style::warn(&severity),
            Severity::Note => style::dim(&severity),
        };
        let at = if finding.path.is_empty() {
            String::new()
        } else {
            format!("{}: ", finding.path)
        };
        text += &format!("  {severity} {} {}\n", finding.rule.id, finding.rule.title);
        text += &format!("    {at}{}\n", finding.message);
        text += &format!(
            "    {}\n",
            style::dim(&format!("cure: {}", finding.rule.cure))
        );
    }
    text + &sum(report)
}

fn title(place: &Place) -> String {
    let slash = if place.namespace.is_empty() { "" } else { "/" };
    let object = format!("{} {}{slash}{}", place.kind, place.namespace, place.name);
    match place.line {
        0 => format!("{object} ({})", place.file),
        line => format!("{object} ({}:{line})", place.file),
    }
}

fn sum(report: &Report) -> String {
    let count = |severity| {
        report
            .findings
            .iter()
            .filter(|it| it.rule.severity == severity)
            .count()
    };
    let counts = [Severity::Error, Severity::Warning, Severity::Note].map(|it| match count(it) {
        1 => format!("1 {it}"),
        many => format!("{many} {it}s"),
    });
    let objects = report.objects;
    let accepted = report.suppressed.len();
    format!(
        "{objects} objects: {}, {accepted} accepted with a reason\n",
        counts.join(", ")
    )
}

/// `{"schema", "objects", "findings": […], "suppressed": […]}`.
pub(crate) fn json(report: &Report, level: Severity) -> Value {
    let findings: Vec<Value> = report.at_least(level).map(finding).collect();
    let suppressed = report.suppressed.iter().map(|it| {
        let mut value = finding(&it.finding);
        value["reason"] = it.reason.as_str().into();
        value
    });
    json!({
        "schema": "kedactl.lint/v1",
        "objects": report.objects,
        "findings": findings,
        "suppressed": suppressed.collect::<Vec<_>>(),
    })
}

fn finding(it: &Finding) -> Value {
    json!({
        "rule": it.rule.id,
        "severity": it.rule.severity,
        "title": it.rule.title,
        "why": it.rule.why,
        "cure": it.rule.cure,
        "object": it.place,
        "path": it.path,
        "message": it.message,
    })
}
