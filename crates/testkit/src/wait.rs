//! Waiting for a named condition until a deadline.
//!
//! It must not wait for time alone.

use std::time::{Duration, Instant};

const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Blocks until the condition holds.
///
/// # Panics
/// With the condition's name, if it does not hold in time.
#[expect(
    clippy::disallowed_methods,
    reason = "fixtures run outside any runtime"
)]
pub fn until(condition: &str, within: Duration, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + within;
    while !holds() {
        assert!(
            Instant::now() < deadline,
            "not within {within:?}: {condition}"
        );
        std::thread::sleep(LOOK_EVERY);
    }
}

/// As [`until`], in a runtime.
///
/// # Panics
/// With the condition's name, if it does not hold in time.
pub async fn until_async<F: Future<Output = bool>>(
    condition: &str,
    within: Duration,
    mut holds: impl FnMut() -> F,
) {
    let deadline = tokio::time::Instant::now() + within;
    while !holds().await {
        assert!(
            tokio::time::Instant::now() < deadline,
            "not within {within:?}: {condition}"
        );
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
