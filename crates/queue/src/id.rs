//! `TaskId`: 26 characters that sort by the time they were made.
//!
//! It must not read a clock: the time is the server's and is handed in.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::{BuildHasher as _, Hash};
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// A task's id in ULID layout: 48 bits of milliseconds, 80 bits of chance, Crockford base 32.
///
/// Kept as text, because that is how it travels.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId([u8; 26]);

/// A text that is no task id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("task id must be 26 characters of Crockford base 32")]
pub struct BadTaskId;

impl TaskId {
    /// An id for the server's time in milliseconds; 2⁸⁰ ids a millisecond, so two processes do not meet.
    pub fn new(now_ms: u64) -> Self {
        Self::from_parts(now_ms, chance())
    }

    /// An id with given chance bits (only the lower 80 count); cron slots use it, so that a slot has one id.
    pub fn from_parts(ms: u64, low: u128) -> Self {
        let bits = (u128::from(ms & 0xffff_ffff_ffff) << 80) | (low & ((1 << 80) - 1));
        let mut text = [0_u8; 26];
        for (i, slot) in text.iter_mut().enumerate() {
            *slot = ALPHABET[((bits >> (5 * (25 - i))) & 31) as usize];
        }
        Self(text)
    }

    /// The server's milliseconds at which the id was made.
    pub fn timestamp_ms(&self) -> u64 {
        self.0[..10]
            .iter()
            .fold(0, |ms, &c| (ms << 5) | u64::from(value(c).unwrap_or(0)))
    }

    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Parses the raw bytes of a reply.
    pub fn from_bytes(text: &[u8]) -> Result<Self, BadTaskId> {
        let text: [u8; 26] = text.try_into().map_err(|_| BadTaskId)?;
        let canonical = text[0] <= b'7' && text.iter().all(|&c| value(c).is_some());
        if canonical {
            Ok(Self(text))
        } else {
            Err(BadTaskId)
        }
    }
}

/// 80 random bits from the standard library's keyed hasher: unique, not secret.
fn chance() -> u128 {
    thread_local! {
        static KEYS: (RandomState, RandomState) = (RandomState::new(), RandomState::new());
    }
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let n = COUNTER.fetch_add(1, Ordering::Relaxed);
    KEYS.with(|(a, b)| (u128::from(a.hash_one(n)) << 64) | u128::from(b.hash_one(n)))
}

/// A random number of 0..1, for jitter.
pub(crate) fn random_unit() -> f64 {
    f64::from(chance() as u32) / (f64::from(u32::MAX) + 1.0)
}

fn value(c: u8) -> Option<u8> {
    let at = ALPHABET.iter().position(|&a| a == c)?;
    u8::try_from(at).ok()
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for TaskId {
    type Err = BadTaskId;

    /// Lower case is taken too, as people type it.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::from_bytes(text.to_ascii_uppercase().as_bytes())
    }
}

impl Serialize for TaskId {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for TaskId {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// 80 bits that depend on the parts only; the same for every process and version.
pub(crate) fn fixed_bits(parts: &impl Hash) -> u128 {
    let mut low = Fnv(0xcbf2_9ce4_8422_2325);
    parts.hash(&mut low);
    let mut high = Fnv(low.0 ^ 0x9e37_79b9_7f4a_7c15);
    parts.hash(&mut high);
    (u128::from(high.0) << 64) | u128::from(low.0)
}

/// FNV-1a: stable across processes, which the standard hasher does not promise.
struct Fnv(u64);

impl std::hash::Hasher for Fnv {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &b in bytes {
            self.0 = (self.0 ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}
