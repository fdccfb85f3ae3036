//! What a user sees without a running stack: help, mistakes, configuration, manifests, completions.
//!
//! It must not start a stack; those tests are in tests/local.

mod config;
mod documents;
mod images;
mod usage;

use kedactl_tests::Context;

fn context() -> Context {
    Context::new(env!("CARGO_BIN_EXE_kedactl-under-test"))
}
