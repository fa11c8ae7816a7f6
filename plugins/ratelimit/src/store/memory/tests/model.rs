//! The store against one that is obviously right: a map, one thread, every step spelled out.

use std::collections::HashMap;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::*;
use crate::algorithm::{Log, State};
use crate::rule::{Now, Shape, Verdict};

#[derive(Default, Clone)]
struct Plain {
    states: HashMap<(u64, Vec<u8>), State>,
    logs: HashMap<(u64, Vec<u8>), Log>,
}

impl Plain {
    fn take(&mut self, ask: &Ask<'_>, now: Now) -> Result<Verdict, Verdict> {
        let key = (ask.rule.fingerprint ^ ask.key.limit.rotate_left(32), ask.key.bytes.to_vec());
        if let Shape::Sliding { limit, window } = ask.rule.shape {
            return self.logs.entry(key).or_default().take(limit, window, now, ask.cost);
        }
        let state = self.states.entry(key).or_default();
        let (after, verdict) = ask.rule.shape.take(*state, now, ask.cost)?;
        *state = after;
        Ok(verdict)
    }

    /// All that bind or none, then the shadows.
    fn take_all(&mut self, asks: &[Ask<'_>], now: Now) -> (bool, Vec<Option<Verdict>>) {
        let before = self.clone();
        let mut said = vec![None; asks.len()];
        for (ask, said) in asks.iter().zip(&mut said).filter(|(ask, _)| !ask.shadow) {
            match self.take(ask, now) {
                Ok(verdict) => *said = Some(verdict),
                Err(_) => {
                    *self = before;
                    return (false, Vec::new());
                }
            }
        }
        for (ask, said) in asks.iter().zip(&mut said).filter(|(ask, _)| ask.shadow) {
            *said = Some(self.take(ask, now).unwrap_or_else(|refusal| refusal));
        }
        (true, said)
    }
}

#[test]
fn two_hundred_thousand_random_requests_are_answered_as_by_a_plain_map() {
    let mut random = SmallRng::seed_from_u64(7);
    let (store, clock) = store(4 << 20);
    let mut plain = Plain::default();
    let rules = [
        bucket(7, "3/s"),
        fixed("5/4s"),
        sliding("4/3s"),
        sliding("9/20s"),
        bucket(2, "1/m"),
        fixed("50/h"),
        Rule::leaky_bucket(rate("2/s"), 3).unwrap(),
    ];
    let mut admitted = 0;
    for request in 0..200_000 {
        if random.random_ratio(1, 10) {
            clock.pass(random.random_range(0..3));
        }
        let keys: Vec<Key> = (0..random.random_range(1..=5)).map(|_| key(0, random.random_range(0..6))).collect();
        let asks: Vec<Ask<'_>> = keys
            .iter()
            .map(|key| Ask {
                rule: &rules[random.random_range(0..rules.len())],
                key,
                cost: random.random_range(0..3),
                shadow: random.random_ratio(1, 5),
                policy: 0,
            })
            .collect();
        let doubled = asks.iter().enumerate().any(|(at, ask)| {
            asks[..at].iter().any(|other| (other.key, other.rule.fingerprint) == (ask.key, ask.rule.fingerprint))
        });
        if doubled {
            continue;
        }
        let now = store.now();
        let (allowed, said) = plain.take_all(&asks, now);
        let taken = store.take(&asks, now);
        assert_eq!(taken.allowed, allowed, "request {request}");
        for (ours, theirs) in taken.verdicts.iter().zip(&said) {
            assert_eq!(Some(*ours), *theirs, "request {request}");
        }
        admitted += u64::from(allowed);
    }
    assert!((50_000..190_000).contains(&admitted), "{admitted} admitted: the mix proves nothing");
}
