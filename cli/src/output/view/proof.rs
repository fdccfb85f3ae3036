//! What a proof found, for people.
//!
//! It must not judge.

use crate::output::style;
use kedactl_load::{Proven, Scaling};

pub(crate) fn text(proven: &Proven) -> String {
    let word = if proven.failures.is_empty() {
        style::good("proven")
    } else {
        style::bad("not proven")
    };
    let mut text = format!(
        "{word}: {} tasks accepted, {} done, {} lost, {} duplicated",
        style::count(proven.accepted),
        style::count(proven.done),
        proven.lost,
        proven.duplicated
    );
    if let Some(scaling) = &proven.scaling {
        text += &format!("\n  {}", scaled(scaling));
    }
    if let Some(fault) = &proven.fault {
        let took = style::millis(fault.took_ms as f64);
        text += &format!("\n  {} in {took}", fault.what);
    }
    text
}

fn scaled(scaling: &Scaling) -> String {
    let mut text = format!(
        "workers {} → {}",
        scaling.workers_at_start, scaling.workers_peak
    );
    if let Some(first) = scaling.first_worker_s {
        text += &format!(", the first ready after {first:.0} s");
    }
    if let Some(zero) = scaling.to_zero_s {
        text += &format!(", back at zero {zero:.0} s after the last task");
    }
    text
}
