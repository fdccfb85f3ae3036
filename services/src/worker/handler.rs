//! What a user writes: an async function from a typed payload to a result, and how it fails.
//!
//! It must not know Redis, leases or slots.

use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::context::Context;

/// Why an attempt failed, and what is to happen with the task.
///
/// Every `std::error::Error` becomes [`Failure::retry`] through `?`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub(crate) message: String,
    pub(crate) then: Then,
}

/// What happens after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    /// Another attempt after the task's backoff, while attempts are left.
    Retry,
    /// Another attempt after this pause, while attempts are left.
    RetryAfter(Duration),
    /// No other attempt: to the dead letters.
    Dead,
}

impl Failure {
    /// Try again after the task's backoff.
    pub fn retry(message: impl fmt::Display) -> Self {
        Self {
            message: message.to_string(),
            then: Then::Retry,
        }
    }

    /// Try again after a pause of the handler's choice.
    pub fn retry_after(pause: Duration, message: impl fmt::Display) -> Self {
        Self {
            message: message.to_string(),
            then: Then::RetryAfter(pause),
        }
    }

    /// Do not try again: the task can never succeed.
    pub fn dead(message: impl fmt::Display) -> Self {
        Self {
            message: message.to_string(),
            then: Then::Dead,
        }
    }
}

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        let mut message = error.to_string();
        let mut cause = error.source();
        while let Some(inner) = cause {
            message.push_str(": ");
            message.push_str(&inner.to_string());
            cause = inner.source();
        }
        Self::retry(message)
    }
}

/// The result of a handler, as JSON; `None` when it returned nothing.
pub(crate) type Answer = Result<Option<Box<RawValue>>, Failure>;
pub(crate) type Running = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// A handler with its types hidden.
pub(crate) trait AnyHandler: Send + Sync {
    fn start(&self, payload: &str, context: Context) -> Running;
}

/// A function of a payload and a [`Context`].
pub(crate) struct Typed<F, P> {
    function: F,
    payload: PhantomData<fn(P)>,
}

impl<F, P> Typed<F, P> {
    pub(crate) fn new(function: F) -> Self {
        Self {
            function,
            payload: PhantomData,
        }
    }
}

impl<F, P, R, Fut> AnyHandler for Typed<F, P>
where
    F: Fn(P, Context) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<R, Failure>> + Send + 'static,
    P: DeserializeOwned,
    R: Serialize,
{
    fn start(&self, payload: &str, context: Context) -> Running {
        // A payload that does not fit today does not fit tomorrow: retrying it would only hide the mistake.
        let payload = match serde_json::from_str::<P>(payload) {
            Ok(payload) => payload,
            Err(error) => {
                let failure = Failure::dead(format!("the payload does not fit: {error}"));
                return Box::pin(std::future::ready(Err(failure)));
            }
        };
        let running = (self.function)(payload, context);
        Box::pin(async move {
            let result = serde_json::value::to_raw_value(&running.await?)
                .map_err(|e| Failure::dead(format!("the result is not JSON: {e}")))?;
            Ok((result.get() != "null").then_some(result))
        })
    }
}
