//! W3C trace context: read from headers and envelopes, written to the next one.
//!
//! It must not hand on what it could not read: a broken context begins no trace, and changes none.

use std::fmt::{self, Write as _};
use std::sync::Arc;

use http::HeaderMap;

pub(crate) const TRACEPARENT: &str = "traceparent";
pub(crate) const TRACESTATE: &str = "tracestate";
/// The longest `tracestate` that is handed on, and the most members that it may have.
const LONGEST_STATE: usize = 512;
const MOST_MEMBERS: usize = 32;
/// The bit of the flags that says that the trace is kept.
const SAMPLED: u8 = 1;
/// What is handed on of the flags: kept, and an id that is random.
const KNOWN_FLAGS: u8 = 3;

/// A place in a trace: the trace's id, the id of what is the parent of whatever follows, and whether it is kept.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct TraceContext {
    trace: [u8; 16],
    span: [u8; 8],
    flags: u8,
    state: Option<Arc<str>>,
}

impl TraceContext {
    /// The beginning of a trace.
    pub(super) fn root() -> Self {
        Self {
            trace: random(),
            span: random(),
            flags: 0,
            state: None,
        }
    }

    /// The next place in the same trace.
    pub(super) fn child(&self) -> Self {
        Self {
            span: random(),
            ..self.clone()
        }
    }

    pub(super) fn keep(mut self, sampled: bool) -> Self {
        self.flags = (self.flags & !SAMPLED) | u8::from(sampled);
        self
    }

    /// Reads both headers; nothing where `traceparent` is missing, given twice or not valid.
    pub(crate) fn of_headers(headers: &HeaderMap) -> Option<Self> {
        let mut given = headers.get_all(TRACEPARENT).iter();
        let parent = given.next()?.to_str().ok()?;
        if given.next().is_some() {
            return None;
        }
        let mut state = String::new();
        for part in headers.get_all(TRACESTATE) {
            if !state.is_empty() {
                state.push(',');
            }
            // One that is no text makes the whole one invalid.
            state.push_str(part.to_str().unwrap_or("\0"));
        }
        Self::read(parent, Some(&state))
    }

    /// Reads a `traceparent` of version 00 or later, and the `tracestate` beside it as far as it is valid.
    pub(crate) fn read(parent: &str, state: Option<&str>) -> Option<Self> {
        let parent = parent.trim_matches([' ', '\t']);
        let bytes = parent.as_bytes();
        let version: [u8; 1] = hex(parent.get(..2)?)?;
        let known = version[0] == 0;
        let long_enough = if known {
            bytes.len() == 55
        } else {
            bytes.len() == 55 || bytes.get(55) == Some(&b'-')
        };
        let dashes = [2, 35, 52].iter().all(|at| bytes.get(*at) == Some(&b'-'));
        if version[0] == 0xff || !long_enough || !dashes {
            return None;
        }
        let trace: [u8; 16] = hex(parent.get(3..35)?)?;
        let span: [u8; 8] = hex(parent.get(36..52)?)?;
        let flags: [u8; 1] = hex(parent.get(53..55)?)?;
        if trace == [0; 16] || span == [0; 8] {
            return None;
        }
        Some(Self {
            trace,
            span,
            flags: flags[0] & KNOWN_FLAGS,
            state: state.filter(|it| is_state(it)).map(Arc::from),
        })
    }

    /// The header's value.
    pub(crate) fn traceparent(&self) -> String {
        format!(
            "00-{}-{}-{:02x}",
            self.trace_id(),
            self.span_id(),
            self.flags
        )
    }

    pub(crate) fn tracestate(&self) -> Option<&str> {
        self.state.as_deref()
    }

    pub(crate) fn is_sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }

    pub(crate) fn trace_id(&self) -> Hex<'_> {
        Hex(&self.trace)
    }

    pub(crate) fn span_id(&self) -> Hex<'_> {
        Hex(&self.span)
    }

    /// Where in 0..1 the trace's id lies, by the bytes that are random in every version.
    pub(super) fn share(&self) -> f64 {
        let low = self.trace[9..]
            .iter()
            .fold(0_u64, |all, byte| all << 8 | u64::from(*byte));
        low as f64 / (1_u64 << 56) as f64
    }

    pub(super) fn flags(&self) -> u8 {
        self.flags
    }
}

impl fmt::Debug for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.traceparent())
    }
}

/// An id, written in lower case hex.
#[derive(Clone, Copy)]
pub(crate) struct Hex<'a>(pub(super) &'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        for byte in self.0 {
            f.write_char(char::from(DIGITS[usize::from(byte >> 4)]))?;
            f.write_char(char::from(DIGITS[usize::from(byte & 15)]))?;
        }
        Ok(())
    }
}

/// Bytes from lower case hex of just their length.
fn hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let text = text.as_bytes();
    if text.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(pair[0])? * 16 + digit(pair[1])?;
    }
    Some(bytes)
}

/// Whether it is a list of `key=value` as the recommendation has it.
fn is_state(text: &str) -> bool {
    let members = || text.split(',').map(|it| it.trim_matches([' ', '\t']));
    let member = |it: &str| {
        it.is_empty()
            || it
                .split_once('=')
                .is_some_and(|(key, value)| is_key(key) && is_value(value))
    };
    !text.is_empty()
        && text.len() <= LONGEST_STATE
        && members().filter(|it| !it.is_empty()).count() <= MOST_MEMBERS
        && members().all(member)
}

fn is_key(key: &str) -> bool {
    let known = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-*/@".contains(&b);
    (1..=256).contains(&key.len())
        && key.bytes().all(known)
        && key.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
}

fn is_value(value: &str) -> bool {
    (1..=256).contains(&value.len())
        && value
            .bytes()
            .all(|b| (0x20..=0x7e).contains(&b) && b != b'=')
}

/// Bytes that are not all zero.
fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    while bytes == [0; N] {
        // Fails only where the kernel has no randomness yet, which is over long before a service runs.
        let _filled = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty());
    }
    bytes
}
