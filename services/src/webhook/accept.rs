//! `POST /v1/alerts/{route}`: from a request to a kept state.
//!
//! It must not answer before the state is kept; what cannot be mended by sending it again is told to the operators first.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State as Shared};
use axum::response::{IntoResponse as _, Response};
use http::{Method, Request, StatusCode};
use kedactl_alerts::{Key, Notification, Status};
use kedactl_outbox::{Entry, GroupId, State as Shown};
use serde_json::json;

use super::notice::{self, Dropped};
use super::state::State;
use crate::api::{Problem, auth, body, parse, trace};
use crate::trace::TraceContext;

/// Deepest JSON that is read.
const DEEPEST: usize = 64;

pub(super) async fn post(
    Shared(state): Shared<State>,
    Path(route): Path<String>,
    mut request: Request<Body>,
) -> Response {
    let mut span = trace::begin(&state.tracer, &mut request);
    let answer = match accept(&state, &route, request).await {
        Ok(answer) => answer,
        Err(problem) => problem.into_response(),
    };
    state.metrics.answered(answer.status());
    if let Some(span) = &mut span {
        trace::end(span, &Method::POST, "/v1/alerts/{route}", answer.status());
    }
    answer
}

async fn accept(state: &State, route: &str, request: Request<Body>) -> Result<Response, Problem> {
    let settings = &state.settings;
    let (parts, content) = request.into_parts();
    let length = parts
        .headers
        .get(http::header::CONTENT_LENGTH)
        .and_then(|it| it.to_str().ok())
        .and_then(|it| it.parse().ok());
    let known = state.routes.get(route);
    let dropped = |why: &'static str, bytes: Option<u64>| Dropped {
        // Words of whoever posts are not repeated: he may have no token, or another name each time.
        route: known.map(|_| route),
        why,
        bytes,
    };
    if let Err(problem) = auth::check(&parts.headers, &settings.tokens) {
        return Err(
            notice::dropped(state, &dropped("its token is not known", length), problem).await,
        );
    }
    let Some(known) = known else {
        let problem = Problem::not_found("route");
        let why = "there is no such route";
        return Err(notice::dropped(state, &dropped(why, length), problem).await);
    };
    let read = body::read(
        &parts.headers,
        content,
        settings.max_body_bytes,
        settings.body_timeout,
    );
    let bytes = match read.await {
        Ok(bytes) => bytes,
        // Too slow or cut off: the next attempt may be whole, and Alertmanager makes one after a 503 alone.
        Err(problem) if problem.status() != StatusCode::PAYLOAD_TOO_LARGE => {
            return Err(
                Problem::unavailable("broken-body", "the body did not arrive")
                    .detail(problem.status().to_string()),
            );
        }
        Err(problem) => {
            return Err(notice::dropped(state, &dropped("it is too large", length), problem).await);
        }
    };
    let told = Some(bytes.len() as u64);
    if let Err(problem) = parse::text(&bytes, DEEPEST) {
        return Err(notice::dropped(state, &dropped("it is no JSON", told), problem).await);
    }
    let notification = match Notification::read(&bytes) {
        Ok(notification) => notification,
        Err(error) => {
            let problem = Problem::syntax(error.to_string());
            let why = "it is no notification of Alertmanager";
            return Err(notice::dropped(state, &dropped(why, told), problem).await);
        }
    };
    let entry = Entry {
        key: Key::of(route, &notification),
        route: route.to_owned(),
        group: group(route, &notification),
        chats: known.chats.clone(),
        stale: is_stale(&notification, state),
        state: Shown::Alerts(Box::new(notification)),
    };
    keep(state, entry, parts.extensions.get::<TraceContext>()).await
}

/// Keeps it, and says whose it was.
async fn keep(
    state: &State,
    entry: Entry,
    trace: Option<&TraceContext>,
) -> Result<Response, Problem> {
    let trace_id = trace.map(|it| tracing::field::display(it.trace_id()));
    let ids = entry
        .chats
        .iter()
        .map(|it| GroupId::new(*it, &entry.group).to_string());
    let (route, groups) = (entry.route.clone(), ids.collect::<Vec<_>>().join(" "));
    let accepted = state.outbox.accept(entry).await.map_err(|error| {
        let error = crate::startup::chain(&error);
        tracing::warn!(trace_id, route, groups, error, "not kept");
        Problem::unavailable("not-kept", "the notification could not be kept")
    })?;
    state.news.notify_one();
    let duplicate = accepted.duplicate;
    tracing::debug!(trace_id, route, groups, duplicate, "accepted");
    let answer = json!({"duplicate": duplicate, "groups": accepted.updated});
    Ok((StatusCode::ACCEPTED, Json(answer)).into_response())
}

/// Names a group within a chat: one of another route is another one.
pub(super) fn group(route: &str, notification: &Notification) -> String {
    format!("{route} {}", notification.group_key)
}

/// Whether all of it began so long ago that it can only be a replay, where the group has ended since.
fn is_stale(notification: &Notification, state: &State) -> bool {
    let now_us = state.redis.now_us();
    let window = state.settings.stale_after.as_micros() as u64;
    let old = |text: &str| {
        let at = text
            .parse::<jiff::Timestamp>()
            .map(jiff::Timestamp::as_microsecond);
        at.is_ok_and(|at| at.max(0) as u64 + window < now_us)
    };
    let firing = notification.status == Status::Firing && !notification.alerts.is_empty();
    firing && notification.alerts.iter().all(|it| old(&it.starts_at))
}
