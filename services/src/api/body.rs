//! Reads a request's body within its limits of type, encoding, size and time.
//!
//! It must not parse the body.

use std::pin::pin;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode, header};
use http_body_util::BodyExt as _;
use hyper::body::Body;

use super::problem::Problem;

/// An announced length is only trusted this far: many slow clients must not reserve memory by a header.
const FIRST_ALLOCATION: usize = 64 * 1024;

/// The shape that the content type announces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// One JSON value; also assumed when no content type is given.
    Json,
    /// One JSON value a line.
    Lines,
}

/// Returns the shape of the body, or why it cannot be read: 415 for another type or any compression.
pub(super) fn shape(headers: &HeaderMap) -> Result<Shape, Problem> {
    if let Some(encoding) = headers.get(header::CONTENT_ENCODING)
        && !encoding.as_bytes().eq_ignore_ascii_case(b"identity")
    {
        return Err(unsupported("compressed bodies are not read").at("@content-encoding"));
    }
    let Some(value) = headers.get(header::CONTENT_TYPE) else {
        return Ok(Shape::Json);
    };
    if value.as_bytes() == b"application/json" {
        return Ok(Shape::Json);
    }
    let text = value.to_str().unwrap_or_default();
    let (kind, parameters) = text.split_once(';').unwrap_or((text, ""));
    if let Some(charset) = charset(parameters)
        && !charset.eq_ignore_ascii_case("utf-8")
        && !charset.eq_ignore_ascii_case("utf8")
    {
        return Err(unsupported("the body must be UTF-8").at("@content-type"));
    }
    match kind.trim().to_ascii_lowercase().as_str() {
        "application/json" | "text/json" => Ok(Shape::Json),
        "application/x-ndjson" | "application/ndjson" | "application/jsonl" => Ok(Shape::Lines),
        _ => Err(unsupported("send application/json").at("@content-type")),
    }
}

fn charset(parameters: &str) -> Option<&str> {
    parameters.split(';').find_map(|p| {
        let (name, value) = p.split_once('=')?;
        name.trim()
            .eq_ignore_ascii_case("charset")
            .then(|| value.trim().trim_matches('"'))
    })
}

fn unsupported(detail: &str) -> Problem {
    Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported-media-type",
        "the body is of a type that is not read",
    )
    .detail(detail)
}

/// Returns the whole body, at most `max_bytes`, received within `within`.
pub(crate) async fn read<B>(
    headers: &HeaderMap,
    body: B,
    max_bytes: usize,
    within: Duration,
) -> Result<Bytes, Problem>
where
    B: Body<Data = Bytes> + Unpin,
{
    let announced = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|v| v.to_str().ok())
        .and_then(|v| v.parse::<usize>().ok());
    if announced.is_some_and(|n| n > max_bytes) {
        return Err(too_large(max_bytes));
    }
    let collecting = pin!(collect(body, announced.unwrap_or(0), max_bytes));
    match tokio::time::timeout(within, collecting).await {
        Ok(result) => result,
        Err(_) => Err(Problem::new(
            StatusCode::REQUEST_TIMEOUT,
            "slow-body",
            "the body did not arrive in time",
        )
        .detail(format!(
            "the body must arrive within {} ms",
            within.as_millis()
        ))
        .at("")),
    }
}

async fn collect<B>(mut body: B, announced: usize, max_bytes: usize) -> Result<Bytes, Problem>
where
    B: Body<Data = Bytes> + Unpin,
{
    // The usual body comes in one frame, which is then handed on without a copy.
    let Some(first) = next(&mut body).await? else {
        return Ok(Bytes::new());
    };
    if first.len() > max_bytes {
        return Err(too_large(max_bytes));
    }
    if body.is_end_stream() {
        return Ok(first);
    }
    let mut all =
        BytesMut::with_capacity(announced.clamp(first.len(), FIRST_ALLOCATION.max(first.len())));
    all.extend_from_slice(&first);
    drop(first);
    while let Some(chunk) = next(&mut body).await? {
        if all.len() + chunk.len() > max_bytes {
            return Err(too_large(max_bytes));
        }
        all.extend_from_slice(&chunk);
    }
    Ok(all.freeze())
}

async fn next<B>(body: &mut B) -> Result<Option<Bytes>, Problem>
where
    B: Body<Data = Bytes> + Unpin,
{
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else {
            return Err(Problem::new(
                StatusCode::BAD_REQUEST,
                "truncated-body",
                "the body ended too early",
            )
            .at(""));
        };
        if let Ok(data) = frame.into_data() {
            return Ok(Some(data));
        }
    }
    Ok(None)
}

fn too_large(max_bytes: usize) -> Problem {
    Problem::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "body-too-large",
        "the body is too large",
    )
    .detail(format!("the body must be at most {max_bytes} bytes"))
    .at("")
}
