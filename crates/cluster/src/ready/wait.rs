//! Waits until objects are ready, or until it is clear that they will not be.
//! Must not outlast its deadline, and not give up on an API server that is away for a moment.

use std::collections::HashMap;
use std::time::Duration;

use kedactl_plan::Step;
use tokio::time::{Instant, sleep};

use super::explain::{look, look_around, with_log};
use super::failure::{Failure, NotReady, Pending};
use super::judge::{Policy, Verdict, judge};
use super::world::World;
use crate::connect::Cluster;
use crate::error::{Class, Error};
use crate::mask::Secrets;
use crate::object::ObjectRef;

/// What just became ready must be so for this long: a program that ends at once, in a pod without a probe,
/// is ready for a moment each time it is started.
const STEADY: Duration = Duration::from_millis(1500);

/// How to wait.
#[derive(Debug, Clone)]
pub struct ReadyOptions {
    /// For how long in all.
    pub within: Duration,
    /// What counts as ready.
    pub policy: Policy,
    /// Taken out of logs and events that are quoted.
    pub secrets: Secrets,
}

impl ReadyOptions {
    /// The usual policy within a time.
    pub fn within(within: Duration) -> Self {
        Self {
            within,
            policy: Policy::default(),
            secrets: Secrets::default(),
        }
    }
}

/// Waits for every object. Ends with an error as soon as one of them fails for a reason that does not pass.
pub async fn ready(
    cluster: &Cluster,
    wanted: &[ObjectRef],
    options: &ReadyOptions,
    step: &Step<'_>,
) -> Result<(), Error> {
    let start = Instant::now();
    let mut seen = Seen::default();
    let mut said = String::new();
    let mut steady: Option<Instant> = None;
    let mut pause = Duration::from_millis(200);
    loop {
        let late = start.elapsed() >= options.within;
        let verdicts = match Box::pin(once(cluster, wanted, options.policy)).await {
            Ok(verdicts) => verdicts,
            Err(error) if error.class() == Class::Connection && !late => {
                step.waiting("the API server to answer again");
                sleep(pause).await;
                continue;
            }
            Err(error) => return Err(error),
        };
        let settled = seen.settled(&verdicts, Instant::now());
        if !settled.is_empty() || late {
            let waited = start.elapsed();
            if let Some(it) = conclude(wanted.len(), waited, settled, verdicts) {
                return Err(Error::NotReady(Box::new(
                    explained(cluster, it, options).await,
                )));
            }
        } else if let Some(line) = waiting_line(&verdicts) {
            steady = None;
            if line != said {
                step.waiting(line.clone());
                said = line;
            }
        } else if said.is_empty() || steady.is_some_and(|since| since.elapsed() >= STEADY) {
            return Ok(());
        } else {
            steady = steady.or_else(|| Some(Instant::now()));
        }
        if late {
            return Ok(());
        }
        sleep(pause.min(options.within.saturating_sub(start.elapsed()))).await;
        pause = (pause * 3 / 2).min(Duration::from_secs(1));
    }
}

/// Each object with its judgement.
type Verdicts = Vec<(ObjectRef, Verdict)>;

async fn once(cluster: &Cluster, wanted: &[ObjectRef], policy: Policy) -> Result<Verdicts, Error> {
    let mut world = look(cluster, wanted).await?;
    let scalers = wanted.iter().any(|it| it.kind == "ScaledObject");
    let unready: Vec<&ObjectRef> = wanted
        .iter()
        .filter(|it| scalers_need_more(it) || !is_ready(&judge(it, &world, policy)))
        .collect();
    if !unready.is_empty() {
        look_around(cluster, &mut world, &unready, scalers).await?;
    }
    Ok(all(wanted, &world, policy))
}

fn scalers_need_more(object: &ObjectRef) -> bool {
    object.kind == "ScaledObject"
}

fn is_ready(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Ready(_))
}

fn all(wanted: &[ObjectRef], world: &World, policy: Policy) -> Verdicts {
    let each = wanted.iter();
    each.map(|it| (it.clone(), judge(it, world, policy)))
        .collect()
}

/// Since when which failure is seen. A pod that is made anew does not start the time anew: its object and reason count.
#[derive(Debug, Default)]
struct Seen(HashMap<(ObjectRef, String, Option<String>), Instant>);

