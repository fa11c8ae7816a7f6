//! Fractions that must not be lost, and numbers at the end of what fits.

use proptest::prelude::*;

use super::*;
use crate::algorithm::{LAST, LONGEST, MOST};

/// All that gets through in `periods` of a rate if it is asked for without a break.
fn admitted(refill: &str, every: Micros, periods: u64) -> u64 {
    // Two, so that the bucket is never full: what would not fit into a full one is meant to be lost.
    let (rule, per) = (bucket(2, refill), rate(refill).per().as_micros() as u64);
    let mut counter = Counter::new(rule);
    counter.burst(at(START), 2);
    let asked = (1..=per * periods / every).map(|n| at(START + n * every));
    asked.filter(|now| counter.take(*now, 1).allowed).count() as u64
}

#[test]
fn no_fraction_of_a_token_is_ever_lost() {
    // A third of a second is no whole number of microseconds; asked for every microsecond or ten times a second nothing may go missing.
    assert_eq!(admitted("3/s", 1, 1), 3);
    assert_eq!(admitted("3/s", 100_000, 1000), 3000);
    assert_eq!(admitted("7919/h", 200_000, 1), 7919);
    assert_eq!(admitted("1/30d", 60_000_000, 10), 10);
    assert_eq!(admitted("1/30d", 1_000_003, 1), 0);
}

#[test]
fn a_slow_bucket_is_as_exact_as_its_clock() {
    for (refill, capacity) in [("3/s", 5), ("7919/h", 7919), ("1/30d", 1), ("100/15m", 100)] {
        let mut counter = Counter::new(bucket(capacity, refill));
        let start = at(START + 1);
        assert_eq!(counter.burst(start, capacity + 1), capacity, "{refill}");

        let refused = counter.take(start, 1);
        assert!(!counter.take(at(start.steady + refused.retry - 1), 1).allowed, "{refill}");
        let full = at(start.steady + refused.reset);
        assert_eq!(counter.take(at(full.steady - 1), 0).remaining, capacity - 1, "{refill}");
        assert_eq!(counter.burst(full, capacity + 1), capacity, "{refill}");
    }
}

#[test]
fn over_a_long_time_exactly_the_rate_gets_through() {
    // Asked whenever it is told to come back, for an hour: two at once, then 7919.
    let mut counter = Counter::new(bucket(2, "7919/h"));
    let (mut now, mut admitted) = (START, 0);
    while now <= START + 3_600_000_000 {
        let verdict = counter.take(at(now), 1);
        admitted += u64::from(verdict.allowed);
        now += verdict.retry;
    }
    assert_eq!(admitted, 2 + 7919);
}

#[test]
fn a_debt_is_paid_back_before_anything_is_had() {
    let mut counter = Counter::new(bucket(10, "1/s"));
    counter.charge(at_ms(0), 15);

    let refused = counter.take(at_ms(0), 1);
    assert_eq!((refused.remaining, refused.retry, refused.reset), (0, 6_000_000, 15_000_000));
    assert!(counter.take(at_ms(6000), 1).allowed);
}

#[test]
fn the_largest_debt_is_bounded_and_ends() {
    for rule in [bucket(1, "1/30d"), bucket(10, "10/s"), Rule::fixed_window(rate("10/s")).unwrap()] {
        let mut counter = Counter::new(rule);
        (0..3).for_each(|_| counter.charge(at_ms(0), i64::MAX));

        assert!(counter.state.amount <= MOST);
        let refused = counter.take(at_ms(0), 1);
        assert!(!refused.allowed && refused.reset <= LONGEST);
        counter.charge(at_ms(0), i64::MIN);
        assert_eq!(counter.take(at_ms(0), 0).remaining, counter.rule.quota);
    }
}

