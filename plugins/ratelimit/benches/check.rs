//! What one check costs in memory: one limit and four, for one key and a million, from one thread and two.
//!
//! Prints the best of several rounds (what the code costs) and their median (what the machine made of it). Keys are made
//! before the clock starts: making them is the part of a request that reads it, not of the check. Premises that are
//! checked: every request was admitted and counted, all keys were held and none was pushed out.

use std::hint::black_box;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use tidegate_ratelimit::bench::Checks;

const ROUNDS: usize = 150;
const CHECKS: usize = 300 * BATCH;
/// So few that their keys stay in the first caches.
const BATCH: usize = 64;

fn main() {
    println!(
        "{:>7} {:>10} {:>8} {:>10} {:>12} {:>14}",
        "limits", "keys", "threads", "ns/check", "(median)", "bytes/key"
    );
    for limits in [1, 4] {
        for keys in [1, 1_000_000] {
            for threads in [1, 2] {
                measure(limits, keys, threads);
            }
        }
    }
}

fn measure(limits: usize, keys: usize, threads: usize) {
    // A million keys, whatever they are of: with four limits a quarter as many clients.
    let clients = (keys / limits).max(1) as u64;
    // So much room that no key has to go.
    let checks = Checks::new(keys.max(512) * 80, limits);
    for client in 0..clients {
        assert!(checks.check(&checks.request(client), checks.now()));
    }
    let (held, bytes) = checks.held();
    // A bucket may have drained by now: one in a thousand, not more.
    assert!(held * 1000 >= clients * limits as u64 * 999, "{held} of {clients} times {limits} keys are held");
    let start = Barrier::new(threads);
    let mut times: Vec<f64> = thread::scope(|scope| {
        let runs: Vec<_> = (0..threads)
            .map(|thread| {
                scope.spawn({
                    let (checks, start) = (&checks, &start);
                    move || {
                        (0..ROUNDS)
                            .map(|_| {
                                start.wait();
                                round(checks, clients, thread as u64)
                            })
                            .collect::<Vec<_>>()
                    }
                })
            })
            .collect();
        runs.into_iter().flat_map(|run| run.join().expect("a thread that measures")).collect()
    });
    times.sort_by(f64::total_cmp);
    assert_eq!(checks.lost(), 0, "keys that were lost");
    if clients == 1 {
        // The first limit is a bucket, which drains; the second a window of a quarter of an hour.
        let taken = checks.taken(0, 1);
        assert!(limits == 1 || taken == (threads * ROUNDS * CHECKS + 1) as u64, "{taken} were counted");
    }
    let (best, median) = (times[0], times[times.len() / 2]);
    let per_key = if keys > 1 { format!("{:.0}", bytes as f64 / held as f64) } else { "-".into() };
    println!("{limits:>7} {keys:>10} {threads:>8} {best:>10.0} {median:>12.0} {per_key:>14}");
}

/// Nanoseconds for each check.
fn round(checks: &Checks, clients: u64, thread: u64) -> f64 {
    let mut state = 0x9e37_79b9_7f4a_7c15 ^ thread << 17;
    let mut spent = Duration::ZERO;
    for _ in 0..CHECKS / BATCH {
        let batch: Vec<_> = (0..BATCH).map(|_| checks.request(random(&mut state) % clients)).collect();
        let now = checks.now();
        let started = Instant::now();
        for request in &batch {
            assert!(black_box(checks.check(black_box(request), now)));
        }
        spent += started.elapsed();
    }
    spent.as_nanos() as f64 / (CHECKS) as f64
}

fn random(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}
