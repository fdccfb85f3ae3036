//! Images against the real world: the loader of this machine, a real containerd, a real registry.
//!
//! It must not pull an image: everything is built here.

mod build;
mod hub;
mod load;
mod pull;
mod push;
mod runtimes;
mod saved;
mod store;
mod support;
