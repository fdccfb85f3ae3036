//! The `OpenAPI` document, made from the handlers; `services/openapi.json` is a checked-in copy.
//!
//! It must not describe a route by hand: what is not on a handler is not here.

use utoipa::OpenApi;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};

use super::{pages, queues, schedule, tasks};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "kedactl API",
        description = "Tasks in, states out. Errors are application/problem+json (RFC 9457); `errors[].pointer` names \
            the place: a JSON pointer into the body, ?name a query parameter, @name a header, {name} a part of the path."
    ),
    paths(
        tasks::submit_one,
        tasks::submit_batch,
        tasks::show,
        tasks::cancel,
        queues::list,
        queues::show,
        queues::peek,
        queues::purge,
        queues::pause,
        queues::resume,
        queues::set_rate_limit,
        queues::clear_rate_limit,
        queues::audit,
        queues::dead,
        queues::dead_purge,
        queues::dead_retry_all,
        queues::dead_retry,
        queues::dead_remove,
        schedule::list,
        schedule::put,
        schedule::remove,
        pages::healthz,
        pages::readyz,
        pages::openapi_json,
        pages::docs,
    )
)]
struct Document;

/// Returns the document as JSON.
pub fn document() -> serde_json::Value {
    let mut document = Document::openapi();
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("Only where the operator has set tokens."))
        .build();
    let components = document.components.get_or_insert_default();
    components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
    serde_json::to_value(&document).unwrap_or_default()
}
