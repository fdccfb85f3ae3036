//! Buttons that are pressed: who may, what is done, and what is told.
//!
//! It must not act twice upon one press, nor leave one without a word.

use std::time::Duration;

use kedactl_alerts::telegram::{Call, Heard, Press, Update, Wish};
use kedactl_alerts::{Acknowledgement, Marks, Notification, Silence};
use kedactl_outbox::{Begun, GroupId, Keeper, OutboxError, Poll, Poller, State as Shown, Wanted};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::alertmanager::{self, matchers};
use super::notice;
use super::state::State;
use crate::startup;

/// How long Telegram waits for a press before it says that there was none.
const WAIT: Duration = Duration::from_secs(10);
/// Whoever does not keep his right to ask for so long is thought dead.
const LEASE: Duration = Duration::from_secs(6);
/// Between two questions that brought nothing.
const IDLE: Duration = Duration::from_secs(1);
/// Asked again after so long where something did not work.
const AFTER_ERROR: Duration = Duration::from_secs(2);
/// The same, where somebody else asks for this bot's presses.
const AFTER_CONFLICT: Duration = Duration::from_secs(30);
/// Between two questions for the right to ask.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// What a press came to.
#[derive(Debug)]
struct Done {
    /// For the metrics.
    outcome: &'static str,
    words: String,
    /// What the group shows of it.
    marks: Option<Marks>,
    others: Vec<GroupId>,
}

impl Done {
    fn refused(outcome: &'static str, words: impl Into<String>) -> Self {
        Self {
            outcome,
            words: words.into(),
            marks: None,
            others: Vec::new(),
        }
    }
}

/// Asks for presses until told to stop.
pub(super) async fn run(state: State, stop: CancellationToken) {
    let mut poller = Poller::new(&state.outbox, LEASE);
    let mut keeper = poller.keeper(&state.outbox);
    while !stop.is_cancelled() {
        let rest = round(&state, &mut poller, &mut keeper, &stop).await;
        tokio::select! {
            () = sleep(rest) => {}
            () = stop.cancelled() => {}
        }
    }
    // Where it is not given back it ends by itself.
    let _given = poller.leave().await;
}

/// One question, and what it brings; how long to rest after it.
async fn round(
    state: &State,
    poller: &mut Poller,
    keeper: &mut Keeper,
    stop: &CancellationToken,
) -> Duration {
    let from = match poller.poll().await {
        Ok(Poll::From(from)) => from,
        Ok(Poll::Wait(time)) => {
            state.metrics.polling(false);
            return time.min(LOOK_EVERY);
        }
        Err(error) => {
            tracing::debug!(error = startup::chain(&error), "no presses");
            return AFTER_ERROR;
        }
    };
    state.metrics.polling(true);
    match kept(keeper, settle(state, poller)).await {
        Some(Ok(())) => {}
        Some(Err(error)) => tracing::debug!(error = startup::chain(&error), "not settled"),
        None => return LOOK_EVERY,
    }
    let asked = Instant::now();
    let heard = tokio::select! {
        heard = kept(keeper, state.bot.updates(from, WAIT)) => heard,
        () = stop.cancelled() => return Duration::ZERO,
    };
    let Some(heard) = heard else {
        return LOOK_EVERY;
    };
    match heard {
        // One that does not wait for presses must not be asked all the time.
        Heard::Updates(updates) if updates.is_empty() => IDLE.saturating_sub(asked.elapsed()),
        Heard::Updates(updates) => {
            for update in updates {
                match kept(keeper, act(state, poller, &update)).await {
                    Some(Ok(true)) => {}
                    Some(Ok(false)) | None => return LOOK_EVERY,
                    Some(Err(error)) => {
                        let error = startup::chain(&error);
                        tracing::warn!(error, "a press waits");
                        return AFTER_ERROR;
                    }
                }
            }
            Duration::ZERO
        }
        Heard::Conflict(words) => {
            notice::conflict(state, &words).await;
            AFTER_CONFLICT
        }
        Heard::Later(time) => time,
        Heard::Failed(words) => {
            tracing::debug!(words, "no presses");
            AFTER_ERROR
        }
    }
}

/// Asks Alertmanager for the groups whose silence is over: of what ended in it nobody was told.
async fn settle(state: &State, poller: &mut Poller) -> Result<(), OutboxError> {
    let Some(alertmanager) = &state.alertmanager else {
        return Ok(());
    };
    while let Some(mut due) = poller.unsilenced().await? {
        let Shown::Alerts(notification) = &due.state else {
            continue;
        };
        match alertmanager.fires(matchers(notification)).await {
            Ok(fires) => {
                // What is over keeps the word of its silence, what goes on is not silenced any more.
                if fires {
                    due.marks.silence = None;
                }
                poller.settle(&due, !fires).await?;
                state.news.notify_one();
            }
            Err(why) => tracing::info!(why, "nobody knows what ended in a silence"),
        }
    }
    Ok(())
}