impl Seen {
    /// The failures that were seen for long enough.
    fn settled(&mut self, verdicts: &Verdicts, now: Instant) -> Vec<Failure> {
        let mut next = HashMap::new();
        let mut settled = Vec::new();
        for (object, verdict) in verdicts {
            let Verdict::Failing { failure, settle } = verdict else {
                continue;
            };
            let key = (
                object.clone(),
                failure.reason.clone(),
                failure.container.clone(),
            );
            let since = *self.0.get(&key).unwrap_or(&now);
            if now - since >= *settle {
                settled.push((**failure).clone());
            }
            next.insert(key, since);
        }
        self.0 = next;
        settled
    }
}

/// The end of the wait; `None` where everything is ready.
fn conclude(
    of: usize,
    waited: Duration,
    settled: Vec<Failure>,
    verdicts: Verdicts,
) -> Option<NotReady> {
    let mut it = NotReady::new(of, waited, settled.is_empty());
    it.failures = settled;
    for (object, verdict) in verdicts {
        match verdict {
            Verdict::Ready(_) => {}
            Verdict::Waiting(why) => it.pending.push(Pending { object, why }),
            Verdict::Failing { failure, .. } => {
                if !it.failures.iter().any(|known| known.object == object) {
                    it.failures.push(*failure);
                }
            }
        }
    }
    (!it.failures.is_empty() || !it.pending.is_empty()).then_some(it)
}

async fn explained(cluster: &Cluster, mut it: NotReady, options: &ReadyOptions) -> NotReady {
    let mut failures = Vec::new();
    for failure in it.failures {
        failures.push(with_log(cluster, failure, &options.secrets).await);
    }
    it.failures = failures;
    it
}

/// What it waits for, in one line; `None` where it waits for nothing.
fn waiting_line(verdicts: &Verdicts) -> Option<String> {
    let mut open = verdicts
        .iter()
        .filter_map(|(object, verdict)| match verdict {
            Verdict::Ready(_) => None,
            Verdict::Waiting(why) => Some(format!("{object}: {why}")),
            Verdict::Failing { failure, .. } => Some(format!("{object}: {}", failure.reason)),
        });
    let first = open.next()?;
    match open.count() {
        0 => Some(first),
        more => Some(format!("{first}, and {more} more")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object() -> ObjectRef {
        ObjectRef::new("apps/v1", "Deployment", Some("keda"), "api")
    }

    fn failing(reason: &str, settle: u64) -> Verdicts {
        let failure = Box::new(Failure::new(&object(), reason, "d"));
        let settle = Duration::from_secs(settle);
        vec![(object(), Verdict::Failing { failure, settle })]
    }

    fn after(start: Instant, seconds: u64) -> Instant {
        start + Duration::from_secs(seconds)
    }

    #[test]
    fn a_failure_counts_once_it_lasted() {
        let (mut seen, start) = (Seen::default(), Instant::now());
        let verdicts = failing("Unschedulable", 10);
        for second in 0..10 {
            assert!(seen.settled(&verdicts, after(start, second)).is_empty());
        }
        assert_eq!(seen.settled(&verdicts, after(start, 10)).len(), 1);
    }

    #[test]
    fn a_failure_that_went_away_starts_anew() {
        let (mut seen, start) = (Seen::default(), Instant::now());
        let stuck = failing("Unschedulable", 10);
        assert!(seen.settled(&stuck, start).is_empty());
        let waiting = vec![(object(), Verdict::Waiting("x".into()))];
        assert!(seen.settled(&waiting, after(start, 9)).is_empty());
        assert!(seen.settled(&stuck, after(start, 11)).is_empty());
        assert_eq!(
            seen.settled(&failing("OOMKilled", 0), after(start, 11))
                .len(),
            1
        );
    }

    #[test]
    fn the_end_tells_the_cause_first_and_what_else_was_open() {
        let other = ObjectRef::new("v1", "Service", Some("keda"), "api");
        let mut verdicts = failing("OOMKilled", 0);
        verdicts.push((
            other,
            Verdict::Waiting("it has no cluster address yet".into()),
        ));
        let settled = vec![Failure::new(&object(), "OOMKilled", "d")];
        let it = conclude(3, Duration::from_secs(5), settled, verdicts).unwrap();
        insta::assert_snapshot!(it, @"Deployment keda/api: OOMKilled (d), and 1 more of 3 objects");
        assert!(!it.timed_out);
        let late = vec![(
            object(),
            Verdict::Waiting("0 of 1 pods are available".into()),
        )];
        let it = conclude(1, Duration::from_mins(5), Vec::new(), late).unwrap();
        insta::assert_snapshot!(it, @"Deployment keda/api is not ready after 300 s: 0 of 1 pods are available");
        assert!(it.timed_out);
        assert!(conclude(1, Duration::ZERO, Vec::new(), Vec::new()).is_none());
    }
}
