//! What was promised and what was finished, by index, and the latency of each part.
//!
//! It must not fetch; records are handed in, in any order and more than once.

use std::collections::VecDeque;
use std::sync::Arc;

use super::bitmap::Bitmap;
use super::{AuditRecord, AuditSummary};
use crate::histogram::Distribution;
use crate::schedule::Schedule;

/// What the senders know: which requests got the promise, and which were refused.
#[derive(Debug)]
pub(crate) struct Promises {
    acknowledged: Bitmap,
    refused: Bitmap,
}

impl Promises {
    pub(crate) fn new(count: u64) -> Self {
        Self {
            acknowledged: Bitmap::with_capacity(count),
            refused: Bitmap::with_capacity(count),
        }
    }

    pub(crate) fn note(&self, index: u64, accepted: bool) {
        let set = if accepted {
            &self.acknowledged
        } else {
            &self.refused
        };
        set.insert(index);
    }

    pub(crate) fn acknowledged(&self) -> u64 {
        self.acknowledged.len()
    }
}

/// What the records say, beside the promises.
#[derive(Debug)]
pub(crate) struct Tracker {
    promises: Arc<Promises>,
    schedule: Arc<Schedule>,
    /// The first due time, microseconds since the Unix epoch.
    epoch_us: u64,
    done: Bitmap,
    /// Dead, expired or cancelled: ended, though not done.
    ended: Bitmap,
    executed: Bitmap,
    duplicated: Bitmap,
    counts: Counts,
    due: DueTimes,
    submit: Distribution,
    wait: Distribution,
    run: Distribution,
    total: Distribution,
}

#[derive(Debug, Default)]
struct Counts {
    fenced: u64,
    dead: u64,
    expired: u64,
    retried: u64,
    foreign: u64,
}

/// Outcomes of a record.
const DONE: u8 = 0;
const DEAD: u8 = 1;
const FENCED: u8 = 2;

impl Tracker {
    pub(crate) fn new(promises: Arc<Promises>, schedule: Arc<Schedule>, epoch_us: u64) -> Self {
        let set = || Bitmap::with_capacity(schedule.count());
        Self {
            done: set(),
            ended: set(),
            executed: set(),
            duplicated: set(),
            promises,
            epoch_us,
            counts: Counts::default(),
            due: DueTimes::default(),
            submit: Distribution::default(),
            wait: Distribution::default(),
            run: Distribution::default(),
            total: Distribution::default(),
            schedule,
        }
    }

    /// Takes in records that were not read before.
    pub(crate) fn absorb(&mut self, records: &[AuditRecord]) {
        for record in records {
            self.absorb_one(*record);
        }
    }

    /// Takes in records of which most were read before: only what is missing counts.
    pub(crate) fn sweep(&mut self, records: &[AuditRecord]) {
        for record in records {
            let known = self.done.contains(record.0) || self.ended.contains(record.0);
            if !known && record.5 != FENCED {
                self.absorb_one(*record);
            }
        }
    }

    fn absorb_one(&mut self, record: AuditRecord) {
        let AuditRecord(index, attempt, enqueued, started, finished, outcome) = record;
        if index >= self.schedule.count() {
            self.counts.foreign += 1;
            return;
        }
        match outcome {
            DONE => {
                self.executed(index);
                self.counts.retried += u64::from(attempt > 1);
                if self.done.insert(index) {
                    self.time(index, enqueued, started, finished);
                }
            }
            DEAD => self.counts.dead += u64::from(self.ended.insert(index)),
            FENCED => {
                self.executed(index);
                self.counts.fenced += 1;
            }
            _ => self.counts.expired += u64::from(self.ended.insert(index)),
        }
    }

    fn executed(&mut self, index: u64) {
        if !self.executed.insert(index) {
            self.duplicated.insert(index);
        }
    }

    fn time(&mut self, index: u64, enqueued: u64, started: u64, finished: u64) {
        let due = self.epoch_us + self.due.of(&self.schedule, index) / 1_000;
        self.submit.record_us(enqueued.saturating_sub(due));
        self.wait.record_us(started.saturating_sub(enqueued));
        self.run.record_us(finished.saturating_sub(started));
        self.total.record_us(finished.saturating_sub(due));
    }

    /// Acknowledged tasks that have not ended.
    pub(crate) fn outstanding(&self) -> u64 {
        self.promises
            .acknowledged
            .count_without(&[&self.done, &self.ended])
    }

    /// Tasks that have ended in any way.
    pub(crate) fn finished(&self) -> u64 {
        self.done.len() + self.ended.count_without(&[&self.done])
    }

