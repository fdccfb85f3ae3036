//! Free ports on the loopback.
//!
//! It must not promise: between the answer and its use another process may take the port, so starters try again.

use std::collections::HashSet;
use std::net::TcpListener;
use std::sync::{LazyLock, Mutex, PoisonError};

static GIVEN: LazyLock<Mutex<HashSet<u16>>> = LazyLock::new(Mutex::default);

/// A port that nobody listens on now and that this process was not given before.
///
/// # Panics
/// If the machine has no free port.
pub fn free_port() -> u16 {
    for _ in 0..1000 {
        let Ok(listener) = TcpListener::bind(("127.0.0.1", 0)) else {
            continue;
        };
        let Ok(addr) = listener.local_addr() else {
            continue;
        };
        if GIVEN
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(addr.port())
        {
            return addr.port();
        }
    }
    panic!("no free port on 127.0.0.1");
}
