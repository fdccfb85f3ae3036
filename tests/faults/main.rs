//! `kedactl-faults [NAME…] [--count N] [--seed S]`: faults against a whole local stack under load, judged by the audit.
//!
//! It must not look inside the queue: the audit of `kedactl load` is what users have, so it is what judges.
#![expect(clippy::print_stdout, reason = "the table is its purpose")]

mod fault;
mod prober;
mod random;
mod scenario;
mod stack;

use clap::Parser;
use scenario::{SCENARIOS, Verdict};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

#[derive(Debug, Parser)]
struct Args {
    /// Scenarios to run (default: all)
    names: Vec<String>,
    /// Faults in each scenario
    #[arg(long, default_value_t = 3)]
    count: u32,
    /// Seed of the moments and of the victims (default: from the clock, printed)
    #[arg(long)]
    seed: Option<u64>,
    /// Write the table into this document too
    #[arg(long, value_name = "FILE")]
    write: Option<std::path::PathBuf>,
}

fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    if let Some(name) = args
        .names
        .iter()
        .find(|name| !SCENARIOS.iter().any(|s| s.name == **name))
    {
        let known: Vec<&str> = SCENARIOS.iter().map(|s| s.name).collect();
        anyhow::bail!(
            "there is no scenario `{name}`; there are: {}",
            known.join(", ")
        );
    }
    let clock = || {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(1, |t| t.as_secs())
    };
    let seed = args.seed.unwrap_or_else(clock);
    println!("seed {seed}, {} faults a scenario", args.count);
    let mut verdicts = Vec::new();
    for scenario in SCENARIOS
        .iter()
        .filter(|s| args.names.is_empty() || args.names.iter().any(|n| n == s.name))
    {
        let verdict = scenario
            .run(args.count, seed)
            .unwrap_or_else(|error| Verdict::broken(scenario, &error));
        println!("{verdict}");
        verdicts.push(verdict);
    }
    if let Some(path) = &args.write {
        std::fs::write(path, document(&verdicts, seed))?;
    }
    let failed = verdicts.iter().filter(|verdict| !verdict.ok).count();
    let passed = verdicts.len() - failed;
    println!("{passed} passed, {failed} failed");
    Ok(ExitCode::from(u8::from(failed > 0)))
}

/// docs/reliability.md: the table of one run.
fn document(verdicts: &[Verdict], seed: u64) -> String {
    let mut text = format!(
        "# Reliability\n\n`cargo xtask faults --seed {seed} --write docs/reliability.md`: a whole local stack under load \
         (300 tasks a second of 50 ms), broken at random moments, judged by the audit of `kedactl load`. Recovery is the longest \
         time in which a prober that asks every 25 ms got no 202. The control has no durability and must lose: it proves that the \
         audit sees a loss.\n\n```text\n"
    );
    for verdict in verdicts {
        text += &format!("{verdict}\n");
    }
    text + "```\n"
}
