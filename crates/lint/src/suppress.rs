//! `lint.kedactl.io/ignore: "KL0403 reason; KL0404 reason"`: findings that an object accepts, each with a reason.
//! A reason is a must: an entry without one hides nothing and is a finding itself.

use serde_json::Value as Json;

use crate::finding::{Finding, Report, Suppressed, place};
use crate::pod::Pod;
use crate::rule::rules;
use crate::view::At;
use crate::{Object, Rule};

/// The annotation.
pub(crate) const ANNOTATION: &str = "lint.kedactl.io/ignore";

rules! {
    IGNORED "KL0001" Warning "a suppression says nothing",
        why "A rule that is silenced without a word cannot be told from one that was forgotten, and one that nothing breaks any more hides the next break.",
        cure "write `KL0403 reason; KL0404 reason` with known rules and a reason each, and remove what nothing breaks",
        peers "";
}

/// Takes suppressed findings out, and adds findings about suppressions.
pub(crate) fn apply(objects: &[Object], found: Vec<(usize, Finding)>) -> Report {
    let mut report = Report {
        objects: objects.len(),
        ..Report::default()
    };
    let mut found = found.into_iter().peekable();
    for (at, object) in objects.iter().enumerate() {
        let mut entries = entries(at, object);
        while let Some((_, finding)) = found.next_if(|(owner, _)| *owner == at) {
            let entry = entries.iter_mut().find(|it| it.accepts(finding.rule));
            match entry {
                Some(entry) => {
                    entry.used = true;
                    let reason = entry.reason.clone();
                    report.suppressed.push(Suppressed { finding, reason });
                }
                None => report.findings.push(finding),
            }
        }
        let complaints = entries.iter().filter_map(Entry::complaint);
        report
            .findings
            .extend(complaints.map(|(path, message)| Finding {
                rule: IGNORED,
                place: place(object),
                path,
                message,
            }));
    }
    report
}

/// One `KL0403 reason`.
struct Entry {
    path: String,
    id: String,
    reason: String,
    used: bool,
}

impl Entry {
    fn accepts(&self, rule: &Rule) -> bool {
        self.id == rule.id && !self.reason.is_empty()
    }

    fn complaint(&self) -> Option<(String, String)> {
        let message = if !crate::rules().any(|rule| rule.id == self.id) {
            format!("there is no rule `{}`", self.id)
        } else if self.reason.is_empty() {
            format!("`{}` is given without a reason", self.id)
        } else if !self.used {
            format!("nothing here breaks `{}`", self.id)
        } else {
            return None;
        };
        Some((self.path.clone(), message))
    }
}

/// The entries of an object and of its pod template.
fn entries(at: usize, object: &Object) -> Vec<Entry> {
    let own = object.root().key("metadata");
    let pods = Pod::of(at, object).map(|pod| pod.metadata);
    let pods = pods.filter(|it| it.path != own.path);
    let mut entries = Vec::new();
    for metadata in [Some(own), pods].into_iter().flatten() {
        read(&metadata.key("annotations").key(ANNOTATION), &mut entries);
    }
    entries
}

fn read(annotation: &At<'_>, entries: &mut Vec<Entry>) {
    let Json::String(text) = annotation.value else {
        return;
    };
    for entry in text
        .split([';', '\n'])
        .map(str::trim)
        .filter(|it| !it.is_empty())
    {
        let (id, reason) = entry.split_once(char::is_whitespace).unwrap_or((entry, ""));
        entries.push(Entry {
            path: annotation.path.clone(),
            id: id.to_owned(),
            reason: reason.trim().to_owned(),
            used: false,
        });
    }
}

/// The rule about suppressions, for the table of all rules.
pub(crate) fn rules() -> &'static [&'static Rule] {
    RULES
}
