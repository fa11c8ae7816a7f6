//! Room, slow start, hashing.

use super::*;

#[test]
fn a_full_target_is_passed_over() {
    for lb in ALGORITHMS {
        let bed = Bed::new(&format!("lb: {lb}, limits: {{ per_target: 2 }}"), &["1", "2", "3, max_in_flight: 1"]);
        let held: Vec<_> = (0..5).map(|_| bed.pick()).collect();
        let mut ports: Vec<_> = held.iter().map(|picked| port_of(picked.address())).collect();
        ports.sort_unstable();
        assert_eq!(ports, [1, 1, 2, 2, 3], "{lb}");
        assert_eq!(bed.refusal(), NoTarget::Full, "{lb}");
        drop(held);
        assert_eq!(bed.target(1).state.in_flight(), 0, "{lb}");
    }
}

#[test]
fn a_rotation_goes_on_when_a_target_falls_ill() {
    let bed = Bed::alike("", 5);
    let first: Vec<_> = (0..3).map(|_| port_of(bed.pick().address())).collect();
    bed.fell_ill([5]);
    // The fourth turn, not the first again.
    let then = port_of(bed.pick().address());
    assert_eq!((first, then), (vec![1, 2, 3], 4));
}

/// Target 3 has just recovered in a pool with a slow start of 100 seconds, and so many of those have passed.
fn ramping(lb: &str, seconds: u64) -> usize {
    let bed = Bed::alike(&format!("lb: {lb}, slow_start: 100s"), 3);
    bed.fell_ill([3]);
    bed.recovered([3]);
    bed.clock.advance(Duration::from_secs(seconds));
    let mut share = 0;
    for n in 0..6_000_u64 {
        let picked = bed.pool.pick(&Pick { hash: Some(n), ..Pick::default() }).unwrap();
        share += usize::from(port_of(picked.address()) == 3);
    }
    share
}

#[test]
fn a_target_that_recovered_gets_a_growing_share() {
    for lb in ALGORITHMS {
        let shares: Vec<_> = [0, 50, 100].into_iter().map(|seconds| ramping(lb, seconds)).collect();
        // A tenth of a third of 6,000; 55% of it, where somebody who is drawn in vain is replaced; all of it.
        assert!((50..350).contains(&shares[0]), "{lb}: {shares:?}");
        assert!((800..1_750).contains(&shares[1]), "{lb}: {shares:?}");
        assert!(shares[2].abs_diff(2_000) < 300, "{lb}: {shares:?}");
    }
}

#[test]
fn those_that_came_with_the_pool_begin_with_full_shares_after_their_first_check() {
    let bed = Bed::alike("slow_start: 100s, health: {}", 2);
    for port in [1, 2] {
        bed.mark(port, Reason::Unchecked, false);
        assert_eq!(bed.target(port).state.ramp_from.load(Ordering::Relaxed), 0);
    }
    // What fell ill afterwards has to grow.
    bed.fell_ill([2]);
    bed.recovered([2]);
    assert_ne!(bed.target(2).state.ramp_from.load(Ordering::Relaxed), 0);
}

#[test]
fn a_slow_start_that_is_over_costs_no_more_look_at_the_clock() {
    let bed = Bed::alike("slow_start: 10s", 1);
    bed.fell_ill([1]);
    bed.recovered([1]);
    assert_ne!(bed.target(1).state.ramp_from.load(Ordering::Relaxed), 0);
    bed.clock.advance(Duration::from_secs(10));
    drop(bed.pick());
    assert_eq!(bed.target(1).state.ramp_from.load(Ordering::Relaxed), 0);
}

#[test]
fn a_pool_of_which_all_have_just_recovered_serves() {
    for lb in ALGORITHMS {
        let bed = Bed::alike(&format!("lb: {lb}, slow_start: 100s"), 2);
        bed.fell_ill([1, 2]);
        bed.recovered([1, 2]);
        assert!(bed.shares(1_000).values().all(|share| share.abs_diff(500) < 200), "{lb}");
    }
}

const HASH: &str = "lb: { algorithm: consistent_hash, bound: 0 }";

fn owners(bed: &Bed) -> Vec<u16> {
    let owner = |hash| {
        let picked = bed.pool.pick(&Pick { hash: Some(hash), ..Pick::default() }).unwrap();
        port_of(picked.address())
    };
    (0..10_000).map(owner).collect()
}

#[test]
fn a_user_stays_where_it_is_and_only_those_of_an_ill_target_move() {
    let bed = Bed::alike(HASH, 100);
    let before = owners(&bed);
    assert_eq!(before, owners(&bed));
    bed.fell_ill([7]);
    let after = owners(&bed);
    let moved = before.iter().zip(&after).filter(|(was, is)| **was != 7 && was != is).count();
    assert!(moved < 200, "{moved} of those who had no need to");
    bed.recovered([7]);
    assert_eq!(before, owners(&bed));
}

#[test]
fn users_are_spread_as_weights_say() {
    let owners = owners(&Bed::new(HASH, &["1, weight: 3", "2"]));
    let light = owners.iter().filter(|port| **port == 2).count();
    assert!(light.abs_diff(2_500) < 250, "{light}");
}

#[test]
fn a_retry_of_a_user_is_the_same_target_each_time() {
    let bed = Bed::alike(HASH, 10);
    for hash in 0..100 {
        let first = bed.pool.pick(&Pick { hash: Some(hash), ..Pick::default() }).unwrap().id();
        let again = || bed.pool.pick(&Pick { hash: Some(hash), tried: &[first], ..Pick::default() }).unwrap().id();
        let second = again();
        assert_ne!(first, second);
        assert_eq!(second, again());
    }
}

#[test]
fn a_request_without_anything_to_hash_goes_by_lot() {
    let shares = Bed::alike(HASH, 3).shares(9_000);
    assert!(shares.values().all(|share| share.abs_diff(3_000) < 450), "{shares:?}");
}

#[test]
fn one_hot_user_does_not_fill_its_target_beyond_the_bound() {
    let bed = Bed::alike("lb: { algorithm: consistent_hash, bound: 1.5 }", 4);
    let held: Vec<_> = (0..100).map(|_| bed.pool.pick(&Pick { hash: Some(1), ..Pick::default() }).unwrap()).collect();
    let loads: Vec<_> = (1..=4).map(|port| bed.target(port).state.in_flight()).collect();
    // A quarter of 100, and a half more.
    assert!(loads.iter().all(|load| *load <= 38), "{loads:?}");
    drop(held);
    assert_eq!(bed.shares(1_000).len(), 4, "nothing stays counted");
}

#[test]
fn hash_on_is_only_that_of_a_pool_that_hashes() {
    use crate::balance::hash_on::HashOn;
    let bed = Bed::alike("lb: { algorithm: consistent_hash, hash_on: [identity, client] }", 2);
    assert_eq!(bed.pool.hash_on(), [HashOn::Identity, HashOn::Client]);
    assert!(Bed::alike("", 2).pool.hash_on().is_empty());
}
