//! What is undone must leave no trace, and must not let anybody in who would not have come in without it.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::*;

fn rules() -> Vec<Rule> {
    vec![
        bucket(10, "3/s"),
        bucket(10, "7919/h"),
        Rule::leaky_bucket(rate("10/s"), 9).unwrap(),
        Rule::fixed_window(rate("10/m")).unwrap(),
        Rule::calendar(10, Period::Day, TimeZone::UTC).unwrap(),
        Rule::concurrency(10).unwrap(),
    ]
}

#[test]
fn an_undo_at_once_is_exact() {
    for rule in rules() {
        let shape = &rule.shape;
        let (before, _) = shape.take(State::FRESH, at_ms(0), 3).unwrap();
        let (taken, _) = shape.take(before, at_ms(100), 4).unwrap();
        let (other, _) = shape.take(taken, at_ms(100), 2).unwrap();

        let undone = shape.undo(other, at_ms(100), at_ms(100), 4);
        let (never, _) = shape.take(before, at_ms(100), 2).unwrap();
        assert_eq!(undone, never, "{rule:?}");
    }
}

#[test]
fn an_undo_of_the_only_take_leaves_a_fresh_key() {
    for rule in rules() {
        let (taken, _) = rule.shape.take(State::FRESH, at_ms(0), 3).unwrap();

        let undone = rule.shape.undo(taken, at_ms(0), at_ms(0), 3);
        assert_eq!(rule.shape.look(undone, at_ms(0)), rule.shape.look(State::FRESH, at_ms(0)));
        assert_eq!(rule.shape.fullness(undone, at_ms(0)), 0);
        // A store may drop it, but for a bucket, of which the time stays.
        assert!(undone == State::FRESH || matches!(rule.shape, Shape::Bucket(_)));
    }
}

#[test]
fn a_late_undo_of_a_bucket_never_gives_back_more_than_it_took() {
    for rule in rules().iter().filter(|rule| matches!(rule.shape, Shape::Bucket(_))) {
        let mut random = SmallRng::seed_from_u64(8);
        let shape = &rule.shape;
        for _ in 0..20_000 {
            let mut now = START;
            let mut without = shape.charge(State::FRESH, at(now), random.random_range(1..9));
            now += random.random_range(0..500_000);
            let (taken_at, cost) = (at(now), random.random_range(1..4));
            let Ok((mut with, _)) = shape.take(without, taken_at, cost) else { continue };
            for _ in 0..random.random_range(0..3) {
                now += random.random_range(0..900_000);
                (with, without) = (shape.charge(with, at(now), 1), shape.charge(without, at(now), 1));
            }
            now += random.random_range(0..900_000);

            let undone = shape.undo(with, at(now), taken_at, cost);
            let (there, meant) = (shape.look(undone, at(now)), shape.look(without, at(now)));
            assert!(there.reset >= meant.reset && there.remaining <= meant.remaining, "{there:?} {meant:?}");
        }
    }
}

#[test]
fn an_undo_counts_a_tick_that_was_begun_as_drained() {
    let shape = bucket(10, "7919/h").shape;
    // The first token is gone at the 455th millisecond, which lies between the take and its undo.
    let before = shape.charge(State::FRESH, at(START), 1);
    let (taken_at, now) = (at(START + 454_500), at(START + 455_200));
    let (taken, _) = shape.take(before, taken_at, 1).unwrap();
    let (with, without) = (shape.charge(taken, now, 1), shape.charge(before, now, 1));

    assert!(shape.undo(with, now, taken_at, 1).amount >= without.amount);
}

#[test]
fn a_window_gives_back_nothing_of_an_older_one() {
    let fixed = Rule::fixed_window(rate("10/s")).unwrap();
    let day = Rule::calendar(10, Period::Day, TimeZone::UTC).unwrap();
    for (rule, later) in [(fixed, 1000), (day, 86_400_000)] {
        let (old, _) = rule.shape.take(State::FRESH, at_ms(0), 5).unwrap();
        let (new, _) = rule.shape.take(old, at_ms(later), 5).unwrap();

        assert_eq!(rule.shape.undo(new, at_ms(later), at_ms(0), 5), new);
    }
}

#[test]
fn a_log_takes_back_what_was_taken_and_nothing_older() {
    let mut log = Log::default();
    let window = 10_000_000;
    log.take(10, window, at_ms(0), 3).unwrap();
    log.take(10, window, at_ms(100), 4).unwrap();
    let never = {
        let mut log = Log::default();
        log.take(10, window, at_ms(0), 3).unwrap();
        log.take(10, window, at_ms(200), 2).unwrap();
        log
    };
    log.take(10, window, at_ms(200), 2).unwrap();

    log.undo(at_ms(100), 4);
    assert_eq!(log, never);
    log.undo(at_ms(200), 99);
    assert_eq!(log.look(10, window, at_ms(200)).remaining, 7);
}