/// Does something while the right to ask is kept; nothing where it is not any more, or nobody knows.
async fn kept<T>(keeper: &mut Keeper, work: impl Future<Output = T>) -> Option<T> {
    let mut work = std::pin::pin!(work);
    let (every, mut last) = (keeper.lease() / 3, Instant::now());
    loop {
        match timeout(every, work.as_mut()).await {
            Ok(done) => return Some(done),
            Err(_) => match keeper.keep().await {
                Ok(true) => last = Instant::now(),
                Err(_) if last.elapsed() < 2 * every => {}
                Ok(false) | Err(_) => return None,
            },
        }
    }
}

/// Acts upon an update; `false` where somebody else asks for them by now.
async fn act(state: &State, poller: &mut Poller, update: &Update) -> Result<bool, OutboxError> {
    let Some(press) = &update.press else {
        return poller.acted(update.number, "", None, &[]).await;
    };
    let Some((wish, button)) = Wish::read(&press.data) else {
        let done = Done::refused("unknown", "This is no button of mine.");
        return finished(state, poller, update.number, press, "", done).await;
    };
    let done = match may_press(state, press) {
        Err(words) => Done::refused("refused", words),
        Ok(()) => match poller.begin(update.number, button).await? {
            Begun::Ousted => return Ok(false),
            Begun::Known => return Ok(true),
            Begun::Nothing => Done::refused("stale", "This incident is over, or too old."),
            Begun::Wanted(wanted) => grant(state, press, wish, *wanted).await,
        },
    };
    finished(state, poller, update.number, press, button, done).await
}

/// The error is for whoever pressed.
fn may_press(state: &State, press: &Press) -> Result<(), String> {
    let users = state.routes.users();
    if users.contains(&press.by.id) {
        return Ok(());
    }
    let id = press.by.id;
    Err(if users.is_empty() {
        format!("Nobody may press this: the file of routes has no `users`. Your number is {id}.")
    } else {
        format!("You may not press this: {id} is not among the `users` of the file of routes.")
    })
}

/// Does what is wanted, and says what came of it.
async fn grant(state: &State, press: &Press, wish: Wish, wanted: Wanted) -> Done {
    let Shown::Alerts(notification) = wanted.state else {
        return Done::refused("stale", "There is nothing to do about this.");
    };
    let mut marks = wanted.marks;
    marks.trouble = String::new();
    let by = press.by.name.clone();
    let (outcome, words) = match wish {
        Wish::Acknowledge => {
            marks.acknowledgement = Some(Acknowledgement::new(by, &notification));
            ("acknowledged", "Acknowledged.".to_owned())
        }
        Wish::Silence(hours) => {
            match silence(state, press, hours, &notification, wanted.again).await {
                Ok(until) => {
                    marks.silence = Some(Silence { until, by });
                    ("silenced", format!("Silenced for {hours} h."))
                }
                Err(why) => {
                    marks.trouble = format!("{by} wanted a silence of {hours} h: {why}");
                    ("failed", format!("Not silenced: {why}"))
                }
            }
        }
    };
    Done {
        outcome,
        words,
        marks: Some(marks),
        others: others(state, &wanted.route, &notification),
    }
}

/// Makes a silence, unless this press has made it before; the second when it ends.
async fn silence(
    state: &State,
    press: &Press,
    hours: u32,
    notification: &Notification,
    again: bool,
) -> Result<i64, String> {
    let alertmanager = state
        .alertmanager
        .as_ref()
        .ok_or("this webhook knows no Alertmanager (`--alertmanager URL`)")?;
    let matchers = matchers(notification);
    if matchers.is_empty() {
        return Err("its alerts have no label in common".to_owned());
    }
    let now = state.redis.now_us() / 1_000_000;
    let at = |second: u64| jiff::Timestamp::from_second(second as i64).unwrap_or_default();
    let wanted = alertmanager::Wanted {
        matchers,
        from: at(now),
        until: at(now + u64::from(hours) * 3600),
        by: &press.by.name,
        mark: &format!("user {}, press {}", press.by.id, press.id),
    };
    if !(again && alertmanager.has(&wanted).await?) {
        alertmanager.silence(&wanted).await?;
    }
    Ok(wanted.until.as_second())
}

/// The same group in every chat of its route: one silence, one acknowledgement is for all of them.
fn others(state: &State, route: &str, notification: &Notification) -> Vec<GroupId> {
    let chats = state.routes.get(route).map(|it| it.chats.as_slice());
    let name = super::accept::group(route, notification);
    let chats = chats.unwrap_or_default().iter();
    chats.map(|chat| GroupId::new(*chat, &name)).collect()
}

/// Keeps what was done, then tells whoever pressed.
async fn finished(
    state: &State,
    poller: &mut Poller,
    number: i64,
    press: &Press,
    button: &str,
    done: Done,
) -> Result<bool, OutboxError> {
    let kept = poller.acted(number, button, done.marks.as_ref(), &done.others);
    if !kept.await? {
        return Ok(false);
    }
    state.news.notify_one();
    state.metrics.pressed(done.outcome);
    let (by, outcome) = (press.by.id, done.outcome);
    tracing::info!(by, outcome, words = done.words, "a button was pressed");
    let loud = !matches!(outcome, "silenced" | "acknowledged");
    // A press that is too old for an answer was acted upon all the same, and its message says so.
    let answer = state
        .bot
        .call(&Call::answer(&press.id, &done.words, loud))
        .await;
    tracing::debug!(?answer, "told");
    Ok(true)
}
