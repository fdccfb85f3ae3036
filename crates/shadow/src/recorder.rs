//! Starts everything that watches and asks, and ends it.
//!
//! Must not outlive its owner: a recorder that is dropped stops.

use std::time::Duration;

use kedactl_autoscale::hpa::HpaOptions;
use kedactl_autoscale::shadow::{Fact, FlagSource, Recording};
use kedactl_cluster::{Clock, Cluster, Error, Sighting, watch};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::log::Log;
use crate::{ask, flags};

/// The kinds that are watched.
const KINDS: [(&str, &str); 4] = [
    ("autoscaling/v2", "HorizontalPodAutoscaler"),
    ("apps/v1", "Deployment"),
    ("v1", "Pod"),
    ("keda.sh/v1alpha1", "ScaledObject"),
];

/// How a namespace is recorded.
#[derive(Debug, Clone)]
pub struct Options {
    /// Flags of the HPA controller; read from the controller's command line where they are not given.
    pub flags: Option<HpaOptions>,
    /// How often the pods' samples are read. metrics-server renews them every 15 s.
    pub samples_every: Duration,
    /// How often the triggers are read through KEDA. `None` leaves that to [`Recorder::note`].
    pub readings_every: Option<Duration>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            flags: None,
            samples_every: Duration::from_secs(1),
            readings_every: Some(Duration::from_millis(500)),
        }
    }
}

/// Records one namespace from its start until it is stopped or dropped.
#[derive(Debug)]
pub struct Recorder {
    log: Log,
    tasks: JoinSet<Result<(), Error>>,
}

impl Recorder {
    /// Starts, and returns when everything that is there already has been seen.
    pub async fn start(
        cluster: &Cluster,
        namespace: &str,
        options: Options,
    ) -> Result<Self, Error> {
        let log = Log::new(Clock::of(cluster).await?);
        let (flags, source) = flags(cluster, options.flags).await;
        log.add(Fact::Start {
            namespace: namespace.to_owned(),
            options: flags,
            source,
        });
        let mut recorder = Self {
            log: log.clone(),
            tasks: JoinSet::new(),
        };
        let (tell, mut complete) = mpsc::channel(KINDS.len());
        for (api_version, kind) in KINDS {
            let (sightings, receiver) = mpsc::channel(64);
            let (cluster, namespace) = (cluster.clone(), namespace.to_owned());
            let (lines, tell) = (log.clone(), tell.clone());
            recorder.tasks.spawn(async move {
                let outcome = watch(&cluster, api_version, kind, &namespace, sightings).await;
                if let Err(error) = &outcome {
                    lines.add(Fact::Interrupted {
                        kind: kind.to_owned(),
                        reason: error.to_string(),
                    });
                }
                outcome
            });
            let log = log.clone();
            recorder.tasks.spawn(async move {
                write(kind, receiver, &log, &tell).await;
                Ok(())
            });
        }
        drop(tell);
        let mut waiting = KINDS.len();
        while waiting > 0 {
            tokio::select! {
                biased;
                Some(ended) = recorder.tasks.join_next() => {
                    if let Ok(Err(error)) = ended {
                        return Err(error);
                    }
                }
                Some(()) = complete.recv() => waiting -= 1,
                else => break,
            }
        }
        log.add(Fact::Complete);
        let here = || (cluster.clone(), namespace.to_owned(), log.clone());
        let (asked, within, lines) = here();
        recorder.tasks.spawn(async move {
            ask::samples(asked, within, options.samples_every, lines).await;
            Ok(())
        });
        if let Some(every) = options.readings_every {
            let (asked, within, lines) = here();
            recorder.tasks.spawn(async move {
                ask::readings(asked, within, every, lines).await;
                Ok(())
            });
        }
        Ok(recorder)
    }

    /// Writes down what somebody else read of a trigger: thousandths, or why there is no value.
    pub fn note(&self, scaled_object: &str, metric: &str, milli: Result<i64, String>) {
        self.log.add(match milli {
            Ok(milli) => Fact::reading(scaled_object, metric, milli),
            Err(error) => Fact::failed_reading(scaled_object, metric, error),
        });
    }

    /// Stops, and returns what was seen.
    pub async fn stop(mut self) -> Recording {
        self.tasks.shutdown().await;
        self.log.take()
    }
}

async fn flags(cluster: &Cluster, given: Option<HpaOptions>) -> (HpaOptions, FlagSource) {
    if let Some(flags) = given {
        return (flags, FlagSource::Given);
    }
    match kedactl_cluster::controller_flags(cluster).await {
        Some(words) => (flags::options_of(&words), FlagSource::CommandLine),
        None => (HpaOptions::default(), FlagSource::Defaults),
    }
}

/// Writes one kind's sightings down, and tells when the first of them are complete.
async fn write(
    kind: &'static str,
    mut sightings: mpsc::Receiver<Sighting>,
    log: &Log,
    complete: &mpsc::Sender<()>,
) {
    while let Some(sighting) = sightings.recv().await {
        match sighting {
            Sighting::Present(object) => log.add(Fact::of(kind, &object)),
            Sighting::Gone(name) => log.add(Fact::Gone {
                kind: kind.to_owned(),
                name,
            }),
            Sighting::Interrupted(reason) => log.add(Fact::Interrupted {
                kind: kind.to_owned(),
                reason,
            }),
            // Nobody waits for it any more after the first time.
            Sighting::Complete => drop(complete.try_send(())),
        }
    }
}
