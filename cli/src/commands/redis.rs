//! `kedactl redis failover`.
//!
//! It must not choose the new master: Sentinel does.

use super::block_on;
use crate::args::{RedisArgs, RedisCommand};
use crate::context::Context;
use crate::error::{Error, Exit};
use crate::output::style;
use crate::running::Running;

pub(crate) fn redis(context: &Context, args: &RedisArgs) -> Result<Exit, Error> {
    let RedisCommand::Failover = args.command;
    let running = Running::open(context)?;
    let moved = block_on(running.fail_over())?;
    let text = if context.json() {
        let value = serde_json::json!({
            "schema": "kedactl.redis-failover/v1", "from": moved.from, "to": moved.to, "took_ms": moved.took_ms,
        });
        crate::output::json(&value)?
    } else {
        format!(
            "master moved from {} to {} in {}",
            moved.from,
            moved.to,
            style::millis(moved.took_ms as f64)
        )
    };
    context.printer.data(&text)?;
    Ok(Exit::Done)
}
