//! A Bot API on 127.0.0.1 that keeps Telegram's limits, remembers every call, and goes wrong where it is told to.
//!
//! It must not be kinder than Telegram: what the real one refuses is refused here.

mod chats;
mod http;
mod presses;
mod refusal;
mod rules;
mod secure;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value as Json;
use tokio::time::Instant;

use http::LOOK_EVERY;
use presses::Presses;
use refusal::{Refusal, Reply};
use rules::Limits;
use secure::Secure;

use crate::Certificates;

/// What goes wrong with one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TelegramFault {
    /// 429, with so many seconds to wait.
    TooMany(u64),
    /// The group is a supergroup of this id from now on; its messages have other numbers there.
    Migrate(i64),
    /// A refusal in Telegram's words: `403`, `Forbidden: bot was kicked from the group chat`.
    Refuse(u16, String),
    /// A page of a proxy in place of an answer.
    BadGateway,
    /// The message is there, and half of the answer arrives.
    HalfReply,
    /// The message is there, and no answer comes.
    NoReply,
    /// Nothing happens for so long, then all is well.
    Slow(Duration),
    /// The connection ends before anything is said.
    Closed,
}

/// One call as it came, and how it ended.
#[derive(Debug, Clone, PartialEq)]
pub struct TelegramCall {
    /// Since the server began.
    pub at: Duration,
    /// `sendMessage`, `editMessageText`, …
    pub method: String,
    pub body: Json,
    /// The status of the answer; 0 where none was given.
    pub status: u16,
    /// Telegram's word for what was wrong; empty where nothing was.
    pub description: String,
}

impl TelegramCall {
    /// The chat that it is for; 0 where it is for none.
    pub fn chat(&self) -> i64 {
        chat(&self.body)
    }
}

/// Some clients write numbers as texts, which Telegram takes.
fn chat(body: &Json) -> i64 {
    let id = &body["chat_id"];
    let text = || id.as_str().and_then(|it| it.parse().ok());
    id.as_i64().or_else(text).unwrap_or_default()
}

/// A message as a chat shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TelegramMessage {
    pub id: i64,
    pub thread: Option<i64>,
    /// As it was sent, with its tags.
    pub text: String,
    /// How often it was changed.
    pub edits: u32,
    pub silent: bool,
    /// Labels and data of its buttons.
    pub buttons: Vec<(String, String)>,
}

/// An answer to a press, as the person who pressed sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TelegramAnswer {
    pub press: String,
    pub text: String,
    /// In a window that has to be closed.
    pub loud: bool,
}

#[derive(Debug, Default)]
struct State {
    calls: Vec<TelegramCall>,
    messages: BTreeMap<i64, Vec<TelegramMessage>>,
    moved: BTreeMap<i64, i64>,
    faults: BTreeMap<i64, VecDeque<TelegramFault>>,
    /// Refusals of a chat until they are taken back.
    closed: BTreeMap<i64, (u16, String)>,
    /// Until when a chat takes nothing.
    parked: BTreeMap<i64, Duration>,
    /// Topics that are not there.
    lost_topics: BTreeSet<(i64, i64)>,
    limits: Limits,
    last_id: i64,
    presses: Presses,
    /// How long a call takes before it is carried out, and after it.
    takes: (Duration, Duration),
    /// Methods of calls that are under way.
    under_way: Vec<String>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    over: AtomicBool,
    down: AtomicBool,
    token: String,
    start: Instant,
    secure: Option<Secure>,
}

/// The server; it ends with the test.
#[derive(Debug)]
pub struct Telegram {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Telegram {
    /// Starts one for a bot with this token.
    ///
    /// # Panics
    /// If no port is free.
    pub fn start(token: &str) -> Self {
        Self::serve(token, Ipv4Addr::LOCALHOST.into(), None)
    }

    /// The same at another address of this machine, which pods of a cluster on it reach.
    ///
    /// # Panics
    /// If it is no address of this machine, or no port is free.
    pub fn start_at(token: &str, address: IpAddr) -> Self {
        Self::serve(token, address, None)
    }

