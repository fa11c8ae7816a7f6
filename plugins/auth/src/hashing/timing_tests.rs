//! Whether a comparison takes longer where more is right (F17), by Welch's t-test, as dudect does it: on what is below the
//! 90th percentile, the two kinds in random order. A comparison that gives up at the first difference is measured beside it:
//! a round in which that one is not caught says nothing.

use std::hint::black_box;
use std::time::Instant;

use aws_lc_rs::constant_time::verify_slices_are_equal;

use crate::id::fill_random;

/// Long, so that giving up early is seen.
const LENGTH: usize = 4096;
const SAMPLES: usize = 4000;
/// What dudect takes for a leak.
const LEAK: f64 = 4.5;
/// Others use the machine, too: noise makes two equal things look different now and then, and never two different ones
/// equal.
const ROUNDS: usize = 20;

struct Pairs {
    secret: Vec<u8>,
    equal: Vec<u8>,
    other: Vec<u8>,
}

fn gives_up(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a == b)
}

fn in_constant_time(a: &[u8], b: &[u8]) -> bool {
    verify_slices_are_equal(a, b).is_ok()
}

/// Welch's t of how long equal texts take, and those whose first byte differs.
fn t(pairs: &Pairs, compare: fn(&[u8], &[u8]) -> bool) -> f64 {
    let mut order = vec![0; SAMPLES];
    fill_random(&mut order);
    let mut times = [Vec::with_capacity(SAMPLES), Vec::with_capacity(SAMPLES)];
    for which in order {
        let equal = which % 2 == 0;
        // A copy at one place: where a text is in memory must not be what is measured.
        let given = if equal { pairs.equal.clone() } else { pairs.other.clone() };
        let began = Instant::now();
        assert_eq!(compare(black_box(&pairs.secret), black_box(&given)), equal);
        times[usize::from(equal)].push(began.elapsed().as_nanos() as f64);
    }
    welch(&mut times)
}

fn welch(times: &mut [Vec<f64>; 2]) -> f64 {
    let mut all: Vec<f64> = times.iter().flatten().copied().collect();
    all.sort_by(f64::total_cmp);
    let highest = all[all.len() * 9 / 10];
    let of = |times: &mut Vec<f64>| {
        times.retain(|time| *time <= highest);
        let count = times.len().max(2) as f64;
        let mean = times.iter().sum::<f64>() / count;
        let variance = times.iter().map(|time| (time - mean).powi(2)).sum::<f64>() / (count - 1.0);
        (mean, variance / count)
    };
    let ((one, var_one), (two, var_two)) = (of(&mut times[0]), of(&mut times[1]));
    // What the clock can't tell apart is equal.
    (one - two).abs() / (var_one + var_two).sqrt().max(1e-9)
}

#[test]
fn a_comparison_of_secrets_takes_as_long_whether_they_are_equal_or_not() {
    let mut secret = vec![0; LENGTH];
    fill_random(&mut secret);
    let (equal, mut other) = (secret.clone(), secret.clone());
    other[0] ^= 1;
    let pairs = Pairs { secret, equal, other };
    let mut seen = Vec::new();
    for _ in 0..ROUNDS {
        let (leaky, ours) = (t(&pairs, gives_up), t(&pairs, in_constant_time));
        if leaky > LEAK && ours < LEAK {
            return;
        }
        seen.push((leaky, ours));
    }
    panic!("t of one that gives up, and of ours: {seen:.1?}");
}
