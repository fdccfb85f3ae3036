//! Templates and a checked configuration in, typed Kubernetes objects out.
//! Law: no I/O except through the reader handed in, and no clock; the same configuration gives the same bytes;
//! a field that Kubernetes does not know is an error, never ignored.

mod context;
mod documents;
mod engine;
mod error;
mod helpers;
pub mod monitoring;
mod object;
mod reasons;
mod references;
mod release;
mod strict;
mod templates;
mod trigger;

pub use context::{redis_addresses, webhook_routes};
pub use error::{Place, RenderError};
pub use object::{Manifests, Object, Rendered};
pub use release::release_values;
pub use templates::{TEMPLATES, Templates};

use kedactl_config::Config;

/// Renders the embedded templates.
///
/// # Errors
/// Values that the templates turn into an object that Kubernetes would refuse.
pub fn render(config: &Config) -> Result<Manifests, RenderError> {
    Templates::embedded().render(config)
}
