//! Clocks that jump.

use super::*;

const YEAR: Micros = 365 * 86_400_000_000;

#[test]
fn a_clock_that_was_a_year_ahead_costs_one_window_at_most() {
    for rule in [bucket(5, "5/m"), Rule::fixed_window(rate("5/m")).unwrap(), Rule::sliding_window(rate("5/m")).unwrap()]
    {
        let mut counter = Counter::new(rule);
        counter.burst(at(START + YEAR), 5);

        let refused = counter.take(at(START), 1);
        assert!(!refused.allowed && refused.reset <= 60_000_000, "{refused:?}");
        // Nothing was written by the refusal, and yet the window ends: it begins with what is written next, at worst.
        counter.charge(at(START), 1);
        assert!(counter.take(at(START + 72_000_000), 1).allowed, "{:?}", counter.rule);
    }
}

#[test]
fn a_moment_ahead_is_kept() {
    let mut counter = Counter::new(bucket(2, "1/s"));
    counter.burst(at_ms(500), 2);

    // 500 ms back: no time has passed, and the token comes when it was promised.
    let refused = counter.take(at_ms(0), 1);
    assert_eq!(refused.retry, 1_500_000);
    assert!(counter.take(at_ms(1500), 1).allowed);
}

#[test]
fn a_ban_written_by_a_clock_ahead_lasts_no_longer_than_it_should() {
    let mut counter = Counter::new(Rule::ban());
    counter.charge(at(START + YEAR), 3_600_000_000);

    assert_eq!(counter.take(at(START), 1).retry, 3_600_000_000);
    counter.charge(at(START), 60_000_000);
    assert_eq!(counter.take(at(START), 1).retry, 3_600_000_000);
    assert!(counter.take(at(START + 3_600_000_000), 1).allowed);
}

#[test]
fn a_ban_is_lifted_and_never_shortened() {
    let mut counter = Counter::new(Rule::ban());
    counter.charge(at_ms(0), 60_000_000);
    counter.charge(at_ms(0), 1_000_000);

    assert_eq!(counter.take(at(START + 59_999_999), 1).retry, 1);
    assert!(counter.take(at(START + 60_000_000), 1).allowed);
    counter.charge(at_ms(0), -1);
    assert!(counter.take(at_ms(0), 1).allowed);
}

#[test]
fn a_wall_clock_set_back_neither_locks_out_nor_gives_a_free_window() {
    let mut counter = Counter::new(Rule::calendar(5, Period::Month, TimeZone::UTC).unwrap());
    counter.burst(at(START + YEAR), 4);

    assert_eq!(counter.burst(at(START), 3), 1);
    let refused = counter.take(at(START), 1);
    assert_eq!(refused.retry, 31 * 86_400_000_000);
    assert_eq!(counter.burst(at(START + 31 * 86_400_000_000), 9), 5);
}

#[test]
fn steady_limits_do_not_look_at_the_wall_clock_nor_calendars_at_the_steady_one() {
    let mut steady = Counter::new(Rule::fixed_window(rate("1/m")).unwrap());
    steady.burst(Now { steady: START, wall: START }, 1);
    assert!(!steady.take(Now { steady: START, wall: START + YEAR }, 1).allowed);

    let mut calendar = Counter::new(Rule::calendar(1, Period::Day, TimeZone::UTC).unwrap());
    calendar.burst(Now { steady: 0, wall: START }, 1);
    assert!(!calendar.take(Now { steady: YEAR, wall: START }, 1).allowed);
}
