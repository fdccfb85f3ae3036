//! Numbers that look random and are the same in every run.
//!
//! It must not be the machine's: a run is repeated by its seed.

/// Marsaglia's xorshift over 64 bits.
#[derive(Debug)]
pub struct Dice(u64);

impl Dice {
    /// `seed`: any but 0 gives numbers of its own; 0 is taken for 1.
    pub fn new(seed: u64) -> Self {
        Self(seed.max(1))
    }

    /// Any number.
    pub fn throw(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A number from 0 to `n - 1`.
    ///
    /// # Panics
    /// If `n` is 0.
    pub fn below(&mut self, n: usize) -> usize {
        (self.throw() % n as u64) as usize
    }

    /// One of them.
    ///
    /// # Panics
    /// If there is none.
    pub fn of<'a, T: ?Sized>(&mut self, list: &[&'a T]) -> &'a T {
        list[self.below(list.len())]
    }

    /// So many bytes.
    pub fn bytes(&mut self, n: usize) -> Vec<u8> {
        (0..n).map(|_| self.throw() as u8).collect()
    }
}
