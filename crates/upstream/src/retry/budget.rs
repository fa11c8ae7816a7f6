//! How many retries there are at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::config::Budget;

/// Leave to try again. It holds a place in the budget, unless nothing was sent: keep it until that try is over.
#[derive(Debug)]
pub struct RetryPermit {
    /// How long to wait first.
    pub after: Duration,
    pub(super) _place: Option<Place>,
}

/// The places that are taken.
#[derive(Debug, Default)]
pub(super) struct Places(Arc<AtomicU32>);

/// A place, taken for as long as this lives.
#[derive(Debug)]
pub(super) struct Place(Arc<AtomicU32>);

impl Places {
    /// How many are taken.
    pub(super) fn taken(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }

    /// A place for one more, if there is one while the pool has `in_flight` requests.
    pub(super) fn take(&self, budget: &Budget, in_flight: u32) -> Option<Place> {
        let most = most(budget, in_flight);
        let more = |taken: u32| (taken < most).then(|| taken + 1);
        self.0.fetch_update(Ordering::AcqRel, Ordering::Relaxed, more).ok()?;
        Some(Place(self.0.clone()))
    }
}

fn most(budget: &Budget, in_flight: u32) -> u32 {
    let share = budget.share.of(in_flight.into());
    // A share of a `u32`, so it fits.
    u32::try_from(share).unwrap_or(in_flight).max(budget.min)
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tidegate_core::config::Percent;

    use super::*;

    fn budget(share: u8, min: u32) -> Budget {
        Budget { share: Percent::new(share), min }
    }

    #[test]
    fn a_share_of_the_requests_may_be_retries_but_always_the_least() {
        let budget = budget(20, 3);
        assert_eq!([0, 15, 19, 20, 100].map(|in_flight| most(&budget, in_flight)), [3, 3, 3, 4, 20]);
        assert_eq!(most(&budget, u32::MAX), u32::MAX / 5);
    }

    #[test]
    fn a_place_is_free_again_once_dropped() {
        let (places, budget) = (Places::default(), budget(0, 2));
        let first = places.take(&budget, 0).unwrap();
        let second = places.take(&budget, 0).unwrap();
        assert!(places.take(&budget, 0).is_none());
        drop(first);
        let _third = places.take(&budget, 0).unwrap();
        assert!(places.take(&budget, 0).is_none());
        drop(second);
        assert!(places.take(&budget, 0).is_some());
    }

    #[test]
    fn the_budget_shrinks_with_the_requests_while_places_are_held() {
        let (places, budget) = (Places::default(), budget(50, 0));
        let held: Vec<_> = std::iter::from_fn(|| places.take(&budget, 10)).collect();
        assert_eq!(held.len(), 5);
        assert!(places.take(&budget, 9).is_none());
        drop(held);
        assert!(places.take(&budget, 1).is_none());
        assert!(places.take(&budget, 2).is_some());
    }

    #[test]
    fn many_threads_never_hold_more_than_the_budget() {
        let (places, held) = (Places::default(), AtomicU32::new(0));
        let budget = budget(10, 3);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..5_000 {
                        let Some(place) = places.take(&budget, 40) else { continue };
                        assert!(held.fetch_add(1, Ordering::SeqCst) < 4);
                        held.fetch_sub(1, Ordering::SeqCst);
                        drop(place);
                    }
                });
            }
        });
        assert_eq!(places.0.load(Ordering::SeqCst), 0);
    }

    proptest! {
        #[test]
        fn a_place_is_given_just_while_fewer_than_the_budget_are_held(
            share in 0u8..=100,
            min in 0u32..20,
            steps in proptest::collection::vec((any::<bool>(), 0u32..200), 0..200),
        ) {
            let (places, budget) = (Places::default(), budget(share, min));
            let mut held = Vec::new();
            for (take, in_flight) in steps {
                if take {
                    let room = (held.len() as u32) < (in_flight * u32::from(share) / 100).max(min);
                    let place = places.take(&budget, in_flight);
                    prop_assert_eq!(place.is_some(), room);
                    held.extend(place);
                } else {
                    held.pop();
                }
            }
        }
    }
}
