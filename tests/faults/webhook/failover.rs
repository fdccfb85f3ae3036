//! The Redis master is killed while states come: three nodes, three Sentinels, one replica has what is answered 2xx.
//!
//! It must not break the next thing before the last one is whole.

use std::collections::BTreeMap;
use std::time::Duration;

use kedactl_testkit::{SentinelOptions, SentinelStack, Telegram};
use tokio::time::Instant;

use super::rig::{BOT, Rig};
use super::shown;
use super::traffic::Traffic;
use crate::prober::pause;
use crate::random::Random;
use crate::scenario::Verdict;
use crate::stack::until;

pub(crate) fn run(name: &'static str, count: u32, seed: u64) -> anyhow::Result<Verdict> {
    let mut random = Random::new(seed ^ 0xfa11);
    let mut stack = SentinelStack::start(SentinelOptions::default());
    let sentinels = stack.sentinel_ports();
    let sentinels: Vec<String> = sentinels
        .iter()
        .map(|it| format!("127.0.0.1:{it}"))
        .collect();
    let more = [
        format!("--redis-sentinels={}", sentinels.join(",")),
        format!("--redis-master-name={}", SentinelStack::MASTER),
    ];
    let rig = Rig::start(Telegram::start(BOT), &more)?;
    let mut traffic = Traffic::start(rig.port, seed, Duration::from_millis(40));
    let mut gaps = Vec::new();
    for _ in 0..count {
        pause(Duration::from_millis(random.between(1000, 4000)));
        let Some(master) = stack.master() else {
            anyhow::bail!("there is no master");
        };
        let at = Instant::now();
        stack.kill(master);
        stack.wait_for_other_master(master, Duration::from_mins(1));
        until("an accepted state", Duration::from_mins(1), || {
            Ok(traffic.gap(at).is_some())
        })?;
        let healed = Instant::now();
        stack.restart(master);
        until("both replicas are in step", Duration::from_mins(2), || {
            // A busy machine may have made the Sentinels choose once more.
            let master = stack.master().map(|it| &stack.nodes()[it]);
            let info = master.map(|it| it.command("INFO replication"));
            Ok(info.is_some_and(|it| it.matches("state=online").count() == 2))
        })?;
        until("one more", Duration::from_mins(1), || {
            Ok(traffic.gap(healed).is_some())
        })?;
        gaps.push(traffic.gap(at).unwrap_or_default());
    }
    traffic.stop();
    let audit = shown::audit(&rig, &traffic.ledger(), &BTreeMap::new())?;
    gaps.sort();
    let ok = audit.lost == 0 && audit.acknowledged > 0;
    Ok(Verdict::of(name, count as usize, audit, gaps, ok))
}
