//! Fills the way from a Redis master to its frozen replicas, so that what is written next waits in the master's own memory.
//!
//! It must not touch the queue: the flood is one key of its own.

use crate::stack::Stack;
use anyhow::Context as _;
use std::time::Duration;

const KEY: &str = "kedactl-faults:flood";

/// Writes one value larger than the kernel's buffers of a link may grow.
///
/// The kernel hands over what a killed process left in its sockets; only what did not fit there dies with the master.
pub(crate) fn flood(stack: &Stack) -> anyhow::Result<()> {
    let value = vec![b'x'; buffered()? + (8 << 20)];
    let password = stack.redis_password()?;
    let port = stack.port("redis-master")?;
    let client = redis::Client::open(format!("redis://:{password}@127.0.0.1:{port}"))?;
    let mut connection = client.get_connection_with_timeout(Duration::from_secs(2))?;
    connection.set_write_timeout(Some(Duration::from_secs(5)))?;
    redis::cmd("SET")
        .arg(KEY)
        .arg(value)
        .exec(&mut connection)?;
    Ok(())
}

/// Bytes that one connection can hold at most: the sender's buffer and the receiver's.
fn buffered() -> anyhow::Result<usize> {
    ["/proc/sys/net/ipv4/tcp_wmem", "/proc/sys/net/ipv4/tcp_rmem"]
        .iter()
        .map(|path| {
            let text = std::fs::read_to_string(path)?;
            let most = text.split_whitespace().next_back().context("no maximum")?;
            most.parse::<usize>()
                .with_context(|| format!("{path}: {text}"))
        })
        .sum()
}
