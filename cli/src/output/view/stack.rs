//! What `up`, `plan`, `diff` and `down` on a cluster have to say.
//!
//! It must not ask anything.

use crate::output::style;
use kedactl_cluster::{Action, Conflict, FieldChange, ObjectDiff};
use kedactl_stack::{DownOutcome, Look, Outcome, ReleaseLook};
use serde_json::Value;

/// Longest value of a field that is shown whole.
const WIDEST: usize = 60;

/// The end of `up`.
pub(crate) fn up(outcome: &Outcome) -> String {
    let what = if outcome.changed {
        "ready"
    } else {
        "ready, nothing to change"
    };
    let uid = outcome.cluster.get(..8).unwrap_or(&outcome.cluster);
    let place = format!("on {} ({uid})", outcome.context);
    let mut text = match &outcome.api_url {
        Some(url) => format!("{what}: {url}  (docs at {url}/docs, {place})"),
        None => format!("{what} {place}; `kedactl tunnel` brings the API to this machine"),
    };
    if !outcome.left_alone.is_empty() {
        text += &format!("\nleft alone: {}", outcome.left_alone.join(", "));
    }
    text
}

/// `plan`: one line a thing that changes.
pub(crate) fn plan(look: &Look) -> String {
    let mut lines = head(look);
    lines.extend(look.releases.iter().filter_map(release));
    let objects = look.diff.objects.iter();
    lines.extend(objects.filter_map(|it| object(it, false)));
    lines.push(sum(look));
    lines.join("\n")
}

/// `diff`: every field that changes.
pub(crate) fn diff(look: &Look) -> String {
    let mut lines = head(look);
    lines.extend(look.releases.iter().filter_map(release));
    let objects = look.diff.objects.iter();
    lines.extend(objects.filter_map(|it| object(it, true)));
    lines.push(sum(look));
    lines.join("\n")
}

fn head(look: &Look) -> Vec<String> {
    match &look.cluster {
        Some(uid) => vec![format!(
            "cluster {} ({})",
            look.context,
            uid.get(..8).unwrap_or(uid)
        )],
        None => vec![format!("{} cluster {}", style::good("+"), look.context)],
    }
}

fn release(it: &ReleaseLook) -> Option<String> {
    let mark = match it.action.as_str() {
        "install" => style::good("+"),
        "upgrade" => style::warn("~"),
        "uninstall" => style::bad("-"),
        "left_alone" => style::dim("="),
        _ => return None,
    };
    Some(format!(
        "{mark} release {}/{}  {}",
        it.namespace,
        it.name,
        style::dim(&it.detail)
    ))
}

fn object(it: &ObjectDiff, fields: bool) -> Option<String> {
    let (mark, note) = match &it.action {
        Action::Create => (style::good("+"), String::new()),
        Action::Change { drift: true } => (style::warn("~"), "changed by hand".to_owned()),
        Action::Change { drift: false } => (style::warn("~"), String::new()),
        Action::Delete => (style::bad("-"), String::new()),
        Action::Keep { reason } => (style::dim("="), format!("stays: {reason}")),
        Action::Conflict { conflicts } => (style::bad("!"), told(conflicts)),
        Action::Foreign { owner } => (style::bad("!"), format!("belongs to {owner}")),
        Action::Unchanged => return None,
    };
    let mut text = format!("{mark} {}", it.object);
    if !note.is_empty() {
        text += &format!("  {}", style::dim(&note));
    }
    for warning in &it.warnings {
        text += &format!("\n    {} {warning}", style::warn("warning:"));
    }
    if fields && it.action != Action::Create {
        for change in &it.fields {
            text += &format!("\n    {}", field(change));
        }
    }
    Some(text)
}

fn told(conflicts: &[Conflict]) -> String {
    let all: Vec<String> = conflicts.iter().map(ToString::to_string).collect();
    all.join("; ")
}

fn field(change: &FieldChange) -> String {
    let show = |value: &Option<Value>| value.as_ref().map_or_else(|| "(none)".to_owned(), short);
    format!(
        "{}: {} → {}",
        change.path,
        show(&change.before),
        show(&change.after)
    )
}

fn short(value: &Value) -> String {
    let text = value.to_string();
    if text.chars().count() <= WIDEST {
        return text;
    }
    let cut: String = text.chars().take(WIDEST - 1).collect();
    format!("{cut}…")
}

fn sum(look: &Look) -> String {
    if !look.has_changes() {
        return "nothing to change".to_owned();
    }
    let count = |wanted: fn(&Action) -> bool| look.count(wanted);
    format!(
        "{} to create, {} to change, {} to delete, {} refused",
        count(|it| matches!(it, Action::Create)),
        count(|it| matches!(it, Action::Change { .. })),
        count(|it| matches!(it, Action::Delete)),
        count(|it| matches!(it, Action::Conflict { .. } | Action::Foreign { .. })),
    )
}

/// The end of `down`.
pub(crate) fn down(outcome: &DownOutcome, purge: bool) -> String {
    let mut lines = Vec::new();
    lines.push(match (&outcome.cluster_deleted, outcome.changed) {
        (Some(name), _) => format!("deleted cluster {name} with everything in it"),
        (None, false) => "nothing was running".to_owned(),
        (None, true) if purge => format!("removed {} and the data", went(outcome)),
        (None, true) => format!(
            "removed {}; the data is kept for the next `kedactl up`",
            went(outcome)
        ),
    });
    if outcome.changed {
        lines.extend(
            outcome
                .kept
                .iter()
                .map(|it| style::dim(&format!("kept {it}"))),
        );
    }
    lines.join("\n")
}

fn went(outcome: &DownOutcome) -> String {
    let objects = format!("{} objects", outcome.removed);
    if outcome.releases.is_empty() {
        return objects;
    }
    format!("{objects}, releases {}", outcome.releases.join(", "))
}