#[test]
fn a_charge_of_nothing_leaves_the_state_as_it_is() {
    for rule in all_rules().iter().filter(|rule| !rule.keeps_log()) {
        let state = rule.shape.charge(State::FRESH, at_ms(0), 3);
        assert_eq!(rule.shape.charge(state, at_ms(1), 0), state, "{rule:?}");
    }
}

#[test]
fn a_cost_above_the_limit_is_refused_and_told_to_wait() {
    for rule in all_rules() {
        if rule.shape == Shape::Ban {
            continue;
        }
        let too_much = rule.shape.largest_cost() + 1;
        let mut counter = Counter::new(rule);
        for cost in [too_much, MOST, u64::MAX] {
            let refused = counter.take(at_ms(0), cost);
            assert!(!refused.allowed && refused.retry > 0, "{cost} of {:?}", counter.rule);
        }
        assert!(counter.take(at_ms(0), too_much - 1).allowed, "{:?}", counter.rule);
    }
}

fn all_rules() -> Vec<Rule> {
    let zone = berlin();
    vec![
        bucket(10, "3/s"),
        bucket(1, "1/30d"),
        Rule::token_bucket(7, rate("5/m"), Duration::from_secs(20)).unwrap(),
        Rule::leaky_bucket(rate("10/s"), 5).unwrap(),
        Rule::fixed_window(rate("9/m")).unwrap(),
        Rule::sliding_window(rate("9/m")).unwrap(),
        Rule::calendar(9, Period::Day, zone.clone()).unwrap(),
        Rule::calendar(9, Period::Week, zone.clone()).unwrap(),
        Rule::calendar(9, Period::Month, zone).unwrap(),
        Rule::concurrency(9).unwrap(),
        Rule::ban(),
    ]
}

fn any_number() -> impl Strategy<Value = u64> {
    prop_oneof![
        any::<u64>(),
        0..50_u64,
        (0..64_u32).prop_map(|bit| 1 << bit),
        Just(MOST),
        Just(LAST),
        START..START + 100_000_000
    ]
}

proptest! {
    /// What a damaged file or another program's Redis key may say, at any time, by any clock.
    #[test]
    fn no_state_and_no_clock_is_too_strange(
        (time, amount, steady, wall) in (any_number(), any_number(), any_number(), any_number()),
        (cost, units) in (any_number(), any::<i64>()),
    ) {
        let (state, now) = (State { time, amount }, Now { steady, wall });
        for rule in all_rules().iter().filter(|rule| !rule.keeps_log()) {
            let shape = &rule.shape;
            let said = shape.take(state, now, cost);
            let (charged, undone) = (shape.charge(state, now, units.max(1)), shape.undo(state, now, now, cost));
            prop_assert!(charged.time <= LAST + 1_000_000 && charged.amount <= MOST, "{charged:?} of {rule:?}");
            prop_assert!(undone.amount <= state.amount, "{undone:?} of {rule:?}");
            let look = shape.look(said.map_or(state, |(state, _)| state), now);
            prop_assert!(look.remaining <= rule.quota.max(1));
            prop_assert_eq!(shape.fullness(State::FRESH, now), 0);
            prop_assert!(shape.fresh_at(State::FRESH, now) <= now.steady);
        }
    }

    /// Whoever comes back when told to is let in, and nobody a moment earlier.
    #[test]
    fn retry_is_neither_too_early_nor_too_late(costs in prop::collection::vec(1..5_u64, 1..30), gap in 0..20_000_000_u64) {
        for rule in all_rules() {
            if matches!(rule.shape, Shape::Ban | Shape::Concurrency { .. }) {
                continue;
            }
            let mut counter = Counter::new(rule);
            for (n, cost) in costs.iter().enumerate() {
                let now = START + n as u64 * gap;
                let verdict = counter.take(at(now), *cost);
                if !verdict.allowed && *cost <= counter.rule.shape.largest_cost() {
                    let then = now + verdict.retry;
                    let (state, log) = (counter.state, counter.log.clone());
                    prop_assert!(!counter.take(at(then - 1), *cost).allowed, "{:?}", counter.rule);
                    prop_assert!(counter.take(at(then), *cost).allowed, "{:?}", counter.rule);
                    (counter.state, counter.log) = (state, log);
                }
            }
        }
    }

    /// From `fresh_at` on a key is as good as never seen, which is what a store forgets it by.
    #[test]
    fn fresh_at_is_when_everything_is_back(cost in 1..12_u64, later in 0..100_000_000_u64) {
        for rule in all_rules() {
            let shape = &rule.shape;
            if rule.keeps_log() || matches!(shape, Shape::Concurrency { .. }) {
                continue;
            }
            let state = shape.charge(State::FRESH, at(START), cost as i64);
            let fresh_at = shape.fresh_at(state, at(START + later));
            prop_assert_eq!(fresh_at <= START + later, shape.fullness(state, at(START + later)) == 0);
            prop_assert_eq!(shape.look(state, at(fresh_at)), shape.look(State::FRESH, at(fresh_at)));
            prop_assert!(shape.fullness(state, at(fresh_at - 1)) > 0, "{:?}", rule);
        }
    }
}

