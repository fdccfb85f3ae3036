//! The way of spans to a collector: a bounded queue, batches, one request at a time.
//!
//! It must not make anybody wait: what does not fit is dropped and counted, and a collector that is away costs no more than
//! that queue.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode, header};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;
use reqwest::redirect::Policy;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::span::{Data, Tracer};
use super::{json, protobuf};
use crate::settings::{Protocol, TraceSettings};

/// Spans that wait, those of one request, and how long a request waits for more: the defaults of `OTEL_BSP_…`.
const WAITING: usize = 2048;
const BATCH: usize = 512;
const LINGER: Duration = Duration::from_secs(5);
/// How often a batch is sent before it is given up, and the first of the growing pauses between.
const ATTEMPTS: u32 = 5;
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Bytes of an answer that are read.
const MOST: usize = 64 * 1024;

/// What became of spans.
#[derive(Debug, Clone, Default)]
pub(crate) struct TraceMetrics {
    exported: Counter,
    dropped: Counter,
}

impl TraceMetrics {
    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register(
            "kedactl_spans_exported",
            "Spans that the collector took",
            self.exported.clone(),
        );
        registry.register(
            "kedactl_spans_dropped",
            "Spans that did not fit, or that the collector did not take",
            self.dropped.clone(),
        );
    }
}

/// What all spans of a process have in common.
#[derive(Debug)]
pub(super) struct Resource {
    pub(super) attributes: Vec<(String, String)>,
}

impl Resource {
    pub(super) const SCOPE: &'static str = "kedactl";
    pub(super) const VERSION: &'static str = env!("CARGO_PKG_VERSION");

    /// What the settings say, below what a user said.
    pub(super) fn new(settings: &TraceSettings, instance: &str) -> Self {
        let own = [
            ("service.name", settings.service.as_str()),
            ("service.version", Self::VERSION),
            ("service.instance.id", instance),
            ("telemetry.sdk.name", Self::SCOPE),
            ("telemetry.sdk.language", "rust"),
            ("telemetry.sdk.version", Self::VERSION),
        ];
        let given = &settings.resource;
        let missing = own
            .iter()
            .filter(|(key, _)| given.iter().all(|(it, _)| it != key));
        let missing = missing.map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        Self {
            attributes: missing.chain(given.iter().cloned()).collect(),
        }
    }
}

#[derive(Debug)]
pub(super) enum Message {
    Span(Box<Data>),
    Flush(oneshot::Sender<()>),
}

/// The sending end; nothing is behind it where no collector is named.
#[derive(Debug, Default)]
pub(crate) struct Exporter {
    to: Option<mpsc::Sender<Message>>,
    hurry: CancellationToken,
}

impl Exporter {
    /// Starts sending, and hands out who makes spans. Needs a tokio runtime.
    pub(crate) fn start(
        settings: Option<&TraceSettings>,
        instance: &str,
        metrics: &TraceMetrics,
    ) -> Result<(Tracer, Self), String> {
        let Some(settings) = settings else {
            return Ok((Tracer::default(), Self::default()));
        };
        let (to, inbox) = mpsc::channel(WAITING);
        let hurry = CancellationToken::new();
        let sending = Sending {
            client: client(settings)?,
            settings: settings.clone(),
            resource: Resource::new(settings, instance),
            metrics: metrics.clone(),
            hurry: hurry.clone(),
            failing: false,
        };
        tokio::spawn(sending.run(inbox));
        let tracer = Tracer::new(settings.sampler, to.clone(), metrics.dropped.clone());
        let to = Some(to);
        Ok((tracer, Self { to, hurry }))
    }

    /// Sends what waits, in one attempt, and waits for that, but not longer than `within`.
    pub(crate) async fn flush(&self, within: Duration) {
        let Some(to) = &self.to else {
            return;
        };
        self.hurry.cancel();
        let (told, done) = oneshot::channel();
        let flushed = timeout(within, async {
            if to.send(Message::Flush(told)).await.is_ok() {
                let _ended = done.await;
            }
        });
        if flushed.await.is_err() {
            tracing::debug!("spans were left: the collector did not take them in time");
        }
    }
}

fn client(settings: &TraceSettings) -> Result<reqwest::Client, String> {
    let plain = |error: reqwest::Error| {
        let words = crate::startup::chain(&error.without_url());
        format!("cannot send traces: {words}")
    };
    // Another TLS library may have been there first, which is as well.
    let _first = rustls::crypto::ring::default_provider().install_default();
    let mut builder = reqwest::Client::builder()
        .timeout(settings.timeout)
        .redirect(Policy::none())
        .pool_max_idle_per_host(1)
        .user_agent(concat!("kedactl/", env!("CARGO_PKG_VERSION")));
    if let Some(pem) = &settings.authority {
        let certificates = reqwest::Certificate::from_pem_bundle(pem.as_bytes());
        builder = builder.tls_certs_merge(certificates.map_err(plain)?);
    }
    builder.build().map_err(plain)
}

