//! The span of a call of the Bot API.
//!
//! It must not hold the call's address, which has the token in it, nor its text.

use kedactl_alerts::telegram::{Answer, Call};
use kedactl_outbox::Work;

use super::state::State;
use crate::trace::{Kind, Span};

/// Begins the span of one call: a trace of its own, since it shows what several posts may have told.
pub(super) fn call(state: &State, work: &Work, call: &Call) -> Option<Span> {
    let name = call.method.name();
    let mut span = state.tracer.span(Kind::Client, None, || name.into())?;
    span.set("http.request.method", || "POST");
    if let Ok(base) = reqwest::Url::parse(&state.settings.bot_api) {
        span.set("server.address", || {
            base.host_str().unwrap_or_default().to_owned()
        });
        span.set("server.port", || {
            u64::from(base.port_or_known_default().unwrap_or_default())
        });
    }
    span.set("kedactl.alerts.group", || work.group.to_string());
    span.set("kedactl.alerts.chat", || work.chat.id.to_string());
    Some(span)
}

/// Says what was answered.
pub(super) fn answered(span: Option<&mut Span>, answer: &Answer) {
    let Some(span) = span else {
        return;
    };
    match answer {
        Answer::Done { .. } | Answer::Unchanged => {}
        Answer::Later(_) => span.fail("429", "asked to wait"),
        Answer::Gone => span.fail("gone", "the message is gone"),
        Answer::Moved { .. } => span.fail("moved", "the chat has another id now"),
        Answer::NotHtml(words) | Answer::Refused(words) => span.fail("refused", words),
        Answer::Closed(_, words) => span.fail("closed", words),
        Answer::Failed(words) => span.fail("failed", words),
    }
}
