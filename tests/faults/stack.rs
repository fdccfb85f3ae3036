//! A whole local stack under test: its processes by role, and the load beside it.
//!
//! It must not decide what is broken or whether it passed.

use anyhow::{Context as _, bail};
use kedactl_tests::Context;
use serde_json::Value;
use std::io::Read as _;
use std::net::SocketAddr;
use std::process::Child;
use std::time::Duration;
use tokio::time::Instant;

/// A running stack.
#[derive(Debug)]
pub(crate) struct Stack {
    context: Context,
    api: SocketAddr,
}

/// What the audit said.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Audit {
    pub(crate) acknowledged: u64,
    pub(crate) lost: u64,
    pub(crate) duplicated: u64,
}

impl Stack {
    /// Brings a stack up with short intervals and these settings on top.
    pub(crate) fn up(sets: &[&str]) -> anyhow::Result<Self> {
        let bin = std::env::current_exe()?;
        let beside = |name: &str| bin.with_file_name(name);
        let context = Context::new(beside("kedactl"))
            .with_services(&beside("kedactl-api"), &beside("kedactl-worker"));
        let more: Vec<&str> = sets.iter().flat_map(|set| ["--set", set]).collect();
        let outcome = context.up(&more);
        if outcome.code != Some(0) {
            bail!("up failed: {}", outcome.stderr);
        }
        let mut stack = Self {
            context,
            api: SocketAddr::from(([127, 0, 0, 1], 0)),
        };
        stack.api = stack.status()?["address"]
            .as_str()
            .context("no address in the status")?
            .parse()?;
        Ok(stack)
    }

    pub(crate) fn api(&self) -> SocketAddr {
        self.api
    }

    /// `up` again, as a user would after the supervisor died.
    pub(crate) fn up_again(&mut self) -> anyhow::Result<()> {
        let outcome = self.context.up(&[]);
        if outcome.code != Some(0) {
            bail!("the second up failed: {}", outcome.stderr);
        }
        Ok(())
    }

    /// Process ids of a role: `api`, `worker`, `redis-master`, `redis-replica`, `supervisor`.
    pub(crate) fn pids(&self, role: &str) -> anyhow::Result<Vec<i32>> {
        let status = self.status()?;
        let processes = status["processes"]
            .as_array()
            .context("no processes in the status")?;
        let of_role = processes
            .iter()
            .filter(|p| p["role"] == role && p["pid"].is_number());
        Ok(of_role
            .filter_map(|p| p["pid"].as_i64())
            .filter_map(|pid| i32::try_from(pid).ok())
            .collect())
    }

    /// `kedactl queue pause|resume` of the stack's queue.
    pub(crate) fn queue(&self, verb: &str) -> anyhow::Result<()> {
        let outcome = self.context.run(&["queue", verb]);
        if outcome.code != Some(0) {
            bail!("queue {verb} failed: {}", outcome.stderr);
        }
        Ok(())
    }

    fn status(&self) -> anyhow::Result<Value> {
        let outcome = self.context.run(&["status", "-o", "json"]);
        serde_json::from_str(&outcome.stdout).with_context(|| format!("status: {}", outcome.stderr))
    }

    /// Port of the one process with this role.
    pub(crate) fn port(&self, role: &str) -> anyhow::Result<u16> {
        let status = self.status()?;
        let processes = status["processes"].as_array().into_iter().flatten();
        let mut ports = processes
            .filter(|p| p["role"] == role)
            .filter_map(|p| u16::try_from(p["port"].as_u64()?).ok());
        ports
            .next()
            .with_context(|| format!("no {role} with a port in the status"))
    }

    /// The password that the stack made for its Redis.
    pub(crate) fn redis_password(&self) -> anyhow::Result<String> {
        let file = self
            .context
            .dir()
            .join("state/local/kedactl/secrets/redis-password");
        std::fs::read_to_string(&file)
            .with_context(|| format!("{} could not be read", file.display()))
    }

    /// Starts `kedactl load` for `seconds`: tasks of 50 ms.
    pub(crate) fn load(&self, rps: u32, seconds: u64) -> Load {
        let (rps, duration) = (rps.to_string(), format!("{seconds}s"));
        let args = [
            "load",
            "--rps",
            &rps,
            "--duration",
            &duration,
            "--type",
            "sleep",
            "--payload",
            r#"{"ms":50}"#,
            "--drain-timeout",
            "30s",
            "-o",
            "json",
            "--quiet",
        ];
        Load(self.context.spawn(&args))
    }
}

/// A load that runs.
#[derive(Debug)]
pub(crate) struct Load(Child);

impl Load {
    pub(crate) fn running(&mut self) -> bool {
        matches!(self.0.try_wait(), Ok(None))
    }

    /// Waits for the end and reads the audit.
    pub(crate) fn audit(mut self) -> anyhow::Result<Audit> {
        let mut text = String::new();
        self.0
            .stdout
            .take()
            .context("no stdout")?
            .read_to_string(&mut text)?;
        let mut errors = String::new();
        self.0
            .stderr
            .take()
            .context("no stderr")?
            .read_to_string(&mut errors)?;
        self.0.wait()?;
        let result: Value =
            serde_json::from_str(&text).with_context(|| format!("load said: {errors}"))?;
        let audit = &result["audit"];
        let number = |name: &str| {
            audit[name]
                .as_u64()
                .with_context(|| format!("no `{name}` in the audit: {audit}"))
        };
        Ok(Audit {
            acknowledged: number("acknowledged")?,
            lost: number("lost")?,
            duplicated: number("duplicated")?,
        })
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        // Already ended in the good case.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Waits until `ready` says so, at most `within`.
pub(crate) fn until(
    what: &str,
    within: Duration,
    mut ready: impl FnMut() -> anyhow::Result<bool>,
) -> anyhow::Result<()> {
    let deadline = Instant::now() + within;
    while !ready().unwrap_or(false) {
        if Instant::now() > deadline {
            bail!("{what} did not happen within {within:?}");
        }
        crate::prober::pause(Duration::from_millis(50));
    }
    Ok(())
}
