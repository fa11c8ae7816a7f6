//! A million random arrivals for each algorithm, and not one answer that differs from its model's.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::*;
use crate::algorithm::LAST;
use crate::algorithm::model::{Almanac, Diary, FirstToLast, Model, Seats, Sentences, Tokens, Waiting, Window};

const ARRIVALS: u64 = 1_000_000;
const RULES: u64 = 50;
const SECOND: Micros = 1_000_000;

/// Many rules, and for each as many arrivals as make up the million.
fn no_difference(seed: u64, mut pair: impl FnMut(&mut SmallRng) -> (Rule, Box<dyn Model>)) {
    let mut random = SmallRng::seed_from_u64(seed);
    for _ in 0..RULES {
        let (rule, mut model) = pair(&mut random);
        let mut counter = Counter::new(rule);
        let mut now = START;
        for arrival in 0..ARRIVALS / RULES {
            now = later(&mut random, now, &counter.rule);
            if random.random_ratio(1, 20) {
                let units = any_charge(&mut random, &counter.rule);
                counter.charge(at(now), units);
                model.charge(at(now), units);
            }
            let cost = if random.random_ratio(1, 50) { random.random_range(0..40) } else { random.random_range(0..=3) };
            let (said, expected) = (counter.take(at(now), cost), model.take(at(now), cost));
            assert_eq!(said, expected, "arrival {arrival} at {now}, cost {cost}, of {:?}", counter.rule);
        }
    }
}

/// Mostly as fast as the limit is or somewhat faster; at times at once, after a pause, or by a clock that was set back:
/// by a moment, by seconds, and by decades once it is at the end of what a state holds.
fn later(random: &mut SmallRng, now: Micros, rule: &Rule) -> Micros {
    let span = if rule.window == 0 { SECOND } else { rule.window };
    let later = match random.random_range(0..100) {
        0..30 => now,
        30..90 => now + random.random_range(0..=1 + 2 * span / rule.quota),
        90..95 => now + random.random_range(0..=span),
        95..98 => now + random.random_range(0..=2 * span),
        98 => now - random.random_range(0..=SECOND),
        _ => now - random.random_range(0..=3 * SECOND),
    };
    if (START..LAST - span).contains(&later) { later } else { START }
}

/// Units given back or charged; of a ban the microseconds it is to last.
fn any_charge(random: &mut SmallRng, rule: &Rule) -> i64 {
    let units = if random.random() { random.random_range(1..=4) } else { random.random_range(-3..=-1) };
    if rule.shape == Shape::Ban { units * random.random_range(1..1_000_000) } else { units }
}

/// Rates that share no divisor with their time are in between, slow ones and fast ones.
fn any_rate(random: &mut SmallRng) -> Rate {
    let odd = ["3/s", "7919/h", "1/30d", "10/s", "100/15m", "7/13s", "1000003/d", "5/1ms", "99/1h", "1/59m", "60000/m"];
    match random.random_range(0..16) {
        n if n < odd.len() => rate(odd[n]),
        15 => rate_of(random, Duration::from_nanos),
        _ => rate_of(random, Duration::from_micros),
    }
}

fn rate_of(random: &mut SmallRng, unit: fn(u64) -> Duration) -> Rate {
    Rate::new(random.random_range(1..5000), unit(random.random_range(1000..u64::pow(10, 10)))).unwrap()
}

fn tick(rate: Rate) -> Micros {
    if rate.per() >= Duration::from_secs(3600) { 1000 } else { 1 }
}

#[test]
fn a_token_bucket_counts_as_its_model() {
    no_difference(1, |random| {
        let (refill, capacity) = (any_rate(random), random.random_range(1..200));
        let slack = Duration::from_micros(random.random_range(0..SECOND));
        let delay = if random.random() { Duration::ZERO } else { slack };
        let model =
            Tokens::bucket(capacity, refill.amount(), refill.per(), tick(refill), Waiting::Time(delay), capacity);
        (Rule::token_bucket(capacity, refill, delay).unwrap(), Box::new(model))
    });
}

#[test]
fn a_leaky_bucket_counts_as_its_model() {
    no_difference(2, |random| {
        let (pace, queue) = (any_rate(random), random.random_range(0..20));
        let model = Tokens::bucket(1, pace.amount(), pace.per(), tick(pace), Waiting::Requests(queue), pace.amount());
        (Rule::leaky_bucket(pace, queue).unwrap(), Box::new(model))
    });
}

#[test]
fn a_fixed_window_counts_as_its_model() {
    no_difference(3, |random| {
        let (limit, window) = (random.random_range(1..30), random.random_range(1..1000 * SECOND));
        let rule = Rule::fixed_window(Rate::new(limit, Duration::from_micros(window)).unwrap()).unwrap();
        (rule, Box::new(FirstToLast::new(limit, window)))
    });
}

#[test]
fn a_sliding_window_counts_as_its_model() {
    no_difference(4, |random| {
        let (limit, window) = (random.random_range(1..30), random.random_range(1..1000 * SECOND));
        let rule = Rule::sliding_window(Rate::new(limit, Duration::from_micros(window)).unwrap()).unwrap();
        (rule, Box::new(Diary::new(limit, window)))
    });
}

#[test]
fn a_calendar_counts_as_its_model() {
    let windows: [(Period, Window); 3] = [(Period::Day, day), (Period::Week, week), (Period::Month, month)];
    no_difference(5, |random| {
        let limit = random.random_range(1..30);
        let (period, window) = windows[random.random_range(0..3)];
        (Rule::calendar(limit, period, TimeZone::UTC).unwrap(), Box::new(Almanac::new(limit, window)))
    });
}

#[test]
fn concurrency_counts_as_its_model() {
    no_difference(6, |random| {
        let limit = random.random_range(1..30);
        (Rule::concurrency(limit).unwrap(), Box::new(Seats::new(limit)))
    });
}

#[test]
fn a_ban_lasts_as_its_model_says() {
    no_difference(7, |_| (Rule::ban(), Box::new(Sentences::default())));
}

const DAY: Micros = 86_400 * SECOND;

fn day(wall: Micros) -> (Micros, Micros) {
    (wall / DAY * DAY, wall / DAY * DAY + DAY)
}

/// 1970 began with a Thursday.
fn week(wall: Micros) -> (Micros, Micros) {
    let monday = (wall / DAY + 3) / 7 * 7 - 3;
    (monday * DAY, (monday + 7) * DAY)
}

/// Month by month since 1970.
fn month(wall: Micros) -> (Micros, Micros) {
    let (mut begin, mut year, mut month) = (0, 1970, 0);
    loop {
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let days = [31, if leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month];
        let end = begin + days * DAY;
        if wall < end {
            return (begin, end);
        }
        (begin, year, month) = (end, year + u64::from(month == 11), (month + 1) % 12);
    }
}
