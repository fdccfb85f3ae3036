//! Objects and a tiny world for the other tests: a queue, pods that take one task at a time, two machines.
//!
//! Must not assert; and must stay small enough to be checked by eye.

#![allow(
    dead_code,
    clippy::allow_attributes,
    reason = "each test binary uses its own part, so an expectation would fail in some"
)]
#![expect(clippy::unwrap_used, reason = "a helper of tests fails by panicking")]

use std::collections::{BTreeMap, VecDeque};

use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscalerBehavior;
use kedactl_autoscale::api::{
    AdvancedConfig, HorizontalPodAutoscalerConfig, ScaledObject, Trigger,
};
use kedactl_autoscale::hpa::{Hpa, HpaInput, HpaOptions, HpaState};
use kedactl_autoscale::journal::Entry;
use kedactl_autoscale::keda::{KedaLoop, KedaOptions, KedaState, PollInput, Reading, ServeInput};
use kedactl_autoscale::{Timestamp, render_hpa};

/// A `ScaledObject` named `worker` on the Redis list `jobs`.
pub(crate) fn scaled_object(list_length: u32, behavior: bool) -> ScaledObject {
    let mut object = ScaledObject::default();
    object.metadata.name = Some("worker".to_owned());
    "worker".clone_into(&mut object.spec.scale_target_ref.name);
    let metadata = [
        ("listName", "jobs".to_owned()),
        ("listLength", list_length.to_string()),
    ];
    object.spec.triggers = vec![Trigger {
        kind: "redis".to_owned(),
        metadata: metadata.map(|(key, value)| (key.to_owned(), value)).into(),
        ..Trigger::default()
    }];
    if behavior {
        let behavior = Some(HorizontalPodAutoscalerBehavior::default());
        let config = HorizontalPodAutoscalerConfig {
            behavior,
            name: None,
        };
        object.spec.advanced = Some(AdvancedConfig {
            horizontal_pod_autoscaler_config: Some(config),
            ..AdvancedConfig::default()
        });
    }
    object
}

/// What the trigger counts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    /// Only tasks that wait, as LLEN of a drained list does.
    Waiting,
    /// Tasks that wait or run, as HLEN of the live set does.
    WaitingAndRunning,
}

/// The load and the platform's settings. Times are in ticks of 100 ms.
pub(crate) struct World {
    pub(crate) object: ScaledObject,
    pub(crate) signal: Signal,
    /// Tasks due at each tick.
    pub(crate) arrivals: fn(u64) -> u64,
    pub(crate) service: u64,
    pub(crate) start_delay: u64,
    pub(crate) ticks: u64,
}

/// What happened.
#[derive(Default)]
pub(crate) struct Run {
    /// Wanted pods after each tick.
    pub(crate) replicas: Vec<i32>,
    pub(crate) pod_ticks: u64,
    pub(crate) done: u64,
    /// Every reading and decision.
    pub(crate) journal: Vec<Entry>,
}

impl Run {
    pub(crate) fn peak(&self) -> i32 {
        self.replicas.iter().copied().max().unwrap_or(0)
    }

    /// Counts the steps from some pods to none.
    pub(crate) fn falls_to_zero(&self) -> usize {
        self.replicas
            .windows(2)
            .filter(|pair| pair[0] > 0 && pair[1] == 0)
            .count()
    }
}

/// A pod: when it can work, and when its present task ends.
struct Pod {
    ready_at: u64,
    busy_until: Option<u64>,
    /// Told to go: takes no more tasks and leaves when its last one is done.
    draining: bool,
}

