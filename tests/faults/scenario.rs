//! Which faults make a scenario, and what its audit must say.
//!
//! It must not know how a fault is made.

use crate::fault::Fault;
use crate::prober::{Prober, pause};
use crate::random::Random;
use crate::stack::{Stack, until};
use std::fmt;
use std::time::Duration;
use tokio::time::Instant;

/// What the audit must say for a scenario to pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Must {
    /// Nothing lost; duplicates are allowed, as at-least-once says.
    LoseNothing,
    /// Nothing lost and nothing executed twice.
    LoseAndRepeatNothing,
    /// The control: without durability this fault loses tasks, and the audit must see it.
    SeeLoss,
}

/// A kind of fault, repeated under load.
#[derive(Debug)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    faults: &'static [Fault],
    sets: &'static [&'static str],
    must: Must,
    /// Longest time without a 202 that is allowed after a fault.
    gap: Option<Duration>,
}

const EVERY: &[Fault] = &[
    Fault::KillWorker,
    Fault::KillApi,
    Fault::KillSupervisor,
    Fault::KillMaster,
    Fault::FreezeMaster,
    Fault::FreezeReplicasKillMaster,
    Fault::TermWorkers,
];

const fn scenario(name: &'static str, faults: &'static [Fault]) -> Scenario {
    Scenario {
        name,
        faults,
        sets: &[],
        must: Must::LoseNothing,
        gap: None,
    }
}

const FIVE: Option<Duration> = Some(Duration::from_secs(5));

pub(crate) const SCENARIOS: &[Scenario] = &[
    scenario("worker-kill", &[Fault::KillWorker]),
    Scenario {
        gap: FIVE,
        ..scenario("api-kill", &[Fault::KillApi])
    },
    Scenario {
        gap: FIVE,
        ..scenario("supervisor-kill", &[Fault::KillSupervisor])
    },
    Scenario {
        gap: FIVE,
        ..scenario("master-kill", &[Fault::KillMaster])
    },
    scenario("master-frozen", &[Fault::FreezeMaster]),
    scenario(
        "replicas-frozen-master-kill",
        &[Fault::FreezeReplicasKillMaster],
    ),
    Scenario {
        must: Must::LoseAndRepeatNothing,
        ..scenario("workers-term", &[Fault::TermWorkers])
    },
    scenario("mixed", EVERY),
    Scenario {
        sets: &["api.durability=none"],
        must: Must::SeeLoss,
        ..scenario("control-no-durability", &[Fault::FreezeReplicasKillMaster])
    },
];

const RPS: u32 = 300;

impl Scenario {
    /// Brings a stack up, loads it, breaks it `count` times at random moments, and reads the audit.
    pub(crate) fn run(&self, count: u32, seed: u64) -> anyhow::Result<Verdict> {
        let mut random = Random::new(seed ^ name_hash(self.name));
        let mut stack = Stack::up(self.sets)?;
        let prober = Prober::start(stack.api());
        // Longer than the faults can take; what is left over when they are done is the tail that shows recovery.
        let rounds = count as usize * self.faults.len();
        let mut load = stack.load(RPS, 8 + rounds as u64 * self.seconds());
        pause(Duration::from_secs(4));
        let mut gaps = Vec::new();
        let first = random.between(0, 64) as usize;
        for round in 0..rounds {
            pause(Duration::from_millis(random.between(0, 2000)));
            let fault = self.faults[(first + round) % self.faults.len()];
            let at = Instant::now();
            fault.inject(&mut stack, &mut random)?;
            until("a whole stack", Duration::from_secs(40), || whole(&stack))?;
            // The gap ends with the first 202 of the whole stack; until then it has no length.
            let healed = Instant::now();
            until(
                "an accepted task after the fault",
                Duration::from_secs(30),
                || Ok(prober.gap(healed).is_some()),
            )?;
            gaps.push(prober.gap(at).unwrap_or_default());
            anyhow::ensure!(
                load.running(),
                "the load ended before fault {} of {rounds}",
                round + 1
            );
        }
        drop(prober);
        let audit = load.audit()?;
        gaps.sort();
        let ok = self.holds(&audit, &gaps);
        Ok(Verdict::of(self.name, rounds, audit, gaps, ok))
    }

    fn holds(&self, audit: &crate::stack::Audit, gaps: &[Duration]) -> bool {
        let audited = match self.must {
            Must::LoseNothing => audit.lost == 0,
            Must::LoseAndRepeatNothing => audit.lost == 0 && audit.duplicated == 0,
            Must::SeeLoss => audit.lost > 0,
        };
        audited
            && audit.acknowledged > 0
            && self
                .gap
                .is_none_or(|most| gaps.iter().all(|gap| *gap <= most))
    }

    /// Seconds of load that one fault of this scenario may need.
    fn seconds(&self) -> u64 {
        let slow = self
            .faults
            .iter()
            .any(|f| matches!(f, Fault::FreezeMaster | Fault::TermWorkers));
        if slow { 20 } else { 12 }
    }
}

/// One master, two replicas, an API and a supervisor: the next fault meets a stack that can stand it.
fn whole(stack: &Stack) -> anyhow::Result<bool> {
    Ok(stack.pids("redis-master")?.len() == 1
        && stack.pids("redis-replica")?.len() == 2
        && !stack.pids("api")?.is_empty()
        && stack.pids("supervisor")?.len() == 1)
}

fn name_hash(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// One line of the table.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) ok: bool,
    name: &'static str,
    count: usize,
    audit: Option<crate::stack::Audit>,
    gaps: Vec<Duration>,
    error: Option<String>,
}

impl Verdict {
    /// What the audit of so many faults said; `gaps` are in order.
    pub(crate) fn of(
        name: &'static str,
        count: usize,
        audit: crate::stack::Audit,
        gaps: Vec<Duration>,
        ok: bool,
    ) -> Self {
        Self {
            ok,
            name,
            count,
            audit: Some(audit),
            gaps,
            error: None,
        }
    }

    pub(crate) fn broken(name: &'static str, error: &anyhow::Error) -> Self {
        let error = Some(format!("{error:#}"));
        Self {
            ok: false,
            name,
            count: 0,
            audit: None,
            gaps: Vec::new(),
            error,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<28} {:>4}", self.name, self.count)?;
        if let Some(audit) = &self.audit {
            write!(
                f,
                "  acknowledged {}  lost {}  duplicated {}",
                audit.acknowledged, audit.lost, audit.duplicated
            )?;
        }
        if let (Some(middle), Some(worst)) = (self.gaps.get(self.gaps.len() / 2), self.gaps.last())
        {
            write!(
                f,
                "  recovery-p50 {:.2}s  recovery-p99 {:.2}s",
                middle.as_secs_f64(),
                worst.as_secs_f64()
            )?;
        }
        if let Some(error) = &self.error {
            write!(f, "  {error}")?;
        }
        write!(f, "  {}", if self.ok { "ok" } else { "short" })
    }
}
