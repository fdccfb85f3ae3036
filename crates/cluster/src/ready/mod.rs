//! Whether objects are ready, and if not, why: object, pod, container, reason, event, log, cure.
//! Must not guess from names or elapsed time what the cluster says in a field.

mod explain;
mod failure;
mod judge;
mod pods;
mod release;
mod status;
mod storage;
mod wait;
mod world;

pub use failure::{Failure, NotReady, Pending};
pub use judge::{LoadBalancer, Policy, Verdict};
pub use release::{StoredRelease, stored_release, stored_releases, workloads_of_release};
pub use status::{Status, status};
pub use wait::{ReadyOptions, ready};
