//! The pods behind a Service, and whose turn it is.
//! Must not hand out a pod that just failed: it rests first, or comes back when the cluster says that it is ready again.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// How long a pod that failed is left alone while the cluster still calls it ready.
const REST: Duration = Duration::from_millis(500);

/// A pod's port behind a Service.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// The pod's namespace.
    pub namespace: String,
    /// The pod's name.
    pub pod: String,
    /// The pod's own port.
    pub port: u16,
}

/// The ready endpoints of one port, in rotation.
#[derive(Debug, Default)]
pub struct Pool {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    ready: Vec<Endpoint>,
    next: usize,
    resting: HashMap<Endpoint, Instant>,
}

impl State {
    fn pick(&mut self, now: Instant) -> Option<Endpoint> {
        self.resting.retain(|_, until| *until > now);
        let count = self.ready.len();
        let found = (0..count)
            .map(|step| (self.next + step) % count)
            .find(|at| !self.resting.contains_key(&self.ready[*at]))?;
        self.next = (found + 1) % count;
        Some(self.ready[found].clone())
    }
}

impl Pool {
    /// Takes over what the cluster says. A pod that left and came back has no bad name any more.
    pub fn set(&self, mut ready: Vec<Endpoint>) {
        ready.sort_by(|a, b| (&a.pod, a.port).cmp(&(&b.pod, b.port)));
        ready.dedup();
        let mut state = self.lock();
        if state.ready == ready {
            return;
        }
        state.resting.retain(|endpoint, _| ready.contains(endpoint));
        state.ready = ready;
        drop(state);
        self.changed.notify_waiters();
    }

    /// The next pod in rotation that does not rest.
    pub fn pick(&self) -> Option<Endpoint> {
        self.lock().pick(Instant::now())
    }

    /// The pod failed: it rests.
    pub fn blame(&self, endpoint: &Endpoint) {
        let until = Instant::now() + REST;
        self.lock().resting.insert(endpoint.clone(), until);
    }

    /// How many pods are ready.
    pub fn len(&self) -> usize {
        self.lock().ready.len()
    }

    /// Whether no pod is ready.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Waits until a pod can be picked: one became ready, or one has rested.
    pub async fn wait(&self) {
        let changed = self.changed.notified();
        let rested = self.lock().resting.values().min().copied();
        let rested = rested.unwrap_or_else(|| Instant::now() + REST);
        tokio::select! {
            () = changed => {}
            () = tokio::time::sleep_until(rested) => {}
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(pod: &str) -> Endpoint {
        Endpoint {
            namespace: "keda".to_owned(),
            pod: pod.to_owned(),
            port: 8000,
        }
    }

    fn pods(pool: &Pool, count: usize, later: Duration) -> Vec<String> {
        let mut state = pool.lock();
        let now = Instant::now() + later;
        (0..count)
            .map(|_| state.pick(now).map_or_else(String::new, |e| e.pod))
            .collect()
    }

    #[test]
    fn pods_take_turns_and_a_dead_one_rests() {
        let (pool, now) = (Pool::default(), Duration::ZERO);
        assert_eq!(pool.pick(), None);
        pool.set(vec![endpoint("c"), endpoint("a"), endpoint("b")]);
        assert_eq!(pods(&pool, 4, now), ["a", "b", "c", "a"]);
        pool.blame(&endpoint("b"));
        assert_eq!(pods(&pool, 4, now), ["c", "a", "c", "a"]);
        assert_eq!(pods(&pool, 3, REST), ["b", "c", "a"]);
    }

    #[tokio::test]
    async fn the_only_pod_is_not_chosen_again_at_once() {
        let pool = Pool::default();
        pool.set(vec![endpoint("a")]);
        pool.blame(&endpoint("a"));
        assert_eq!(pool.pick(), None);
        let begin = Instant::now();
        pool.wait().await;
        assert!(begin.elapsed() >= REST / 2 && pool.pick().is_some());
    }

    #[tokio::test]
    async fn a_waiting_connection_hears_of_a_new_pod_at_once() {
        let pool = Pool::default();
        let begin = Instant::now();
        tokio::join!(pool.wait(), async { pool.set(vec![endpoint("a")]) });
        assert!(begin.elapsed() < REST);
        pool.blame(&endpoint("a"));
        pool.set(vec![endpoint("b")]);
        pool.set(vec![endpoint("a"), endpoint("b")]);
        let now = Duration::ZERO;
        assert!(
            pods(&pool, 2, now).contains(&"a".to_owned()),
            "it came back"
        );
    }
}
