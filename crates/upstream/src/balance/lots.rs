//! Draws by lot, each target as likely as its weight says, in a time that doesn't depend on how many there are: the
//! alias method (Walker 1977, with Vose's tables of 1991).

/// Places of targets to draw from.
pub(crate) struct Lots {
    len: u64,
    /// Empty where all weights are equal.
    slots: Box<[Slot]>,
}

/// One of as many equal parts of the whole as there are targets. It belongs to at most two of them.
#[derive(Clone, Copy)]
struct Slot {
    /// So much of the part, in 2^32ths, is that of the target at its place.
    own: u32,
    /// Whose the rest is.
    other: u32,
}

impl Lots {
    pub(crate) fn new(weights: &[u32]) -> Self {
        let equal = weights.windows(2).all(|pair| pair[0] == pair[1]);
        Self { len: weights.len() as u64, slots: if equal { Box::default() } else { slots(weights) } }
    }

    /// The place that the random number `lot` stands for. There must be one.
    pub(crate) fn draw(&self, lot: u64) -> usize {
        let place = ((lot >> 32) * self.len) >> 32;
        match self.slots.get(place as usize) {
            Some(slot) if lot as u32 >= slot.own => slot.other as usize,
            _ => place as usize,
        }
    }
}

fn slots(weights: &[u32]) -> Box<[Slot]> {
    let sum: u64 = weights.iter().map(|weight| u64::from(*weight)).sum();
    let mut slots: Vec<Slot> = (0..).zip(weights).map(|(place, _)| Slot { own: u32::MAX, other: place }).collect();
    // What each has still to place, where `sum` fills one slot.
    let mut left: Vec<u64> = weights.iter().map(|weight| u64::from(*weight) * weights.len() as u64).collect();
    let (mut small, mut large): (Vec<usize>, Vec<usize>) = (0..weights.len()).partition(|place| left[*place] < sum);
    while let (Some(poor), Some(&rich)) = (small.pop(), large.last()) {
        // Less than 2^32, as `left` is less than `sum`.
        slots[poor] = Slot { own: ((u128::from(left[poor]) << 32) / u128::from(sum)) as u32, other: rich as u32 };
        left[rich] -= sum - left[poor];
        if left[rich] < sum {
            large.pop();
            small.push(rich);
        }
    }
    slots.into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn each_is_as_likely_as_its_weight(weights in prop::collection::vec(1u32..=256, 1..50)) {
            let lots = Lots::new(&weights);
            let n = weights.len();
            // The exact probability of each: its own slot's part, and what it has of others'.
            let mut likely = vec![0.0; n];
            for place in 0..n {
                let (own, other) = lots.slots.get(place).map_or((u32::MAX, place), |s| (s.own, s.other as usize));
                let own = f64::from(own) / f64::from(u32::MAX) / n as f64;
                likely[place] += own;
                likely[other] += 1.0 / n as f64 - own;
            }
            let sum: u32 = weights.iter().sum();
            for (weight, likely) in weights.iter().zip(likely) {
                prop_assert!((likely - f64::from(*weight) / f64::from(sum)).abs() < 1e-6);
            }
        }

        #[test]
        fn every_lot_draws_somebody(weights in prop::collection::vec(1u32..=256, 1..50), lot: u64) {
            prop_assert!(Lots::new(&weights).draw(lot) < weights.len());
        }
    }

    #[test]
    fn the_ends_of_the_range_draw_the_first_and_the_last() {
        let lots = Lots::new(&[1, 1, 1]);
        assert_eq!((lots.draw(0), lots.draw(u64::MAX)), (0, 2));
    }
}
