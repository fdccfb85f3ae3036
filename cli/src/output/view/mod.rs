//! Results as people read them: one file a result.
//!
//! Nothing here may fetch or decide; values come in, text goes out.

pub(crate) mod alerts;
pub(crate) mod bundle;
pub(crate) mod charts;
pub(crate) mod decisions;
pub(crate) mod images;
pub(crate) mod life;
pub(crate) mod lint;
pub(crate) mod load;
pub(crate) mod progress;
pub(crate) mod proof;
pub(crate) mod stack;
pub(crate) mod status;
pub(crate) mod tasks;
pub(crate) mod tunnel;
