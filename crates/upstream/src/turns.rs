//! The order in which weighted targets take their turns.

/// One full rotation: the index of each entry of `weights`, as often as its weight says, spread out evenly.
///
/// Weights 5, 1, 1 give `a a a b c a a` rather than `a a a a a b c`: the heavy target gets no burst, and after each
/// full rotation every share is exact. Weights are divided by what they have in common first, so that equal weights
/// cost one entry per target.
pub(crate) fn rotation(weights: &[u32]) -> Box<[u32]> {
    let common = weights.iter().copied().filter(|w| *w > 0).reduce(gcd).unwrap_or(1);
    let mut turns: Vec<(u64, u32)> = Vec::new();
    for (index, weight) in (0u32..).zip(weights) {
        let weight = u64::from(weight / common);
        // Turn k of w lies in the middle of the k-th of w equal parts of the rotation.
        turns.extend((0..weight).map(|k| (((2 * k + 1) << 32) / (2 * weight), index)));
    }
    turns.sort_unstable();
    turns.into_iter().map(|(_, index)| index).collect()
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn equal_weights_take_one_turn_each_in_order() {
        assert_eq!(*rotation(&[7, 7, 7]), [0, 1, 2]);
    }

    #[test]
    fn a_heavy_target_is_spread_over_the_rotation() {
        assert_eq!(*rotation(&[5, 1, 1]), [0, 0, 0, 1, 2, 0, 0]);
        assert_eq!(*rotation(&[2, 1]), [0, 1, 0]);
    }

    #[test]
    fn no_targets_have_no_turns() {
        assert!(rotation(&[]).is_empty());
    }

    proptest! {
        #[test]
        fn every_rotation_gives_each_target_exactly_its_share(weights in prop::collection::vec(1u32..=256, 1..20)) {
            let turns = rotation(&weights);
            let common = weights.iter().copied().reduce(gcd).unwrap();
            for (index, weight) in weights.iter().enumerate() {
                let got = turns.iter().filter(|t| **t as usize == index).count();
                prop_assert_eq!(got as u32, weight / common);
            }
        }
    }
}