/// Why a batch was not taken.
enum Refused {
    /// It may be later, after so long where that was said.
    Later(String, Option<Duration>),
    Never(String),
}

struct Sending {
    client: reqwest::Client,
    settings: TraceSettings,
    resource: Resource,
    metrics: TraceMetrics,
    /// The process ends: nothing is tried twice any more.
    hurry: CancellationToken,
    failing: bool,
}

impl Sending {
    async fn run(mut self, mut inbox: mpsc::Receiver<Message>) {
        let mut batch = Vec::with_capacity(BATCH);
        let mut due = Instant::now();
        loop {
            let message = tokio::select! {
                message = inbox.recv() => message,
                () = sleep_until(due), if !batch.is_empty() => {
                    self.deliver(&mut batch).await;
                    continue;
                }
            };
            match message {
                Some(Message::Span(data)) => {
                    if batch.is_empty() {
                        due = Instant::now() + LINGER;
                    }
                    batch.push(*data);
                    if batch.len() == BATCH {
                        self.deliver(&mut batch).await;
                    }
                }
                Some(Message::Flush(told)) => {
                    self.deliver(&mut batch).await;
                    // Whoever asked may have stopped waiting.
                    let _gone = told.send(());
                }
                None => return,
            }
        }
    }

    /// Sends a batch, again where that may help, and counts what became of it.
    async fn deliver(&mut self, batch: &mut Vec<Data>) {
        let count = batch.len() as u64;
        if count == 0 {
            return;
        }
        let body = match self.settings.protocol {
            Protocol::Json => json::request(&self.resource, batch),
            Protocol::Protobuf => protobuf::request(&self.resource, batch),
        };
        batch.clear();
        match self.sent(Bytes::from(body)).await {
            Ok(rejected) => {
                self.metrics.exported.inc_by(count.saturating_sub(rejected));
                self.metrics.dropped.inc_by(rejected.min(count));
                if std::mem::take(&mut self.failing) {
                    tracing::info!("the collector takes traces again");
                }
            }
            Err(words) => {
                self.metrics.dropped.inc_by(count);
                if !std::mem::replace(&mut self.failing, true) {
                    tracing::warn!(error = words, "the collector takes no traces");
                }
            }
        }
    }

    /// Answers how many of the spans were rejected, or why none was taken.
    async fn sent(&self, body: Bytes) -> Result<u64, String> {
        let mut pause = PAUSE;
        let mut attempt = 1;
        loop {
            let (words, wait) = match self.post(body.clone()).await {
                Ok(rejected) => return Ok(rejected),
                Err(Refused::Never(words)) => return Err(words),
                Err(Refused::Later(words, wait)) => (words, wait),
            };
            if attempt == ATTEMPTS || self.hurry.is_cancelled() {
                return Err(words);
            }
            attempt += 1;
            tokio::select! {
                () = sleep(wait.unwrap_or(pause).min(LONGEST_PAUSE)) => {}
                () = self.hurry.cancelled() => {}
            }
            pause *= 2;
        }
    }

    async fn post(&self, body: Bytes) -> Result<u64, Refused> {
        let kind = match self.settings.protocol {
            Protocol::Json => "application/json",
            Protocol::Protobuf => "application/x-protobuf",
        };
        let mut request = self.client.post(self.settings.endpoint.clone());
        for (name, value) in &self.settings.headers {
            let value = HeaderValue::from_str(value.reveal());
            let name = HeaderName::from_bytes(name.as_bytes());
            if let (Ok(name), Ok(mut value)) = (name, value) {
                value.set_sensitive(true);
                request = request.header(name, value);
            }
        }
        let request = request.header(header::CONTENT_TYPE, kind).body(body);
        let lost = |error: reqwest::Error| {
            // The address may hold a password.
            Refused::Later(crate::startup::chain(&error.without_url()), None)
        };
        let mut response = request.send().await.map_err(lost)?;
        let status = response.status();
        let wait = response.headers().get(header::RETRY_AFTER);
        let wait = wait.and_then(|it| it.to_str().ok()?.parse().ok());
        if !status.is_success() {
            let words = format!("it answered {status}");
            let later = matches!(
                status,
                StatusCode::TOO_MANY_REQUESTS
                    | StatusCode::BAD_GATEWAY
                    | StatusCode::SERVICE_UNAVAILABLE
                    | StatusCode::GATEWAY_TIMEOUT
            );
            return Err(if later {
                Refused::Later(words, wait.map(Duration::from_secs))
            } else {
                Refused::Never(words)
            });
        }
        let mut answer = Vec::new();
        while let Ok(Some(chunk)) = response.chunk().await {
            answer.extend_from_slice(&chunk);
            if answer.len() > MOST {
                break;
            }
        }
        Ok(match self.settings.protocol {
            Protocol::Json => json::rejected(&answer),
            Protocol::Protobuf => protobuf::rejected(&answer),
        })
    }
}
