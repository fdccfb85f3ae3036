//! Faults of the webhook: what was answered 2xx has to be shown, whatever dies in between.
//!
//! It must not look into the outbox to judge: a chat is what people look at.

mod alertmanager;
mod failover;
mod kill;
mod rig;
mod shown;
mod telegram;
mod traffic;

use crate::scenario::Verdict;

/// A kind of fault.
#[derive(Debug)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    run: fn(&'static str, u32, u64) -> anyhow::Result<Verdict>,
}

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "webhook-kill",
        run: kill::run,
    },
    Scenario {
        name: "webhook-failover",
        run: failover::run,
    },
    Scenario {
        name: "webhook-telegram",
        run: telegram::run,
    },
    Scenario {
        name: "webhook-down",
        run: alertmanager::run,
    },
];

impl Scenario {
    pub(crate) fn run(&self, count: u32, seed: u64) -> anyhow::Result<Verdict> {
        (self.run)(self.name, count, seed)
    }
}
