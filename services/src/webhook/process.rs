//! The `main` of the webhook process: settings, listeners, senders, and the order of a graceful stop.
//!
//! It must not know what a notification holds.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::{get, post};
use kedactl_queue::Redis;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::alertmanager::Alertmanager;
use super::bot::Bot;
use super::metrics::WebhookMetrics;
use super::routes::Routes;
use super::state::State;
use super::{accept, deliver, pages, press, ready};
use crate::api::routed;
use crate::events::Draining;
use crate::serve::{ConnectionLimits, Server};
use crate::settings::{WebhookArgs, WebhookSettings};
use crate::shutdown::Shutdown;
use crate::startup;
use crate::trace::Exporter;

/// What is kept back of the grace period for the end of the process itself.
const RESERVE: Duration = Duration::from_millis(500);
const HEADERS: usize = 8192;
/// One for posts, one for calls: neither has much to do.
const THREADS: usize = 2;

/// Runs the webhook process and returns its exit code, as the API's does.
pub fn main() -> ExitCode {
    startup::main(
        std::env::args_os(),
        WebhookArgs::resolve,
        |args| &args.log,
        |_| THREADS,
        |settings, shutdown| run(settings, shutdown, |_, _| {}),
    )
}

/// Serves and sends until `shutdown` is draining, then ends what is under way. `bound` hears the addresses of the webhook and
/// of the metrics port.
pub async fn run(
    settings: WebhookSettings,
    shutdown: Shutdown,
    bound: impl FnOnce(SocketAddr, SocketAddr),
) -> Result<(), String> {
    let routes = Routes::read(&settings.routes)?;
    let redis = Redis::start(settings.redis.clone()).map_err(|e| startup::chain(&e))?;
    // Another TLS library may have been there first, which is as well.
    let _first = rustls::crypto::ring::default_provider().install_default();
    let bot = Bot::new(
        &settings.bot_api,
        settings.token.clone(),
        settings.call_within,
        settings.bot_api_authority.as_deref(),
    )?;
    let alertmanager = settings.alertmanager.as_deref();
    let alertmanager = alertmanager
        .map(|at| Alertmanager::new(at, settings.alertmanager_within))
        .transpose()?;
    let limits = ConnectionLimits {
        max_connections: 512,
        max_header_bytes: HEADERS,
        header_timeout: Duration::from_secs(10),
    };
    let bind = |address| {
        Server::bind(address, limits.clone(), Arc::default())
            .map_err(|e| format!("cannot listen on {address}: {e}"))
    };
    let (posts, metrics) = (bind(settings.listen)?, bind(settings.metrics_listen)?);
    let (Ok(at), Ok(metrics_at)) = (posts.address(), metrics.address()) else {
        return Err("no address".to_owned());
    };
    tracing::info!(%at, %metrics_at, "the webhook listens");
    bound(at, metrics_at);
    let senders = settings.senders;
    let (grace, lame_duck) = (settings.grace, settings.lame_duck);
    let (state, exporter) = state(settings, routes, redis, bot, alertmanager, &shutdown)?;

    let background = CancellationToken::new();
    let _ends_background = background.clone().drop_guard();
    tokio::spawn(ready::watch(state.clone(), background.clone()));
    let sending = CancellationToken::new();
    let mut senders: JoinSet<()> = (0..senders)
        .map(|_| deliver::run(state.clone(), sending.clone()))
        .collect();
    if state.routes.buttons() {
        senders.spawn(press::run(state.clone(), sending.clone()));
    }
    let serving_metrics = tokio::spawn(routed(metrics, admin(state.clone()), background.clone()));
    let serving = tokio::spawn(routed(posts, app(state), shutdown.stopping.clone()));

    shutdown.draining.cancelled().await;
    Draining {
        under_way: senders.len(),
        within: grace,
    }
    .emit();
    shutdown.after_lame_duck(lame_duck).await;
    let left = grace.saturating_sub(lame_duck + RESERVE);
    let ended = timeout(left, async {
        let _served = serving.await;
        // What is under way is told to Redis; everything else waits there.
        sending.cancel();
        while senders.join_next().await.is_some() {}
    });
    let in_time = ended.await.is_ok();
    background.cancel();
    exporter.flush(RESERVE / 2).await;
    drop(timeout(RESERVE / 2, serving_metrics).await);
    if in_time {
        Ok(())
    } else {
        Err("calls were still open at the end of the grace period".to_owned())
    }
}

/// Joins the parts, and starts sending traces where that is asked for.
fn state(
    settings: WebhookSettings,
    routes: Routes,
    redis: Redis,
    bot: Bot,
    alertmanager: Option<Alertmanager>,
    shutdown: &Shutdown,
) -> Result<(State, Exporter), String> {
    let metrics = WebhookMetrics::default();
    let trace = settings.trace.as_ref();
    let (tracer, exporter) = Exporter::start(trace, &settings.pod_name, &metrics.traces)?;
    let shutdown = shutdown.clone();
    let state = State::new(
        settings,
        routes,
        redis,
        bot,
        alertmanager,
        shutdown,
        metrics,
        tracer,
    );
    Ok((state, exporter))
}

fn app(state: State) -> Router {
    Router::new()
        .route("/v1/alerts/{route}", post(accept::post))
        .route("/healthz", get(pages::healthz))
        .route("/readyz", get(pages::readyz))
        .with_state(state)
}

fn admin(state: State) -> Router {
    Router::new()
        .route("/metrics", get(pages::metrics_text))
        .route("/healthz", get(pages::healthz))
        .route("/readyz", get(pages::readyz))
        .with_state(state)
}
