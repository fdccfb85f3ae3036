//! The queue against real Redis servers: every feature, and every fault that one machine can show.
//!
//! It must not share a server between tests.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod basics;
mod crowds;
mod cutter;
mod faults;
mod features;
mod reach;
mod security;
mod support;
