//! The senders: each takes a group whose turn it is, shows it, and says what became of it.
//!
//! It must not keep a group for longer than its lease.

use std::time::Duration;

use kedactl_alerts::Status;
use kedactl_alerts::html::{Html, MESSAGE};
use kedactl_alerts::telegram::{Answer, Call, Why, buttons};
use kedactl_outbox::{Claim, Outcome, Pace, Reported, Sender, State as Shown, Work};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::notice;
use super::state::State;
use super::trace;

/// A call that is over may take so long to be reported before its sender is thought dead.
const TO_REPORT: Duration = Duration::from_secs(5);
/// So long it is tried to tell Redis what became of a call: a fail-over takes less. What Redis never hears of is shown again.
const REPORTED_WITHIN: Duration = Duration::from_mins(1);
/// Redis is asked again after so long where it did not answer.
const AFTER_ERROR: Duration = Duration::from_millis(500);
/// Longest sleep: other replicas accept too.
const LONGEST: Duration = Duration::from_secs(1);
/// Refusals after which a group is dead.
const REFUSALS: u32 = 5;
/// A chat that takes nothing is tried again after so long.
const CLOSED_FOR: Duration = Duration::from_mins(5);
/// What the message of an incident shows whose end nobody told of.
const ENDED: &str = "over, nobody said when\n";
/// A topic that is not there is tried again after so long.
const LOST_FOR: Duration = Duration::from_mins(30);

/// Sends until told to stop; what is under way then is finished.
pub(super) async fn run(state: State, stop: CancellationToken) {
    let pace = Pace::default();
    let lease = state.settings.call_within + TO_REPORT;
    let mut sender = Sender::new(&state.outbox, pace, lease);
    while !stop.is_cancelled() {
        let rest = match sender.claim().await {
            Ok(Claim::Work(work)) => {
                deliver(&state, &mut sender, &work).await;
                continue;
            }
            Ok(Claim::Wait(time)) => time.min(LONGEST),
            Ok(Claim::Idle) => LONGEST,
            Err(error) => {
                tracing::debug!(error = crate::startup::chain(&error), "nothing to send");
                AFTER_ERROR
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            _ = timeout(rest, state.news.notified()) => {}
        }
    }
}

async fn deliver(state: &State, sender: &mut Sender, work: &Work) {
    let outcome = shown(state, work).await;
    log(work, &outcome);
    let deadline = Instant::now() + REPORTED_WITHIN;
    let mut reported = sender.report(work, &outcome).await;
    while reported.is_err() && Instant::now() < deadline {
        // An answer that was lost: said twice it is said late, which shows the newest once more.
        sleep(AFTER_ERROR).await;
        reported = sender.report(work, &outcome).await;
    }
    match (reported, &outcome) {
        (Ok(Reported::News), Outcome::Closed(_, words)) => {
            notice::closed(state, work.chat, words).await;
        }
        (Ok(Reported::News), Outcome::NoTopic(_)) => notice::no_topic(state, work.chat).await,
        (Err(error), _) => {
            tracing::warn!(
                error = crate::startup::chain(&error),
                "what became of it was not kept"
            );
        }
        _ => {}
    }
}

/// Shows a group by one call, and says what became of it: whatever needs another call waits for its turn.
async fn shown(state: &State, work: &Work) -> Outcome {
    let html = html(state, work);
    let mut call = match work.message {
        Some(message) => Call::edit(work.chat, message, &html),
        None => Call::send(work.chat, &html, work.status == Status::Resolved),
    };
    if work.plain {
        call = call.plain(&html);
    }
    if let Some(button) = work.button.as_deref().filter(|_| state.routes.buttons()) {
        call = call.with_buttons(&buttons(button, state.alertmanager.is_some()));
    }
    let mut span = trace::call(state, work, &call);
    let answer = state.bot.call(&call).await;
    trace::answered(span.as_mut(), &answer);
    match answer {
        Answer::Done { message } => Outcome::Done(Some(message)),
        Answer::Unchanged => Outcome::Done(None),
        Answer::Gone => Outcome::Gone,
        Answer::Later(time) => Outcome::Later(time),
        Answer::Moved { to } => Outcome::Moved(to),
        Answer::NotHtml(words) if !work.plain => {
            tracing::error!(words, "Telegram does not take our HTML; sent without tags");
            Outcome::NotHtml
        }
        Answer::NotHtml(words) | Answer::Refused(words) => Outcome::Refused(REFUSALS, words),
        // The chat is there, only the topic is not.
        Answer::Closed(Why::NoTopic, _) if work.chat.thread.is_some() => Outcome::NoTopic(LOST_FOR),
        Answer::Closed(_, words) => Outcome::Closed(CLOSED_FOR, words),
        Answer::Failed(words) => Outcome::Failed(backoff(work.tries), words),
    }
}

fn html(state: &State, work: &Work) -> Html {
    let notification = match &work.state {
        Shown::Notice(text) => return Html::of_text(text).cut(MESSAGE),
        Shown::Alerts(notification) => notification,
    };
    let ended = work.ended.then(|| notification.ended());
    let notification = ended.as_ref().unwrap_or(notification);
    let mut marks = Html::of_text(if work.ended { ENDED } else { "" });
    marks.push(&work.marks.html(notification));
    let template = state.routes.template(&work.route);
    let rendered = template.render_marked(&work.route, notification, &marks);
    if let Some(warning) = &rendered.warning {
        tracing::warn!(
            route = work.route,
            warning,
            "the built-in template was taken"
        );
    }
    rendered.html
}

/// One second, two, four, up to a minute.
fn backoff(tries: u32) -> Duration {
    Duration::from_secs(1 << tries.min(6)).min(Duration::from_mins(1))
}

fn log(work: &Work, outcome: &Outcome) {
    let (group, chat) = (&work.group, work.chat.id);
    match outcome {
        Outcome::Done(_) => tracing::debug!(%group, chat, number = work.number, "shown"),
        other => tracing::info!(%group, chat, outcome = ?other, "not shown yet"),
    }
}
