//! All rules, one family a file: its table first, then what finds its breaks.
//! Each family looks at the releases and adds findings; none reads another's.

mod anything;
mod keda;
mod logs;
mod metrics;
mod prometheus;
mod redis;

use crate::{Around, Finding, Release, Rule};

/// A family: its table and its check.
type Family = (&'static [&'static Rule], Check);
type Check = fn(&[Release], &Around, &mut Vec<Finding>);

const FAMILIES: &[Family] = &[
    (anything::RULES, anything::check),
    (logs::RULES, logs::check),
    (redis::RULES, redis::check),
    (keda::RULES, keda::check),
    (metrics::RULES, metrics::check),
    (prometheus::RULES, prometheus::check),
];

/// Every rule, by id.
pub fn all() -> impl Iterator<Item = &'static Rule> {
    FAMILIES.iter().flat_map(|(rules, _)| rules.iter().copied())
}

/// Holds releases that are meant to be installed together against every rule. Findings come by release, then by rule.
pub fn check(releases: &[Release], around: &Around) -> Vec<Finding> {
    let mut found = Vec::new();
    for (_, family) in FAMILIES {
        family(releases, around, &mut found);
    }
    // What a rule explains needs no other words.
    for release in releases {
        let (plain, explained): (Vec<Finding>, Vec<Finding>) = found
            .into_iter()
            .partition(|it| it.release != release.name || anything::is_refusal(it));
        let refusal = |it: &Finding| it.release == release.name;
        found = if explained.is_empty() {
            plain
        } else {
            let others = plain.into_iter().filter(|it| !refusal(it));
            others.chain(explained).collect()
        };
    }
    found.sort_by(|a, b| (&a.release, a.rule.id).cmp(&(&b.release, b.rule.id)));
    found
}
