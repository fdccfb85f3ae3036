//! `/v1/queues/{queue}/cron`: tasks that are enqueued on a schedule.
//!
//! It must not compute a slot; that is the queue's.

use axum::extract::{Request, State};
use kedactl_queue::{CronEntry, Priority};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::params::Params;
use super::problem::Problem;
use super::queues::read_small;
use super::state::ApiState;
use super::views::{Answer, Count, failed, json};
use super::{fields, parse};

/// A task that is enqueued on a schedule; each slot fires once, however many replicas run.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Cron)]
pub(crate) struct CronBody {
    /// `@every 30s`, `@hourly`, `@daily`, `@weekly`, `@monthly`, or five cron fields in UTC.
    #[schema(example = "*/5 * * * *")]
    schedule: String,
    /// Which handler runs it.
    #[schema(example = "echo")]
    #[serde(rename = "type")]
    kind: String,
    #[schema(value_type = Option<Object>)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    payload: Option<Box<RawValue>>,
    /// `critical`, `high`, `normal` (default) or `low`.
    #[schema(value_type = Option<String>)]
    #[serde(default)]
    priority: Priority,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max_attempts: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    timeout_ms: Option<u64>,
    /// How many seconds results are kept; default 0.
    #[serde(default)]
    result_ttl_s: u32,
    /// Fire slots that were missed one by one; otherwise they count as one.
    #[serde(default)]
    catch_up: bool,
}

/// An entry with its name.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct NamedCron {
    name: String,
    #[serde(flatten)]
    entry: CronBody,
}

/// Every entry of a queue.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Crons {
    cron: Vec<NamedCron>,
}

impl From<CronEntry> for NamedCron {
    fn from(it: CronEntry) -> Self {
        let entry = CronBody {
            schedule: it.schedule.into(),
            kind: it.kind,
            payload: Some(it.payload),
            priority: it.priority,
            max_attempts: it.max_attempts,
            timeout_ms: it.timeout_ms,
            result_ttl_s: it.result_ttl_s,
            catch_up: it.catch_up,
        };
        Self {
            name: it.name,
            entry,
        }
    }
}

/// The schedule of a queue
#[utoipa::path(get, path = "/v1/queues/{queue}/cron", tag = "schedule",
    params(("queue" = String, Path, description = "its name")),
    responses((status = 200, description = "by name", body = Crons)))]
pub(crate) async fn list(State(state): State<ApiState>, params: Params) -> Answer {
    params.only(&[])?;
    let entries = state
        .inspector
        .cron_list(&params.queue()?)
        .await
        .map_err(|e| failed(&e))?;
    Ok(json(&Crons {
        cron: entries.into_iter().map(Into::into).collect(),
    }))
}

/// Add or replace an entry
///
/// An unchanged entry keeps its next slot, so every replica of a service may put its schedule when it starts.
#[utoipa::path(put, path = "/v1/queues/{queue}/cron/{name}", tag = "schedule", request_body = CronBody,
    params(("queue" = String, Path, description = "its name"), ("name" = String, Path, description = "the entry's name")),
    responses((status = 200, description = "stored", body = NamedCron),
        (status = 422, description = "a field is not valid", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn put(State(state): State<ApiState>, params: Params, request: Request) -> Answer {
    params.only(&[])?;
    let (queue, name) = (params.queue()?, params.text("name"));
    let bytes = read_small(&state, request).await?;
    let body: CronBody = parse::small(parse::text(&bytes, state.settings.limits.max_depth)?)?;
    fields::printable(&name).map_err(|e| Problem::field("{name}", e))?;
    let schedule = body.schedule.parse();
    let schedule = schedule.map_err(|e| Problem::field("/schedule", format!("{e}")))?;
    let entry = CronEntry {
        name,
        schedule,
        kind: body.kind,
        payload: body.payload.unwrap_or_else(|| RawValue::NULL.to_owned()),
        priority: body.priority,
        max_attempts: body.max_attempts,
        timeout_ms: body.timeout_ms,
        result_ttl_s: body.result_ttl_s,
        catch_up: body.catch_up,
    };
    entry.check().map_err(|e| {
        let at = if e.field == "name" {
            "{name}".to_owned()
        } else {
            format!("/{}", e.field)
        };
        Problem::field(at, e.problem)
    })?;
    state
        .inspector
        .cron_put(&queue, &entry)
        .await
        .map_err(|e| failed(&e))?;
    Ok(json(&NamedCron::from(entry)))
}

/// Remove an entry
#[utoipa::path(delete, path = "/v1/queues/{queue}/cron/{name}", tag = "schedule",
    params(("queue" = String, Path, description = "its name"), ("name" = String, Path, description = "the entry's name")),
    responses((status = 200, description = "removed", body = Count),
        (status = 404, description = "no such entry", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn remove(State(state): State<ApiState>, params: Params) -> Answer {
    params.only(&[])?;
    let (queue, name) = (params.queue()?, params.text("name"));
    let removed = state
        .inspector
        .cron_remove(&queue, &name)
        .await
        .map_err(|e| failed(&e))?;
    if removed {
        Ok(json(&Count { count: 1 }))
    } else {
        Err(Problem::not_found("cron entry"))
    }
}