    /// The same behind TLS.
    ///
    /// # Panics
    /// If no port is free, or the certificates are none.
    pub fn start_secure(token: &str, certificates: &Certificates) -> Self {
        let secure = Secure::new(certificates);
        Self::serve(token, Ipv4Addr::LOCALHOST.into(), Some(secure))
    }

    fn serve(token: &str, address: IpAddr, secure: Option<Secure>) -> Self {
        let listener = TcpListener::bind((address, 0)).expect("a free port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            changed: Condvar::new(),
            over: AtomicBool::new(false),
            down: AtomicBool::new(false),
            token: token.to_owned(),
            start: Instant::now(),
            secure,
        });
        let serving = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            let mut open = Vec::new();
            for stream in listener.incoming() {
                if serving.over.load(Ordering::SeqCst) {
                    break;
                }
                let Ok(stream) = stream else { continue };
                let shared = Arc::clone(&serving);
                open.push(std::thread::spawn(move || {
                    // A client that went away is its own business.
                    let _gone = match &shared.secure {
                        Some(secure) => secure.serve(stream, &shared),
                        None => http::serve_plain(stream, &shared),
                    };
                }));
            }
            for connection in open {
                let _panicked = connection.join();
            }
        });
        Self {
            address,
            shared,
            thread: Some(thread),
        }
    }

    /// Where the Bot API is: before `/bot<token>/…`.
    pub fn url(&self) -> String {
        let secure = self.shared.secure.is_some();
        let scheme = if secure { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// Shows a certificate of somebody else from now on, or its own again; open connections end.
    ///
    /// # Panics
    /// If it has no TLS.
    pub fn spoil_certificate(&self, spoilt: bool) {
        let secure = self.shared.secure.as_ref();
        secure.expect("a server with TLS").spoil(spoilt);
    }

    /// What goes wrong with the next calls to a chat, one after the other; 0 is any chat.
    pub fn fail(&self, chat: i64, faults: impl IntoIterator<Item = TelegramFault>) {
        let mut state = self.lock();
        state.faults.entry(chat).or_default().extend(faults);
    }

    /// Refuses everything to a chat from now on, or takes that back.
    pub fn close(&self, chat: i64, refusal: Option<(u16, &str)>) {
        let mut state = self.lock();
        match refusal {
            Some((status, words)) => {
                state.closed.insert(chat, (status, words.to_owned()));
            }
            None => drop(state.closed.remove(&chat)),
        }
    }

    /// Refuses everything to a chat for so many seconds, and says so.
    pub fn park(&self, chat: i64, seconds: u64) {
        let until = self.shared.start.elapsed() + Duration::from_secs(seconds);
        self.lock().parked.insert(chat, until);
    }

    /// Takes a topic away, or makes it again.
    pub fn delete_topic(&self, chat: i64, thread: i64, gone: bool) {
        let mut state = self.lock();
        if gone {
            state.lost_topics.insert((chat, thread));
        } else {
            state.lost_topics.remove(&(chat, thread));
        }
    }

    /// How long every call takes from now on before it is carried out, and before it is answered.
    pub fn take(&self, before: Duration, after: Duration) {
        self.lock().takes = (before, after);
    }

    /// Methods of the calls that are being carried out now.
    pub fn under_way(&self) -> Vec<String> {
        self.lock().under_way.clone()
    }

    /// Ends every connection at once from now on, or no longer.
    pub fn down(&self, down: bool) {
        self.shared.down.store(down, Ordering::SeqCst);
    }

    /// Takes a message away, as somebody in the chat does.
    pub fn delete(&self, chat: i64, message: i64) {
        let mut state = self.lock();
        if let Some(messages) = state.messages.get_mut(&chat) {
            messages.retain(|it| it.id != message);
        }
    }

    /// Every call so far.
    pub fn calls(&self) -> Vec<TelegramCall> {
        self.lock().calls.clone()
    }

    /// Every call that was to show something in a chat.
    pub fn sends(&self) -> Vec<TelegramCall> {
        let calls = self.calls().into_iter();
        calls.filter(|it| it.chat() != 0).collect()
    }

    /// What a chat shows, the oldest first.
    pub fn messages(&self, chat: i64) -> Vec<TelegramMessage> {
        let state = self.lock();
        state.messages.get(&chat).cloned().unwrap_or_default()
    }

    /// Waits until what a chat shows is as wanted.
    ///
    /// # Panics
    /// If it is not within the time.
    pub fn until(
        &self,
        what: &str,
        chat: i64,
        within: Duration,
        wanted: impl Fn(&[TelegramMessage]) -> bool,
    ) -> Vec<TelegramMessage> {
        let deadline = Instant::now() + within;
        let mut state = self.lock();
        loop {
            let shown = state.messages.get(&chat).cloned().unwrap_or_default();
            if wanted(&shown) {
                return shown;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "not within {within:?}: {what}; {shown:#?}");
            let waited = self.shared.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.lock()
    }
}

impl Drop for Telegram {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::SeqCst);
        // Wakes the listener, which then sees that it is over.
        drop(TcpStream::connect(self.address));
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Carries out a call and says what to answer; nothing where the connection ends without a word.
    fn call(&self, path: &str, body: &[u8]) -> Option<Reply> {
        let at = self.start.elapsed();
        let method = path
            .strip_prefix("/bot")
            .and_then(|rest| rest.strip_prefix(&self.token))
            .and_then(|rest| rest.strip_prefix('/'));
        let body: Json = serde_json::from_slice(body).unwrap_or(Json::Null);
        let Some(method) = method else {
            let refusal = Refusal::new(401, "Unauthorized");
            self.note(at, path, body, &Err(refusal.clone()), true);
            return Some(Reply::of(Err(refusal)));
        };
        if let Some(done) = self.asked_for_presses(method, &body) {
            self.note(at, method, body, &done, true);
            self.changed.notify_all();
            return Some(Reply::of(done));
        }
        self.lock().under_way.push(method.to_owned());
        let reply = self.show(at, method, body);
        let mut state = self.lock();
        if let Some(this) = state.under_way.iter().position(|it| it == method) {
            state.under_way.swap_remove(this);
        }
        reply
    }

    /// Carries out a call that is to show something.
    fn show(&self, at: Duration, method: &str, body: Json) -> Option<Reply> {
        let chat = chat(&body);
        let fault = self.lock().fault(chat);
        let (before, after) = self.lock().takes;
        self.rest(before);
        if let Some(TelegramFault::Slow(time)) = &fault {
            self.rest(*time);
        }
        if fault == Some(TelegramFault::Closed) {
            return None;
        }
        let done = self
            .lock()
            .carry_out(at, method, chat, &body, fault.as_ref());
        let answered = fault != Some(TelegramFault::NoReply);
        self.note(at, method, body, &done, answered);
        self.changed.notify_all();
        self.rest(after);
        let mut reply = Reply::of(done);
        match fault {
            Some(TelegramFault::NoReply) => return None,
            Some(TelegramFault::HalfReply) => reply.only = Some(reply.body.len() / 2),
            _ => {}
        }
        Some(reply)
    }

    /// So long, or until it is over.
    fn rest(&self, time: Duration) {
        let until = Instant::now() + time;
        let mut state = self.lock();
        while !self.over.load(Ordering::SeqCst) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            let waited = self.changed.wait_timeout(state, left.min(LOOK_EVERY));
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn note(
        &self,
        at: Duration,
        method: &str,
        body: Json,
        done: &Result<Json, Refusal>,
        answered: bool,
    ) {
        let (status, description) = match done {
            Ok(_) => (200, String::new()),
            Err(refusal) => (refusal.status, refusal.words.clone()),
        };
        self.lock().calls.push(TelegramCall {
            at,
            method: method.to_owned(),
            body,
            status: if answered { status } else { 0 },
            description,
        });
    }
}
