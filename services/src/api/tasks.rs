//! `/v1/tasks`: enqueue, look at, cancel.
//!
//! It must not hold what submitting means; that is [`super::submit`].

use std::time::Duration;

use axum::extract::{Request, State};
use axum::response::Response;
use http::StatusCode;
use kedactl_queue::{Cancel, Inspector, QueueError, QueueName, TaskId, TaskView};

use super::params::Params;
use super::problem::Problem;
use super::state::ApiState;
use super::submit;
use super::views::{Answer, Cancelled, TaskIn, TaskSchema, failed, json};
use super::wire::{Accepted, NewTaskSchema};
use crate::events::TaskSteered;

/// Enqueue a task
///
/// A 202 means that the task is stored as durably as `durability` says. After a 503, or no answer at all, the task may
/// or may not be stored: send it again with the same `Idempotency-Key`, and it is there once.
#[utoipa::path(post, path = "/v1/tasks", tag = "tasks", request_body = NewTaskSchema,
    params(("Idempotency-Key" = Option<String>, Header, description = "1 to 200 visible characters; a second task with the same key within 24 h is answered with the first one's id"),
        ("traceparent" = Option<String>, Header, description = "W3C trace context, which the handler gets; one that is not valid is ignored"),
        ("tracestate" = Option<String>, Header, description = "what goes with it")),
    responses(
        (status = 202, description = "stored", body = Accepted),
        (status = 400, description = "no JSON", body = Problem, content_type = "application/problem+json"),
        (status = 408, description = "the body came too slowly", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "the key belongs to another task", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "the body is too large", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "compressed, or no JSON type", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "a field is not valid", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "not stored durably now; resend with the same key", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn submit_one(State(state): State<ApiState>, request: Request) -> Answer {
    let (parts, body) = request.into_parts();
    submit::one(&state, &parts, body).await
}

/// Enqueue many tasks
///
/// A JSON array, or one task a line as `application/x-ndjson`. A bad task refuses the whole batch before any is stored.
#[utoipa::path(post, path = "/v1/tasks:batch", tag = "tasks", request_body = Vec<NewTaskSchema>,
    responses(
        (status = 202, description = "all are stored", body = submit::BatchAnswer),
        (status = 400, description = "no JSON", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "the body is too large", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "a field of a task is not valid", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "not all are stored durably; resend with the same keys", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn submit_batch(State(state): State<ApiState>, request: Request) -> Answer {
    let (parts, body) = request.into_parts();
    submit::batch(&state, &parts, body).await
}

/// Look at a task
///
/// With `wait` the answer comes when the task has ended, or after that time with the state it is in.
#[utoipa::path(get, path = "/v1/tasks/{id}", tag = "tasks",
    params(("id" = String, Path, description = "the task's id"),
        ("queue" = Option<String>, Query, description = "its queue; default: all are searched"),
        ("wait" = Option<String>, Query, description = "wait for the end this long at most, such as 10s")),
    responses((status = 200, description = "the task", body = TaskSchema),
        (status = 404, description = "unknown, or its result is not kept any more", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn show(State(state): State<ApiState>, params: Params) -> Answer {
    params.only(&["queue", "wait"])?;
    let id = params.id()?;
    let wait = params
        .time("wait", state.settings.limits.max_wait)?
        .unwrap_or_default();
    let queues = queues(&state, &params).await?;
    let Some((queue, mut task)) = find(&state.inspector, &queues, id)
        .await
        .map_err(|e| failed(&e))?
    else {
        return Err(Problem::not_found(
            "task, or its result is not kept any more",
        ));
    };
    if !wait.is_zero() && !task.state.is_final() {
        task = ended(&state, queue, id, wait, task).await?;
    }
    Ok(json(&TaskIn {
        queue: queue.as_str(),
        task: &task,
    }))
}

/// Waits for the end of a task, but not longer than this process serves.
async fn ended(
    state: &ApiState,
    queue: &QueueName,
    id: TaskId,
    wait: Duration,
    seen: TaskView,
) -> Result<TaskView, Problem> {
    let waited = tokio::select! {
        waited = state.inspector.wait(queue, id, wait) => waited,
        () = state.shutdown.stopping.cancelled() => return Ok(seen),
    };
    match waited {
        Ok(Some(task)) => Ok(task),
        Ok(None) => Err(Problem::not_found(
            "task any more: it ended, and its result is not kept",
        )),
        Err(error) => Err(failed(&error)),
    }
}

/// Cancel a task
///
/// A waiting task is removed. The worker of a running one is told; the handler decides how fast it stops.
#[utoipa::path(delete, path = "/v1/tasks/{id}", tag = "tasks",
    params(("id" = String, Path, description = "the task's id"),
        ("queue" = Option<String>, Query, description = "its queue; default: all are searched")),
    responses((status = 200, description = "removed", body = Cancelled),
        (status = 202, description = "it runs; its worker was told", body = Cancelled),
        (status = 404, description = "unknown", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "it has ended already", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn cancel(State(state): State<ApiState>, params: Params) -> Answer {
    params.only(&["queue"])?;
    let id = params.id()?;
    let queues = queues(&state, &params).await?;
    for queue in &queues {
        match state
            .inspector
            .cancel(queue, id)
            .await
            .map_err(|e| failed(&e))?
        {
            Cancel::NotFound => {}
            Cancel::Removed => {
                steered(queue, id, "cancelled before it ran");
                return Ok(json(&Cancelled { outcome: "removed" }));
            }
            Cancel::Requested => {
                steered(queue, id, "asked to stop while it runs");
                let mut response: Response = json(&Cancelled {
                    outcome: "requested",
                });
                *response.status_mut() = StatusCode::ACCEPTED;
                return Ok(response);
            }
        }
    }
    let ended = find(&state.inspector, &queues, id)
        .await
        .map_err(|e| failed(&e))?;
    if ended.is_none() {
        return Err(Problem::not_found("task"));
    }
    let title = "the task has ended already";
    Err(Problem::new(StatusCode::CONFLICT, "already-ended", title).at("{id}"))
}

fn steered(queue: &QueueName, id: TaskId, how: &'static str) {
    let queue = queue.as_str();
    TaskSteered { queue, id, how }.emit();
}

/// Returns where to look: the queue that was named, or the default one and then every other.
async fn queues(state: &ApiState, params: &Params) -> Result<Vec<QueueName>, Problem> {
    if let Some(name) = params.get("queue") {
        let queue = QueueName::new(name).map_err(|e| Problem::field("?queue", e.to_string()))?;
        return Ok(vec![queue]);
    }
    let mut queues = vec![state.settings.queue.clone()];
    let others = state.inspector.queues().await.map_err(|e| failed(&e))?;
    queues.extend(others.into_iter().filter(|q| *q != state.settings.queue));
    Ok(queues)
}

async fn find<'a>(
    inspector: &Inspector,
    queues: &'a [QueueName],
    id: TaskId,
) -> Result<Option<(&'a QueueName, TaskView)>, QueueError> {
    for queue in queues {
        if let Some(task) = inspector.task(queue, id).await? {
            return Ok(Some((queue, task)));
        }
    }
    Ok(None)
}
