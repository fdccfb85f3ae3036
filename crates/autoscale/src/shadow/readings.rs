//! From what a status shows of a metric back to what the controller read, as far as rounding allows.
//!
//! Must not take a recorder's own reading for the controller's, except to choose among totals that rounding allows.

use super::inputs::{Candidates, Look, Scene};
use super::syncs::{Measured, Outcome};
use crate::hpa::{HpaMetric, HpaMetricKind, HpaTarget, MetricReading};
use crate::keda::TriggerSpec;

impl Look<'_> {
    /// The readings of one metric that lead to what the status shows of it.
    pub(super) fn readings(
        &self,
        metric: &HpaMetric,
        measured: Measured,
        scene: &Scene,
        found: &mut Candidates,
    ) -> Vec<MetricReading> {
        match (&metric.kind, metric.target, measured) {
            (_, _, Measured::Missing) => vec![self.missing(found)],
            (
                HpaMetricKind::External { name, labels },
                HpaTarget::AverageValue(target),
                Measured::Average(average),
            ) => {
                let owner = labels.get(crate::api::OWNER).map_or("", String::as_str);
                let metric = (owner, name.as_str());
                self.per_pod(metric, target, average, scene.status_replicas, found)
            }
            (
                HpaMetricKind::External { .. } | HpaMetricKind::Object { .. },
                HpaTarget::Value(_),
                Measured::Value(total),
            ) => {
                tell(&mut found.reading, &thousandths(total));
                vec![MetricReading::single(total)]
            }
            (HpaMetricKind::Resource { name, container }, _, measured) => {
                let key = match container {
                    Some(container) => format!("{container}/{name}"),
                    None => name.clone(),
                };
                let value = match measured {
                    Measured::Utilization(percent, _) => format!("{percent} %"),
                    Measured::Average(milli) | Measured::Value(milli) => thousandths(milli),
                    Measured::Missing => String::new(),
                };
                tell(&mut found.reading, &format!("{key} {value}"));
                let samples = scene.samples.iter();
                let samples = samples.filter_map(|(pod, it)| Some((pod.clone(), it.of(&key)?)));
                vec![MetricReading::Pods {
                    samples: samples.collect(),
                }]
            }
            _ => Vec::new(),
        }
    }

    fn missing(&self, found: &mut Candidates) -> MetricReading {
        // Outside the bounds or at zero nothing is read.
        let error = match self.observed.outcome {
            Outcome::Decided => "not read",
            _ => self.observed.reason("ScalingActive"),
        };
        if self.observed.outcome != Outcome::Decided {
            tell(&mut found.reading, error);
        }
        MetricReading::Failed {
            error: error.to_owned(),
        }
    }

    /// Of `ceil(total / pods)` back to the total.
    fn per_pod(
        &self,
        (owner, metric): (&str, &str),
        target: i64,
        average: i64,
        pods: i32,
        found: &mut Candidates,
    ) -> Vec<MetricReading> {
        let asked = self.asked(owner, metric);
        let mut values;
        if pods > 0 && average >= 0 {
            values = totals(average, pods, target, self.counts_items(owner, metric));
            if let (true, Some(least), Some(most)) = (self.strict, asked.first(), asked.last()) {
                values.retain(|total| (least..=most).contains(&total));
            }
        } else if pods > 0 || (1..=i64::MAX / 2).contains(&average) {
            // Divided by no pod: the status shows an end of the range of numbers, or 0, as the processor has it.
            return Vec::new();
        } else {
            values = asked;
            if values.is_empty() {
                found.blind = true;
                let wanted = i64::from(self.observed.desired);
                values = vec![0, target.saturating_mul(wanted)];
            }
        }
        if let Some(total) = values.first() {
            tell(
                &mut found.reading,
                &format!("{} on {pods}", thousandths(*total)),
            );
        }
        values.into_iter().map(MetricReading::single).collect()
    }

    /// Whether the metric is a number of items, so that every reading of it is whole.
    fn counts_items(&self, owner: &str, metric: &str) -> bool {
        let line = self.world.scaled_objects.get(owner);
        let Some(Some(object)) = line.and_then(|line| line.at(self.to)) else {
            return false;
        };
        let triggers = object.spec.triggers.iter().enumerate();
        triggers
            .filter(|(_, trigger)| trigger.kind.starts_with("redis"))
            .filter_map(|(index, trigger)| TriggerSpec::new(index, trigger).ok())
            .any(|trigger| trigger.metric() == Some(metric))
    }

    /// What the recorder itself read about that time, ascending.
    fn asked(&self, owner: &str, metric: &str) -> Vec<i64> {
        let key = (owner.to_owned(), metric.to_owned());
        let line = self.world.readings.get(&key);
        let around = line.map(|line| line.around(self.from, self.to));
        let values = around.into_iter().flatten();
        let mut values: Vec<i64> = values.filter_map(|it| it.as_ref().ok().copied()).collect();
        values.sort_unstable();
        values.dedup();
        values
    }
}

/// Notes a reading once.
fn tell(reading: &mut String, text: &str) {
    if reading.split(" or ").any(|before| before == text) || reading.matches(" or ").count() > 2 {
        return;
    }
    if !reading.is_empty() {
        reading.push_str(" or ");
    }
    reading.push_str(text);
}

/// `18` or `1.5`.
pub(super) fn thousandths(milli: i64) -> String {
    if milli % 1000 == 0 {
        (milli / 1000).to_string()
    } else {
        format!("{}", milli as f64 / 1000.0)
    }
}

/// The totals that upstream's `ceil(total / pods)` turns into `average`.
///
/// Where every reading is whole, one is left for fewer than a thousand pods. Else the ends of the range, and the
/// two sides of each step of `ceil(total / target)` within it: proposals change nowhere else.
fn totals(average: i64, pods: i32, target: i64, whole: bool) -> Vec<i64> {
    let pods = i64::from(pods);
    let low = ((average - 1).saturating_mul(pods) + 1).max(0);
    let high = average.saturating_mul(pods);
    if whole {
        let first = low.div_euclid(1000) + i64::from(low.rem_euclid(1000) != 0);
        return (first..=high.div_euclid(1000))
            .take(16)
            .map(|count| count * 1000)
            .collect();
    }
    let steps = (low / target..=high / target).take(8);
    let sides = steps.flat_map(|step| [step * target, step * target + 1]);
    let mut all: Vec<i64> = sides
        .filter(|total| (low..=high).contains(total))
        .chain([low, high])
        .collect();
    all.sort_unstable();
    all.dedup();
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_reading_comes_back_from_its_rounded_average() {
        for pods in 1..60_i64 {
            for count in 0..300_i64 {
                let average = (count * 1000 + pods - 1) / pods;
                assert_eq!(
                    totals(average, pods as i32, 5000, true),
                    [count * 1000],
                    "{count} on {pods}"
                );
            }
        }
    }

    #[test]
    fn a_reading_with_fractions_keeps_every_proposal_that_it_allows() {
        // 3 pods, 3334 a pod: 10000 to 10002, and a target of 5000 steps from 2 to 3 behind 10000.
        assert_eq!(totals(3334, 3, 5000, false), [10_000, 10_001, 10_002]);
        assert_eq!(totals(0, 3, 5000, false), [0]);
    }

    #[test]
    fn a_reading_is_noted_once() {
        let mut reading = String::new();
        for text in ["1", "2", "1", "3", "4", "5"] {
            tell(&mut reading, text);
        }
        assert_eq!(reading, "1 or 2 or 3 or 4");
        assert_eq!(thousandths(1500), "1.5");
    }
}
