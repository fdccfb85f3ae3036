//! Handlers that every worker image has: `echo`, `sleep`, `cpu`, `fail`, and, where the operator lists
//! targets, `http` and `exec`.
//!
//! It must not reach outside the process unless a list of the operator's names the target.

mod exec;
mod http;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::{Context, Failure, WorkerBuilder};

/// Registers every built-in handler.
pub(crate) fn register(builder: WorkerBuilder) -> WorkerBuilder {
    let reach = builder.settings().handlers.clone();
    let builder = builder
        .handle("echo", echo)
        .handle("sleep", sleep_for)
        .handle("cpu", cpu)
        .handle("fail", fail);
    exec::register(http::register(builder, &reach), &reach)
}

/// Returns the payload.
async fn echo(payload: Value, _: Context) -> Result<Value, Failure> {
    Ok(payload)
}

/// Payload of `sleep` and `cpu`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct For {
    /// Milliseconds.
    ms: u64,
}

/// What `sleep` and `cpu` return.
#[derive(Debug, Serialize)]
struct Took {
    took_ms: u64,
}

async fn sleep_for(payload: For, context: Context) -> Result<Took, Failure> {
    let started = Instant::now();
    tokio::select! {
        () = sleep(Duration::from_millis(payload.ms)) => {}
        () = context.cancelled() => return Err(Failure::dead("cancelled")),
    }
    Ok(Took {
        took_ms: started.elapsed().as_millis() as u64,
    })
}

/// Keeps a core busy; looks up from it now and then, so that it can be cancelled and timed out.
async fn cpu(payload: For, context: Context) -> Result<Took, Failure> {
    let started = Instant::now();
    let until = started + Duration::from_millis(payload.ms);
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    while Instant::now() < until {
        for _ in 0..20_000 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
        }
        std::hint::black_box(state);
        if context.is_cancelled() {
            return Err(Failure::dead("cancelled"));
        }
        tokio::task::yield_now().await;
    }
    Ok(Took {
        took_ms: started.elapsed().as_millis() as u64,
    })
}

/// Payload of `fail`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fail {
    /// How many attempts fail before one succeeds.
    times: u32,
    /// How they fail.
    #[serde(default)]
    how: How,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum How {
    #[default]
    Retry,
    Dead,
    Panic,
}

/// Fails the first attempts: for trying out retries, dead letters and alerts.
async fn fail(payload: Fail, context: Context) -> Result<u32, Failure> {
    let attempt = context.attempt();
    if attempt > payload.times {
        return Ok(attempt);
    }
    let message = format!("attempt {attempt} of {} that fail", payload.times);
    match payload.how {
        How::Retry => Err(Failure::retry(message)),
        How::Dead => Err(Failure::dead(message)),
        How::Panic => panic!("{message}"),
    }
}
