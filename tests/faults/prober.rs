//! Asks the API for one task every 25 ms and remembers when it got a 202: how long was nobody served?
//!
//! It must not retry within a probe: a failed probe is a gap.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::time::Instant;

const EVERY: Duration = Duration::from_millis(25);
const PATIENCE: Duration = Duration::from_secs(1);

/// A prober that runs until it is dropped.
#[derive(Debug)]
pub(crate) struct Prober {
    accepted: Arc<Mutex<Vec<Instant>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Prober {
    pub(crate) fn start(api: SocketAddr) -> Self {
        let accepted = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let (times, ended) = (Arc::clone(&accepted), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                if probe(api).unwrap_or(false) {
                    times
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push(Instant::now());
                }
                pause(EVERY);
            }
        });
        Self {
            accepted,
            stop,
            thread: Some(thread),
        }
    }

    /// Longest time without a 202 that began at or after `fault`, or covered it; `None` while none came since.
    pub(crate) fn gap(&self, fault: Instant) -> Option<Duration> {
        let accepted = self.accepted.lock().unwrap_or_else(PoisonError::into_inner);
        let since: Vec<Instant> = std::iter::once(fault)
            .chain(accepted.iter().copied().filter(|&t| t > fault))
            .collect();
        since.windows(2).map(|pair| pair[1] - pair[0]).max()
    }
}

impl Drop for Prober {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A prober that panicked found no 202, which the scenario sees by itself.
            drop(thread.join());
        }
    }
}

fn probe(api: SocketAddr) -> std::io::Result<bool> {
    const BODY: &str = r#"{"type":"echo","payload":"probe"}"#;
    let mut stream = TcpStream::connect_timeout(&api, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(
        stream,
        "POST /v1/tasks HTTP/1.1\r\nHost: probe\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{BODY}",
        BODY.len()
    )?;
    let mut head = [0; 12];
    stream.read_exact(&mut head)?;
    Ok(head.ends_with(b"202"))
}

#[expect(
    clippy::disallowed_methods,
    reason = "the pace of a prober is time, not a condition"
)]
pub(crate) fn pause(time: Duration) {
    std::thread::sleep(time);
}
