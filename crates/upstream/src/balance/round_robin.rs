//! Taking turns, each as often as its weight says.

use std::sync::Arc;

use pingora_load_balancing::selection::SelectionAlgorithm;

use super::DRAWS;
use super::candidates::Candidates;

/// Counts turns. It is the pool's, not the set's, so that a rotation goes on when targets come, go, fall ill or
/// recover. On a cache line of its own: each pick writes to it, and reads what would stand beside it.
#[repr(align(128))]
pub(crate) struct Counter(pingora_load_balancing::selection::algorithms::RoundRobin);

impl Counter {
    pub(crate) fn new() -> Self {
        Self(SelectionAlgorithm::new())
    }
}

/// `round_robin`.
pub(crate) struct RoundRobin {
    counter: Arc<Counter>,
    order: Order,
}

impl RoundRobin {
    pub(crate) fn new(weights: &[u32], counter: &Arc<Counter>) -> Self {
        Self { counter: counter.clone(), order: Order::new(weights) }
    }

    pub(crate) fn choose(&self, among: &Candidates<'_>) -> Option<usize> {
        // Who can't take its turn loses it. The next in turn takes it, so that a failing target's neighbour isn't
        // sent twice its share: it has its own turn after that as well, but only one of two.
        let turn = |_| self.order.at(self.counter.0.next(&[]));
        (0..DRAWS).map(turn).find(|place| among.takes_turn(*place)).or_else(|| among.any())
    }
}

/// Whose turn the n-th is. After each full cycle every share is exact.
enum Order {
    /// One after the other.
    Equal { len: u64 },
    /// As nginx has it.
    Smooth(Box<[u32]>),
    /// Where a whole cycle would take too long to work out.
    Spread(Spread),
}

/// The most steps that working out a cycle may take: a few milliseconds, at each change of targets.
const MOST_STEPS: u64 = 1 << 21;

impl Order {
    fn new(weights: &[u32]) -> Self {
        let common = weights.iter().copied().reduce(gcd).unwrap_or(1).max(1);
        let weights: Vec<u64> = weights.iter().map(|weight| u64::from(weight / common)).collect();
        let (len, sum) = (weights.len() as u64, weights.iter().sum::<u64>());
        if sum == len {
            return Self::Equal { len };
        }
        match sum.saturating_mul(len) <= MOST_STEPS {
            true => Self::Smooth(smooth_cycle(&weights)),
            false => Self::Spread(Spread::new(&weights)),
        }
    }

    fn at(&self, n: u64) -> usize {
        match self {
            Self::Equal { len } => place(n, *len) as usize,
            Self::Smooth(turns) => turns.get(place(n, turns.len() as u64) as usize).map_or(0, |place| *place as usize),
            Self::Spread(spread) => spread.at(n),
        }
    }
}

/// Where in a cycle the n-th turn is.
fn place(n: u64, cycle: u64) -> u64 {
    n.checked_rem(cycle).unwrap_or(0)
}

/// One cycle of nginx's smooth weighted round robin: with each turn everybody earns its weight, who has most takes the
/// turn and pays the sum of all weights. Weights 5, 1, 1 give `a a b a c a a`.
fn smooth_cycle(weights: &[u64]) -> Box<[u32]> {
    let sum = weights.iter().sum::<u64>() as i64;
    let mut purses = vec![0_i64; weights.len()];
    let turn = |_| {
        let mut richest = 0;
        for (place, weight) in weights.iter().enumerate() {
            purses[place] += *weight as i64;
            // The first of those that have as much.
            if purses[place] > purses[richest] {
                richest = place;
            }
        }
        purses[richest] -= sum;
        richest as u32
    };
    (0..sum).map(turn).collect()
}

/// The cycle as a line on which each target has as many seats as its weight. The n-th turn is that of the n-th multiple
/// of a step near the golden section of the line's length: as the two have no common divisor, a cycle comes by every
/// seat once, and the visits to any stretch of seats are as evenly spread as can be (the three-gap theorem).
struct Spread {
    /// Where each target's seats end.
    ends: Box<[u64]>,
    len: u64,
    step: u64,
}

impl Spread {
    fn new(weights: &[u64]) -> Self {
        let ends = weights.iter().scan(0, |end, weight| {
            *end += weight;
            Some(*end)
        });
        let len = weights.iter().sum::<u64>();
        let golden = (len as f64 * 0.618_033_988_749_895) as u64;
        let step = (golden.max(1)..).find(|step| gcd64(*step, len) == 1).unwrap_or(1);
        Self { ends: ends.collect(), len, step }
    }

    fn at(&self, n: u64) -> usize {
        // Both factors are below 2^32: weights are small, see `weights_of`.
        let seat = place(place(n, self.len) * self.step, self.len);
        self.ends.partition_point(|end| *end <= seat)
    }
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

fn gcd64(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd64(b, a % b) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn turns(order: &Order, count: u64) -> Vec<usize> {
        (0..count).map(|n| order.at(n)).collect()
    }

    #[test]
    fn nginx_has_the_same_sequence() {
        assert_eq!(turns(&Order::new(&[5, 1, 1]), 8), [0, 0, 1, 0, 2, 0, 0, 0]);
        assert_eq!(turns(&Order::new(&[4, 2, 2]), 4), [0, 1, 2, 0]);
        assert_eq!(turns(&Order::new(&[1, 2, 3]), 6), [2, 1, 0, 2, 1, 2]);
    }

    #[test]
    fn equal_weights_take_one_turn_each_in_order() {
        assert_eq!(turns(&Order::new(&[7, 7, 7]), 4), [0, 1, 2, 0]);
    }

    #[test]
    fn a_cycle_too_long_to_work_out_is_spread() {
        let weights: Vec<u32> = (0..10_000).map(|n| n % 256 + 1).collect();
        assert!(matches!(Order::new(&weights), Order::Spread(_)));
    }

    fn share_is_exact(order: &Order, weights: &[u32]) -> Result<(), TestCaseError> {
        let common = weights.iter().copied().reduce(gcd).unwrap();
        let cycle: u32 = weights.iter().map(|weight| weight / common).sum();
        let mut got = vec![0; weights.len()];
        turns(order, u64::from(cycle)).into_iter().for_each(|place| got[place] += 1);
        for (weight, got) in weights.iter().zip(got) {
            prop_assert_eq!(weight / common, got);
        }
        Ok(())
    }

    proptest! {
        #[test]
        fn every_cycle_gives_each_target_exactly_its_share(weights in prop::collection::vec(1u32..=256, 1..20)) {
            share_is_exact(&Order::new(&weights), &weights)?;
            let common = weights.iter().copied().reduce(gcd).unwrap();
            let divided: Vec<u64> = weights.iter().map(|weight| u64::from(weight / common)).collect();
            share_is_exact(&Order::Spread(Spread::new(&divided)), &weights)?;
        }

        #[test]
        fn spread_turns_come_without_bursts(weights in prop::collection::vec(1u64..=256, 2..20)) {
            let spread = Spread::new(&weights);
            let turns: Vec<_> = (0..spread.len).map(|n| spread.at(n)).collect();
            for (place, weight) in weights.iter().enumerate() {
                // Whoever has at most a third of all seats never has two turns in a row.
                if weight * 3 <= spread.len {
                    prop_assert!(!turns.windows(2).any(|pair| pair == [place, place]), "{:?}", turns);
                }
            }
        }
    }
}
