//! Chooses the pod for a connection: the one with the fewest, in turn where several have as few.
//! Must not open connections.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// The pods behind one port.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    backends: Mutex<Vec<Backend>>,
    turn: AtomicUsize,
}

#[derive(Debug, Clone)]
struct Backend {
    port: u16,
    open: Arc<AtomicUsize>,
}

/// A connection that counts as long as it lives.
#[derive(Debug)]
pub(crate) struct Lease {
    pub(crate) port: u16,
    open: Arc<AtomicUsize>,
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Pool {
    /// Replaces the pods; connections to those that stay go on counting.
    pub(crate) fn set(&self, ports: &BTreeMap<String, u16>) {
        let mut backends = self.backends.lock().unwrap_or_else(PoisonError::into_inner);
        let old = std::mem::take(&mut *backends);
        *backends = ports
            .values()
            .map(|port| {
                let known = old.iter().find(|backend| backend.port == *port);
                known.cloned().unwrap_or_else(|| Backend {
                    port: *port,
                    open: Arc::default(),
                })
            })
            .collect();
    }

    /// The best pod that was not tried yet.
    pub(crate) fn pick(&self, tried: &[u16]) -> Option<Lease> {
        let backends = self.backends.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let count = backends.len().max(1);
        let best = backends
            .iter()
            .enumerate()
            .filter(|(_, backend)| !tried.contains(&backend.port))
            .min_by_key(|(index, backend)| {
                (
                    backend.open.load(Ordering::Relaxed),
                    (index + count - turn % count) % count,
                )
            })?
            .1;
        best.open.fetch_add(1, Ordering::Relaxed);
        Some(Lease {
            port: best.port,
            open: Arc::clone(&best.open),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fewest_connections_win_and_ties_take_turns() {
        let pool = Pool::default();
        assert!(pool.pick(&[]).is_none());
        pool.set(&BTreeMap::from([("a".to_owned(), 1), ("b".to_owned(), 2)]));
        let first = pool.pick(&[]).unwrap();
        let second = pool.pick(&[]).unwrap();
        assert_ne!(first.port, second.port);
        let freed = first.port;
        drop(first);
        let third = pool.pick(&[]).unwrap();
        assert_eq!(third.port, freed);
        assert_eq!(pool.pick(&[third.port]).unwrap().port, second.port);
        assert!(pool.pick(&[1, 2]).is_none());
        // A pod that stays keeps its count; one that left is not chosen again.
        pool.set(&BTreeMap::from([("b".to_owned(), 2), ("c".to_owned(), 3)]));
        assert_eq!(pool.pick(&[]).unwrap().port, 3);
    }
}
