//! Random numbers for spreading load. Not for secrets.

use std::{
    cell::Cell,
    hash::{BuildHasher, RandomState},
};

thread_local! {
    static STATE: Cell<u64> = Cell::new(RandomState::new().hash_one(0));
}

/// The next number of the thread's own sequence: `SplitMix64`, which is two multiplications and no lock.
pub(crate) fn next() -> u64 {
    STATE.with(|state| {
        let seed = state.get().wrapping_add(0x9E37_79B9_7F4A_7C15);
        state.set(seed);
        let mixed = (seed ^ (seed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    })
}

/// A number from 0 to `end` - 1; 0 when `end` is.
pub(crate) fn below(end: u32) -> u32 {
    // The upper half of a product is even without a division; the bias is below 2^-32.
    let scaled = ((next() >> 32) * u64::from(end)) >> 32;
    u32::try_from(scaled).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    #[test]
    fn stays_below_its_end_and_reaches_all() {
        let mut seen = [0_u32; 5];
        for _ in 0..1000 {
            seen[super::below(5) as usize] += 1;
        }
        assert!(seen.iter().all(|count| *count > 100), "{seen:?}");
        assert_eq!(super::below(0), 0);
        assert_eq!(super::below(1), 0);
    }
}
