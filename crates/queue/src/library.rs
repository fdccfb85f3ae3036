//! The function library: its source, its name, and how it gets into a server.
//!
//! It must not replace a library: the name holds a hash of the source, so that two versions of this crate work side
//! by side on one Redis and neither ever downgrades the other. `kq1` is the layout of the keys, which they share.

use std::sync::LazyLock;

use redis::aio::MultiplexedConnection;

use crate::id::fixed_bits;
use crate::keys;
use crate::name::QueueName;

const PARTS: [&str; 5] = [
    include_str!("lua/common.lua"),
    include_str!("lua/produce.lua"),
    include_str!("lua/consume.lua"),
    include_str!("lua/schedule.lua"),
    include_str!("lua/inspect.lua"),
];

static NAME: LazyLock<String> = LazyLock::new(|| format!("kq1_{:08x}", fixed_bits(&PARTS) as u32));

/// The library's name, e.g. `kq1_1f2e3d4c`.
pub(crate) fn name() -> &'static str {
    &NAME
}

fn source() -> String {
    let body = PARTS.concat().replace("@LIB@", name());
    format!("#!lua name={}\n{body}", name())
}

/// A call of the library's function on a queue; the arguments follow.
pub(crate) fn call(function: &str, queue: &QueueName) -> redis::Cmd {
    let mut command = redis::cmd("FCALL");
    command
        .arg(format!("{}_{function}", name()))
        .arg(1)
        .arg(keys::live(queue));
    command
}

/// Whether the error says that the server does not have the library.
pub(crate) fn is_missing(error: &redis::RedisError) -> bool {
    error
        .detail()
        .is_some_and(|d| d.contains("unction not found"))
}

/// Loads the library where the server lacks it.
pub(crate) async fn ensure(conn: &mut MultiplexedConnection) -> redis::RedisResult<()> {
    let listed: redis::Value = redis::cmd("FUNCTION")
        .arg("LIST")
        .arg("LIBRARYNAME")
        .arg(name())
        .query_async(conn)
        .await?;
    if matches!(&listed, redis::Value::Array(found) if !found.is_empty()) {
        return Ok(());
    }
    let loaded: redis::RedisResult<String> = redis::cmd("FUNCTION")
        .arg("LOAD")
        .arg(source())
        .query_async(conn)
        .await;
    match loaded {
        // Another process was faster; the name says that it is the same source.
        Err(e) if e.detail().is_some_and(|d| d.contains("already exists")) => Ok(()),
        other => other.map(drop),
    }
}
