//! All rules, one family a file: its table first, then what finds its breaks.
//! Each family looks at a set and adds findings; none reads another's.

mod autoscaling;
mod availability;
mod hardening;
mod images;
mod keda;
mod network;
mod objects;
mod pod_security;
mod probes;
mod rbac;
mod resources;
mod scale_in;
mod secrets;
mod services;

use crate::Rule;
use crate::finding::Findings;
use crate::set::Set;

/// A family: its table and its check.
type Family = (&'static [&'static Rule], fn(&Set<'_>, &mut Findings<'_>));

const FAMILIES: &[Family] = &[
    (pod_security::RULES, pod_security::check),
    (hardening::RULES, hardening::check),
    (resources::RULES, resources::check),
    (probes::RULES, probes::check),
    (images::RULES, images::check),
    (secrets::RULES, secrets::check),
    (services::RULES, services::check),
    (network::RULES, network::check),
    (availability::RULES, availability::check),
    (autoscaling::RULES, autoscaling::check),
    (keda::RULES, keda::check),
    (scale_in::RULES, scale_in::check),
    (rbac::RULES, rbac::check),
    (objects::RULES, objects::check),
];

/// Every rule, by id.
pub fn all() -> impl Iterator<Item = &'static Rule> {
    let families = FAMILIES.iter().flat_map(|(rules, _)| rules.iter().copied());
    crate::suppress::rules().iter().copied().chain(families)
}

/// Runs every family over a set.
pub(crate) fn check(set: &Set<'_>, findings: &mut Findings<'_>) {
    for (_, family) in FAMILIES {
        family(set, findings);
    }
}
