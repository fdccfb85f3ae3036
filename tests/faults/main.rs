//! `kedactl-faults [NAME…] [--count N] [--seed S]`: faults against a whole local stack under load, judged by the audit; and
//! against the webhook, judged by what chats show.
//!
//! It must not look inside the queue: the audit of `kedactl load` is what users have, so it is what judges.
#![expect(clippy::print_stdout, reason = "the table is its purpose")]

mod fault;
mod prober;
mod random;
mod scenario;
mod stack;
mod webhook;

use clap::Parser;
use scenario::{SCENARIOS, Verdict};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

#[derive(Debug, Parser)]
struct Args {
    /// Scenarios to run (default: all)
    names: Vec<String>,
    /// Faults in each scenario; `mixed` and `webhook-telegram` have seven, `webhook-kill` twenty times as many
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
    let known: Vec<&str> = SCENARIOS
        .iter()
        .map(|it| it.name)
        .chain(webhook::SCENARIOS.iter().map(|it| it.name))
        .collect();
    if let Some(name) = args
        .names
        .iter()
        .find(|name| !known.contains(&name.as_str()))
    {
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
    let wanted = |name: &str| args.names.is_empty() || args.names.iter().any(|it| it == name);
    let mut verdicts = Vec::new();
    let mut judged = |name, verdict: anyhow::Result<Verdict>| {
        let verdict = verdict.unwrap_or_else(|error| Verdict::broken(name, &error));
        println!("{verdict}");
        verdicts.push(verdict);
    };
    for scenario in SCENARIOS.iter().filter(|it| wanted(it.name)) {
        judged(scenario.name, scenario.run(args.count, seed));
    }
    for scenario in webhook::SCENARIOS.iter().filter(|it| wanted(it.name)) {
        judged(scenario.name, scenario.run(args.count, seed));
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
         audit sees a loss.\n\nThe webhook is judged by chats of a Bot API with Telegram's limits: acknowledged are states of groups that were \
         answered 2xx, lost those whose group shows an older one or nothing in the end, duplicated are messages beyond one for an \
         incident. Recovery is the longest time without a 2xx (`webhook-telegram`: until a call was well again; `webhook-down`: from \
         its start to the first message). A message is duplicated where the call that sent it was carried out and nobody heard of it.\n\n\
         ```text\n"
    );
    for verdict in verdicts {
        text += &format!("{verdict}\n");
    }
    text + "```\n"
}
