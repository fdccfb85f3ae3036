//! The way out: who sends takes a group, and says what became of it.
//! Must not let two send one group at a time, nor any chat more than Telegram takes.

use std::time::Duration;

use kedactl_alerts::telegram::Chat;
use kedactl_alerts::{Marks, Status};
use kedactl_queue::{Channel, QueueError};
use redis::{Cmd, Value};

use crate::accept::{GroupId, State, letter, status};
use crate::error::OutboxError;
use crate::outbox::{Outbox, answered, call, channel};
use crate::reply;

/// A group that fires for longer is notified of again, and its buttons are known for as long again.
const BUTTONS_FOR: Duration = Duration::from_hours(48);

/// How often may be called: Telegram's own limits, with a little air.
#[derive(Debug, Clone)]
pub struct Pace {
    /// Between the end of a call to a chat and the next one.
    pub gap: Duration,
    /// Calls to one group chat in [`Pace::window`].
    pub most: u32,
    pub window: Duration,
    /// Calls of all in one second, at even distances.
    pub rate: u32,
}

impl Default for Pace {
    /// core.telegram.org/bots/faq: one message a second, twenty a minute in a group, thirty a second in all.
    fn default() -> Self {
        Self {
            gap: Duration::from_millis(1010),
            most: 20,
            window: Duration::from_secs(61),
            rate: 25,
        }
    }
}

/// A group that is to be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Work {
    pub group: GroupId,
    pub chat: Chat,
    pub route: String,
    pub status: Status,
    /// Of the state: a later one has a higher number.
    pub number: u64,
    /// The message that shows it so far.
    pub message: Option<i64>,
    /// Failures since it was last shown.
    pub tries: u32,
    pub state: State,
    /// Telegram did not take the HTML of this state.
    pub plain: bool,
    /// The state fires, and has ended since: nobody said when.
    pub ended: bool,
    /// What people did about it.
    pub marks: Marks,
    /// What stands for it on its buttons; `None` where it has none.
    pub button: Option<String>,
    /// Who has it, for the report.
    lease: String,
}

/// What there is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    Work(Box<Work>),
    /// Nothing for so long, unless something is accepted.
    Wait(Duration),
    /// Nothing waits.
    Idle,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is shown; the message, where it is a new one.
    Done(Option<i64>),
    /// The message is gone.
    Gone,
    /// Nothing for this chat before so long.
    Later(Duration),
    /// It may work after so long.
    Failed(Duration, String),
    /// The chat has another id.
    Moved(i64),
    /// It was refused; after so many times it is dead.
    Refused(u32, String),
    /// Nothing gets into the chat; it is tried again after so long.
    Closed(Duration, String),
    /// The HTML was not taken: the next call of this state is one without.
    NotHtml,
    /// The topic is not there: for so long its messages go to the chat itself.
    NoTopic(Duration),
}

/// One that sends. Its leases are its own: of two handles one sends.
#[derive(Debug)]
pub struct Sender {
    channel: Channel,
    pace: Pace,
    lease: Duration,
    name: String,
    taken: u64,
}

impl Sender {
    /// One more; whoever does not report within `lease` is thought dead.
    pub fn new(outbox: &Outbox, pace: Pace, lease: Duration) -> Self {
        Self {
            channel: channel(outbox.redis(), Duration::ZERO),
            pace,
            lease,
            name: name(),
            taken: 0,
        }
    }

    /// Takes the group whose turn it is.
    pub async fn claim(&mut self) -> Result<Claim, OutboxError> {
        self.taken += 1;
        let lease = format!("{}-{}", self.name, self.taken);
        let ms = |time: Duration| time.as_millis() as u64;
        let mut command = call("claim");
        command
            .arg(&lease)
            .arg(ms(self.lease))
            .arg(ms(self.pace.window))
            .arg(self.pace.most)
            .arg(self.pace.rate.max(1))
            .arg(ms(BUTTONS_FOR));
        let answer = answered(&mut self.channel, command).await?;
        let fields = reply::list(&answer)?;
        if reply::number(fields.first())? == 1 {
            return Ok(Claim::Work(Box::new(work(fields, lease)?)));
        }
        Ok(match u64::try_from(reply::number(fields.get(1))?) {
            Ok(ms) => Claim::Wait(Duration::from_millis(ms)),
            Err(_) => Claim::Idle,
        })
    }

    /// Says what became of a group that was taken.
    pub async fn report(
        &mut self,
        work: &Work,
        outcome: &Outcome,
    ) -> Result<Reported, OutboxError> {
        let mut command = call("report");
        let gap = self.pace.gap.as_millis() as u64;
        command.arg(work.group.as_str()).arg(&work.lease).arg(gap);
        outcome.add_to(work, &mut command);
        let answer = answered(&mut self.channel, command).await?;
        Ok(match reply::number(Some(&answer))? {
            0 => Reported::Late,
            2 => Reported::News,
            _ => Reported::Well,
        })
    }
}

/// A name that nobody else has. Not even one that another has would do harm but for a message shown twice.
pub(crate) fn name() -> String {
    let mut bytes = [0_u8; 8];
    let _length = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty());
    format!("{:016x}", u64::from_ne_bytes(bytes))
}

/// How a report was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reported {
    Well,
    /// The chat, or the topic, was open before.
    News,
    /// Somebody else has the group by now.
    Late,
}

impl Outcome {
    fn add_to(&self, work: &Work, command: &mut Cmd) {
        let ms = |time: &Duration| time.as_millis() as u64;
        match self {
            Self::Done(message) => {
                let message = message.map(|it| it.to_string()).unwrap_or_default();
                let (number, status) = (work.number, letter(work.status));
                command.arg("done").arg(number).arg(status).arg(message)
            }
            Self::Gone => command.arg("gone"),
            Self::Later(time) => command.arg("later").arg(ms(time)),
            Self::Failed(time, words) => command.arg("failed").arg(ms(time)).arg(words),
            Self::Moved(to) => command.arg("moved").arg(*to),
            Self::Refused(most, words) => command.arg("refused").arg(*most).arg(words),
            Self::Closed(time, words) => command.arg("closed").arg(ms(time)).arg(words),
            Self::NotHtml => command.arg("plain").arg(work.number),
            Self::NoTopic(time) => command.arg("topic").arg(ms(time)),
        };
    }
}

fn work(fields: &[Value], lease: String) -> Result<Work, QueueError> {
    let text = |at: usize| reply::text(fields.get(at));
    let optional = |at: usize| text(at).parse::<i64>().ok();
    Ok(Work {
        group: GroupId::known(text(1)),
        chat: Chat {
            id: optional(2).ok_or(QueueError::Answer("not a chat"))?,
            thread: optional(3),
        },
        route: text(4),
        status: status(&text(5)),
        number: reply::number(fields.get(6))?.max(0) as u64,
        message: optional(7),
        tries: reply::number(fields.get(8))?.max(0) as u32,
        state: serde_json::from_str(&text(9)).map_err(|_| QueueError::Answer("not a state"))?,
        plain: reply::number(fields.get(10))? == 1,
        ended: reply::number(fields.get(11))? == 1,
        // Marks of a later version are not shown, and cost no message.
        marks: serde_json::from_str(&text(12)).unwrap_or_default(),
        button: Some(text(13)).filter(|it| !it.is_empty()),
        lease,
    })
}
