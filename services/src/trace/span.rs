//! Spans, as they are made: a name, a parent, a time, and what is said about them by OpenTelemetry's conventions.
//!
//! It must not do anything where tracing is off, and must not take a value that may hold a secret: bodies, queries, headers.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use prometheus_client::metrics::counter::Counter;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::context::TraceContext;
use super::export::Message;
use super::sampler::Sampler;

/// Longest text of an error that goes with a span.
const LONGEST_ERROR: usize = 500;

/// What a span is to the others of its trace; the numbers are OTLP's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Server = 2,
    Client = 3,
    Producer = 4,
    Consumer = 5,
}

/// A value of an attribute.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Text(Cow<'static, str>),
    Number(i64),
}

impl From<&'static str> for Value {
    fn from(text: &'static str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(Cow::Owned(text))
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Number(number as i64)
    }
}

/// An ended span.
#[derive(Debug)]
pub(crate) struct Data {
    pub(super) context: TraceContext,
    /// The parent within the trace, and whether it came from another process.
    pub(super) parent: Option<TraceContext>,
    pub(super) link: Option<TraceContext>,
    pub(super) kind: Kind,
    pub(super) name: Cow<'static, str>,
    /// Nanoseconds since 1970.
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) attributes: Vec<(&'static str, Value)>,
    /// What went wrong, where it did.
    pub(super) error: Option<String>,
}

impl Data {
    /// OTLP's flags: those of the trace, and whether the parent is in another process.
    pub(super) fn flags(&self) -> u32 {
        const KNOWN: u32 = 0x100;
        const ELSEWHERE: u32 = 0x200;
        let elsewhere = matches!(self.kind, Kind::Server | Kind::Consumer) && self.parent.is_some();
        u32::from(self.context.flags()) | KNOWN | if elsewhere { ELSEWHERE } else { 0 }
    }
}

/// Makes spans; clones share. Off, it makes none.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tracer(Option<Arc<On>>);

#[derive(Debug)]
struct On {
    sampler: Sampler,
    exporter: mpsc::Sender<Message>,
    dropped: Counter,
}

impl Tracer {
    pub(super) fn new(sampler: Sampler, exporter: mpsc::Sender<Message>, dropped: Counter) -> Self {
        Self(Some(Arc::new(On {
            sampler,
            exporter,
            dropped,
        })))
    }

    /// Begins a span; nothing where tracing is off. It ends when it is dropped.
    pub(crate) fn span(
        &self,
        kind: Kind,
        parent: Option<&TraceContext>,
        name: impl FnOnce() -> Cow<'static, str>,
    ) -> Option<Span> {
        let on = self.0.as_ref()?;
        let own = parent.map_or_else(TraceContext::root, TraceContext::child);
        let sampled = on.sampler.keeps(parent, &own);
        let context = own.keep(sampled);
        let recorded = sampled.then(|| {
            let now = SystemTime::now().duration_since(UNIX_EPOCH);
            let data = Data {
                context: context.clone(),
                parent: parent.cloned(),
                link: None,
                kind,
                name: name(),
                start: now.unwrap_or_default().as_nanos() as u64,
                end: 0,
                attributes: Vec::with_capacity(8),
                error: None,
            };
            Box::new(Recorded {
                data,
                began: Instant::now(),
                on: Arc::clone(on),
            })
        });
        Some(Span { context, recorded })
    }
}

/// A span that has begun.
#[derive(Debug)]
pub(crate) struct Span {
    context: TraceContext,
    /// Nothing where the trace is not kept.
    recorded: Option<Box<Recorded>>,
}

#[derive(Debug)]
struct Recorded {
    data: Data,
    began: Instant,
    on: Arc<On>,
}

impl Span {
    /// The place in the trace that what follows is a child of.
    pub(crate) fn context(&self) -> &TraceContext {
        &self.context
    }

    /// Says something about it; the value is asked for only where somebody will see it.
    pub(crate) fn set<V: Into<Value>>(&mut self, name: &'static str, value: impl FnOnce() -> V) {
        if let Some(it) = &mut self.recorded {
            it.data.attributes.push((name, value().into()));
        }
    }

    /// Names it by what is known only now.
    pub(crate) fn name(&mut self, name: impl FnOnce() -> String) {
        if let Some(it) = &mut self.recorded {
            it.data.name = name().into();
        }
    }

    /// Points to another place, which is no parent or not only that.
    pub(crate) fn link(&mut self, to: &TraceContext) {
        if let Some(it) = &mut self.recorded {
            it.data.link = Some(to.clone());
        }
    }

    /// Says that it failed: `kind` is one of a few words.
    pub(crate) fn fail(&mut self, kind: impl Into<Value>, words: &str) {
        if let Some(it) = &mut self.recorded {
            it.data.attributes.push(("error.type", kind.into()));
            it.data.error = Some(words.chars().take(LONGEST_ERROR).collect());
        }
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        let Some(it) = self.recorded.take() else {
            return;
        };
        let Recorded {
            mut data,
            began,
            on,
        } = *it;
        data.end = data.start + began.elapsed().as_nanos() as u64;
        if on.exporter.try_send(Message::Span(Box::new(data))).is_err() {
            on.dropped.inc();
        }
    }
}
