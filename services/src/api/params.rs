//! Path and query parameters, parsed strictly: an unknown one is an error that names it.
//!
//! It must not know what a parameter is for.

use std::time::Duration;

use axum::extract::{FromRequestParts, RawPathParams, RawQuery};
use http::request::Parts;
use kedactl_queue::{QueueName, TaskId};

use super::problem::Problem;

/// The parameters of a request.
#[derive(Debug)]
pub(crate) struct Params {
    path: Vec<(String, String)>,
    query: Vec<(String, String)>,
}

impl<S: Send + Sync> FromRequestParts<S> for Params {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let raw = RawPathParams::from_request_parts(parts, state)
            .await
            .map_err(|_| Problem::not_found("path: a part of it is not percent-encoded UTF-8"))?;
        let path = raw
            .iter()
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .collect();
        let RawQuery(query) = RawQuery::from_request_parts(parts, state)
            .await
            .unwrap_or(RawQuery(None));
        let query = query.as_deref().map_or_else(Vec::new, pairs);
        Ok(Self { path, query })
    }
}

impl Params {
    fn path(&self, name: &str) -> &str {
        self.path
            .iter()
            .find(|(n, _)| n == name)
            .map_or("", |(_, v)| v)
    }

    /// Returns the queue of the path.
    pub(crate) fn queue(&self) -> Result<QueueName, Problem> {
        QueueName::new(self.path("queue")).map_err(|e| Problem::field("{queue}", e.to_string()))
    }

    /// Returns the task id of the path.
    pub(crate) fn id(&self) -> Result<TaskId, Problem> {
        self.path("id")
            .parse()
            .map_err(|e| Problem::field("{id}", format!("{e}")))
    }

    /// Returns another part of the path as text.
    pub(crate) fn text(&self, name: &str) -> String {
        self.path(name).to_owned()
    }

    /// Refuses every query parameter but these.
    pub(crate) fn only(&self, known: &[&str]) -> Result<(), Problem> {
        match self
            .query
            .iter()
            .find(|(name, _)| !known.contains(&name.as_str()))
        {
            None => Ok(()),
            Some((name, _)) => {
                let name: String = name.chars().take(64).collect();
                Err(Problem::field(
                    format!("?{name}"),
                    "is not a parameter here",
                ))
            }
        }
    }

    /// Returns a query parameter as text.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.query
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, v)| v.as_str())
    }

    /// Returns a query parameter as a number in a range.
    pub(crate) fn number(&self, name: &str, default: u64, max: u64) -> Result<u64, Problem> {
        let Some(raw) = self.get(name) else {
            return Ok(default);
        };
        match raw.parse::<u64>() {
            Ok(n) if n <= max => Ok(n),
            _ => Err(Problem::field(
                format!("?{name}"),
                format!("must be a whole number up to {max}"),
            )),
        }
    }

    /// Returns a query parameter as a time, at most `max`: `10s`, `500ms`, `2m`, or seconds.
    pub(crate) fn time(&self, name: &str, max: Duration) -> Result<Option<Duration>, Problem> {
        let Some(raw) = self.get(name) else {
            return Ok(None);
        };
        match duration(raw) {
            Some(time) => Ok(Some(time.min(max))),
            None => Err(Problem::field(
                format!("?{name}"),
                "must be a time such as 10s or 500ms",
            )),
        }
    }
}

fn duration(raw: &str) -> Option<Duration> {
    let digits = raw.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = raw.split_at(digits);
    let number: u64 = number.parse().ok().filter(|n| *n <= 1_000_000_000)?;
    match unit {
        "ms" => Some(Duration::from_millis(number)),
        "s" | "" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_secs(number * 60)),
        _ => None,
    }
}

/// Returns the decoded pairs of a query; bytes that are no UTF-8 become the replacement character.
fn pairs(query: &str) -> Vec<(String, String)> {
    let parts = query.split('&').filter(|p| !p.is_empty());
    parts
        .map(|part| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            (decode(name), decode(value))
        })
        .collect()
}

fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = (bytes[at] == b'%')
            .then(|| text.get(at + 1..at + 3))
            .flatten()
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match (hex, bytes[at]) {
            (Some(byte), _) => {
                out.push(byte);
                at += 3;
                continue;
            }
            (None, b'+') => out.push(b' '),
            (None, byte) => out.push(byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_decoded_whatever_they_hold() {
        assert_eq!(
            pairs("a=1%202&b&%zz=%c3%28&c=x+y"),
            [("a", "1 2"), ("b", ""), ("%zz", "\u{fffd}("), ("c", "x y")]
                .map(|(a, b)| (a.to_owned(), b.to_owned()))
        );
    }

    #[test]
    fn times_have_units() {
        assert_eq!(duration("10s"), Some(Duration::from_secs(10)));
        assert_eq!(duration("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(duration("2"), Some(Duration::from_secs(2)));
        for bad in ["", "s", "-1s", "1h", "99999999999999999999s"] {
            assert_eq!(duration(bad), None, "{bad}");
        }
    }
}
