//! What every request and every sender may use.
//!
//! It must not hold anything about one notification.

use std::sync::Arc;

use kedactl_outbox::{Outbox, OutboxOptions};
use kedactl_queue::Redis;
use tokio::sync::Notify;

use super::alertmanager::Alertmanager;
use super::bot::Bot;
use super::metrics::WebhookMetrics;
use super::ready::Readiness;
use super::routes::Routes;
use crate::health::Health;
use crate::settings::WebhookSettings;
use crate::shutdown::Shutdown;
use crate::trace::Tracer;

/// Shared by all.
#[derive(Debug, Clone)]
pub(super) struct State(Arc<Inner>);

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) settings: WebhookSettings,
    pub(super) routes: Routes,
    pub(super) redis: Redis,
    pub(super) outbox: Outbox,
    pub(super) bot: Bot,
    /// Where silences are kept; nothing where none can be asked for.
    pub(super) alertmanager: Option<Alertmanager>,
    pub(super) health: Health,
    pub(super) ready: Readiness,
    pub(super) shutdown: Shutdown,
    /// Something was accepted: whoever sends may look.
    pub(super) news: Notify,
    pub(super) metrics: WebhookMetrics,
    pub(super) tracer: Tracer,
}

impl State {
    #[expect(
        clippy::too_many_arguments,
        reason = "each is a part of the state, named once"
    )]
    pub(super) fn new(
        settings: WebhookSettings,
        routes: Routes,
        redis: Redis,
        bot: Bot,
        alertmanager: Option<Alertmanager>,
        shutdown: Shutdown,
        metrics: WebhookMetrics,
        tracer: Tracer,
    ) -> Self {
        let options = OutboxOptions {
            known_for: settings.known_for,
            within: settings.accept_within,
            ..OutboxOptions::default()
        };
        Self(Arc::new(Inner {
            outbox: Outbox::new(&redis, options),
            settings,
            routes,
            redis,
            bot,
            alertmanager,
            health: Health::default(),
            ready: Readiness::default(),
            shutdown,
            news: Notify::new(),
            metrics,
            tracer,
        }))
    }
}

impl std::ops::Deref for State {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}
