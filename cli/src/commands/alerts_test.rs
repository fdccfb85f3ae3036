//! `kedactl alerts test`.
//!
//! It must not leave an alert behind that fires, and must not say that one arrived before the outbox says so.

use super::block_on_until_stopped;
use crate::args::AlertsTestArgs;
use crate::context::Context;
use crate::error::{Code, Error};
use crate::running::{Alertmanager, Running};
use kedactl_alerts::Status;
use kedactl_outbox::{Found, Outbox, OutboxOptions};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

/// How often the outbox is asked.
const EVERY: Duration = Duration::from_millis(200);
/// So long the alert fires by itself, should this program die.
const FIRES_FOR: Duration = Duration::from_mins(5);

/// How long the way took.
#[derive(Debug, serde::Serialize)]
struct Took {
    firing_ms: u64,
    resolved_ms: u64,
    chats: Vec<i64>,
}

/// Sends one alert, waits until every chat of its route shows it, ends it, and waits again.
pub(super) fn test(context: &Context, args: &AlertsTestArgs) -> Result<String, Error> {
    let running = Running::open(context)?;
    let stop = CancellationToken::new();
    let took = block_on_until_stopped(&stop, async {
        let alertmanager = running.alertmanager().await?;
        let outbox = Outbox::new(&running.redis().await?, OutboxOptions::default());
        let name = format!("KedactlTest-{:x}", now().as_millis());
        let way = Way {
            alertmanager,
            outbox,
            name,
            severity: &args.severity,
            within: args.within,
            stop: stop.clone(),
        };
        way.there_and_back(context).await
    })?;
    if context.json() {
        return crate::output::json(
            &serde_json::json!({"schema": "kedactl.alerts-test/v1", "took": took}),
        );
    }
    let chats: Vec<String> = took.chats.iter().map(ToString::to_string).collect();
    Ok(format!(
        "shown after {:.1} s, its end after {:.1} s; chats: {}",
        took.firing_ms as f64 / 1000.0,
        took.resolved_ms as f64 / 1000.0,
        chats.join(", ")
    ))
}

struct Way<'a> {
    alertmanager: Alertmanager,
    outbox: Outbox,
    name: String,
    severity: &'a str,
    within: Duration,
    stop: CancellationToken,
}

impl Way<'_> {
    async fn there_and_back(&self, context: &Context) -> Result<Took, Error> {
        let (firing, began) = (Instant::now(), now());
        self.post(began, began + FIRES_FOR).await?;
        let shown = self.shown(Status::Firing).await;
        let firing_ms = firing.elapsed().as_millis() as u64;
        // Also where it was not shown, or nobody waits any more: it would fire for minutes.
        let resolved = Instant::now();
        self.post(began, now()).await?;
        let chats = shown?.into_iter().map(|it| it.chat).collect();
        if !context.json() {
            let seconds = firing_ms as f64 / 1000.0;
            context.printer.say(&format!(
                "{} is shown after {seconds:.1} s; now its end",
                self.name
            ));
        }
        self.shown(Status::Resolved).await?;
        let resolved_ms = resolved.elapsed().as_millis() as u64;
        Ok(Took {
            firing_ms,
            resolved_ms,
            chats,
        })
    }

    async fn post(&self, began: Duration, ends: Duration) -> Result<(), Error> {
        let text = |at: Duration| {
            let at = jiff::Timestamp::from_millisecond(at.as_millis() as i64);
            at.unwrap_or(jiff::Timestamp::MAX).to_string()
        };
        self.alertmanager
            .post(&serde_json::json!([{
                "labels": {"alertname": self.name, "severity": self.severity},
                "annotations": {
                    "summary": "A test of the way to this chat",
                    "description": "`kedactl alerts test` sent it; nothing is wrong.",
                },
                "startsAt": text(began),
                "endsAt": text(ends),
            }]))
            .await
    }

    /// Waits until every group that has it shows its newest state.
    async fn shown(&self, status: Status) -> Result<Vec<Found>, Error> {
        let until = Instant::now() + self.within;
        loop {
            let found = self.outbox.find(&self.name).await?;
            if !found.is_empty() && found.iter().all(|it| it.status == status && it.shown) {
                return Ok(found);
            }
            if Instant::now() >= until {
                return Err(self.late(status, &found));
            }
            tokio::select! {
                () = sleep(EVERY) => {}
                () = self.stop.cancelled() => {
                    return Err(Error::new(Code::Interrupted, "interrupted; the alert's end is told to Alertmanager"));
                }
            }
        }
    }

    fn late(&self, status: Status, found: &[Found]) -> Error {
        let what = match status {
            Status::Firing => "the alert",
            Status::Resolved => "its end",
        };
        let within = self.within;
        let (why, hint) = match found.iter().find(|it| !it.shown || it.status != status) {
            None => (
                "Alertmanager did not post it to the webhook".to_owned(),
                "its log says why: a receiver `null`, a wrong token, a webhook that is not there",
            ),
            Some(it) if it.status != status => (
                "Alertmanager did not post it to the webhook yet".to_owned(),
                "it waits for monitoring.alerts.groupIntervalSeconds; --within takes longer",
            ),
            Some(it) if it.why.is_empty() => (
                format!("chat {} was not shown it", it.chat),
                "`kedactl alerts ls` shows what waits",
            ),
            Some(it) => (
                format!("chat {} was not shown it: {}", it.chat, it.why),
                "`kedactl alerts ls` shows what waits",
            ),
        };
        Error::new(
            Code::NotReady,
            format!("{what} did not arrive within {within:?}: {why}"),
        )
        .hint(hint)
    }
}

fn now() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}
