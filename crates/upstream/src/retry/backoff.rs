//! How long to wait before a retry: exponential backoff with full jitter.
//!
//! See Marc Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::config::Backoff;

/// A random time of at most `base` times 2 to the `retry - 1`, and no more than `max`.
pub(super) fn delay(backoff: &Backoff, retry: u32, jitter: &Jitter) -> Duration {
    let (base, max) = (Duration::from(backoff.base), Duration::from(backoff.max));
    let factor = 1u32.checked_shl(retry.saturating_sub(1)).unwrap_or(u32::MAX);
    jitter.up_to(base.saturating_mul(factor).min(max))
}

/// Random numbers without a lock: SplitMix64 (Steele, Lea and Flood, OOPSLA 2014), whose whole state is a counter.
/// One seed gives one sequence, which a test can foretell.
pub(super) struct Jitter(AtomicU64);

const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

impl Jitter {
    pub(super) fn seeded(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    fn next(&self) -> u64 {
        let z = self.0.fetch_add(GAMMA, Ordering::Relaxed).wrapping_add(GAMMA);
        let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A time from zero to `most`, each as likely as any other.
    fn up_to(&self, most: Duration) -> Duration {
        let nanos = u64::try_from(most.as_nanos()).unwrap_or(u64::MAX);
        let scaled = (u128::from(self.next()) * (u128::from(nanos) + 1)) >> 64;
        Duration::from_nanos(u64::try_from(scaled).unwrap_or(nanos))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_numbers_are_those_of_splitmix64() {
        let jitter = Jitter::seeded(1_234_567);
        let expected = [
            6_457_827_717_110_365_317,
            3_203_168_211_198_807_973,
            9_817_491_932_198_370_423,
            4_593_380_528_125_082_431,
            16_408_922_859_458_223_821,
        ];
        assert_eq!([(); 5].map(|()| jitter.next()), expected);
    }

    #[test]
    fn a_seed_foretells_the_delays() {
        let (jitter, numbers) = (Jitter::seeded(7), Jitter::seeded(7));
        // 25ms, doubled by each retry, until 250ms are the most.
        for (retry, most) in [(1, 25u64), (2, 50), (3, 100), (4, 200), (5, 250), (6, 250), (40, 250)] {
            let nanos = (u128::from(numbers.next()) * u128::from(most * 1_000_000 + 1)) >> 64;
            assert_eq!(delay(&Backoff::default(), retry, &jitter).as_nanos(), nanos, "retry {retry}");
        }
    }

    #[test]
    fn the_whole_range_is_used() {
        let jitter = Jitter::seeded(1);
        let delays: Vec<_> = (0..1_000).map(|_| delay(&Backoff::default(), 2, &jitter).as_secs_f64() * 1e3).collect();
        let mean = delays.iter().sum::<f64>() / 1e3;
        assert!((23.0..27.0).contains(&mean), "{mean}");
        assert!(delays.iter().any(|delay| *delay < 1.0) && delays.iter().any(|delay| *delay > 49.0));
    }

    proptest! {
        #[test]
        fn a_delay_is_never_longer_than_its_bound(seed: u64, base in 0u64..10_000, max in 0u64..100_000, retry: u32) {
            let config = Backoff {
                base: Duration::from_millis(base).into(),
                max: Duration::from_millis(max).into(),
            };
            let grown = u128::from(base) << retry.saturating_sub(1).min(60);
            let delay = delay(&config, retry, &Jitter::seeded(seed));
            prop_assert!(delay.as_nanos() <= grown.min(max.into()) * 1_000_000);
        }
    }
}
