//! Tables of charts, of fetches, and what was found in charts and values.
//!
//! It must not leave out or judge anything.

use crate::error::{Code, Error};
use crate::output::style;
use crate::output::table::Table;
use kedactl_config::to_yaml;
use kedactl_stack::charts::{ChartLook, ChartPulled, ChartsChecked};
use serde_json::{Value, json};

pub(crate) fn list(charts: &[ChartLook]) -> String {
    if charts.is_empty() {
        return "no releases\n".to_owned();
    }
    let heading = [
        "release",
        "chart",
        "version",
        "app",
        "source",
        "on this machine",
    ];
    let mut table = Table::new(&heading);
    for it in charts {
        let none = || "-".to_owned();
        table.row([
            it.release.clone(),
            name(&it.chart).to_owned(),
            it.version.clone().unwrap_or_else(none),
            it.app_version.clone().unwrap_or_else(none),
            it.source.clone(),
            place(it),
        ]);
    }
    table.text()
}

/// The chart alone; its source has a column of its own.
fn name(chart: &str) -> &str {
    chart.rsplit('/').next().unwrap_or(chart)
}

fn place(it: &ChartLook) -> String {
    let digest = it.digest.as_deref().map(short).unwrap_or_default();
    match (it.place.as_str(), &it.problem) {
        (_, Some(problem)) => style::bad(problem),
        ("own", _) => "built in".to_owned(),
        ("not-fetched", _) => style::dim("not fetched"),
        (word, _) => format!("{word}, {digest}"),
    }
}

fn short(digest: &str) -> String {
    digest.chars().take(19).collect()
}

pub(crate) fn pulled(charts: &[ChartPulled]) -> String {
    let mut table = Table::new(&["release", "chart", "version", "digest", "came"]);
    for it in charts {
        let came = match (&it.file, it.came) {
            (Some(file), came) => format!("{came}, in {}", file.display()),
            (None, came) => came.to_owned(),
        };
        table.row([
            it.release.clone(),
            name(&it.chart).to_owned(),
            it.version.clone(),
            short(&it.digest),
            came,
        ]);
    }
    table.text()
}

/// A block for each finding, with the values that cure it, ready to paste.
pub(crate) fn checked(checked: &ChartsChecked) -> Result<String, Error> {
    let mut text = String::new();
    let mut last = None;
    for it in &checked.findings {
        if last != Some(&it.release) {
            text += &format!("{}\n", style::head(&format!("release {}", it.release)));
            last = Some(&it.release);
        }
        text += &format!("  {} {}\n", style::bad(it.rule.id), it.rule.title);
        text += &indented(&it.message, 4);
        text += &format!("    {}\n", style::dim(it.rule.why));
        if !it.rule.issues.is_empty() {
            text += &format!(
                "    {}\n",
                style::dim(&format!("issues: {}", it.rule.issues))
            );
        }
        if it.patch.is_null() {
            continue;
        }
        let patch = to_yaml(&it.patch);
        let patch = patch.map_err(|error| Error::new(Code::Internal, error.to_string()))?;
        text += "    values that cure it:\n";
        text += &indented(&patch, 6);
    }
    for name in &checked.left_alone {
        text += &format!("release {name} is left alone: the cluster has it\n");
    }
    Ok(text + &checked.sentence() + "\n")
}

fn indented(text: &str, by: usize) -> String {
    text.lines().fold(String::new(), |mut out, line| {
        out += &format!("{:by$}{line}\n", "");
        out
    })
}

/// `{"schema", "releases", "left_alone", "kube_version", "findings": […]}`.
pub(crate) fn checked_json(checked: &ChartsChecked) -> Value {
    json!({
        "schema": "kedactl.charts.check/v1",
        "releases": checked.releases,
        "left_alone": checked.left_alone,
        "kube_version": checked.kube_version,
        "findings": checked.findings,
    })
}
