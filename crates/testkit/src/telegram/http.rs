//! HTTP/1.1 with kept connections, as far as a client of the Bot API needs it.
//!
//! It must not know a method of the API.

use std::io::{self, BufRead as _, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::Shared;

/// A client that says nothing for so long is looked at: the server may be over.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(100);
const MOST: usize = 1 << 20;

/// As every connection is.
pub(super) fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(LOOK_EVERY))
}

/// Answers on a connection without TLS.
pub(super) fn serve_plain(stream: TcpStream, shared: &Arc<Shared>) -> io::Result<()> {
    prepare(&stream)?;
    serve(stream, shared)
}

/// Answers until the client or the server is done.
pub(super) fn serve(stream: impl Read + Write, shared: &Arc<Shared>) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let Some(first) = line(&mut reader, shared)? else {
            return Ok(());
        };
        let over = shared.over.load(Ordering::SeqCst);
        if over || shared.down.load(Ordering::SeqCst) {
            return Ok(());
        }
        let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
        let mut length = 0;
        loop {
            let Some(header) = line(&mut reader, shared)? else {
                return Ok(());
            };
            if header.is_empty() {
                break;
            }
            if let Some((name, value)) = header.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().unwrap_or(0);
            }
        }
        let mut body = vec![0; usize::min(length, MOST)];
        if !fill(&mut reader, &mut body, shared)? {
            return Ok(());
        }
        let Some(reply) = shared.call(&path, &body) else {
            return Ok(());
        };
        // Whoever waited for presses when it went down hears nothing either.
        if shared.down.load(Ordering::SeqCst) {
            return Ok(());
        }
        let bytes = reply.body.as_bytes();
        let head = format!(
            "HTTP/1.1 {} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            reply.status,
            bytes.len()
        );
        let sent = reply.only.unwrap_or(bytes.len());
        let writer = reader.get_mut();
        writer.write_all(&[head.as_bytes(), &bytes[..sent]].concat())?;
        writer.flush()?;
        if reply.only.is_some() {
            return Ok(());
        }
    }
}

/// A line without its end; nothing where the other side, or the server, is done.
fn line(reader: &mut BufReader<impl Read>, shared: &Shared) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    loop {
        match reader.read_until(b'\n', &mut line) {
            Ok(_) if line.ends_with(b"\n") => {
                let text = String::from_utf8_lossy(&line);
                return Ok(Some(text.trim_end().to_owned()));
            }
            Ok(_) => return Ok(None),
            Err(error) if is_silence(&error) => {
                if shared.over.load(Ordering::SeqCst) {
                    return Ok(None);
                }
            }
            Err(error) => return Err(error),
        }
    }
}

/// As many bytes as there is room for; `false` where the other side, or the server, is done.
fn fill(reader: &mut impl Read, mut room: &mut [u8], shared: &Shared) -> io::Result<bool> {
    while !room.is_empty() {
        match reader.read(room) {
            Ok(0) => return Ok(false),
            Ok(length) => room = &mut room[length..],
            Err(error) if is_silence(&error) => {
                if shared.over.load(Ordering::SeqCst) {
                    return Ok(false);
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

fn is_silence(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted
    )
}
