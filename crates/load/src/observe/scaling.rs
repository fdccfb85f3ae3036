//! The timeline of samples, bounded, and the figures of scaling read from it.
//!
//! It must not sample.

use crate::histogram::rounded;

use super::{Sample, Scaling, TimelinePoint};

/// More points than this are thinned out to half: a day fits with a point every half minute.
const MOST: usize = 7_200;

/// The samples of a run, in order of time.
#[derive(Debug, Default)]
pub(crate) struct Timeline {
    points: Vec<TimelinePoint>,
    /// Every n-th sample is kept; reasons of the others move to the next one kept.
    stride: usize,
    skipped: usize,
    reasons: Vec<String>,
    last: Option<(f64, Sample)>,
    watch: Watch,
}

/// Figures that need every sample, kept or not.
#[derive(Debug, Default)]
struct Watch {
    scaling: Scaling,
    /// Rises of the ready workers: time and new highest count.
    rises: Vec<(f64, u32)>,
    idle_since: Option<f64>,
    end_s: Option<f64>,
}

impl Timeline {
    /// The schedule is over: from here on, drain and return to zero are timed.
    pub(crate) fn schedule_ended(&mut self, at_s: f64) {
        self.watch.end_s.get_or_insert(at_s);
        self.watch.idle_since = None;
    }

    pub(crate) fn push(&mut self, at_s: f64, mut sample: Sample) {
        let at_s = rounded(at_s);
        self.watch.take(at_s, &sample, self.last.as_ref());
        self.reasons.append(&mut sample.reasons);
        self.last = Some((at_s, sample.clone()));
        self.skipped += 1;
        if self.skipped >= self.stride.max(1) {
            self.skipped = 0;
            sample.reasons = std::mem::take(&mut self.reasons);
            self.points.push(TimelinePoint { at_s, sample });
        }
        if self.points.len() >= MOST {
            self.thin_out();
        }
    }

    fn thin_out(&mut self) {
        self.stride = self.stride.max(1) * 2;
        let mut kept: Vec<TimelinePoint> = Vec::with_capacity(MOST);
        let mut reasons = Vec::new();
        for (k, mut point) in std::mem::take(&mut self.points).into_iter().enumerate() {
            reasons.append(&mut point.sample.reasons);
            if k % 2 == 1 {
                point.sample.reasons = std::mem::take(&mut reasons);
                kept.push(point);
            }
        }
        self.points = kept;
    }

    pub(crate) fn last(&self) -> Option<&Sample> {
        self.last.as_ref().map(|(_, sample)| sample)
    }

    pub(crate) fn last_at_s(&self) -> Option<f64> {
        self.last.as_ref().map(|(at, _)| *at)
    }

    /// Whether the last sample, taken at or after `since_s`, shows neither work nor workers.
    pub(crate) fn is_at_zero(&self, since_s: f64) -> bool {
        self.last.as_ref().is_some_and(|(at, sample)| {
            let workers = sample.workers;
            *at >= since_s && is_idle(sample) && workers.desired == 0 && workers.ready == 0
        })
    }

    /// The points and, when there are any, what they say.
    pub(crate) fn finish(self) -> (Vec<TimelinePoint>, Option<Scaling>) {
        let seen = self.last.is_some();
        let scaling = seen.then(|| self.watch.finish());
        (self.points, scaling)
    }
}

fn is_idle(sample: &Sample) -> bool {
    sample.backlog == 0 && sample.running == 0
}

impl Watch {
    fn take(&mut self, at_s: f64, sample: &Sample, before: Option<&(f64, Sample)>) {
        let scaling = &mut self.scaling;
        let ready = sample.workers.ready;
        match before {
            None => {
                scaling.workers_at_start = ready;
                scaling.workers_peak = ready;
            }
            Some((at, earlier)) => {
                let span = (at_s - at).max(0.0);
                scaling.worker_pod_seconds += f64::from(earlier.workers.ready) * span;
                scaling.api_pod_seconds += f64::from(earlier.api.ready) * span;
            }
        }
        if ready > 0 {
            scaling.first_worker_s.get_or_insert(at_s);
        }
        if ready > scaling.workers_peak {
            scaling.workers_peak = ready;
            self.rises.push((at_s, ready));
        }
        scaling.api_peak = scaling.api_peak.max(sample.api.ready);
        if sample.backlog > scaling.backlog_peak {
            scaling.backlog_peak = sample.backlog;
            scaling.backlog_peak_at_s = Some(at_s);
        }
        self.watch_the_end(at_s, sample);
    }

