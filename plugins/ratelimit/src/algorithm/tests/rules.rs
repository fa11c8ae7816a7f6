//! What is refused at load, and what a rule's numbers are.

use super::*;
use crate::algorithm::{Bucket, LONGEST, MOST, RuleError};

fn numbers(rule: &Rule) -> &Bucket {
    match &rule.shape {
        Shape::Bucket(bucket) => bucket,
        shape => panic!("{shape:?}"),
    }
}

#[test]
fn a_rate_is_the_smallest_whole_numbers_that_are_it() {
    let of = |capacity, refill: &str| {
        let rule = bucket(capacity, refill);
        let Bucket { token, drain, tick, burst, .. } = *numbers(&rule);
        (token, drain, tick, burst)
    };

    assert_eq!(of(100, "10/s"), (100_000, 1, 1, 10_000_000));
    assert_eq!(of(1, "3/s"), (1_000_000, 3, 1, 1_000_000));
    assert_eq!(of(7, "7919/h"), (3_600_000, 7919, 1000, 7 * 3_600_000));
    assert_eq!(of(1, "1/30d"), (2_592_000_000, 1, 1000, 2_592_000_000));
    // Faster than the clock ticks.
    assert_eq!(of(5, "3000000/s"), (1, 3, 1, 5));
    // A time of one and a half microseconds.
    let odd = Rule::token_bucket(1, Rate::new(1, Duration::from_nanos(1500)).unwrap(), Duration::ZERO).unwrap();
    assert_eq!((numbers(&odd).token, numbers(&odd).drain), (3, 2));
}

#[test]
fn a_bucket_too_large_for_fine_ticks_has_coarse_ones() {
    assert_eq!(numbers(&bucket(10_000_019, "10000019/59m")).tick, 1000);
    assert_eq!(numbers(&bucket(1_000_000, "1000000/59m")).tick, 1);
}

#[test]
fn a_rule_says_what_a_client_may_ask_for() {
    let said = |rule: Rule| (rule.quota, rule.window / 1_000_000);

    assert_eq!(said(bucket(100, "10/s")), (100, 10));
    assert_eq!(said(bucket(100, "100/15m")), (100, 900));
    assert_eq!(said(Rule::leaky_bucket(rate("20/s"), 5).unwrap()), (20, 1));
    assert_eq!(said(Rule::fixed_window(rate("5/15m")).unwrap()), (5, 900));
    assert_eq!(said(Rule::sliding_window(rate("5/15m")).unwrap()), (5, 900));
    assert_eq!(said(Rule::calendar(5, Period::Week, TimeZone::UTC).unwrap()), (5, 604_800));
    assert_eq!(said(Rule::concurrency(5).unwrap()), (5, 0));
}

#[test]
fn what_can_not_be_counted_is_refused_with_a_remedy() {
    let century = rate("1/36500d");
    let refused = [
        (
            Rule::token_bucket(0, rate("1/s"), Duration::ZERO),
            "capacity is 0, so that nothing could ever pass: write at least 1",
        ),
        (
            Rule::calendar(0, Period::Day, TimeZone::UTC),
            "the quota is 0, so that nothing could ever pass: write at least 1",
        ),
        (Rule::concurrency(0), "the limit is 0, so that nothing could ever pass: write at least 1"),
        (
            Rule::concurrency(MOST + 1),
            "the limit is 9007199254740993, and can be at most 9007199254740992: write a smaller number",
        ),
        (
            Rule::fixed_window(century),
            "a time of 36500 days is too long to be counted, it can be at most 26062 days: write a shorter one",
        ),
        (Rule::token_bucket(1, century, Duration::ZERO), "a time of 36500 days is too long"),
        (Rule::leaky_bucket(century, 1), "a time of 36500 days is too long"),
        (
            Rule::sliding_window(rate("10001/s")),
            "a sliding_window remembers every request, so that its limit is at most 10000 and not 10001: use token_bucket or fixed_window",
        ),
        (
            Rule::token_bucket(u64::MAX, rate("1/s"), Duration::ZERO),
            "18446744073709551615 tokens at this rate, with what may wait, can not be counted exactly, at most 2251799813 can",
        ),
        (
            Rule::token_bucket(1, rate("1/s"), Duration::MAX),
            "tokens at this rate, with what may wait, can not be counted exactly",
        ),
        (Rule::token_bucket(1, rate("18446744073709551615/s"), Duration::ZERO), "can not be counted exactly"),
        (Rule::leaky_bucket(rate("1/s"), u64::MAX), "can not be counted exactly, at most"),
        (
            Rule::token_bucket(100, rate("1/20000d"), Duration::ZERO),
            "100 tokens at this rate, with what may wait, can not be counted exactly, at most 1 can",
        ),
    ];
    for (rule, message) in refused {
        let said = rule.unwrap_err().to_string();
        assert!(said.contains(message), "{said} has no {message}");
        assert!(said.contains(": "), "{said} has no remedy");
    }
}

