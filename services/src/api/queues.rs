//! `/v1/queues`: look at queues, steer them, and their dead letters.
//!
//! It must not hold logic of the queue.

use axum::extract::{Request, State};
use http::StatusCode;
use kedactl_queue::{QueueName, RateLimit, TaskId};

use super::params::Params;
use super::problem::Problem;
use super::state::ApiState;
use super::views::{
    Answer, AuditBody, Count, QueueBody, Queues, RateLimitBody, Tasks, failed, json,
};
use super::{body, parse};
use crate::events::TaskSteered;

/// Most entries of one page.
const PAGE: u64 = 1000;
/// Most records of one page of an audit.
const AUDIT_PAGE: u64 = 20_000;

/// Every queue with its numbers
#[utoipa::path(get, path = "/v1/queues", tag = "queues",
    responses((status = 200, description = "by name", body = Queues)))]
pub(crate) async fn list(State(state): State<ApiState>, params: Params) -> Answer {
    params.only(&[])?;
    let mut queues = Vec::new();
    for queue in state.inspector.queues().await.map_err(|e| failed(&e))? {
        queues.push(
            state
                .inspector
                .stats(&queue)
                .await
                .map_err(|e| failed(&e))?
                .into(),
        );
    }
    Ok(json(&Queues { queues }))
}

/// One queue's numbers
#[utoipa::path(get, path = "/v1/queues/{queue}", tag = "queues",
    params(("queue" = String, Path, description = "its name")),
    responses((status = 200, description = "at this moment; a queue never used is empty", body = QueueBody)))]
pub(crate) async fn show(State(state): State<ApiState>, params: Params) -> Answer {
    params.only(&[])?;
    let stats = state
        .inspector
        .stats(&params.queue()?)
        .await
        .map_err(|e| failed(&e))?;
    Ok(json(&QueueBody::from(stats)))
}

/// The next waiting tasks
#[utoipa::path(get, path = "/v1/queues/{queue}/tasks", tag = "queues",
    params(("queue" = String, Path, description = "its name"),
        ("limit" = Option<u64>, Query, description = "at most 1000, default 20")),
    responses((status = 200, description = "in the order in which they would be taken", body = Tasks)))]
pub(crate) async fn peek(State(state): State<ApiState>, params: Params) -> Answer {
    params.only(&["limit"])?;
    let limit = params.number("limit", 20, PAGE)? as usize;
    let tasks = state
        .inspector
        .peek(&params.queue()?, limit)
        .await
        .map_err(|e| failed(&e))?;
    Ok(json(&Tasks { tasks }))
}

/// Remove every waiting and delayed task
#[utoipa::path(delete, path = "/v1/queues/{queue}/tasks", tag = "queues",
    params(("queue" = String, Path, description = "its name")),
    responses((status = 200, description = "running tasks go on", body = Count)))]
pub(crate) async fn purge(State(state): State<ApiState>, params: Params) -> Answer {
    params.only(&[])?;
    let count = state
        .inspector
        .purge(&params.queue()?)
        .await
        .map_err(|e| failed(&e))?;
    Ok(json(&Count { count }))
}

/// Pause: workers take nothing more, running tasks go on
#[utoipa::path(post, path = "/v1/queues/{queue}/pause", tag = "queues",
    params(("queue" = String, Path, description = "its name")),
    responses((status = 200, description = "paused", body = QueueBody)))]
pub(crate) async fn pause(State(state): State<ApiState>, params: Params) -> Answer {
    state
        .inspector
        .pause(&params.queue()?)
        .await
        .map_err(|e| failed(&e))?;
    show(State(state), params).await
}

/// Resume
#[utoipa::path(post, path = "/v1/queues/{queue}/resume", tag = "queues",
    params(("queue" = String, Path, description = "its name")),
    responses((status = 200, description = "resumed", body = QueueBody)))]
pub(crate) async fn resume(State(state): State<ApiState>, params: Params) -> Answer {
    state
        .inspector
        .resume(&params.queue()?)
        .await
        .map_err(|e| failed(&e))?;
    show(State(state), params).await
}

/// Dead letters
#[utoipa::path(get, path = "/v1/queues/{queue}/dead", tag = "dead letters",
    params(("queue" = String, Path, description = "its name"),
        ("offset" = Option<u64>, Query, description = "how many to skip"),
        ("limit" = Option<u64>, Query, description = "at most 1000, default 20")),
    responses((status = 200, description = "the latest first", body = Tasks)))]
pub(crate) async fn dead(State(state): State<ApiState>, params: Params) -> Answer {
    params.only(&["offset", "limit"])?;
    let (offset, limit) = (
        params.number("offset", 0, u64::from(u32::MAX))?,
        params.number("limit", 20, PAGE)?,
    );
    let queue = params.queue()?;
    let tasks = state
        .inspector
        .dead_list(&queue, offset, limit)
        .await
        .map_err(|e| failed(&e))?;
    Ok(json(&Tasks { tasks }))
}

/// Drop every dead letter
#[utoipa::path(delete, path = "/v1/queues/{queue}/dead", tag = "dead letters",
    params(("queue" = String, Path, description = "its name")),
    responses((status = 200, description = "dropped", body = Count)))]
pub(crate) async fn dead_purge(State(state): State<ApiState>, params: Params) -> Answer {
    params.only(&[])?;
    let count = state
        .inspector
        .dead_purge(&params.queue()?, None)
        .await
        .map_err(|e| failed(&e))?;
    Ok(json(&Count { count }))
}

