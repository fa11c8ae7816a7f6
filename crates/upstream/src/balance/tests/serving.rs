//! Tiers, panic and zones.

use super::*;

const TIERS: [&str; 5] = ["1", "2", "11, priority: 1", "12, priority: 1", "21, priority: 2"];

#[test]
fn a_later_tier_serves_only_while_none_of_an_earlier_one_is_usable() {
    for lb in ALGORITHMS {
        let bed = Bed::new(&format!("lb: {lb}"), &TIERS);
        assert_eq!(bed.serving(), [1, 2], "{lb}");
        bed.fell_ill([1]);
        assert_eq!(bed.shares(50).into_keys().collect::<Vec<_>>(), [2], "{lb}");
        bed.fell_ill([2]);
        assert_eq!(bed.shares(200).into_keys().collect::<Vec<_>>(), [11, 12], "{lb}");
        bed.fell_ill([11, 12]);
        assert_eq!(bed.serving(), [21], "{lb}");
        bed.recovered([12]);
        assert_eq!(bed.serving(), [12], "{lb}");
        bed.recovered([1]);
        assert_eq!(bed.shares(50).into_keys().collect::<Vec<_>>(), [1], "{lb}");
    }
}

#[test]
fn without_a_usable_target_there_is_none() {
    let bed = Bed::new("", &TIERS);
    bed.fell_ill([1, 2, 11, 12, 21]);
    assert_eq!(bed.refusal(), NoTarget::Unusable);
    assert!(!bed.pool.is_ready());
}

#[test]
fn a_request_that_failed_at_all_who_serve_goes_to_later_tiers_in_their_order_before_it_repeats() {
    for lb in ALGORITHMS {
        let bed = Bed::new(&format!("lb: {lb}"), &TIERS);
        let mut tried = Vec::new();
        let mut ports = Vec::new();
        for _ in 0..5 {
            assert!(bed.pool.has_untried(&tried), "{lb}");
            let picked = bed.pick_untried(&tried);
            tried.push(picked.id());
            ports.push(port_of(picked.address()));
        }
        ports[..2].sort_unstable();
        ports[2..4].sort_unstable();
        assert_eq!(ports, [1, 2, 11, 12, 21], "{lb}");
        assert!(!bed.pool.has_untried(&tried), "{lb}");
        assert!([1, 2].contains(&port_of(bed.pick_untried(&tried).address())), "{lb}");
    }
}

#[test]
fn a_full_tier_does_not_overflow_into_the_next() {
    let bed = Bed::new("", &["1, max_in_flight: 1", "11, priority: 1"]);
    let held = bed.pick();
    assert_eq!(bed.refusal(), NoTarget::Full);
    drop(held);
    assert_eq!(bed.shares(3).into_keys().collect::<Vec<_>>(), [1]);
}

#[test]
fn below_the_panic_threshold_all_serve_and_above_it_only_the_usable() {
    let bed = Bed::alike("lb: { panic_threshold: 50% }", 4);
    bed.fell_ill([1, 2]);
    assert_eq!(bed.serving(), [3, 4]);
    assert!(!bed.pool.view().panics());
    bed.fell_ill([3]);
    assert_eq!(bed.serving(), [1, 2, 3, 4]);
    assert!(bed.pool.view().panics());
    bed.fell_ill([4]);
    assert_eq!(bed.shares(8).len(), 4);
    bed.recovered([1, 2]);
    assert_eq!(bed.serving(), [1, 2]);
}

#[test]
fn each_tier_panics_for_itself() {
    let bed = Bed::new("lb: { panic_threshold: 50% }", &["1", "2", "3", "11, priority: 1"]);
    bed.fell_ill([1, 2, 3]);
    assert_eq!(bed.serving(), [11], "nobody has a reason to doubt that tier 0 is down");
    bed.fell_ill([11]);
    assert_eq!(bed.serving(), [1, 2, 3]);
}

