//! Images against the real world: the loader of this machine, a real containerd, a real registry.
//!
//! It must not pull an image: everything is built here.

mod build;
mod load;
mod push;
mod runtimes;
mod store;
mod support;
