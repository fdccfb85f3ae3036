//! A raw HTTP server on a thread of its own, which stamps every arrival and can freeze; and runs against it.
//!
//! It must not use the crate under test for anything it measures.
#![expect(
    clippy::unwrap_used,
    reason = "a fixture that cannot start has nothing to say"
)]

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use rustix::event::epoll;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use rustix::thread::clock_nanosleep_absolute;
use rustix::time::{ClockId, Timespec, clock_gettime};

/// How the server answers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Manner {
    pub(crate) status: u16,
    /// Frozen from `.0` until `.1` nanoseconds of every 5 s, counted from the first arrival.
    pub(crate) freeze_ns: Option<(u64, u64)>,
    /// Closes a connection after so many answers, saying so.
    pub(crate) answers_per_connection: u64,
}

impl Default for Manner {
    fn default() -> Self {
        Self {
            status: 202,
            freeze_ns: None,
            answers_per_connection: u64::MAX,
        }
    }
}

const PERIOD_NS: u64 = 5_000_000_000;

pub(crate) struct RawServer {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    /// Arrival of every request, monotonic nanoseconds.
    arrivals: Arc<Mutex<Vec<u64>>>,
    worst_round_ns: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl RawServer {
    pub(crate) fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        // The standard library's backlog of 128 would drop connects while the server is frozen.
        rustix::net::listen(&listener, 4_096).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let server = Self {
            address,
            stop: Arc::default(),
            arrivals: Arc::default(),
            worst_round_ns: Arc::default(),
            thread: None,
        };
        let mut round = Loop {
            manner,
            listener,
            poll: epoll::create(epoll::CreateFlags::CLOEXEC).unwrap(),
            peers: HashMap::new(),
            answer: answer(manner.status),
            first_ns: None,
            log: Vec::new(),
        };
        let (stop, arrivals) = (Arc::clone(&server.stop), Arc::clone(&server.arrivals));
        let worst = Arc::clone(&server.worst_round_ns);
        let thread = std::thread::spawn(move || {
            round.run(&stop, &worst);
            *arrivals.lock().unwrap() = round.log;
        });
        Self {
            thread: Some(thread),
            ..server
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Stops the server and says what it saw.
    pub(crate) fn finish(mut self) -> Seen {
        self.stop.store(true, Ordering::SeqCst);
        self.thread.take().unwrap().join().unwrap();
        Seen {
            arrivals: std::mem::take(&mut self.arrivals.lock().unwrap()),
            worst_round_ns: self.worst_round_ns.load(Ordering::SeqCst),
        }
    }
}

/// What a server saw.
pub(crate) struct Seen {
    /// Arrival of every request, monotonic nanoseconds.
    pub(crate) arrivals: Vec<u64>,
    /// Longest time that one round of its loop took: longer than a few milliseconds, and the machine stalled it.
    pub(crate) worst_round_ns: u64,
}

struct Peer {
    stream: TcpStream,
    answers: u64,
}

struct Loop {
    manner: Manner,
    listener: TcpListener,
    poll: std::os::fd::OwnedFd,
    peers: HashMap<u64, Peer>,
    answer: Vec<u8>,
    first_ns: Option<u64>,
    log: Vec<u64>,
}

const LISTENER: u64 = u64::MAX;

impl Loop {
    fn run(&mut self, stop: &AtomicBool, worst: &AtomicU64) {
        let data = epoll::EventData::new_u64(LISTENER);
        epoll::add(&self.poll, &self.listener, data, epoll::EventFlags::IN).unwrap();
        let mut events = Vec::with_capacity(256);
        let mut next = 0;
        while !stop.load(Ordering::SeqCst) {
            events.clear();
            let wait = Timespec {
                tv_sec: 0,
                tv_nsec: 1_000_000,
            };
            let _interrupted = epoll::wait(
                &self.poll,
                rustix::buffer::spare_capacity(&mut events),
                Some(&wait),
            );
            let woke = now_ns();
            for event in &events {
                if event.data.u64() == LISTENER {
                    self.accept(&mut next);
                } else {
                    self.serve(event.data.u64());
                }
            }
            worst.fetch_max(now_ns() - woke, Ordering::SeqCst);
            self.freeze();
        }
    }

    fn freeze(&self) {
        let (Some(first), Some((from, until))) = (self.first_ns, self.manner.freeze_ns) else {
            return;
        };
        let phase = (now_ns() - first) % PERIOD_NS;
        if (from..until).contains(&phase) {
            sleep_until(now_ns() + (until - phase));
        }
    }

    fn accept(&mut self, next: &mut u64) {
        while let Ok((stream, _)) = self.listener.accept() {
            stream.set_nonblocking(true).unwrap();
            stream.set_nodelay(true).unwrap();
            let data = epoll::EventData::new_u64(*next);
            epoll::add(&self.poll, stream.as_fd(), data, epoll::EventFlags::IN).unwrap();
            self.peers.insert(*next, Peer { stream, answers: 0 });
            *next += 1;
        }
    }

    /// One request a read: a client that waits for its answer never has two on the way.
    fn serve(&mut self, id: u64) {
        let Some(peer) = self.peers.get_mut(&id) else {
            return;
        };
        let mut bytes = [0u8; 8_192];
        match recv(&peer.stream, &mut bytes[..], RecvFlags::empty()) {
            Ok((0, _)) | Err(rustix::io::Errno::CONNRESET) => drop(self.peers.remove(&id)),
            Ok(_) => {
                let now = now_ns();
                self.first_ns.get_or_insert(now);
                self.log.push(now);
                peer.answers += 1;
                let last = peer.answers >= self.manner.answers_per_connection;
                let text = if last {
                    closing(&self.answer)
                } else {
                    self.answer.clone()
                };
                let _gone = send(&peer.stream, &text, SendFlags::NOSIGNAL);
                if last {
                    self.peers.remove(&id);
                }
            }
            Err(_) => {}
        }
    }
}

fn answer(status: u16) -> Vec<u8> {
    format!("HTTP/1.1 {status} X\r\ncontent-length: 3\r\n\r\nok\n").into_bytes()
}

fn closing(answer: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(answer);
    text.replacen("\r\n", "\r\nconnection: close\r\n", 1)
        .into_bytes()
}

fn now_ns() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

fn sleep_until(at: u64) {
    let request = Timespec {
        tv_sec: (at / 1_000_000_000) as i64,
        tv_nsec: (at % 1_000_000_000) as i64,
    };
    while now_ns() < at {
        let _interrupted = clock_nanosleep_absolute(ClockId::Monotonic, &request);
    }
}
