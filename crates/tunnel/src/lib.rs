//! Traffic from this machine into Services of a cluster, without root and without routes.
//!
//! Law: an address is published only while a probe through it passes, and taken back on every exit;
//! nothing here changes a workload. The cluster is reached through the [`kube::Client`] that is handed in, and nothing else.

mod access;
mod control;
mod detach;
mod error;
mod forward;
mod home;
mod mapped;
mod minikube;
mod node;
mod pods;
mod pool;
mod port;
mod probe;
mod proxy;
mod publish;
mod road;
mod service;
mod sessions;
mod slices;
mod spdy;
mod spec;
mod status;
mod tunnel;
mod upgrade;

pub use access::{Access, connect};
pub use control::{Stopped, status, stop};
pub use detach::{Detach, detach, helper_main, order, run};
pub use error::TunnelError;
pub use forward::Forward;
pub use home::Home;
pub use mapped::answers;
pub use minikube::Minikube;
pub use pods::{PodPort, PodPorts};
pub use pool::{Endpoint, Pool};
pub use proxy::serve;
pub use publish::MANAGER;
pub use road::{Carried, Dial, DialError, Dialing, Held, Link, Road};
pub use sessions::Stream;
pub use slices::pods_of;
pub use spec::{Mode, Spec, Wanted};
pub use status::{Route, ServiceStatus, Status};
pub use tunnel::{Ended, Tunnel};