#[test]
fn a_draining_target_does_not_serve_even_in_panic_and_counts_for_nothing() {
    let bed = Bed::alike("lb: { panic_threshold: 50% }", 4);
    bed.mark(1, Reason::Draining, true);
    bed.mark(2, Reason::Draining, true);
    bed.fell_ill([3]);
    assert_eq!(bed.serving(), [4], "one of two is usable");
    bed.fell_ill([4]);
    assert_eq!(bed.serving(), [3, 4]);
    bed.mark(3, Reason::Draining, true);
    bed.mark(4, Reason::Draining, true);
    assert_eq!(bed.refusal(), NoTarget::Unusable);
}

#[test]
fn an_unchecked_target_serves_in_panic_only_where_nobody_else_is() {
    let bed = Bed::alike("health: {}, lb: { panic_threshold: 100% }", 3);
    assert_eq!(bed.serving(), [1, 2, 3]);
    bed.mark(1, Reason::Unchecked, false);
    assert_eq!(bed.serving(), [1]);
    bed.fell_ill([1]);
    assert_eq!(bed.serving(), [1]);
}

#[test]
fn an_unchecked_target_does_not_serve_without_a_panic_threshold() {
    assert_eq!(Bed::alike("health: {}", 3).refusal(), NoTarget::Unusable);
}

/// Four here, two in each of two other zones.
const ZONES: [&str; 8] =
    ["1, zone: a", "2, zone: a", "3, zone: a", "4, zone: a", "11, zone: b", "12, zone: b", "21, zone: c", "22"];

fn near(shares: &BTreeMap<u16, usize>) -> usize {
    shares.iter().filter(|(port, _)| **port < 10).map(|(_, share)| share).sum()
}

#[test]
fn all_requests_stay_in_a_healthy_zone() {
    for lb in ALGORITHMS {
        let bed = Bed::new(&format!("lb: {{ algorithm: {lb}, zone_aware: {{ local: a }} }}"), &ZONES);
        assert_eq!(near(&bed.shares(1_000)), 1_000, "{lb}");
        bed.fell_ill([1, 2]);
        assert_eq!(near(&bed.shares(1_000)), 1_000, "{lb}");
    }
}

#[test]
fn what_a_drained_zone_served_goes_to_the_others_evenly() {
    for lb in ALGORITHMS {
        let bed = Bed::new(&format!("lb: {{ algorithm: {lb}, zone_aware: {{ local: a }} }}"), &ZONES);
        (1..=3).for_each(|port| bed.mark(port, Reason::Draining, true));
        // A quarter of the zone is left, half of what would do.
        let shares = bed.shares(8_000);
        assert!(near(&shares).abs_diff(4_000) < 450, "{lb}: {shares:?}");
        bed.mark(4, Reason::Draining, true);
        let shares = bed.shares(8_000);
        assert_eq!(shares.keys().copied().collect::<Vec<_>>(), [11, 12, 21, 22], "{lb}");
        assert!(shares.values().all(|share| share.abs_diff(2_000) < 400), "{lb}: {shares:?}");
        (1..=4).for_each(|port| bed.mark(port, Reason::Draining, false));
        assert_eq!(near(&bed.shares(1_000)), 1_000, "{lb}");
    }
}

#[test]
fn a_full_zone_overflows_into_the_others() {
    let bed = Bed::new("lb: { zone_aware: { local: a } }", &["1, zone: a, max_in_flight: 1", "11, zone: b"]);
    let here = bed.pick();
    let there = bed.pick();
    assert_eq!((port_of(here.address()), port_of(there.address())), (1, 11));
}

#[test]
fn a_retry_leaves_the_zone_before_it_repeats() {
    let bed = Bed::new("lb: { zone_aware: { local: a } }", &["1, zone: a", "11, zone: b"]);
    let first = bed.pick();
    assert_eq!(port_of(bed.pick_untried(&[first.id()]).address()), 11);
}
