//! Who may be on the run's cluster at the same time: most tests wait for pods to come and go, so two of them share the time.
//!
//! It must not be taken twice by one test.

use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

static CLUSTER: RwLock<()> = RwLock::new(());

/// For a test that leaves everything alone but its own stack. To be kept until the stack is gone: bind it first.
pub(crate) fn beside_others() -> RwLockReadGuard<'static, ()> {
    CLUSTER.read().unwrap_or_else(PoisonError::into_inner)
}

/// For a test that breaks what all stacks need, or that needs the machine for itself.
pub(crate) fn alone() -> RwLockWriteGuard<'static, ()> {
    CLUSTER.write().unwrap_or_else(PoisonError::into_inner)
}
