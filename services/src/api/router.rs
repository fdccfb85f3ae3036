//! Which path leads where, and what every request passes on its way: the gate, the tokens, the clock, the count.
//!
//! It must not parse bodies.

use std::pin::{Pin, pin};

use axum::Router;
use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{delete, get, post};
use http::header::CONNECTION;
use http::{HeaderValue, Method, StatusCode};
use hyper::body::Incoming;
use tokio::time::{Instant, timeout};
use tower::ServiceExt as _;

use super::problem::Problem;
use super::state::ApiState;
use super::{auth, pages, queues, schedule, submit, tasks, trace};
use crate::serve::AnswerBody;

/// Returns the routes of the API port.
pub fn app(state: ApiState) -> Router {
    let v1 = Router::new()
        .route("/v1/tasks", post(tasks::submit_one))
        .route("/v1/tasks:batch", post(tasks::submit_batch))
        .route("/v1/tasks/{id}", get(tasks::show).delete(tasks::cancel))
        .route("/v1/queues", get(queues::list))
        .route("/v1/queues/{queue}", get(queues::show))
        .route(
            "/v1/queues/{queue}/tasks",
            get(queues::peek).delete(queues::purge),
        )
        .route("/v1/queues/{queue}/pause", post(queues::pause))
        .route("/v1/queues/{queue}/resume", post(queues::resume))
        .route(
            "/v1/queues/{queue}/dead",
            get(queues::dead).delete(queues::dead_purge),
        )
        .route(
            "/v1/queues/{queue}/dead:retry",
            post(queues::dead_retry_all),
        )
        .route(
            "/v1/queues/{queue}/dead/{id}/retry",
            post(queues::dead_retry),
        )
        .route("/v1/queues/{queue}/dead/{id}", delete(queues::dead_remove))
        .route(
            "/v1/queues/{queue}/rate-limit",
            axum::routing::put(queues::set_rate_limit).delete(queues::clear_rate_limit),
        )
        .route("/v1/queues/{queue}/cron", get(schedule::list))
        .route(
            "/v1/queues/{queue}/cron/{name}",
            axum::routing::put(schedule::put).delete(schedule::remove),
        )
        .route("/v1/queues/{queue}/audit/{run}", get(queues::audit))
        .route_layer(from_fn_with_state(state.clone(), authorized))
        .route_layer(from_fn(remember_route));
    let service = Router::new()
        .route("/healthz", get(pages::healthz))
        .route("/readyz", get(pages::readyz))
        .route("/openapi.json", get(pages::openapi_json))
        .route("/docs", get(pages::docs))
        .route_layer(from_fn(remember_route));
    v1.merge(service)
        .fallback(unknown)
        .method_not_allowed_fallback(wrong_method)
        .with_state(state)
}

/// Returns the routes of the metrics port.
pub fn admin(state: ApiState) -> Router {
    Router::new()
        .route("/metrics", get(pages::metrics_text))
        .route("/healthz", get(pages::healthz))
        .route("/readyz", get(pages::readyz))
        .fallback(unknown)
        .method_not_allowed_fallback(wrong_method)
        .with_state(state)
}

/// Answers one request of the API port: gate, clock, count, and the mark of a lame duck.
pub(super) async fn answer(
    state: ApiState,
    router: Router,
    request: http::Request<Incoming>,
) -> http::Response<AnswerBody> {
    let started = Instant::now();
    let method = request.method().clone();
    let mut request = request;
    let mut span = trace::begin(&state.tracer, &mut request);
    let entered = state.enter();
    let (mut response, route) = match &entered {
        // Probes must get through when the house is full: a full house is alive.
        Err(problem) if !matches!(request.uri().path(), "/healthz" | "/readyz") => {
            (problem.response(), Route::None)
        }
        _ => dispatch(&state, router, request).await,
    };
    drop(entered);
    if state.shutdown.is_draining() {
        response
            .headers_mut()
            .insert(CONNECTION, HeaderValue::from_static("close"));
    }
    if let Some(span) = &mut span {
        trace::end(span, &method, route.name(), response.status());
    }
    state
        .metrics
        .answered(&method, route.name(), response.status(), started.elapsed());
    response
}

/// The template of the path, for the metrics.
enum Route {
    Submit,
    Matched(MatchedPath),
    None,
}

impl Route {
    fn name(&self) -> &str {
        match self {
            Self::Submit => "/v1/tasks",
            Self::Matched(path) => path.as_str(),
            Self::None => "other",
        }
    }
}

async fn dispatch(
    state: &ApiState,
    router: Router,
    request: http::Request<Incoming>,
) -> (http::Response<AnswerBody>, Route) {
    // Nearly every request of a busy API is this one; the router would cost it a third of its time.
    if request.method() == Method::POST && request.uri().path() == "/v1/tasks" {
        let (parts, body) = request.into_parts();
        // Pinned where it stands: what moves is copied, and this is the largest part of a request.
        let answering = pin!(async {
            auth::check(&parts.headers, &state.settings.tokens)?;
            submit::one(state, &parts, body).await
        });
        return (in_time(state, answering).await, Route::Submit);
    }
    // Boxed, so that the usual request does not carry the router's state with it.
    Box::pin(routed(router, request)).await
}

async fn routed(
    router: Router,
    request: http::Request<Incoming>,
) -> (http::Response<AnswerBody>, Route) {
    let mut response = match router.oneshot(request.map(Body::new)).await {
        Ok(response) => response,
        Err(never) => match never {},
    };
    let route = response.extensions_mut().remove::<MatchedPath>();
    (
        response.map(AnswerBody::Routed),
        route.map_or(Route::None, Route::Matched),
    )
}

/// Bounds an answer in time; the wait for replicas and for a body have bounds of their own below this one.
async fn in_time<A: From<bytes::Bytes>>(
    state: &ApiState,
    answering: Pin<&mut impl Future<Output = Result<http::Response<A>, Problem>>>,
) -> http::Response<A> {
    match timeout(state.request_timeout(), answering).await {
        Ok(Ok(response)) => response,
        Ok(Err(problem)) => problem.response(),
        Err(_) => Problem::unavailable("timeout", "the request took too long").response(),
    }
}

async fn authorized(State(state): State<ApiState>, request: Request, next: Next) -> Response {
    if let Err(problem) = auth::check(request.headers(), &state.settings.tokens) {
        return problem.into_response();
    }
    // A wait for a result is bounded by its own setting.
    let waits = state.settings.limits.max_wait;
    match timeout(state.request_timeout() + waits, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::unavailable("timeout", "the request took too long").into_response(),
    }
}

async fn remember_route(path: MatchedPath, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    response.extensions_mut().insert(path);
    response
}

async fn unknown(request: Request) -> Problem {
    let path: String = request.uri().path().chars().take(200).collect();
    Problem::not_found(&format!("path: {path}; see /docs"))
}

async fn wrong_method(request: Request) -> Problem {
    let method: String = request.method().as_str().chars().take(32).collect();
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "wrong-method",
        "the path does not take this method",
    )
    .detail(format!("{method} is not taken here; `Allow` says what is"))
}
