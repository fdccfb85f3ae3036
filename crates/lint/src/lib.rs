//! What reviewers of manifests look for, checked offline on any YAML.
//!
//! Law: no I/O and no network; a finding names object, path and cure, and the same documents give the same findings.

mod finding;
mod framework;
mod object;
mod pod;
mod reference;
mod rule;
mod rules;
mod selector;
mod set;
mod suppress;
mod view;

pub use finding::{Finding, Place, Report, Suppressed};
pub use object::{LintError, MAX_BYTES, Object, parse};
pub use reference::reference;
pub use rule::{Rule, Severity};
pub use rules::all as rules;

use finding::Findings;
use set::Set;

/// Checks objects that are meant to be applied together: what one says about another counts as well.
/// Findings come in the order of the objects, and in the order of the rules at each.
pub fn lint(objects: &[Object]) -> Report {
    let set = Set::of(objects);
    let mut findings = Findings::new(objects);
    rules::check(&set, &mut findings);
    suppress::apply(objects, findings.into_sorted())
}