    fn watch_the_end(&mut self, at_s: f64, sample: &Sample) {
        let Some(end) = self.end_s.filter(|end| at_s >= *end) else {
            return;
        };
        if !is_idle(sample) {
            self.idle_since = None;
            self.scaling.drain_s = None;
            self.scaling.to_zero_s = None;
            return;
        }
        let since = *self.idle_since.get_or_insert(at_s);
        self.scaling.drain_s = Some(since - end);
        if sample.workers.ready == 0 && sample.workers.desired == 0 {
            self.scaling.to_zero_s.get_or_insert(at_s - since);
        }
    }

    fn finish(mut self) -> Scaling {
        let start = f64::from(self.scaling.workers_at_start);
        let rise = f64::from(self.scaling.workers_peak) - start;
        let reached = |share: f64| {
            let wanted = start + rise * share;
            let rise = self
                .rises
                .iter()
                .find(|(_, ready)| f64::from(*ready) >= wanted);
            rise.map(|(at, _)| *at)
        };
        (self.scaling.t10_s, self.scaling.t50_s, self.scaling.t90_s) =
            (reached(0.1), reached(0.5), reached(0.9));
        self.scaling.worker_pod_seconds = rounded(self.scaling.worker_pod_seconds);
        self.scaling.api_pod_seconds = rounded(self.scaling.api_pod_seconds);
        self.scaling.drain_s = self.scaling.drain_s.map(rounded);
        self.scaling.to_zero_s = self.scaling.to_zero_s.map(rounded);
        self.scaling
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::Replicas;

    fn sample(backlog: u64, workers: u32) -> Sample {
        Sample {
            backlog,
            workers: Replicas {
                desired: workers,
                ready: workers,
            },
            api: Replicas {
                desired: 1,
                ready: 1,
            },
            reasons: vec![format!("{workers}")],
            ..Sample::default()
        }
    }

    #[test]
    fn a_run_from_zero_to_ten_and_back() {
        let mut timeline = Timeline::default();
        let run = [(0, 0), (500, 0), (900, 1), (800, 5), (300, 9), (50, 10)];
        for (at, (backlog, workers)) in run.into_iter().enumerate() {
            timeline.push(at as f64, sample(backlog, workers));
        }
        timeline.schedule_ended(5.5);
        timeline.push(6.0, sample(10, 10));
        assert!(!timeline.is_at_zero(5.5));
        timeline.push(8.0, sample(0, 10));
        timeline.push(20.0, sample(0, 0));
        assert!(timeline.is_at_zero(5.5));
        let (points, scaling) = timeline.finish();
        let scaling = scaling.expect("samples were taken");
        assert_eq!(points.len(), 9);
        assert_eq!(
            (scaling.first_worker_s, scaling.t10_s),
            (Some(2.0), Some(2.0))
        );
        assert_eq!((scaling.t50_s, scaling.t90_s), (Some(3.0), Some(4.0)));
        assert_eq!(
            (scaling.backlog_peak, scaling.backlog_peak_at_s),
            (900, Some(2.0))
        );
        assert_eq!(
            (scaling.drain_s, scaling.to_zero_s),
            (Some(2.5), Some(12.0))
        );
        assert!(
            (scaling.worker_pod_seconds - (1.0 + 5.0 + 9.0 + 10.0 + 20.0 + 120.0)).abs() < 1e-9
        );
    }

    #[test]
    fn a_day_of_samples_keeps_its_reasons_in_bounded_memory() {
        let mut timeline = Timeline::default();
        (0..86_400).for_each(|at| timeline.push(f64::from(at), sample(0, at)));
        let (points, _) = timeline.finish();
        assert!(points.len() <= MOST);
        let reasons: usize = points.iter().map(|p| p.sample.reasons.len()).sum();
        assert!(reasons > 86_000, "{reasons}");
    }
}
