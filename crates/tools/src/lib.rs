//! Drivers of the programs that make clusters and releases: helm, kind and minikube.
//!
//! Law: what a program prints is never trusted where its effect can be asked for; values and secrets reach it
//! by private files, and its output is masked before anybody sees it.

mod charts;
mod error;
mod fetch;
pub mod helm;
pub mod kind;
mod mask;
pub mod minikube;
mod private;
mod release;

pub use charts::{
    About, Chart, EMBEDDED_CHARTS, LOCK, Locked, Place, Store, Vendored, embedded, own_values,
};
pub use error::{Action, ToolError};
pub use fetch::{Came, Pulled};
pub use kedactl_config::{ChartSource, Detect, Release, ReleaseName};
pub use kedactl_exec::CancellationToken;
pub use mask::Mask;
pub use private::PrivateDir;
