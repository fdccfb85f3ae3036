//! What is broken, and how.
//!
//! It must not wait for recovery: that is measured elsewhere.

use crate::prober::pause;
use crate::random::Random;
use crate::stack::{Stack, until};
use anyhow::Context as _;
use kedactl_testkit::flood;
use rustix::process::{Pid, Signal, kill_process};
use std::time::Duration;

/// One kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    KillWorker,
    KillApi,
    /// SIGKILL of the supervisor, then `up` again.
    KillSupervisor,
    KillMaster,
    /// SIGSTOP of the master for 5 s.
    FreezeMaster,
    /// Both replicas frozen for 0.4 s, the links to them filled, then the master killed: what it had not sent is gone. The
    /// queue is paused meanwhile, so that what was accepted in that time still waits: idle workers would finish it first.
    FreezeReplicasKillMaster,
    /// SIGTERM of every worker, one after the other.
    TermWorkers,
}

impl Fault {
    /// Breaks it. Returns when the fault is done, not when its effects are.
    pub(crate) fn inject(self, stack: &mut Stack, random: &mut Random) -> anyhow::Result<()> {
        match self {
            Self::KillWorker => kill(one(stack, "worker", random)?),
            Self::KillApi => kill(one(stack, "api", random)?),
            Self::KillSupervisor => {
                kill(one(stack, "supervisor", random)?)?;
                pause(Duration::from_millis(random.between(100, 1500)));
                stack.up_again()
            }
            Self::KillMaster => kill(one(stack, "redis-master", random)?),
            Self::FreezeMaster => {
                let master = one(stack, "redis-master", random)?;
                signal(master, Signal::STOP)?;
                pause(Duration::from_secs(5));
                signal(master, Signal::CONT)
            }
            Self::FreezeReplicasKillMaster => freeze_then_kill(stack, random),
            Self::TermWorkers => term_workers(stack),
        }
    }
}

fn freeze_then_kill(stack: &Stack, random: &mut Random) -> anyhow::Result<()> {
    let replicas = stack.pids("redis-replica")?;
    let master = one(stack, "redis-master", random)?;
    stack.queue("pause")?;
    for &replica in &replicas {
        signal(replica, Signal::STOP)?;
    }
    let flooded = flood(
        stack.port("redis-master")?,
        Some(stack.redis_password()?.trim()),
    );
    pause(Duration::from_millis(400));
    let killed = signal(master, Signal::KILL);
    for &replica in &replicas {
        signal(replica, Signal::CONT)?;
    }
    flooded.and(killed).and_then(|()| ended(master))?;
    until("the queue's resumption", Duration::from_secs(40), || {
        stack.queue("resume").map(|()| true)
    })
}

/// SIGTERM to each worker that runs now, the next when the one before has gone.
fn term_workers(stack: &Stack) -> anyhow::Result<()> {
    for worker in stack.pids("worker")? {
        // It may have been scaled in meanwhile, which is the same signal.
        if signal(worker, Signal::TERM).is_ok() {
            until("the worker's end", Duration::from_secs(40), || {
                Ok(!stack.pids("worker")?.contains(&worker))
            })?;
        }
    }
    Ok(())
}

fn one(stack: &Stack, role: &str, random: &mut Random) -> anyhow::Result<i32> {
    until(role, Duration::from_secs(20), || {
        Ok(!stack.pids(role)?.is_empty())
    })?;
    random
        .pick(&stack.pids(role)?)
        .copied()
        .with_context(|| format!("no {role} runs"))
}

fn kill(pid: i32) -> anyhow::Result<()> {
    signal(pid, Signal::KILL)?;
    ended(pid)
}

/// A killed process with much memory takes a while to go; until then the stack looks whole.
fn ended(pid: i32) -> anyhow::Result<()> {
    until(
        "the end of a killed process",
        Duration::from_secs(10),
        || {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            Ok(stat.is_empty() || stat.contains(") Z "))
        },
    )
}

fn signal(pid: i32, signal: Signal) -> anyhow::Result<()> {
    let pid = Pid::from_raw(pid).context("a process id")?;
    kill_process(pid, signal)
        .with_context(|| format!("process {} could not be signalled", pid.as_raw_nonzero()))
}
