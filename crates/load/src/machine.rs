//! The machine under the generator: CPU shares from /proc, and the limit on open files.
//!
//! It must not fail a run: what cannot be read is absent.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::histogram::rounded;
use crate::result::Machine;

/// CPU ticks since boot: all, idle (waiting for a disk included), taken by the host.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CpuTicks {
    all: u64,
    idle: u64,
    steal: u64,
}

impl CpuTicks {
    pub(crate) fn read() -> Option<Self> {
        Self::parse(&std::fs::read_to_string("/proc/stat").ok()?)
    }

    fn parse(stat: &str) -> Option<Self> {
        let line = stat.lines().next()?.strip_prefix("cpu ")?;
        let ticks: Vec<u64> = line
            .split_whitespace()
            .map_while(|t| t.parse().ok())
            .collect();
        // user nice system idle iowait irq softirq steal; the guests after them are in user already.
        let idle = ticks.get(3)? + ticks.get(4)?;
        Some(Self {
            all: ticks.iter().take(8).sum(),
            idle,
            steal: *ticks.get(7)?,
        })
    }

    /// Shares between an earlier reading and this one.
    pub(crate) fn since(self, earlier: Self) -> Option<Machine> {
        let all = self.all.checked_sub(earlier.all).filter(|n| *n > 0)? as f64;
        let idle = self.idle.saturating_sub(earlier.idle) as f64;
        let steal = self.steal.saturating_sub(earlier.steal) as f64;
        Some(Machine {
            busy: rounded(1.0 - idle / all),
            steal: rounded(steal / all),
        })
    }
}

/// Files that stay free for everything but connections.
const RESERVED_FILES: u64 = 128;

/// Raises the limit on open files as far as allowed; says how many connections fit.
pub(crate) fn connections_allowed() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    let _kept = setrlimit(Resource::Nofile, raised);
    let files = getrlimit(Resource::Nofile).current.unwrap_or(1 << 20);
    files.saturating_sub(RESERVED_FILES).max(1) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_of_all_cpus_between_two_readings() {
        let at = |text: &str| CpuTicks::parse(text).expect("a reading");
        let before = at("cpu  100 0 100 700 100 0 0 0 50 0\ncpu0 1 2");
        let after = at("cpu  150 0 120 720 100 0 0 10 60 0\n");
        let machine = after.since(before).expect("time has passed");
        assert!((machine.busy - 0.8).abs() < 1e-9 && (machine.steal - 0.1).abs() < 1e-9);
        assert!(CpuTicks::parse("nothing").is_none());
    }
}