#[test]
fn what_just_fits_is_counted() {
    let coarse = bucket(2_251_799_813, "1/s");
    assert!(numbers(&coarse).burst <= MOST);
    assert!(Rule::sliding_window(rate("10000/s")).is_ok());
    assert!(Rule::concurrency(MOST).is_ok());
    assert!(Rule::fixed_window(Rate::new(MOST, Duration::from_micros(LONGEST)).unwrap()).is_ok());
    assert!(matches!(
        Rule::fixed_window(Rate::new(1, Duration::from_micros(LONGEST + 1)).unwrap()),
        Err(RuleError::TooLong(_))
    ));
    // Never shorter than it was written.
    let odd = Rule::fixed_window(Rate::new(1, Duration::from_nanos(1500)).unwrap()).unwrap();
    assert_eq!(odd.window, 2);
}

#[test]
fn equal_rules_have_equal_fingerprints_and_others_differ() {
    let all = || {
        vec![
            bucket(100, "10/s"),
            bucket(100, "11/s"),
            bucket(101, "10/s"),
            Rule::token_bucket(100, rate("10/s"), Duration::from_secs(1)).unwrap(),
            Rule::leaky_bucket(rate("10/s"), 10).unwrap(),
            Rule::fixed_window(rate("10/s")).unwrap(),
            Rule::sliding_window(rate("10/s")).unwrap(),
            Rule::calendar(10, Period::Day, berlin()).unwrap(),
            Rule::calendar(10, Period::Week, berlin()).unwrap(),
            Rule::calendar(10, Period::Day, TimeZone::UTC).unwrap(),
            Rule::calendar(10, Period::Day, TimeZone::fixed(jiff::tz::offset(2))).unwrap(),
            Rule::concurrency(10).unwrap(),
            Rule::ban(),
        ]
    };
    let prints: std::collections::HashSet<_> = all().iter().map(|rule| rule.fingerprint).collect();

    assert_eq!(prints.len(), all().len());
    assert_eq!(all(), all());
}

#[test]
fn a_fingerprint_is_the_same_on_every_gateway() {
    // Written down: whoever changes them makes all gateways forget what they have counted, one by one as they are
    // replaced.
    assert_eq!(bucket(100, "10/s").fingerprint, 5_530_741_212_790_315_303);
    assert_eq!(Rule::ban().fingerprint, 14_885_043_070_045_815_468);
}

#[test]
fn gateways_that_do_not_know_of_each_other_share_a_limit() {
    let shared = [
        (bucket(100, "10/s"), 25),
        (Rule::fixed_window(rate("100/s")).unwrap(), 25),
        (Rule::sliding_window(rate("100/s")).unwrap(), 25),
        (Rule::calendar(100, Period::Day, TimeZone::UTC).unwrap(), 25),
        (Rule::concurrency(100).unwrap(), 25),
        (Rule::concurrency(3).unwrap(), 1),
    ];
    for (rule, part) in shared {
        let divided = rule.divided(4);
        assert_eq!((divided.quota, Counter::new(divided.clone()).burst(at_ms(0), 200)), (part, part), "{divided:?}");
        assert_ne!(divided.fingerprint, rule.fingerprint);
        assert_eq!(rule.divided(1), rule);
        assert_eq!(rule.divided(0), rule);
    }
}

#[test]
fn a_divided_bucket_refills_at_its_part_of_the_rate() {
    let divided = bucket(100, "10/s").divided(4);
    let mut counter = Counter::new(divided);
    counter.burst(at_ms(0), 100);

    assert_eq!(counter.take(at_ms(0), 1).retry, 400_000);
    assert_eq!(counter.take(at_ms(10_000), 0).remaining, 25);
}

#[test]
fn a_divided_leaky_bucket_paces_slower_and_waits_no_longer() {
    let divided = Rule::leaky_bucket(rate("10/s"), 8).unwrap().divided(4);
    let mut counter = Counter::new(divided);

    let delays: Vec<_> = (0..4).map(|_| counter.take(at_ms(0), 1)).map(|said| (said.allowed, said.delay)).collect();
    assert_eq!(delays, [(true, 0), (true, 400_000), (true, 800_000), (false, 0)]);
}

#[test]
fn a_divided_rule_still_fits_its_numbers() {
    for rule in [bucket(1, "1/26000d"), bucket(2_251_799_813, "1/s"), Rule::leaky_bucket(rate("1/30d"), 800).unwrap()] {
        let divided = rule.divided(u32::MAX);
        let Bucket { token, burst, extra, most, .. } = numbers(&divided);
        assert!(burst + extra <= *most && burst >= token, "{divided:?}");
        assert!(divided.window <= LONGEST && divided.quota >= 1);
    }
}
