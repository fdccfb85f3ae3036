//! `kedactl redis failover`.
//!
//! It must not choose the new master: Sentinel does.

use super::block_on;
use crate::args::{RedisArgs, RedisCommand};
use crate::context::Context;
use crate::error::{Error, Exit};
use crate::output::style;

pub(crate) fn redis(context: &Context, args: &RedisArgs) -> Result<Exit, Error> {
    let RedisCommand::Failover = args.command;
    let dir = context.stack_dir()?;
    let outcome = block_on(async { Ok(kedactl_local::failover(&dir).await?) })?;
    let text = if context.json() {
        let value = serde_json::json!({
            "schema": "kedactl.redis-failover/v1", "from": outcome.from, "to": outcome.to, "took_ms": outcome.took_ms,
        });
        crate::output::json(&value)?
    } else {
        format!(
            "master moved from {} to {} in {}",
            outcome.from,
            outcome.to,
            style::millis(outcome.took_ms as f64)
        )
    };
    context.printer.data(&text)?;
    Ok(Exit::Done)
}
