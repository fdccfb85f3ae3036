//! What the queue's figures stand beside: asynq's access pattern on Redis, and Huey.
//!
//! It must not flatter: the pattern is pipelined like ours, and Huey runs with its defaults.

use std::path::Path;

use anyhow::{Context as _, ensure};
use kedactl_testkit::{RedisOptions, RedisServer};
use redis::aio::MultiplexedConnection;

use crate::python::{environment, run};

use super::{BATCH, ROUND, cpu_s, payload};

/// One script call per task, as asynq does it: a hash per task, a pending and an active list, a lease set.
const ENQUEUE: &str = "if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
redis.call('HSET', KEYS[1], 'msg', ARGV[1], 'state', 'pending', 'pending_since', ARGV[3])
redis.call('LPUSH', KEYS[2], ARGV[2])
return 1";
const DEQUEUE: &str = "if redis.call('EXISTS', KEYS[2]) == 1 then return false end
local id = redis.call('RPOPLPUSH', KEYS[1], KEYS[3])
if not id then return false end
local key = ARGV[2] .. id
redis.call('HSET', key, 'state', 'active')
redis.call('HDEL', key, 'pending_since')
redis.call('ZADD', KEYS[4], ARGV[1], id)
return redis.call('HGET', key, 'msg')";
const DONE: &str = "if redis.call('LREM', KEYS[1], 0, ARGV[1]) == 0 then return 0 end
if redis.call('ZREM', KEYS[2], ARGV[1]) == 0 then return 0 end
if redis.call('DEL', KEYS[3]) == 0 then return 0 end
if redis.call('INCR', KEYS[4]) == 1 then redis.call('EXPIREAT', KEYS[4], ARGV[2]) end
redis.call('INCR', KEYS[5])
return 1";

/// Redis CPU in µs for a full cycle of a task by those scripts, pipelined like ours.
pub(super) async fn scripts_cpu_us(tasks: usize) -> anyhow::Result<f64> {
    let server = RedisServer::start(&RedisOptions::default());
    let client = redis::Client::open(("127.0.0.1", server.port()))?;
    let mut conn = client.get_multiplexed_async_connection().await?;
    let enqueue = load(&mut conn, ENQUEUE).await?;
    let dequeue = load(&mut conn, DEQUEUE).await?;
    let done = load(&mut conn, DONE).await?;
    let before = cpu_s(&server);
    for round in (0..tasks).step_by(ROUND) {
        for first in (round..round + ROUND).step_by(BATCH) {
            let mut pipe = redis::pipe();
            for i in first..first + BATCH {
                let call = pipe
                    .cmd("EVALSHA")
                    .arg(&enqueue)
                    .arg(2)
                    .arg(task_key(i))
                    .arg("a:{q}:pending");
                call.arg(payload())
                    .arg(format!("{i:026}"))
                    .arg(1_700_000_000_000_000_000_u64);
            }
            pipe.query_async::<Vec<i64>>(&mut conn).await?;
        }
        for first in (round..round + ROUND).step_by(BATCH) {
            let mut pipe = redis::pipe();
            for _ in 0..BATCH {
                let call = pipe
                    .cmd("EVALSHA")
                    .arg(&dequeue)
                    .arg(4)
                    .arg("a:{q}:pending")
                    .arg("a:{q}:paused");
                call.arg("a:{q}:active")
                    .arg("a:{q}:lease")
                    .arg(1_700_000_030_u64)
                    .arg("a:{q}:t:");
            }
            pipe.query_async::<Vec<Option<Vec<u8>>>>(&mut conn).await?;
            let mut pipe = redis::pipe();
            for i in first..first + BATCH {
                let call = pipe
                    .cmd("EVALSHA")
                    .arg(&done)
                    .arg(5)
                    .arg("a:{q}:active")
                    .arg("a:{q}:lease")
                    .arg(task_key(i));
                call.arg("a:{q}:processed:day")
                    .arg("a:{q}:processed")
                    .arg(format!("{i:026}"))
                    .arg(4_000_000_000_u64);
            }
            let ended = pipe.query_async::<Vec<i64>>(&mut conn).await?;
            ensure!(ended.iter().all(|&n| n == 1), "a task was not ended");
        }
    }
    Ok((cpu_s(&server) - before) * 1e6 / tasks as f64)
}

fn task_key(i: usize) -> String {
    format!("a:{{q}}:t:{i:026}")
}

async fn load(conn: &mut MultiplexedConnection, script: &str) -> anyhow::Result<String> {
    Ok(redis::cmd("SCRIPT")
        .arg("LOAD")
        .arg(script)
        .query_async(conn)
        .await?)
}

/// Huey's rates per second, or why it could not be measured.
pub(super) fn huey(tasks: usize) -> anyhow::Result<(f64, f64)> {
    let python = environment("huey", "import huey, redis", &["huey", "redis"])?;
    let server = RedisServer::start(&RedisOptions::default());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("bench/peers/huey_bench.py");
    let said = run(
        &python,
        &[
            &script.display().to_string(),
            &server.port().to_string(),
            &tasks.to_string(),
        ],
    )?;
    let rates: serde_json::Value = serde_json::from_str(said.trim()).context("huey_bench.py")?;
    let rate = |name: &str| rates[name].as_f64().context("no rate");
    Ok((rate("enqueue")?, rate("consume")?))
}
