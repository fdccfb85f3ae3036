//! Programs in, OCI images out, and from there to nodes and registries, with no container engine.
//!
//! Law: the same inputs give the same bytes, whoever builds them and where; a load counts only when the node
//! itself names the digest, and what is pulled only when it has the digest that was asked for.

mod build;
mod digest;
mod dpkg;
mod error;
mod load;
mod node;
mod oci;
mod platform;
mod platforms;
mod pull;
mod push;
mod python;
mod reference;
mod requested;
mod saved;
mod sbom;
mod store;
mod tls;

pub use build::{
    Content, ExtraFile, Layered, Program, Spec, USER, build, build_changed, of_programs, tree,
};
pub use digest::Digest;
pub use error::ImageError;
pub use load::{How, Loaded, Runtime, archive, engine_archive, load, load_by, verify, whole};
pub use node::{ContainerdSocket, DockerContainer, Feed, MinikubeSsh, NodeShell, kind_nodes};
pub use oci::{
    Descriptor, IMAGE_NAME, INDEX, Index, MANIFEST, Manifest, Platform, REF_NAME, bytes,
};
pub use platform::{REGISTRY, Service, alertmanager, prometheus, redis, service};
pub use pull::{Pulled, Upstream, pull};
pub use push::{Credentials, Pushed, push};
pub use python::{Interpreter, python};
pub use reference::Reference;
pub use requested::Requested;
pub use saved::import;
pub use sbom::{Maker, Package, bill_of_programs};
pub use store::{Attached, Checked, Freed, Image, Store};
