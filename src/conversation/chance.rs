//! Chance that can be repeated: the same seed gives the same dice.

use std::cell::Cell;

/// A stream of numbers from a seed. Good for dice, not for secrets.
#[derive(Debug)]
pub struct Chance(Cell<u64>);

impl Chance {
    /// The stream that begins with `seed`.
    pub fn new(seed: u64) -> Self {
        Self(Cell::new(seed))
    }

    /// The next number (SplitMix64).
    pub fn next(&self) -> u64 {
        let state = self.0.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.0.set(state);
        let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`, which is not 0.
    pub fn below(&self, end: u64) -> u64 {
        // The high half of the product: evenly spread for any `end` that people write.
        ((u128::from(self.next()) * u128::from(end.max(1))) >> 64) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_numbers_and_all_faces_of_a_die() {
        let (one, two) = (Chance::new(7), Chance::new(7));
        let mut seen = [false; 6];
        for _ in 0..200 {
            let face = one.below(6);
            assert_eq!(face, two.below(6));
            seen[face as usize] = true;
        }
        assert!(seen.iter().all(|seen| *seen));
        assert_eq!(one.below(0), 0);
    }
}
