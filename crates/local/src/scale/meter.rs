//! What metrics-server does: CPU of every pod, averaged over one window, from `/proc`.
//! Must not count the children of a pod: only its own process is read.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kedactl_autoscale::hpa::{MetricReading, PodSample};
use kedactl_exec::{ProcId, procfs};
use tokio::time::{Instant, sleep};

use super::now;
use crate::board::Board;

/// The last sample of every pod.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    samples: Mutex<BTreeMap<String, (ProcId, PodSample)>>,
}

impl Meter {
    /// Samples by pod, of the pods that a workload has now.
    pub(crate) fn cpu(&self, pods: &[String]) -> MetricReading {
        let samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        MetricReading::Pods {
            samples: samples
                .iter()
                .filter(|(name, _)| pods.contains(name))
                .map(|(name, (_, sample))| (name.clone(), *sample))
                .collect(),
        }
    }

    /// Measures once a window, until dropped. A process needs two looks before it has a sample, as with metrics-server.
    pub(crate) async fn measure(self: Arc<Self>, board: Arc<Board>, window: Duration) {
        let mut last: BTreeMap<ProcId, (u64, Instant)> = BTreeMap::new();
        loop {
            let pods: Vec<(String, ProcId)> = board.read(|state| {
                let pods = state.workloads.values().flat_map(|workload| &workload.pods);
                pods.filter_map(|pod| Some((pod.name.clone(), pod.process?)))
                    .collect()
            });
            let mut seen = BTreeMap::new();
            let mut fresh = BTreeMap::new();
            for (name, process) in pods {
                let Some(stat) =
                    procfs::stat(process.pid).filter(|stat| stat.start_time == process.start_time)
                else {
                    continue;
                };
                let here = Instant::now();
                if let Some((ticks, before)) = last.get(&process) {
                    let sample = sample(
                        stat.cpu_ticks.saturating_sub(*ticks),
                        here - *before,
                        window,
                    );
                    fresh.insert(name, (process, sample));
                }
                seen.insert(process, (stat.cpu_ticks, here));
            }
            last = seen;
            *self.samples.lock().unwrap_or_else(PoisonError::into_inner) = fresh;
            sleep(window).await;
        }
    }
}

fn sample(ticks: u64, elapsed: Duration, window: Duration) -> PodSample {
    let seconds = elapsed.as_secs_f64().max(0.001);
    let cores = ticks as f64 / procfs::ticks_per_second() as f64 / seconds;
    PodSample {
        milli: (cores * 1000.0).round() as i64,
        at: now(),
        window_micros: window.as_micros() as i64,
    }
}
