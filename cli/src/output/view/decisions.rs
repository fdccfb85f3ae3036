//! The scaling decisions of a run, one line each.
//!
//! It must not repeat a decision that changed nothing.

use crate::output::style::dim;
use kedactl_load::TimelinePoint;

/// A line for each decision, with its second of the run.
pub(crate) fn text(timeline: &[TimelinePoint]) -> String {
    let mut text = String::new();
    for point in timeline {
        for reason in &point.sample.reasons {
            text += &format!(
                "          {} {reason}\n",
                dim(&format!("{:>4.0} s", point.at_s))
            );
        }
    }
    text
}
