//! How many targets may be left out.

use tidegate_core::config::Percent;

/// How one target stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Standing {
    pub(super) usable: bool,
    pub(super) ejected: bool,
}

/// One that is left out.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ejected {
    /// Its place among all.
    pub(super) at: usize,
    pub(super) until: u64,
    /// Whether it is usable but for that.
    pub(super) alone: bool,
}

/// Whether one more of the usable targets may be left out: some other must remain.
pub(super) fn allow(all: impl Iterator<Item = Standing>, share: Percent) -> bool {
    let sum = Sum::of(all);
    sum.usable > 1 && sum.ejected < most(sum.listed, share)
}

/// Who is left out against the rules: those beyond the share, whose time ends first; and if nobody else is usable, one
/// that would be.
pub(super) fn too_many(mut ejected: Vec<Ejected>, all: impl Iterator<Item = Standing>, share: Percent) -> Vec<usize> {
    if ejected.is_empty() {
        return Vec::new();
    }
    let sum = Sum::of(all);
    ejected.sort_by_key(|one| one.until);
    let mut restored = ejected.split_off(sum.ejected.saturating_sub(most(sum.listed, share)).min(ejected.len()));
    std::mem::swap(&mut ejected, &mut restored);
    if sum.usable == 0 && !restored.iter().any(|one| one.alone) {
        restored.extend(ejected.into_iter().find(|one| one.alone));
    }
    restored.into_iter().map(|one| one.at).collect()
}

/// The share of all, but one at least if there are two.
fn most(listed: usize, share: Percent) -> usize {
    let share = usize::try_from(share.of(listed as u64)).unwrap_or(listed);
    if listed > 1 { share.max(1) } else { 0 }
}

#[derive(Default)]
struct Sum {
    listed: usize,
    usable: usize,
    ejected: usize,
}

impl Sum {
    fn of(all: impl Iterator<Item = Standing>) -> Self {
        all.fold(Self::default(), |sum, one| Self {
            listed: sum.listed + 1,
            usable: sum.usable + usize::from(one.usable),
            ejected: sum.ejected + usize::from(one.ejected),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FIT: Standing = Standing { usable: true, ejected: false };
    const ILL: Standing = Standing { usable: false, ejected: false };
    const OUT: Standing = Standing { usable: false, ejected: true };

    fn allows(all: &[Standing], share: u8) -> bool {
        allow(all.iter().copied(), Percent::new(share))
    }

    /// With all that are out usable but for that, the first to end first.
    fn restored(all: &[Standing], share: u8) -> Vec<usize> {
        let out = all.iter().enumerate().filter(|(_, one)| one.ejected);
        let out = out.map(|(at, _)| Ejected { at, until: at as u64, alone: true }).collect();
        too_many(out, all.iter().copied(), Percent::new(share))
    }

    #[test]
    fn no_more_than_the_share_is_left_out() {
        assert!(allows(&[FIT, FIT, FIT, FIT], 50));
        assert!(allows(&[OUT, FIT, FIT, FIT], 50));
        assert!(!allows(&[OUT, OUT, FIT, FIT], 50));
        assert!(!allows(&[OUT, FIT, FIT], 50), "half of three is one");
        assert!(allows(&[OUT, FIT, FIT], 67));
    }

    #[test]
    fn one_of_two_may_be_left_out_whatever_the_share() {
        assert!(allows(&[FIT, FIT], 0));
        assert!(allows(&[FIT, FIT, FIT], 10));
        assert!(!allows(&[OUT, FIT, FIT], 10));
    }

    #[test]
    fn the_last_that_is_usable_never_is() {
        assert!(!allows(&[FIT], 100));
        assert!(!allows(&[OUT, FIT], 100));
        assert!(!allows(&[ILL, FIT], 100));
        assert!(!allows(&[ILL, ILL, ILL, FIT], 100));
        assert!(allows(&[ILL, FIT, FIT], 100));
    }

    #[test]
    fn when_the_last_other_falls_ill_one_is_restored() {
        assert_eq!(restored(&[OUT, FIT], 50), [0; 0]);
        assert_eq!(restored(&[OUT, ILL], 50), [0]);
        assert_eq!(restored(&[ILL, OUT, OUT, ILL], 50), [1]);
    }

    #[test]
    fn one_that_is_ill_as_well_is_not_restored_for_want_of_others() {
        let out = vec![Ejected { at: 0, until: 1, alone: false }, Ejected { at: 1, until: 2, alone: true }];
        let all = [OUT, OUT, ILL, ILL];
        assert_eq!(too_many(out.clone(), all.into_iter(), Percent::new(50)), [1]);
        assert_eq!(too_many(out[..1].to_vec(), [OUT, ILL].into_iter(), Percent::new(50)), [0; 0]);
    }

    #[test]
    fn those_whose_time_ends_first_are_restored_first() {
        let out = |until: [u64; 3]| {
            let one = |(at, until)| Ejected { at, until, alone: true };
            until.into_iter().enumerate().map(one).collect::<Vec<_>>()
        };
        assert_eq!(too_many(out([7, 5, 6]), [OUT, OUT, OUT, FIT].into_iter(), Percent::new(50)), [1]);
        assert_eq!(too_many(out([7, 6, 5]), [OUT, OUT, OUT].into_iter(), Percent::new(100)), [2]);
        assert_eq!(too_many(out([7, 6, 5]), [OUT, OUT, OUT, ILL].into_iter(), Percent::new(100)), [2]);
    }

    #[test]
    fn when_others_have_gone_those_beyond_the_share_are_restored() {
        assert_eq!(restored(&[OUT, FIT, OUT, FIT], 50), [0; 0]);
        assert_eq!(restored(&[OUT, FIT, OUT], 50), [0]);
        assert_eq!(restored(&[OUT], 50), [0]);
        assert_eq!(restored(&[OUT, OUT, OUT], 100), [0]);
    }

    fn standings() -> impl Strategy<Value = Vec<Standing>> {
        proptest::collection::vec(prop_oneof![Just(FIT), Just(ILL), Just(OUT)], 0..12)
    }

    proptest! {
        #[test]
        fn however_targets_fall_ill_and_vanish_the_rules_hold(
            all in standings(), share in 0u8..=100, steps in proptest::collection::vec((0usize..12, 0u8..4), 0..60),
        ) {
            let mut all = all;
            for (at, step) in steps {
                let allowed = allows(&all, share);
                match (all.get_mut(at), step) {
                    (Some(one), 0) if one.usable && allowed => *one = OUT,
                    (Some(one), 1) if !one.ejected => one.usable = !one.usable,
                    (Some(_), 2) => drop(all.remove(at)),
                    (_, 3) => all.push(FIT),
                    _ => {}
                }
                let back = restored(&all, share);
                back.iter().for_each(|at| all[*at] = FIT);
                let out = all.iter().filter(|one| one.ejected).count();
                prop_assert!(out == 0 || all.iter().any(|one| one.usable), "{:?}", all);
                let least = usize::from(all.len() > 1);
                prop_assert!(out <= (all.len() * usize::from(share) / 100).max(least), "{:?}", all);
                prop_assert!(restored(&all, share).is_empty(), "it takes one step");
            }
        }
    }
}
