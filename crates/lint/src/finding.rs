//! What the rules found, at which object and path.
//! Collects and sorts; judges nothing.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::view::At;
use crate::{Object, Rule, Severity};

/// Where an object stands, and which it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Place {
    /// The file, as it was named.
    pub file: String,
    /// First line of the object in it, from 1; 0 for objects that come from no file.
    pub line: usize,
    /// `kind`.
    pub kind: String,
    /// `metadata.namespace`, empty where it is missing.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
}

/// One broken rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The rule.
    pub rule: &'static Rule,
    /// The object.
    pub place: Place,
    /// Path of the field in it, `spec.template.spec.containers[0].image`.
    pub path: String,
    /// What is wrong there, in lower case, without a full stop.
    pub message: String,
}

/// A finding that the object itself asks to leave out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suppressed {
    /// The finding.
    pub finding: Finding,
    /// The reason that the object gives.
    pub reason: String,
}

/// All findings of a set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Objects that were checked.
    pub objects: usize,
    /// What was found.
    pub findings: Vec<Finding>,
    /// What was found and is accepted by a written reason.
    pub suppressed: Vec<Suppressed>,
}

impl Report {
    /// The findings of at least this severity.
    pub fn at_least(&self, severity: Severity) -> impl Iterator<Item = &Finding> {
        self.findings
            .iter()
            .filter(move |it| it.rule.severity >= severity)
    }
}

/// Findings while they are collected, each with the place of its object.
#[derive(Debug)]
pub(crate) struct Findings<'a> {
    objects: &'a [Object],
    found: Vec<(usize, Finding)>,
    seen: BTreeSet<(usize, &'static str, String, String)>,
}

impl<'a> Findings<'a> {
    pub(crate) fn new(objects: &'a [Object]) -> Self {
        Self {
            objects,
            found: Vec::new(),
            seen: BTreeSet::new(),
        }
    }

    /// Takes a finding at a field of the object at that place; the same words twice count once.
    pub(crate) fn add(
        &mut self,
        rule: &'static Rule,
        object: usize,
        at: &At<'_>,
        message: impl Into<String>,
    ) {
        let (path, message) = (at.path.clone(), message.into());
        let Some(owner) = self.objects.get(object) else {
            return;
        };
        if !self
            .seen
            .insert((object, rule.id, path.clone(), message.clone()))
        {
            return;
        }
        let finding = Finding {
            rule,
            place: place(owner),
            path,
            message,
        };
        self.found.push((object, finding));
    }

    /// By object, then by rule, then as they were found.
    pub(crate) fn into_sorted(mut self) -> Vec<(usize, Finding)> {
        self.found
            .sort_by_key(|(object, finding)| (*object, finding.rule.id));
        self.found
    }
}

/// The place of an object.
pub(crate) fn place(object: &Object) -> Place {
    Place {
        file: object.file.to_string(),
        line: object.line,
        kind: object.kind().to_owned(),
        namespace: object.namespace().to_owned(),
        name: object.name().to_owned(),
    }
}
