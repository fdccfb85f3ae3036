//! A set of indices: one bit each, in chunks that exist once something in them is set, shared without locks.
//!
//! It must not grow beyond the capacity it was made for.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

const CHUNK_WORDS: usize = 1_024;
const CHUNK_BITS: u64 = 64 * CHUNK_WORDS as u64;

type Chunk = Box<[AtomicU64]>;

/// 8 kB for each 65,536 indices in use: 1.25 MB at 10^7.
#[derive(Debug)]
pub(crate) struct Bitmap {
    chunks: Box<[OnceLock<Chunk>]>,
    capacity: u64,
}

impl Bitmap {
    pub(crate) fn with_capacity(capacity: u64) -> Self {
        let chunks = capacity.div_ceil(CHUNK_BITS);
        Self {
            chunks: (0..chunks).map(|_| OnceLock::new()).collect(),
            capacity,
        }
    }

    /// Adds an index; says whether it is new. An index beyond the capacity is never new.
    pub(crate) fn insert(&self, index: u64) -> bool {
        if index >= self.capacity {
            return false;
        }
        let chunk = self.chunks[(index / CHUNK_BITS) as usize].get_or_init(empty_chunk);
        let (word, bit) = place(index);
        chunk[word].fetch_or(bit, Ordering::AcqRel) & bit == 0
    }

    pub(crate) fn contains(&self, index: u64) -> bool {
        let chunk = self
            .chunks
            .get((index / CHUNK_BITS) as usize)
            .and_then(OnceLock::get);
        let (word, bit) = place(index);
        chunk.is_some_and(|c| c[word].load(Ordering::Acquire) & bit != 0)
    }

    pub(crate) fn len(&self) -> u64 {
        self.words()
            .map(|(_, word)| u64::from(word.count_ones()))
            .sum()
    }

    /// Indices that are here and in none of `others`, counted.
    pub(crate) fn count_without(&self, others: &[&Self]) -> u64 {
        self.words()
            .map(|(at, word)| u64::from((word & !union(others, at)).count_ones()))
            .sum()
    }

    /// The first `most` of those indices.
    pub(crate) fn first_without(&self, others: &[&Self], most: usize) -> Vec<u64> {
        let left = self
            .words()
            .map(|(at, word)| (at as u64 * 64, word & !union(others, at)));
        left.flat_map(|(base, word)| {
            (0..64)
                .filter(move |b| word >> b & 1 == 1)
                .map(move |b| base + b)
        })
        .take(most)
        .collect()
    }

    /// Indices that are here and in `other`, counted.
    pub(crate) fn count_with(&self, other: &Self) -> u64 {
        self.words()
            .map(|(at, word)| u64::from((word & other.word(at)).count_ones()))
            .sum()
    }

    fn words(&self) -> impl Iterator<Item = (usize, u64)> {
        let present = self
            .chunks
            .iter()
            .enumerate()
            .filter_map(|(k, c)| Some((k, c.get()?)));
        present.flat_map(|(k, chunk)| {
            let words = chunk.iter().map(|word| word.load(Ordering::Acquire));
            words
                .enumerate()
                .map(move |(at, word)| (k * CHUNK_WORDS + at, word))
        })
    }

    fn word(&self, at: usize) -> u64 {
        let chunk = self.chunks.get(at / CHUNK_WORDS).and_then(OnceLock::get);
        chunk.map_or(0, |c| c[at % CHUNK_WORDS].load(Ordering::Acquire))
    }
}

fn union(sets: &[&Bitmap], at: usize) -> u64 {
    sets.iter().fold(0, |word, set| word | set.word(at))
}

fn empty_chunk() -> Chunk {
    (0..CHUNK_WORDS).map(|_| AtomicU64::new(0)).collect()
}

fn place(index: u64) -> (usize, u64) {
    ((index / 64) as usize % CHUNK_WORDS, 1 << (index % 64))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn filled(set: &BTreeSet<u64>) -> Bitmap {
        let bitmap = Bitmap::with_capacity(200_000);
        assert!(set.iter().all(|i| bitmap.insert(*i)));
        bitmap
    }

    proptest! {
        #[test]
        fn it_agrees_with_a_set(
            a in prop::collection::btree_set(0u64..200_000, 0..200),
            b in prop::collection::btree_set(0u64..200_000, 0..200),
        ) {
            let (left, right) = (filled(&a), filled(&b));
            prop_assert_eq!(left.len(), a.len() as u64);
            prop_assert_eq!(left.count_without(&[&right]), a.difference(&b).count() as u64);
            prop_assert_eq!(left.count_with(&right), a.intersection(&b).count() as u64);
            let first: Vec<u64> = a.difference(&b).copied().take(5).collect();
            prop_assert_eq!(left.first_without(&[&right], 5), first);
            prop_assert!(a.iter().all(|i| left.contains(*i) && !left.insert(*i)));
        }
    }

    #[test]
    fn beyond_its_capacity_nothing_is_kept() {
        let bitmap = Bitmap::with_capacity(10);
        assert!(bitmap.insert(9) && !bitmap.insert(10) && !bitmap.contains(1 << 40));
        assert_eq!(bitmap.len(), 1);
    }

    #[test]
    fn ten_million_indices_take_one_and_a_quarter_megabytes() {
        let bitmap = Bitmap::with_capacity(10_000_000);
        (0..10_000_000).for_each(|i| assert!(bitmap.insert(i)));
        let chunks = bitmap.chunks.iter().filter(|c| c.get().is_some()).count();
        assert_eq!(bitmap.len(), 10_000_000);
        assert!(chunks * CHUNK_WORDS * 8 < 1_300_000);
    }
}