    pub(crate) fn promises(&self) -> &Promises {
        &self.promises
    }

    pub(crate) fn total(&self) -> &Distribution {
        &self.total
    }

    pub(crate) fn summary(&self, gave_up: Option<String>) -> AuditSummary {
        let Promises {
            acknowledged,
            refused,
        } = &*self.promises;
        let settled = [&self.done, &self.ended];
        AuditSummary {
            acknowledged: acknowledged.len(),
            done: self.done.len(),
            lost: acknowledged.count_without(&settled),
            duplicated: self.duplicated.len(),
            fenced: self.counts.fenced,
            unexpected: self.done.count_with(refused) + self.counts.foreign,
            recovered: self.done.count_without(&[acknowledged, refused]),
            dead: self.counts.dead,
            expired: self.counts.expired,
            retried: self.counts.retried,
            lost_sample: acknowledged.first_without(&settled, 20),
            gave_up,
            submit: self.submit.summary(),
            wait: self.wait.summary(),
            run: self.run.summary(),
            total: self.total.summary(),
        }
    }
}

/// Due times in nearly ascending order; remembers stretches so that a late record does not recompute one.
#[derive(Debug, Default)]
struct DueTimes {
    stretches: VecDeque<(u64, Vec<u64>)>,
}

const STRETCH: u64 = 1_024;
const REMEMBERED: usize = 16;

impl DueTimes {
    fn of(&mut self, schedule: &Schedule, index: u64) -> u64 {
        let first = index / STRETCH * STRETCH;
        let known = self.stretches.iter().position(|(start, _)| *start == first);
        let at = known.unwrap_or_else(|| self.compute(schedule, first));
        self.stretches[at].1[(index - first) as usize]
    }

    fn compute(&mut self, schedule: &Schedule, first: u64) -> usize {
        if self.stretches.len() == REMEMBERED {
            self.stretches.pop_front();
        }
        let mut cursor = schedule.cursor();
        let until = (first + STRETCH).min(schedule.count());
        self.stretches
            .push_back((first, (first..until).map(|i| cursor.due_ns(i)).collect()));
        self.stretches.len() - 1
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::schedule::Arrivals;

    fn tracker(count: u64) -> Tracker {
        let schedule =
            Schedule::constant(1_000.0, Duration::from_millis(count), Arrivals::Uniform, 1);
        let schedule = Arc::new(schedule.expect("a schedule"));
        Tracker::new(Arc::new(Promises::new(count)), schedule, 1_000_000)
    }

    fn record(index: u64, outcome: u8) -> AuditRecord {
        let due = 1_000_000 + index * 1_000;
        AuditRecord(index, 1, due + 100, due + 300, due + 600, outcome)
    }

    #[test]
    fn every_word_of_the_audit() {
        let mut t = tracker(10);
        (0..6).for_each(|i| t.promises.note(i, true));
        t.promises.note(6, false);
        // 0 done, 1 done twice, 2 done and fenced, 3 dead, 4 expired, 5 lost, 6 refused but done, 7 unknown but done.
        let records = [
            (0, 0),
            (1, 0),
            (1, 0),
            (2, 0),
            (2, 2),
            (3, 1),
            (4, 3),
            (6, 0),
            (7, 0),
            (99, 0),
        ];
        t.absorb(&records.map(|(i, o)| record(i, o)));
        let s = t.summary(None);
        assert_eq!((s.acknowledged, s.done, s.lost, s.duplicated), (6, 5, 1, 2));
        assert_eq!((s.dead, s.expired, s.fenced), (1, 1, 1));
        assert_eq!((s.unexpected, s.recovered), (2, 1));
        assert_eq!(s.lost_sample, [5]);
        assert_eq!(t.outstanding(), 1);
    }

    #[test]
    fn a_sweep_adds_what_was_missed_and_nothing_twice() {
        let mut t = tracker(10);
        (0..3).for_each(|i| t.promises.note(i, true));
        let all = [record(0, 0), record(1, 0), record(2, 0)];
        t.absorb(&all[..2]);
        t.sweep(&all);
        let s = t.summary(None);
        assert_eq!((s.done, s.lost, s.duplicated), (3, 0, 0));
        assert_eq!(s.total.count, 3);
    }

    #[test]
    fn latency_is_split_from_the_due_time() {
        let mut t = tracker(2_000);
        t.absorb(&[record(1_500, 0), record(3, 0)]);
        let s = t.summary(None);
        assert_eq!(
            (s.submit.p50, s.wait.p50, s.run.p50, s.total.p50),
            (100, 200, 300, 600)
        );
    }
}
