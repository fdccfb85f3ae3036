//! Requests in JSON: one object or one list a call, with the server's warnings.
//! Must not decide anything about objects.

mod error;
mod exchange;
mod names;
mod verbs;

pub use error::ApiError;
pub(crate) use error::classify;
pub(crate) use exchange::Answer;
pub(crate) use verbs::{Deletion, Write};