#[test]
fn fullness_tells_the_guilty_from_the_innocent() {
    for rule in all_rules().iter().filter(|rule| !rule.keeps_log() && rule.shape != Shape::Ban) {
        let (shape, all) = (&rule.shape, rule.shape.largest_cost());
        let full = shape.charge(State::FRESH, at_ms(0), all as i64);
        assert_eq!(shape.fullness(full, at_ms(0)), u16::MAX, "{rule:?}");
        if all > 2 {
            let less = shape.charge(State::FRESH, at_ms(0), all as i64 / 2);
            assert!((1..=u16::MAX / 2 + 1).contains(&shape.fullness(less, at_ms(0))), "{rule:?}");
        }
    }
}

#[test]
fn a_log_never_holds_more_entries_than_its_limit() {
    let rule = Rule::sliding_window(rate("10/m")).unwrap();
    let mut counter = Counter::new(rule);
    for millis in 0..5000 {
        counter.charge(at_ms(millis), 3);
    }

    assert!(counter.log.entries().len() <= 36 && counter.log.bytes() <= 64 * 16);
    let refused = counter.take(at_ms(5000), 1);
    assert_eq!((refused.remaining, refused.reset), (0, 59_999_000));
    assert_eq!(counter.take(at_ms(64_999), 0).remaining, 10);
    assert_eq!(counter.log, Log::default());
}

#[test]
fn a_log_is_as_small_as_it_can_be() {
    let mut counter = Counter::new(Rule::sliding_window(rate("1000/m")).unwrap());
    assert_eq!(counter.burst(at_ms(0), 500), 500);
    assert_eq!(counter.log.entries().collect::<Vec<_>>(), [(at_ms(0).steady, 500)]);
    (0..500).for_each(|n| _ = counter.take(at_ms(1 + n), 1));
    let busy = counter.log.bytes();

    (0..5).for_each(|n| _ = counter.take(at_ms(70_000 + n), 1));
    assert!(counter.log.bytes() <= busy / 2, "{} of {busy}", counter.log.bytes());
}

#[test]
fn nobody_can_tell_when_requests_in_flight_are_over() {
    let shape = Rule::concurrency(5).unwrap().shape;
    let (taken, verdict) = shape.take(State::FRESH, at_ms(0), 2).unwrap();

    assert_eq!((shape.fresh_at(taken, at_ms(0)), verdict.reset), (u64::MAX, 1_000_000));
    assert_eq!(shape.charge(taken, at_ms(1), -2), State::FRESH);
}

#[test]
fn a_log_made_of_its_entries_is_the_same() {
    let mut log = Log::default();
    for n in 0..20 {
        let _ = log.take(10, 5_000_000, at_ms(n * 400), 1 + n % 2);
    }

    assert_eq!(Log::from_entries(log.entries()), log);
}
