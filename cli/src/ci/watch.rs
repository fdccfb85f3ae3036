//! The clock of the whole run and the signals that it gets: what came first is remembered, also between two phases.
//!
//! It must not end anything itself: a phase hears the same signals, and the clock speaks as one.

use kedactl_exec::{ProcId, Signal};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How long a phase may take to end when its time is up, before it is broken off.
const GRACE: Duration = Duration::from_secs(45);

/// Why a run does not go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    Interrupted,
    Terminated,
    /// The time of the whole run is over.
    Expired,
}

/// Listens for as long as it lives.
#[derive(Debug)]
pub(crate) struct Watch {
    told: Arc<Mutex<Option<Told>>>,
    disarm: CancellationToken,
    listener: Option<JoinHandle<()>>,
}

impl Watch {
    /// From now on, for so long.
    pub(crate) fn start(within: Duration) -> std::io::Result<Self> {
        let told = Arc::new(Mutex::new(None));
        let disarm = CancellationToken::new();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        // Registered before the first phase begins: a signal from here on is never lost.
        let mut signals = {
            let _inside = runtime.enter();
            Signals::new()?
        };
        let (heard, disarmed) = (Arc::clone(&told), disarm.clone());
        let listener = std::thread::spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = disarmed.cancelled() => {}
                    came = signals.next() => remember(&heard, came),
                    () = tokio::time::sleep(within) => {
                        remember(&heard, Told::Expired);
                        signal_own();
                        tokio::select! {
                            () = disarmed.cancelled() => {}
                            () = tokio::time::sleep(GRACE) => signal_own(),
                        }
                    }
                }
            });
        });
        Ok(Self {
            told,
            disarm,
            listener: Some(listener),
        })
    }

    /// What came first, if anything did.
    pub(crate) fn told(&self) -> Option<Told> {
        *self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stops the clock: what follows has a time of its own.
    pub(crate) fn disarm(&self) {
        self.disarm.cancel();
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.disarm();
        if let Some(listener) = self.listener.take() {
            // It has nothing to say that is not said already.
            drop(listener.join());
        }
    }
}

fn remember(told: &Mutex<Option<Told>>, what: Told) {
    let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
    told.get_or_insert(what);
}

/// The phase that runs ends as it does when somebody asks it to.
fn signal_own() {
    if let Some(own) = ProcId::own() {
        // Nothing keeps a process from signalling itself.
        drop(own.signal(Signal::TERM));
    }
}

struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) -> Told {
        tokio::select! {
            _ = self.interrupt.recv() => Told::Interrupted,
            _ = self.terminate.recv() => Told::Terminated,
        }
    }
}
