//! Charts and values that are known not to work together, found before they are installed.
//!
//! Law: no I/O, no clock, no knowledge of helm; the same releases give the same findings, and each finding has the values
//! that cure it.

mod finding;
mod image;
mod object;
mod release;
mod rule;
mod rules;

pub use finding::{Finding, lay};
pub use release::{Around, Outcome, Owner, Release};
pub use rule::Rule;
pub use rules::{all as rules, check};
