//! Errors as `application/problem+json` (RFC 9457), naming the field by a JSON pointer.
//!
//! It must not carry anything that the client did not send or cannot act on: no addresses, no causes.

use std::borrow::Cow;

use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use utoipa::ToSchema;

/// What is wrong with one place of the request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// JSON pointer into the body (`/payload`, `/3/delay_ms`), `?name` for a query parameter,
    /// `@name` for a header; empty for the whole body.
    #[schema(example = "/delay_ms")]
    pub pointer: String,
    /// What is wrong, lower case.
    #[schema(example = "must be a whole number of milliseconds")]
    pub detail: String,
}

impl FieldError {
    /// Returns an error at a place of the request.
    pub fn new(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            pointer: pointer.into(),
            detail: detail.into(),
        }
    }
}

/// An error answer.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Problem {
    /// A stable name of the kind of error: `urn:kedactl:problem:<name>`.
    #[schema(value_type = String, example = "urn:kedactl:problem:bad-field")]
    r#type: Cow<'static, str>,
    /// The same in words.
    #[schema(value_type = String)]
    title: Cow<'static, str>,
    /// The HTTP status, again.
    #[schema(value_type = u16, example = 422)]
    #[serde(serialize_with = "status_number")]
    status: StatusCode,
    /// What happened this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    /// Each bad place of the request.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldError>,
    #[serde(skip)]
    retry_after_s: Option<u64>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn status_number<S: serde::Serializer>(status: &StatusCode, s: S) -> Result<S::Ok, S::Error> {
    s.serialize_u16(status.as_u16())
}

impl Problem {
    /// Returns a problem of a kind; `name` is the last part of its `type`.
    pub fn new(status: StatusCode, name: &'static str, title: &'static str) -> Self {
        Self {
            r#type: format!("urn:kedactl:problem:{name}").into(),
            title: title.into(),
            status,
            detail: None,
            errors: Vec::new(),
            retry_after_s: None,
        }
    }

    /// Fields of the body, the query or the headers that are wrong.
    pub fn fields(errors: Vec<FieldError>) -> Self {
        let mut it = Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "bad-field",
            "a field is not valid",
        );
        it.errors = errors;
        it
    }

    /// One field that is wrong.
    pub fn field(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::fields(vec![FieldError::new(pointer, detail)])
    }

    /// A body that is no JSON, or no UTF-8.
    pub fn syntax(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "bad-json",
            "the body is not valid JSON",
        )
        .detail(detail)
        .at("")
    }

    /// A thing that does not exist.
    pub fn not_found(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", "there is no such thing")
            .detail(format!("no such {what}"))
    }

    /// The service cannot do it now; the same request may be sent again.
    pub fn unavailable(name: &'static str, title: &'static str) -> Self {
        let mut it = Self::new(StatusCode::SERVICE_UNAVAILABLE, name, title);
        it.retry_after_s = Some(1);
        it
    }

    /// Adds what happened this time.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Points at a place, with the detail as its error.
    #[must_use]
    pub fn at(mut self, pointer: impl Into<String>) -> Self {
        let detail = self
            .detail
            .clone()
            .unwrap_or_else(|| self.title.to_string());
        self.errors.push(FieldError::new(pointer, detail));
        self
    }

    /// Returns the HTTP status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Returns the bad places.
    pub fn errors(&self) -> &[FieldError] {
        &self.errors
    }

    /// Returns the answer over a body type of the caller's.
    pub fn response<B: From<Bytes>>(&self) -> http::Response<B> {
        let json = serde_json::to_vec(self).unwrap_or_default();
        let mut response = http::Response::new(B::from(Bytes::from(json)));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        self.response()
    }
}
