//! One thing's values over time, and which of them somebody may have seen who looked at about a certain time.
//!
//! Must not interpolate.

use crate::time::Timestamp;

/// Values with the time from which they hold.
#[derive(Clone, Debug)]
pub(super) struct Timeline<T>(Vec<(Timestamp, T)>);

impl<T> Default for Timeline<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Timeline<T> {
    /// Adds a value; times must not decrease.
    pub(super) fn push(&mut self, at: Timestamp, value: T) {
        self.0.push((at, value));
    }

    pub(super) fn all(&self) -> &[(Timestamp, T)] {
        &self.0
    }

    /// The value that held at a time.
    pub(super) fn at(&self, at: Timestamp) -> Option<&T> {
        let end = self.0.partition_point(|(start, _)| *start <= at);
        self.0[..end].last().map(|(_, value)| value)
    }

    /// Every value that held at some time between two, the earliest first.
    pub(super) fn between(&self, from: Timestamp, to: Timestamp) -> impl Iterator<Item = &T> {
        let start = self.0.partition_point(|(start, _)| *start <= from);
        let end = self.0.partition_point(|(start, _)| *start <= to);
        let range = start.saturating_sub(1)..end.max(start.saturating_sub(1));
        self.0[range].iter().map(|(_, value)| value)
    }

    /// As [`Self::between`], and the first value within two seconds after: what is only looked at now and then may have
    /// been it already.
    pub(super) fn around(&self, from: Timestamp, to: Timestamp) -> impl Iterator<Item = &T> {
        let end = self.0.partition_point(|(start, _)| *start <= to);
        let next = self.0.get(end);
        let next = next.filter(|(start, _)| *start <= to.plus_secs(2));
        self.between(from, to).chain(next.map(|(_, value)| value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_held_at_either_end_counts() {
        let mut line = Timeline::default();
        for (second, value) in [(10, 'a'), (20, 'b'), (30, 'c'), (40, 'd')] {
            line.push(Timestamp::from_secs(second), value);
        }
        let between = |from, to| -> String {
            line.between(Timestamp::from_secs(from), Timestamp::from_secs(to))
                .collect()
        };
        assert_eq!(between(20, 30), "bc");
        assert_eq!(between(25, 29), "b");
        assert_eq!(between(0, 5), "");
        assert_eq!(between(0, 10), "a");
        assert_eq!(between(50, 60), "d");
        let around: String = line
            .around(Timestamp::from_secs(25), Timestamp::from_secs(29))
            .collect();
        assert_eq!(around, "bc");
        let far = line.around(Timestamp::from_secs(21), Timestamp::from_secs(22));
        assert_eq!(far.collect::<String>(), "b");
        assert_eq!(line.at(Timestamp::from_secs(39)), Some(&'c'));
        assert_eq!(line.at(Timestamp::from_secs(9)), None);
    }
}
