//! The monitoring's files as their own programs read them: promtool and amtool of Debian.
//!
//! A program that is missing is said and skipped, and fails the run where `CI` is set.

mod alertmanager;
mod alerts;
mod dashboards;
mod delivery;
mod expression;
mod metrics;
mod programs;
mod rules;
mod runbooks;
