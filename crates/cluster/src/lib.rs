//! Objects in, a cluster that has them out: apply, inventory, prune, readiness with reasons.
//!
//! Law: the only crate that writes to an API server; it never reads the user's current context for a default,
//! never takes a field from a controller (from a person's edit only when asked), and deletes only what the
//! inventory and our label both name, and helm's records of our interrupted revisions.

mod api;
mod apply;
mod connect;
mod delete;
mod diff;
mod error;
mod guard;
mod hash;
mod inventory;
mod kinds;
mod lease;
mod mask;
mod names;
mod object;
mod plan;
mod read;
mod ready;
mod stop;

pub use api::ApiError;
pub use apply::{Adopt, Applied, Change, Conflict, Options, Run, apply};
pub use connect::{Cluster, Locality, Target, Timeouts};
pub use delete::{
    Data, DownOptions, Outcome, Removed, Teardown, down, forget_interrupted, release_settled,
};
pub use diff::{Action, Diff, FieldChange, ObjectDiff, diff};
pub use error::{Class, Error};
pub use guard::{Admission, Guard};
pub use inventory::Inventory;
pub use kinds::{PHASES, Phase, phase};
pub use lease::{Held, Holder};
pub use mask::Secrets;
pub use names::{
    GENERATED_ANNOTATION, HASH_ANNOTATION, KEDA_FINALIZER, MANAGED_BY, MANAGER, ORIGIN_ANNOTATION,
    STACK_LABEL, Stack,
};
pub use object::{ObjectRef, seconds};
pub use plan::{Plan, Planned};
pub use read::{
    ApiServiceView, AutoscalerView, ClaimView, Clock, ConditionView, ContainerView, EventView,
    Granted, LeavingView, LogLine, LogOptions, Made, MetricView, Picture, PodView, ReleaseView,
    Right, SaysView, ScalerView, ServiceView, Sighting, StorageClassView, Wanted, WorkloadView,
    api_service, autoscalers, claims, controller_flags, ensure_secret, events, external_metric,
    follow_logs, leaving, may_everything, picture, pod_metrics, pods, read_secret,
    release_manifest, releases, require, rights, says, scalers, scalers_everywhere, service,
    storage_classes, watch, workloads,
};
pub use ready::{
    Failure, LoadBalancer, NotReady, Pending, Policy, ReadyOptions, Status, StoredRelease, Verdict,
    ready, status, stored_release, stored_releases, workloads_of_release,
};
