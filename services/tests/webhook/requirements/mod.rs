//! The twelve requirements of a receiver that alerts depend on, each with the tests that are named after it.
//!
//! It must not hold a test of anything else.

mod r09_buttons;
mod r10_probes;
