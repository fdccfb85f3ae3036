//! What a user sees without a running stack: help, mistakes, configuration, manifests, completions.
//!
//! It must not start a stack; those tests are in tests/local.

mod alerts;
mod api_server;
mod auto;
mod bundle;
mod charts;
mod config;
mod documents;
mod events;
mod images;
mod lint;
mod looking;
mod minikube;
mod minikube_tunnel;
mod recipe;
mod tunnel;
mod usage;

use kedactl_tests::Context;

fn context() -> Context {
    Context::new(env!("CARGO_BIN_EXE_kedactl-under-test"))
}
