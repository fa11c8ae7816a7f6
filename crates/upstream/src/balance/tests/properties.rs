//! What holds for every pool, whatever happens to it.

use std::collections::HashSet;

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Step {
    Mark(usize, Reason, bool),
    Pick,
    /// A request that fails this often.
    Retries(usize),
    Finish(usize),
}

fn reason() -> impl Strategy<Value = Reason> {
    prop::sample::select(vec![Reason::Unhealthy, Reason::Ejected, Reason::Draining])
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (any::<usize>(), reason(), any::<bool>()).prop_map(|(target, reason, on)| Step::Mark(target, reason, on)),
        Just(Step::Pick),
        (1..6_usize).prop_map(Step::Retries),
        any::<usize>().prop_map(Step::Finish),
    ]
}

/// Weight, tier, and the most in flight of each target.
fn targets() -> impl Strategy<Value = Vec<(u32, u32, u32)>> {
    prop::collection::vec((1..=256_u32, 0..3_u32, 1..4_u32), 1..12)
}

fn bed(lb: &str, targets: &[(u32, u32, u32)], slow_start: bool) -> Bed {
    let target = |(port, (weight, tier, most)): (usize, &(u32, u32, u32))| {
        let zone = if port.is_multiple_of(2) { "a" } else { "b" };
        format!("{}, weight: {weight}, priority: {tier}, max_in_flight: {most}, zone: {zone}", port + 1)
    };
    let targets: Vec<_> = targets.iter().enumerate().map(target).collect();
    let slow_start = if slow_start { ", slow_start: 10s" } else { "" };
    let yaml = format!("lb: {{ algorithm: {lb}, zone_aware: {{ local: a }} }}{slow_start}");
    Bed::new(&yaml, &targets.iter().map(String::as_str).collect::<Vec<_>>())
}

/// Picks, and checks what must hold of it.
fn pick(bed: &Bed, tried: &[TargetId]) -> Result<Option<Picked>, TestCaseError> {
    let view = bed.pool.view();
    let first_tier = view.targets().iter().filter(|t| t.state.is_usable()).map(|t| t.spec.priority).min();
    let may = |target: &&Arc<LiveTarget>| target.state.is_usable() && target.has_room();
    let untried = |target: &&Arc<LiveTarget>| !tried.contains(&target.id());
    let in_tier = |target: &&Arc<LiveTarget>| Some(target.spec.priority) == first_tier;
    let could: HashSet<_> = view.targets().iter().filter(may).map(|target| target.id()).collect();
    let fresh_in_tier = view.targets().iter().filter(may).filter(untried).filter(in_tier).count();
    let fresh = view.targets().iter().filter(may).filter(untried).count();
    let in_tier_at_all = view.targets().iter().filter(may).filter(in_tier).count();

    let Ok(picked) = bed.pool.pick(&Pick { tried, ..Pick::default() }) else {
        let none_for_retry = tried.is_empty() || fresh == 0;
        prop_assert!(in_tier_at_all == 0 && none_for_retry, "nothing chosen of {could:?}, tried {tried:?}");
        return Ok(None);
    };
    prop_assert!(could.contains(&picked.id()), "{picked:?} is ill or full");
    let target = view.targets().iter().find(|target| target.id() == picked.id()).unwrap();
    prop_assert!(target.state.in_flight() <= target.spec.max_in_flight);
    if fresh_in_tier > 0 {
        prop_assert!(in_tier(&target), "a later tier before its time");
    }
    if fresh_in_tier > 0 || (fresh > 0 && !tried.is_empty()) {
        prop_assert!(untried(&target), "{picked:?} was tried, others were not");
    }
    Ok(Some(picked))
}

fn play(lb: &str, targets: &[(u32, u32, u32)], steps: Vec<Step>, slow_start: bool) -> Result<(), TestCaseError> {
    let bed = bed(lb, targets, slow_start);
    let mut held = Vec::new();
    for step in steps {
        match step {
            Step::Mark(target, reason, on) => {
                let target = bed.target((target % targets.len()) as u16 + 1);
                bed.pool.mark(&target, reason, on, "test");
            }
            Step::Pick => held.extend(pick(&bed, &[])?),
            Step::Retries(tries) => {
                let mut tried = Vec::new();
                for _ in 0..tries {
                    tried.extend(pick(&bed, &tried)?.map(|picked| picked.id()));
                }
            }
            Step::Finish(which) if !held.is_empty() => drop(held.swap_remove(which % held.len())),
            Step::Finish(_) => {}
        }
    }
    drop(held);
    for target in bed.pool.view().targets() {
        prop_assert_eq!(target.state.in_flight(), 0);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn nobody_gets_a_request_who_may_not_have_it(
        lb in prop::sample::select(ALGORITHMS.to_vec()),
        targets in targets(),
        steps in prop::collection::vec(step(), 1..60),
        slow_start: bool,
    ) {
        play(lb, &targets, steps, slow_start)?;
    }

    #[test]
    fn each_rotation_of_a_pool_is_exact(weights in prop::collection::vec(1..=9_u32, 1..8)) {
        let targets: Vec<_> = (1..).zip(&weights).map(|(port, weight)| format!("{port}, weight: {weight}")).collect();
        let bed = Bed::new("", &targets.iter().map(String::as_str).collect::<Vec<_>>());
        let sum: u32 = weights.iter().sum();
        for _ in 0..3 {
            let shares = bed.shares(sum as usize);
            prop_assert_eq!(shares.into_values().map(|share| share as u32).collect::<Vec<_>>(), weights.clone());
        }
    }
}