/// Put every dead letter back, with fresh attempts
#[utoipa::path(post, path = "/v1/queues/{queue}/dead:retry", tag = "dead letters",
    params(("queue" = String, Path, description = "its name")),
    responses((status = 200, description = "they wait again", body = Count)))]
pub(crate) async fn dead_retry_all(State(state): State<ApiState>, params: Params) -> Answer {
    params.only(&[])?;
    let count = state
        .inspector
        .dead_retry(&params.queue()?, None)
        .await
        .map_err(|e| failed(&e))?;
    Ok(json(&Count { count }))
}

/// Put one dead letter back, with fresh attempts
#[utoipa::path(post, path = "/v1/queues/{queue}/dead/{id}/retry", tag = "dead letters",
    params(("queue" = String, Path, description = "its name"), ("id" = String, Path, description = "the task's id")),
    responses((status = 200, description = "it waits again", body = Count),
        (status = 404, description = "no such dead letter", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn dead_retry(State(state): State<ApiState>, params: Params) -> Answer {
    params.only(&[])?;
    let (queue, id) = (params.queue()?, params.id()?);
    let count = state.inspector.dead_retry(&queue, Some(id)).await;
    let count = count.map_err(|e| failed(&e))?;
    touched(count, &queue, id, "put back from the dead letters")
}

/// Drop one dead letter
#[utoipa::path(delete, path = "/v1/queues/{queue}/dead/{id}", tag = "dead letters",
    params(("queue" = String, Path, description = "its name"), ("id" = String, Path, description = "the task's id")),
    responses((status = 200, description = "dropped", body = Count),
        (status = 404, description = "no such dead letter", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn dead_remove(State(state): State<ApiState>, params: Params) -> Answer {
    params.only(&[])?;
    let (queue, id) = (params.queue()?, params.id()?);
    let count = state.inspector.dead_purge(&queue, Some(id)).await;
    let count = count.map_err(|e| failed(&e))?;
    touched(count, &queue, id, "dropped from the dead letters")
}

fn touched(count: u64, queue: &QueueName, id: TaskId, how: &'static str) -> Answer {
    if count == 0 {
        return Err(Problem::not_found("dead letter"));
    }
    let queue = queue.as_str();
    TaskSteered { queue, id, how }.emit();
    Ok(json(&Count { count }))
}

/// Limit the rate at which tasks are taken
#[utoipa::path(put, path = "/v1/queues/{queue}/rate-limit", tag = "queues", request_body = RateLimitBody,
    params(("queue" = String, Path, description = "its name")),
    responses((status = 200, description = "limited", body = QueueBody),
        (status = 422, description = "a field is not valid", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn set_rate_limit(
    State(state): State<ApiState>,
    params: Params,
    request: Request,
) -> Answer {
    let queue = params.queue()?;
    let bytes = read_small(&state, request).await?;
    let limit: RateLimitBody = parse::small(parse::text(&bytes, state.settings.limits.max_depth)?)?;
    if !(limit.per_second > 0.0 && limit.per_second <= 1e9) {
        return Err(Problem::field(
            "/per_second",
            "must be a number above 0, at most 1e9",
        ));
    }
    if limit.burst == 0 {
        return Err(Problem::field("/burst", "must be at least 1"));
    }
    let limit = RateLimit {
        per_second: limit.per_second,
        burst: limit.burst,
    };
    state
        .inspector
        .set_rate_limit(&queue, Some(limit))
        .await
        .map_err(|e| failed(&e))?;
    show(State(state), params).await
}

/// Lift the rate limit
#[utoipa::path(delete, path = "/v1/queues/{queue}/rate-limit", tag = "queues",
    params(("queue" = String, Path, description = "its name")),
    responses((status = 200, description = "not limited", body = QueueBody)))]
pub(crate) async fn clear_rate_limit(State(state): State<ApiState>, params: Params) -> Answer {
    let queue = params.queue()?;
    state
        .inspector
        .set_rate_limit(&queue, None)
        .await
        .map_err(|e| failed(&e))?;
    show(State(state), params).await
}

/// Finished executions of an audited run
#[utoipa::path(get, path = "/v1/queues/{queue}/audit/{run}", tag = "queues",
    params(("queue" = String, Path, description = "its name"), ("run" = String, Path, description = "the run's name"),
        ("after" = Option<String>, Query, description = "the cursor `next` of the page before"),
        ("limit" = Option<u64>, Query, description = "at most 20000, default 1000")),
    responses((status = 200, description = "in the order in which they ended", body = AuditBody),
        (status = 422, description = "no such cursor", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn audit(State(state): State<ApiState>, params: Params) -> Answer {
    params.only(&["after", "limit"])?;
    let limit = params.number("limit", 1000, AUDIT_PAGE)? as usize;
    let (queue, run) = (params.queue()?, params.text("run"));
    let after = params.get("after").filter(|a| !a.is_empty());
    let page = state.inspector.audit_read(&queue, &run, after, limit).await;
    let page = page.map_err(|e| failed(&e))?;
    Ok(json(&AuditBody {
        records: page.records,
        next: page.next,
    }))
}

/// Reads the body of an administrative request.
pub(super) async fn read_small(
    state: &ApiState,
    request: Request,
) -> Result<bytes::Bytes, Problem> {
    let (parts, body) = request.into_parts();
    if body::shape(&parts.headers)? == body::Shape::Lines {
        return Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported-media-type",
            "the body is of a type that is not read",
        )
        .at("@content-type"));
    }
    let limits = &state.settings.limits;
    body::read(
        &parts.headers,
        body,
        limits.max_body_bytes,
        limits.body_timeout,
    )
    .await
}
