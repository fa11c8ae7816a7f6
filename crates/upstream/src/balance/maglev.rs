//! Maglev's table: which target a hash belongs to, so that most stay where they are when targets come and go
//! (Eisenbud et al., "Maglev: a fast and reliable software network load balancer", NSDI 2016, section 3.4).
//!
//! Two things are not as in the paper. Each target has as many entries as its weight is worth, and one at least, instead
//! of one for each round until the table is full. And the order in which targets choose entries depends on their
//! addresses only, so that gateways that list them in another order have the same table.

use std::hash::Hasher;

use siphasher::sip128::{Hasher128, SipHasher13};

/// Sizes of tables: primes, so that every step of a target's permutation comes by every entry.
const SIZES: [u32; 3] = [65_537, 131_071, 262_139];

/// So many entries for each target leave a hundredth of rounding. Where weights differ, the light ones have less.
const ENTRIES_EACH: u64 = 100;

/// In so many rounds the targets choose their entries. More make the table change less when targets change.
const ROUNDS: u64 = 128;

/// Who has not chosen yet.
const NOBODY: u32 = u32::MAX;

/// For each entry, the place of the target it belongs to.
pub(crate) struct Maglev {
    table: Box<[u32]>,
}

/// In which order a target wants entries.
struct Wants {
    place: u32,
    offset: u64,
    step: u64,
    entries: u64,
    taken: u64,
}

impl Maglev {
    /// The table of targets with these addresses and weights.
    pub(crate) fn new<'a>(targets: impl Iterator<Item = (&'a str, u32)> + Clone) -> Self {
        let (count, sum) =
            targets.clone().fold((0, 0), |(count, sum), (_, weight)| (count + 1, sum + u64::from(weight)));
        if sum == 0 {
            return Self { table: Box::default() };
        }
        let size = size_for(count);
        Self { table: fill(&mut wants(targets, size, count, sum), size) }
    }

    /// The entry of a hash.
    pub(crate) fn entry(&self, hash: u64) -> usize {
        // Not the remainder: it costs a division, and this uses the hash's best bits.
        ((u128::from(mix(hash)) * self.table.len() as u128) >> 64) as usize
    }

    /// The place that an entry belongs to; entries go round.
    pub(crate) fn place(&self, entry: usize) -> Option<usize> {
        let entry = entry.checked_rem(self.table.len())?;
        self.table.get(entry).map(|place| *place as usize)
    }
}

fn size_for(count: u64) -> u64 {
    let enough = |size: &&u32| u64::from(**size) >= count.saturating_mul(ENTRIES_EACH);
    // A larger table than the largest would cost milliseconds that each change of targets takes.
    u64::from(*SIZES.iter().find(enough).unwrap_or(&SIZES[SIZES.len() - 1]))
}

/// What each target wants, in an order that all gateways have.
fn wants<'a>(targets: impl Iterator<Item = (&'a str, u32)>, size: u64, count: u64, sum: u64) -> Vec<Wants> {
    let spare = size.saturating_sub(count);
    let want = |(place, (address, weight)): (u32, (&str, u32))| {
        // The same on every gateway, so the key is no secret. Addresses are the operator's, not a client's.
        let mut hasher = SipHasher13::new();
        hasher.write(address.as_bytes());
        let hash = hasher.finish128();
        let (offset, step) = (hash.h1 % size, hash.h2 % (size - 1) + 1);
        Wants { place, offset, step, entries: 1 + u64::from(weight) * spare / sum, taken: 0 }
    };
    let mut wants: Vec<Wants> = (0..).zip(targets).map(want).collect();
    wants.sort_unstable_by_key(|want| (want.offset, want.step));
    wants.truncate(size as usize);
    // What rounding has left over, one each.
    let left = size - wants.iter().map(|want| want.entries).sum::<u64>();
    wants.iter_mut().take(left as usize).for_each(|want| want.entries += 1);
    wants
}

