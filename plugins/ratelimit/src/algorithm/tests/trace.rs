//! What tells the algorithms apart, and the token bucket's timeline to the integer.

use super::*;

#[test]
fn the_timeline_of_a_token_bucket_is_exact() {
    // Capacity 100, refill 10/s: 100 -> 50 -> 60 -> 40 -> 50 -> 0 -> 30. The timeline this comes from ends with 50,
    // which is wrong: three seconds at ten a second are thirty.
    let mut counter = Counter::new(bucket(100, "10/s"));
    let left = |counter: &mut Counter, second: u64| counter.take(at_ms(second * 1000), 0).remaining;

    assert_eq!(left(&mut counter, 0), 100);
    assert_eq!(counter.burst(at_ms(0), 50), 50);
    assert_eq!(left(&mut counter, 0), 50);
    assert_eq!(left(&mut counter, 1), 60);
    assert_eq!(counter.burst(at_ms(1000), 20), 20);
    assert_eq!(left(&mut counter, 1), 40);
    assert_eq!(left(&mut counter, 2), 50);
    assert_eq!(counter.burst(at_ms(2000), 100), 50);
    let refused = counter.take(at_ms(2000), 1);
    assert_eq!((refused.remaining, refused.retry, refused.reset), (0, 100_000, 10_000_000));
    assert_eq!(counter.take(at_ms(5000), 0).remaining, 30);
}

/// Two seconds of requests. Four a second are allowed, or two at a time that take 300 ms each.
const TRACE: [u64; 12] = [0, 700, 700, 700, 800, 1000, 1000, 1000, 1000, 1100, 1700, 2000];

/// `.` is a refusal, otherwise by how many milliseconds the request is held back.
fn outcome(rule: Rule) -> String {
    let concurrent = matches!(rule.shape, Shape::Concurrency { .. });
    let mut counter = Counter::new(rule);
    let mut leaving = Vec::new();
    let said = TRACE.map(|millis| {
        let over = leaving.iter().filter(|end| **end <= millis).count();
        leaving.drain(..over);
        counter.charge(at_ms(millis), -(over as i64));
        let verdict = counter.take(at_ms(millis), 1);
        if verdict.allowed && concurrent {
            leaving.push(millis + 300);
        }
        if verdict.allowed { (verdict.delay / 1000).to_string() } else { ".".to_owned() }
    });
    said.join(" ")
}

#[test]
fn one_trace_has_five_outcomes() {
    // Arrivals in ms:                          0 700 700 700 800 1000 1000 1000 1000 1100 1700 2000
    // A token is back every 250 ms, and four may be saved.
    assert_eq!(outcome(bucket(4, "4/s")), "0 0 0 0 0 0 . . . . 0 0");
    // Paced: what is let through leaves at 0, 700, 950, 1200, 1450, 1700 and 2000 ms, never faster than every 250.
    assert_eq!(outcome(Rule::leaky_bucket(rate("4/s"), 2).unwrap()), "0 0 250 500 . 450 . . . . 0 0");
    // Windows from 0, 1000 and 2000: seven get through between 700 and 1000.
    assert_eq!(outcome(Rule::fixed_window(rate("4/s")).unwrap()), "0 0 0 0 . 0 0 0 0 . . 0");
    // At 1000 only the first has left the last second; those of 700 leave at 1700.
    assert_eq!(outcome(Rule::sliding_window(rate("4/s")).unwrap()), "0 0 0 0 . 0 . . . . 0 0");
    // Those of 700 have left at 1000, those of 1000 are still there at 1100.
    assert_eq!(outcome(Rule::concurrency(2).unwrap()), "0 0 0 . . 0 0 . . . 0 0");
}

#[test]
fn only_a_fixed_window_lets_twice_its_limit_through_at_a_boundary() {
    let at_boundary = |rule: Rule| {
        let mut counter = Counter::new(rule);
        // One request begins the windows; the rest of the burst comes just before and just after the next begins.
        counter.burst(at_ms(0), 1) + counter.burst(at_ms(59_900), 99) + counter.burst(at_ms(60_000), 100)
    };

    assert_eq!(at_boundary(Rule::fixed_window(rate("100/m")).unwrap()), 200);
    assert_eq!(at_boundary(Rule::sliding_window(rate("100/m")).unwrap()), 101);
    assert_eq!(at_boundary(bucket(100, "100/m")), 101);
}

#[test]
fn a_fixed_window_is_reset_when_it_is_over() {
    let mut counter = Counter::new(Rule::fixed_window(rate("5/15m")).unwrap());

    assert_eq!(counter.burst(at_ms(0), 6), 5);
    let refused = counter.take(at_ms(1), 1);
    assert_eq!((refused.reset, refused.retry), (899_999_000, 899_999_000));
    assert!(!counter.take(at_ms(899_999), 1).allowed);
    assert_eq!(counter.take(at_ms(900_000), 1).remaining, 4);
}

#[test]
fn the_first_window_is_as_long_as_any_even_when_the_store_has_just_begun() {
    let mut counter = Counter::new(Rule::fixed_window(rate("5/15m")).unwrap());

    assert_eq!(counter.take(at(60_000_000), 1).reset, 900_000_000);
}

#[test]
fn a_bucket_with_a_delay_holds_back_up_to_its_bound() {
    let rule = Rule::token_bucket(2, rate("10/s"), Duration::from_millis(250)).unwrap();
    let mut counter = Counter::new(rule);

    let said: Vec<_> = (0..6).map(|_| counter.take(at_ms(0), 1)).collect();
    let delays: Vec<_> = said.iter().map(|verdict| (verdict.allowed, verdict.delay)).collect();
    assert_eq!(delays, [(true, 0), (true, 0), (true, 100_000), (true, 200_000), (false, 0), (false, 0)]);
    // A third would wait for 300 ms; after 50 it would wait for 250.
    assert_eq!(said[4].retry, 50_000);
    assert_eq!(counter.take(at_ms(50), 1).delay, 250_000);
}

#[test]
fn a_route_of_cost_ten_drains_ten() {
    let mut counter = Counter::new(bucket(100, "10/s"));

    assert_eq!(counter.take(at_ms(0), 10).remaining, 90);
    assert_eq!(counter.take(at_ms(0), 91).retry, 100_000);
    assert_eq!(counter.take(at_ms(0), 90).remaining, 0);
}

#[test]
fn a_look_takes_nothing_and_says_whether_one_could_be_had() {
    for rule in [bucket(1, "1/m"), Rule::fixed_window(rate("1/m")).unwrap(), Rule::sliding_window(rate("1/m")).unwrap()]
    {
        let mut counter = Counter::new(rule);

        assert!(counter.take(at_ms(0), 0).allowed);
        assert_eq!(counter.take(at_ms(0), 0).remaining, 1);
        assert!(counter.take(at_ms(0), 1).allowed);
        let look = counter.take(at_ms(0), 0);
        assert_eq!((look.allowed, look.remaining, look.retry), (false, 0, 60_000_000));
    }
}
