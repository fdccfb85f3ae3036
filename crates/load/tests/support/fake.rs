//! Connections without a network: they answer at once, fail by a seeded dice, or never answer.
//!
//! It must not keep time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use kedactl_load::{Answer, AuditPage, AuditSource, Connect, ConnectFailed, Exchange, Stamp};

/// Chances in 1,000 that something goes wrong.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Faults {
    pub(crate) refused: u64,
    pub(crate) reset: u64,
    pub(crate) closed: u64,
    pub(crate) status_500: u64,
    pub(crate) hang: u64,
}

/// What the fake really did, to be compared with the books.
#[derive(Debug, Default)]
pub(crate) struct Truth {
    dice: AtomicU64,
    pub(crate) ok: AtomicU64,
    pub(crate) status_500: AtomicU64,
    pub(crate) reset: AtomicU64,
    pub(crate) refused: AtomicU64,
}

#[derive(Debug, Clone)]
pub(crate) struct FakeConnect {
    pub(crate) faults: Faults,
    pub(crate) truth: Arc<Truth>,
}

impl FakeConnect {
    pub(crate) fn new(faults: Faults, seed: u64) -> Self {
        let truth = Truth {
            dice: AtomicU64::new(seed),
            ..Truth::default()
        };
        Self {
            faults,
            truth: Arc::new(truth),
        }
    }

    fn dice(&self) -> u64 {
        let roll = self
            .truth
            .dice
            .fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed);
        let mixed = (roll ^ (roll >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB) >> 33
    }

    fn happens(&self, chance: u64) -> bool {
        chance > 0 && self.dice() % 1_000 < chance
    }
}

#[derive(Debug)]
pub(crate) struct FakeConnection(FakeConnect);

impl Connect for FakeConnect {
    type Connection = FakeConnection;

    async fn connect(&self) -> Result<FakeConnection, ConnectFailed> {
        if self.happens(self.faults.refused) {
            self.truth.refused.fetch_add(1, Ordering::Relaxed);
            return Err(ConnectFailed);
        }
        Ok(FakeConnection(self.clone()))
    }
}

impl Exchange for FakeConnection {
    async fn exchange(&mut self, _index: u64, stamp: &Stamp) -> Answer {
        let FakeConnect { faults, truth } = &self.0;
        if self.0.happens(faults.closed) {
            return Answer::NotSent;
        }
        stamp.sent();
        tokio::task::yield_now().await;
        if self.0.happens(faults.hang) {
            std::future::pending::<()>().await;
        }
        if self.0.happens(faults.reset) {
            truth.reset.fetch_add(1, Ordering::Relaxed);
            return Answer::Reset;
        }
        if self.0.happens(faults.status_500) {
            truth.status_500.fetch_add(1, Ordering::Relaxed);
            return Answer::Status(500);
        }
        truth.ok.fetch_add(1, Ordering::Relaxed);
        Answer::Status(200)
    }

    async fn closed(&mut self) {
        std::future::pending::<()>().await;
    }

    fn reusable(&self) -> bool {
        true
    }
}

/// A source for runs that are not audited.
#[derive(Debug)]
pub(crate) struct NoSource;

impl AuditSource for NoSource {
    async fn page(&mut self, _after: &str, _limit: usize) -> Result<AuditPage, String> {
        Err("there is nothing to audit".to_owned())
    }
}