fn fill(wants: &mut [Wants], size: u64) -> Box<[u32]> {
    let mut table = vec![NOBODY; size as usize];
    // Looked at in place of the table, which is too large for the first caches.
    let mut taken = vec![0_u64; size as usize / 64 + 1];
    for round in 1..=ROUNDS {
        for want in &mut *wants {
            while want.taken * ROUNDS < want.entries * round {
                let entry = want.offset;
                want.offset += want.step;
                if want.offset >= size {
                    want.offset -= size;
                }
                let (word, bit) = (&mut taken[entry as usize / 64], 1 << (entry % 64));
                if *word & bit == 0 {
                    *word |= bit;
                    table[entry as usize] = want.place;
                    want.taken += 1;
                }
            }
        }
    }
    table.into()
}

/// Spreads a hash over all its bits (the finalizer of SplitMix64, Steele et al. 2014): who hashes a number may have
/// given just that number.
pub(crate) fn mix(hash: u64) -> u64 {
    let hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn addresses(count: usize) -> Vec<String> {
        (0..count).map(|n| format!("10.0.{}.{}:80", n / 256, n % 256)).collect()
    }

    fn equal(addresses: &[String]) -> Maglev {
        Maglev::new(addresses.iter().map(|address| (address.as_str(), 1)))
    }

    /// How many of 100,000 keys moved that had no need to.
    fn moved(before: &[String], after: &[String]) -> usize {
        let (old, new) = (equal(before), equal(after));
        let owner = |table: &Maglev, names: &[String], key| names[table.place(table.entry(key)).unwrap()].clone();
        let stays = |key: &u64| {
            let (was, is) = (owner(&old, before, *key), owner(&new, after, *key));
            was != is && after.contains(&was) && before.contains(&is)
        };
        (0..100_000).filter(stays).count()
    }

    #[test]
    fn one_target_of_100_less_moves_few_keys_of_the_others() {
        let all = addresses(100);
        for gone in [0, 50, 99] {
            let mut left = all.clone();
            left.remove(gone);
            let moved = moved(&all, &left);
            assert!(moved < 2_000, "{moved}");
        }
    }

    #[test]
    fn one_target_more_moves_few_keys_of_the_others() {
        let moved = moved(&addresses(10), &addresses(11));
        assert!(moved < 3_000, "{moved}");
    }

    #[test]
    fn the_order_of_the_list_makes_no_difference() {
        let all = addresses(20);
        let mut reversed = all.clone();
        reversed.reverse();
        assert_eq!(moved(&all, &reversed), 0);
    }

    #[test]
    fn a_pool_without_targets_has_no_place() {
        let table = equal(&[]);
        assert_eq!(table.place(table.entry(7)), None);
    }

    #[test]
    fn the_lightest_of_very_many_has_an_entry() {
        let addresses = addresses(20_000);
        let weights = (0..20_000).map(|place| if place == 7 { 1 } else { 256 });
        let table = Maglev::new(addresses.iter().map(String::as_str).zip(weights));
        assert!(table.table.contains(&7));
    }

    #[test]
    fn the_sizes_are_primes() {
        for size in SIZES {
            let root = f64::from(size).sqrt() as u32;
            assert!((2..=root).all(|divisor| size % divisor != 0), "{size}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]
        #[test]
        fn each_has_entries_for_its_weight(weights in prop::collection::vec(1u32..=256, 1..30)) {
            let addresses = addresses(weights.len());
            let table = Maglev::new(addresses.iter().map(String::as_str).zip(weights.iter().copied()));
            let sum: u32 = weights.iter().sum();
            for (place, weight) in weights.iter().enumerate() {
                let entries = table.table.iter().filter(|of| **of as usize == place).count() as f64;
                let exact = f64::from(*weight) / f64::from(sum) * table.table.len() as f64;
                prop_assert!((entries - exact).abs() <= 2.0 + exact / 1000.0, "{entries} for {exact}");
            }
        }
    }
}