impl World {
    pub(crate) fn run(&self) -> Run {
        let hpa_object = render_hpa(&self.object).unwrap();
        let options = KedaOptions::default();
        let mut keda = KedaLoop::new(&self.object, options).unwrap();
        let mut hpa =
            Hpa::from_object(&hpa_object, HpaOptions::default(), HpaState::default()).unwrap();
        let mut run = Run::default();
        let name = "worker".to_owned();
        run.journal.push(Entry::KedaStart {
            name: name.clone(),
            object: Box::new(self.object.clone()),
            options,
            state: KedaState::default(),
        });
        run.journal.push(Entry::HpaStart {
            name,
            object: Box::new(hpa_object),
            options: HpaOptions::default(),
            state: HpaState::default(),
        });
        let (mut waiting, mut pods, mut wanted) = (VecDeque::new(), Vec::new(), 0);
        for tick in 0..self.ticks {
            (0..(self.arrivals)(tick)).for_each(|_| waiting.push_back(tick));
            self.work(tick, &mut waiting, &mut pods, &mut run);
            let running = pods
                .iter()
                .filter(|pod: &&Pod| pod.busy_until.is_some())
                .count() as u64;
            let length = match self.signal {
                Signal::Waiting => waiting.len() as u64,
                Signal::WaitingAndRunning => waiting.len() as u64 + running,
            };
            // Polls fall inside a second, as they do in the world: `lastActiveTime` is cut to the second, so
            // the cooldown is over at the tenth poll and not at the eleventh.
            let now = Timestamp::from_micros(1_000_450_000 + tick as i64 * 100_000);
            if tick % 300 == 0 {
                wanted = poll(&mut keda, now, wanted, length, &mut run);
            }
            if tick % 150 == 70 {
                wanted = sync(
                    &mut keda,
                    &mut hpa,
                    now,
                    (wanted, pods.len()),
                    length,
                    &mut run,
                );
            }
            resize(&mut pods, wanted as usize, tick + self.start_delay);
            run.pod_ticks += pods.len() as u64;
            run.replicas.push(wanted);
        }
        run
    }

    fn work(&self, tick: u64, waiting: &mut VecDeque<u64>, pods: &mut [Pod], run: &mut Run) {
        for pod in pods {
            if pod.busy_until.is_some_and(|end| end <= tick) {
                pod.busy_until = None;
                run.done += 1;
            }
            let free = pod.busy_until.is_none() && pod.ready_at <= tick && !pod.draining;
            if free && waiting.pop_front().is_some() {
                pod.busy_until = Some(tick + self.service);
            }
        }
    }
}

/// Starts or drains pods until the wanted number is left, and removes those that have drained.
fn resize(pods: &mut Vec<Pod>, wanted: usize, ready_at: u64) {
    let there = pods.iter().filter(|pod| !pod.draining).count();
    for _ in there..wanted {
        pods.push(Pod {
            ready_at,
            busy_until: None,
            draining: false,
        });
    }
    for pod in pods
        .iter_mut()
        .filter(|pod| !pod.draining)
        .take(there.saturating_sub(wanted))
    {
        pod.draining = true;
    }
    pods.retain(|pod| !pod.draining || pod.busy_until.is_some());
}

fn poll(keda: &mut KedaLoop, now: Timestamp, wanted: i32, length: u64, run: &mut Run) -> i32 {
    let readings = vec![Reading::count(0, length)];
    let input = PollInput {
        current_replicas: wanted,
        ready_replicas: wanted,
        readings,
    };
    let outcome = keda.poll(now, &input);
    let to = outcome.action.map_or(wanted, |scale| scale.to);
    run.journal.push(Entry::KedaPoll {
        name: "worker".to_owned(),
        now,
        input,
        outcome,
    });
    to
}

fn sync(
    keda: &mut KedaLoop,
    hpa: &mut Hpa,
    now: Timestamp,
    (wanted, pods): (i32, usize),
    length: u64,
    run: &mut Run,
) -> i32 {
    let name = "worker".to_owned();
    let readings = vec![Reading::count(0, length)];
    let input = ServeInput {
        current_replicas: wanted,
        ready_replicas: wanted,
        readings,
    };
    let served = keda.serve(&input);
    let metrics = served.iter().map(|metric| metric.reading.clone()).collect();
    run.journal.push(Entry::KedaServe {
        name: name.clone(),
        input,
        served,
    });
    let status_replicas = pods as i32;
    let input = HpaInput {
        spec_replicas: wanted,
        status_replicas,
        metrics,
        pods: Vec::new(),
    };
    let decision = hpa.sync(now, &input);
    let desired = decision.desired;
    run.journal.push(Entry::HpaSync {
        name,
        now,
        input,
        decision: Box::new(decision),
    });
    desired
}

/// Metadata of a trigger from pairs.
pub(crate) fn metadata(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}
