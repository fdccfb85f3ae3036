//! Seven faults of Telegram, one after the other, while states come.
//!
//! It must not mend anything but Telegram, except for what an operator does when a chat lets the bot in again.

use std::collections::BTreeMap;
use std::time::Duration;

use kedactl_outbox::{Outbox, OutboxOptions};
use kedactl_queue::{HostPort, Redis, RedisConfig};
use kedactl_testkit::{Certificates, RedisOptions, RedisServer, Telegram, TelegramFault};

use super::rig::{BOT, CHATS, Rig, TOPIC, chat, timed};
use super::shown;
use super::traffic::Traffic;
use crate::prober::pause;
use crate::random::Random;
use crate::scenario::Verdict;

#[derive(Debug, Clone, Copy)]
enum Kind {
    Down,
    TooMany,
    Certificate,
    HalfReply,
    Migrate,
    Kicked,
    TopicDeleted,
}

const KINDS: [Kind; 7] = [
    Kind::Down,
    Kind::TooMany,
    Kind::Certificate,
    Kind::HalfReply,
    Kind::Migrate,
    Kind::Kicked,
    Kind::TopicDeleted,
];
/// Calls that a storm refuses, or whose answers are cut off.
const STORM: usize = 8;

struct Bench {
    rig: Rig,
    redis: RedisServer,
    /// Chats by what they became.
    moved: BTreeMap<i64, i64>,
    random: Random,
    /// Calls whose answer was cut off: each may be shown twice.
    cut: u64,
}

pub(crate) fn run(name: &'static str, count: u32, seed: u64) -> anyhow::Result<Verdict> {
    let certificates = Certificates::make();
    let redis = RedisServer::start(&RedisOptions::default());
    let more = [
        format!("--redis-addr=127.0.0.1:{}", redis.port()),
        format!("--bot-api-ca-file={}", certificates.ca().display()),
    ];
    let telegram = Telegram::start_secure(BOT, &certificates);
    let mut bench = Bench {
        rig: Rig::start(telegram, &more)?,
        redis,
        moved: BTreeMap::new(),
        random: Random::new(seed ^ 0x7e1e),
        cut: 0,
    };
    let mut traffic = Traffic::start(bench.rig.port, seed, Duration::from_millis(60));
    let mut gaps = Vec::new();
    let rounds = count as usize * KINDS.len();
    for round in 0..rounds {
        pause(Duration::from_millis(bench.random.between(500, 1500)));
        bench.fault(KINDS[round % KINDS.len()])?;
        gaps.push(bench.recovered()?);
    }
    traffic.stop();
    let audit = shown::audit(&bench.rig, &traffic.ledger(), &bench.moved)?;
    gaps.sort();
    // A call that was carried out without an answer is the one thing that nobody can tell from one that was not.
    println!("  calls whose answer was cut off: at most {}", bench.cut);
    let ok = audit.lost == 0 && audit.acknowledged > 0 && audit.duplicated <= bench.cut;
    Ok(Verdict::of(name, rounds, audit, gaps, ok))
}

impl Bench {
    fn fault(&mut self, kind: Kind) -> anyhow::Result<()> {
        let telegram = &self.rig.telegram;
        let number = self.random.between(0, CHATS as u64) as i64;
        let lasts = Duration::from_millis(self.random.between(500, 2500));
        // Four senders, each with one call.
        let under_way = 4;
        match kind {
            Kind::Down => {
                telegram.down(true);
                pause(lasts);
                telegram.down(false);
                self.cut += under_way;
            }
            Kind::TooMany => {
                let seconds = self.random.between(1, 4);
                telegram.fail(0, vec![TelegramFault::TooMany(seconds); STORM]);
            }
            Kind::Certificate => {
                telegram.spoil_certificate(true);
                pause(lasts);
                telegram.spoil_certificate(false);
                self.cut += 2 * under_way;
            }
            Kind::HalfReply => {
                telegram.fail(0, vec![TelegramFault::HalfReply; STORM]);
                self.cut += STORM as u64;
            }
            Kind::Migrate => {
                let mut from = chat(number);
                while let Some(to) = self.moved.get(&from) {
                    from = *to;
                }
                let to = -1_000_000 - self.moved.len() as i64;
                telegram.fail(from, [TelegramFault::Migrate(to)]);
                self.moved.insert(from, to);
            }
            Kind::Kicked => {
                let words = "Forbidden: bot was kicked from the group chat";
                telegram.close(chat(number), Some((403, words)));
                pause(lasts);
                telegram.close(chat(number), None);
                self.let_in()?;
            }
            Kind::TopicDeleted => {
                let number = number / 4 * 4 + 3;
                telegram.delete_topic(chat(number), TOPIC, true);
                pause(lasts);
                telegram.delete_topic(chat(number), TOPIC, false);
            }
        }
        Ok(())
    }

    /// `kedactl alerts retry`, as an operator says it who has let the bot in again.
    fn let_in(&self) -> anyhow::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(async {
            let at = HostPort::new("127.0.0.1", self.redis.port());
            let redis = Redis::connect(RedisConfig::single(at)).await?;
            let outbox = Outbox::new(&redis, OutboxOptions::default());
            outbox.retry(None).await?;
            Ok(())
        })
    }

    /// How long until something new is shown again.
    fn recovered(&self) -> anyhow::Result<Duration> {
        let telegram = &self.rig.telegram;
        let good = || {
            let calls = telegram.sends();
            calls.iter().filter(|it| it.status == 200).count()
        };
        let before = good();
        timed("a call that is well", Duration::from_mins(2), || {
            Ok(good() > before)
        })
    }
}
