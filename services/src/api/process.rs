//! The `main` of the API process: settings, listeners, and the order of a graceful stop.
//!
//! It must not know a route.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use kedactl_queue::{Redis, Scheduler, SchedulerOptions};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::metrics::ApiMetrics;
use super::redis_watch;
use super::router::{admin, answer, app};
use super::state::ApiState;
use crate::events::Draining;
use crate::serve::{AnswerBody, ConnectionLimits, Server};
use crate::settings::{ApiArgs, ApiSettings};
use crate::shutdown::Shutdown;
use crate::startup;
use crate::trace::Exporter;

/// What is kept back of the grace period for the end of the process itself.
const RESERVE: Duration = Duration::from_millis(500);

/// Runs the API process and returns its exit code: 0 after a stop that was asked for, 1 when it could not start or
/// could not finish in time, 64 and 65 for bad flags and settings.
pub fn main() -> ExitCode {
    startup::main(
        std::env::args_os(),
        ApiArgs::resolve,
        |args| &args.log,
        |settings| settings.threads,
        |settings, shutdown| run(settings, shutdown, |_, _| {}),
    )
}

/// Serves until `shutdown` is draining, then through the lame-duck time and the last requests. `bound` hears the
/// addresses of the API and the metrics port.
pub async fn run(
    settings: ApiSettings,
    shutdown: Shutdown,
    bound: impl FnOnce(SocketAddr, SocketAddr),
) -> Result<(), String> {
    let redis = Redis::start(settings.redis.clone()).map_err(|e| startup::chain(&e))?;
    let metrics = ApiMetrics::default();
    let (tracer, exporter) =
        Exporter::start(settings.trace.as_ref(), &settings.pod_name, &metrics.traces)?;
    let state = ApiState::new(settings.clone(), redis, shutdown.clone(), metrics, tracer);
    let (api, metrics) = listen(&state)?;
    let addresses = (api.address(), metrics.address());
    let (Ok(at), Ok(metrics_at)) = addresses else {
        return Err("no address".to_owned());
    };
    tracing::info!(%at, %metrics_at, threads = settings.threads, "the API listens");
    bound(at, metrics_at);

    let background = CancellationToken::new();
    let _ends_background = background.clone().drop_guard();
    tokio::spawn({
        let (state, stop) = (state.clone(), background.clone());
        async move { state.health.watch(&state.redis, &stop).await }
    });
    // Delayed tasks must become visible to KEDA while there is no worker: so the API keeps the schedule too.
    tokio::spawn(Scheduler::new(&state.redis, SchedulerOptions::default()).run(background.clone()));
    tokio::spawn(redis_watch::watch(state.clone(), background.clone()));
    let serving_metrics = tokio::spawn(routed(metrics, admin(state.clone()), background.clone()));
    let serving = tokio::spawn({
        let (state, router) = (state.clone(), app(state.clone()));
        api.serve(
            move |request| answer(state.clone(), router.clone(), request),
            shutdown.stopping.clone(),
        )
    });
    let in_time = stop(&settings, &state, serving).await;
    background.cancel();
    exporter.flush(RESERVE / 2).await;
    // The scraper may be on a kept-alive connection; its last answer does not matter.
    drop(timeout(RESERVE / 2, serving_metrics).await);
    if in_time {
        Ok(())
    } else {
        Err("requests were still open at the end of the grace period".to_owned())
    }
}

/// Waits for the signal, the lame-duck time and the open requests; returns whether all ended in time.
async fn stop(
    settings: &ApiSettings,
    state: &ApiState,
    serving: tokio::task::JoinHandle<()>,
) -> bool {
    state.shutdown.draining.cancelled().await;
    Draining {
        under_way: state.active(),
        within: settings.grace,
    }
    .emit();
    state.shutdown.after_lame_duck(settings.lame_duck).await;
    let left = settings.grace.saturating_sub(settings.lame_duck + RESERVE);
    timeout(left, serving).await.is_ok()
}

fn listen(state: &ApiState) -> Result<(Server, Server), String> {
    let limits = &state.settings.limits;
    let limits = ConnectionLimits {
        max_connections: limits.max_connections,
        max_header_bytes: limits.max_header_bytes,
        header_timeout: limits.header_timeout,
    };
    let bind = |address, open, limits| {
        Server::bind(address, limits, open).map_err(|e| format!("cannot listen on {address}: {e}"))
    };
    let api = bind(state.settings.listen, state.open.clone(), limits.clone())?;
    let metrics = bind(
        state.settings.metrics_listen,
        std::sync::Arc::default(),
        limits,
    )?;
    Ok((api, metrics))
}

/// Serves a plain router, as both metrics ports do.
pub(crate) async fn routed(server: Server, router: Router, stop: CancellationToken) {
    let answer = move |request: http::Request<hyper::body::Incoming>| {
        let answering = router.clone().oneshot(request.map(Body::new));
        async move {
            match answering.await {
                Ok(response) => response.map(AnswerBody::Routed),
                Err(never) => match never {},
            }
        }
    };
    server.serve(answer, stop).await;
}
