//! Whoever posts and presses: an Alertmanager that sends a state until it is taken, and a person who acknowledges.
//!
//! It must not go on to a group's next state before the last one was answered 2xx.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::time::Instant;

use super::rig::{CHATS, TOKEN, notification, route};
use crate::prober::pause;
use crate::random::Random;

/// Groups that fire at a time.
const AT_ONCE: usize = 60;
/// Most states of a group before its end.
const STATES: u64 = 4;
const PATIENCE: Duration = Duration::from_secs(10);

/// What was answered 2xx.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// By name: the number of its chat, and its last state.
    pub(crate) groups: BTreeMap<String, (i64, String)>,
    /// States that were answered 2xx.
    pub(crate) acknowledged: u64,
    /// Posts whose answer never came: what became of them nobody knows, and they were sent again.
    pub(crate) cut: u64,
    /// When a state was taken.
    pub(crate) times: Vec<Instant>,
}

/// Traffic that goes on until it is stopped.
#[derive(Debug)]
pub(crate) struct Traffic {
    ledger: Arc<Mutex<Ledger>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

struct Group {
    name: String,
    chat: i64,
    states: u64,
    last: u64,
}

impl Traffic {
    /// Posts a state about every so often.
    pub(crate) fn start(port: u16, seed: u64, every: Duration) -> Self {
        let (ledger, stop) = (
            Arc::<Mutex<Ledger>>::default(),
            Arc::<AtomicBool>::default(),
        );
        let (kept, ended) = (Arc::clone(&ledger), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            let mut random = Random::new(seed);
            let (mut open, mut made) = (Vec::<Group>::new(), 0);
            while !ended.load(Ordering::Relaxed) {
                if open.len() < AT_ONCE {
                    let last = random.between(1, STATES + 1);
                    let chat = made % CHATS;
                    let name = format!("g{made}");
                    open.push(Group {
                        name,
                        chat,
                        states: 0,
                        last,
                    });
                    made += 1;
                }
                let at = random.between(0, open.len() as u64) as usize;
                let over = open[at].advance(port, &kept, &mut random);
                if over {
                    open.swap_remove(at);
                }
                pause(every.mul_f64(random.between(50, 150) as f64 / 100.0));
            }
        });
        Self {
            ledger,
            stop,
            thread: Some(thread),
        }
    }

    pub(crate) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Longest time without a 2xx that began at or after `fault`; `None` while none came since.
    pub(crate) fn gap(&self, fault: Instant) -> Option<Duration> {
        let ledger = self.ledger();
        let later = ledger.times.iter().copied().filter(|&at| at > fault);
        let since: Vec<Instant> = std::iter::once(fault).chain(later).collect();
        since.windows(2).map(|pair| pair[1] - pair[0]).max()
    }

    /// Ends it when what is being posted is taken.
    pub(crate) fn stop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // One that panicked has acknowledged nothing more, which shows.
            drop(thread.join());
        }
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Group {
    /// Posts the next state; whether it was the last one.
    fn advance(&mut self, port: u16, ledger: &Mutex<Ledger>, random: &mut Random) -> bool {
        let over = self.states == self.last;
        let state = if over {
            format!("{}-end", self.name)
        } else {
            format!("{}-s{}", self.name, self.states)
        };
        let count = if over { self.states } else { self.states + 1 };
        let alerts: Vec<(String, bool)> = (0..count).map(|n| (format!("a{n}"), !over)).collect();
        let body = notification(&self.name, &state, &alerts).to_string();
        let path = format!("/v1/alerts/{}", route(self.chat));
        let mut cut = 0;
        // A peer may send the same beside it, and Alertmanager once more after an answer that it missed.
        let times = 1 + u64::from(random.between(0, 4) == 0);
        for _ in 0..times {
            loop {
                match status(port, "POST", &path, &body) {
                    Ok(200..300) => break,
                    Err(error) if error.kind() == ErrorKind::ConnectionRefused => {}
                    _ => cut += 1,
                }
                pause(Duration::from_millis(20));
            }
        }
        self.states += 1;
        let mut ledger = ledger.lock().unwrap_or_else(PoisonError::into_inner);
        ledger.groups.insert(self.name.clone(), (self.chat, state));
        ledger.acknowledged += 1;
        ledger.cut += cut;
        ledger.times.push(Instant::now());
        over
    }
}

/// The status of one request on a connection of its own.
pub(crate) fn status(port: u16, method: &str, path: &str, body: &str) -> std::io::Result<u16> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: faults\r\nAuthorization: Bearer {TOKEN}\r\nContent-Type: application/json\r\n\
         Connection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut head = [0; 12];
    stream.read_exact(&mut head)?;
    let status = std::str::from_utf8(&head[9..])
        .ok()
        .and_then(|it| it.parse().ok());
    status.ok_or_else(|| std::io::Error::other("no status"))
}
