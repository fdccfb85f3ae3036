//! Fills the way from a Redis master to its frozen replicas, so that what is written next waits in the master's own memory.
//!
//! It must not touch any key of the program under test: the flood is one key of its own.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context as _, ensure};

/// Writes one value larger than the kernel's buffers of a link may grow.
///
/// The kernel hands over what a killed process left in its sockets; only what did not fit there dies with the master.
pub fn flood(port: u16, password: Option<&str>) -> anyhow::Result<()> {
    let value = vec![b'x'; buffered()? + (8 << 20)];
    let mut server = TcpStream::connect(("127.0.0.1", port))?;
    server.set_read_timeout(Some(Duration::from_secs(10)))?;
    if let Some(password) = password {
        expect_ok(&mut server, &[b"AUTH", password.as_bytes()])?;
    }
    expect_ok(&mut server, &[b"SET", b"testkit:flood", &value])
}

fn expect_ok(server: &mut TcpStream, command: &[&[u8]]) -> anyhow::Result<()> {
    write!(server, "*{}\r\n", command.len())?;
    for part in command {
        write!(server, "${}\r\n", part.len())?;
        server.write_all(part)?;
        server.write_all(b"\r\n")?;
    }
    let mut answer = [0; 5];
    server.read_exact(&mut answer)?;
    ensure!(&answer == b"+OK\r\n", "redis refused the flood");
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
