//! The trace of an attempt: what it follows, and its span.
//!
//! It must not put a payload or a result into a span.

use kedactl_queue::Task;

use crate::trace::{Kind, Span, TraceContext, Tracer};

/// Begins the span of an attempt, below the send of its task.
pub(super) fn process(tracer: &Tracer, task: &Task) -> Option<Span> {
    let parent = sent(task);
    let queue = &task.queue;
    let mut span = tracer.span(Kind::Consumer, parent.as_ref(), || {
        format!("process {queue}").into()
    })?;
    // The conventions ask for the link; a message of its own may be the parent as well, and then the trace is one.
    if let Some(parent) = &parent {
        span.link(parent);
    }
    span.set("messaging.system", || "kedactl");
    span.set("messaging.operation.name", || "process");
    span.set("messaging.operation.type", || "process");
    span.set("messaging.destination.name", || queue.to_string());
    span.set("messaging.message.id", || task.id.to_string());
    span.set("kedactl.task.type", || task.kind.clone());
    span.set("kedactl.task.attempt", || u64::from(task.attempt));
    if task.crashes > 0 {
        span.set("kedactl.task.crashes", || u64::from(task.crashes));
    }
    Some(span)
}

/// What the attempt's own calls follow.
pub(super) fn place(span: Option<&Span>, task: &Task) -> Option<TraceContext> {
    span.map(|it| it.context().clone()).or_else(|| sent(task))
}

/// Says how it ended, and ends it.
pub(super) fn ended(span: Option<Span>, outcome: &'static str, error: Option<&str>) {
    let Some(mut span) = span else {
        return;
    };
    span.set("kedactl.task.outcome", || outcome);
    if let Some(error) = error {
        span.fail(outcome, error);
    }
}

fn sent(task: &Task) -> Option<TraceContext> {
    TraceContext::read(task.traceparent.as_deref()?, task.tracestate.as_deref())
}
