//! What one pick costs: of 3, 100 and 10,000 targets, by each algorithm; what its end costs, and a change of targets.
//!
//! A pick is the choice with all that keeps it: the request is counted, and the time is read once. What that reading
//! costs is told by a clock that costs nothing. The end takes back the count, reads the time again and tells metrics
//! and breakers of the outcome. A change is an operator's draining of one target, in milliseconds.
//!
//! Prints the best of several rounds (what the code costs) and the median of picks (what the machine made of it).
//! Premise that is checked: every pick had a target.

use std::collections::BTreeMap;
use std::future::Future;
use std::hint::black_box;
use std::pin::Pin;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use tidegate_core::{Clock, Metrics, TimeSource};
use tidegate_upstream::{Pick, Picked, Pool, UpstreamConfig, Upstreams};

const ROUNDS: usize = 30;
const PICKS: u64 = 50_000 / BATCH * BATCH;
/// Picks in flight at a time: no allocation of the measuring falls into the measured.
const BATCH: u64 = 50;
const ALGORITHMS: [&str; 5] = ["round_robin", "random", "least_request", "peak_ewma", "consistent_hash"];

/// Stands still, and costs nothing.
struct NoClock(Instant);

impl TimeSource for NoClock {
    fn now(&self) -> Instant {
        self.0
    }
    fn wall(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH
    }
    fn sleep(&self, _: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(std::future::pending())
    }
}

fn main() {
    println!(
        "{:>16} {:>8} {:>8} {:>8} {:>8} {:>9} {:>9} {:>7} {:>10}",
        "algorithm", "weights", "targets", "threads", "ns/pick", "(median)", "no clock", "ns/end", "ms/change"
    );
    for algorithm in ALGORITHMS {
        for weighted in [false, true] {
            for targets in [3, 100, 10_000] {
                measure(algorithm, targets, weighted, 1);
            }
        }
        measure(algorithm, 100, false, 2);
    }
}

fn measure(algorithm: &str, targets: usize, weighted: bool, threads: usize) {
    let config = config(algorithm, targets, weighted);
    let measured = pool(&config, Clock::system());
    let (picks, ends) = times(&measured, threads);
    let (without, _) = times(&pool(&config, Clock::new(NoClock(Instant::now()))), threads);
    let change = (0..6).map(|n| change_time(&measured, n % 2 == 0)).fold(f64::INFINITY, f64::min);
    println!(
        "{algorithm:>16} {:>8} {targets:>8} {threads:>8} {:>8.0} {:>9.0} {:>9.0} {:>7.0} {change:>10.2}",
        if weighted { "differ" } else { "equal" },
        picks[0],
        picks[picks.len() / 2],
        without[0],
        ends[0],
    );
}

/// Nanoseconds for each pick and for each end, by round, the least first.
fn times(pool: &Arc<Pool>, threads: usize) -> (Vec<f64>, Vec<f64>) {
    let start = Barrier::new(threads);
    let run = |thread: u64| {
        let mut held = Vec::with_capacity(BATCH as usize);
        let round = |n: u64| {
            start.wait();
            round(pool, (thread << 40) + n * PICKS, &mut held)
        };
        (0..ROUNDS as u64).map(round).collect::<Vec<_>>()
    };
    let rounds: Vec<_> = thread::scope(|scope| {
        let runs: Vec<_> = (0..threads as u64)
            .map(|thread| {
                scope.spawn({
                    let run = &run;
                    move || run(thread)
                })
            })
            .collect();
        runs.into_iter().flat_map(|run| run.join().expect("a thread that measures")).collect()
    });
    let (mut picks, mut ends): (Vec<_>, Vec<_>) = rounds.into_iter().unzip();
    picks.sort_by(f64::total_cmp);
    ends.sort_by(f64::total_cmp);
    (picks, ends)
}

fn round(pool: &Arc<Pool>, from: u64, held: &mut Vec<Picked>) -> (f64, f64) {
    let (mut picks, mut ends) = (Duration::ZERO, Duration::ZERO);
    for batch in (from..from + PICKS).step_by(BATCH as usize) {
        let started = Instant::now();
        for n in batch..batch + BATCH {
            let pick = Pick { hash: Some(n), ..Pick::default() };
            held.push(pool.pick(black_box(&pick)).expect("a target"));
        }
        let picked = Instant::now();
        held.clear();
        picks += picked - started;
        ends += picked.elapsed();
    }
    let each = |time: Duration| time.as_nanos() as f64 / PICKS as f64;
    (each(picks), each(ends))
}

fn config(algorithm: &str, targets: usize, weighted: bool) -> BTreeMap<String, UpstreamConfig> {
    let target = |n: usize| {
        let weight = if weighted { n % 256 + 1 } else { 1 };
        format!("{{ \"address\": \"10.{}.{}.{}:80\", \"weight\": {weight} }}", n >> 16, n >> 8 & 255, n & 255)
    };
    let targets: Vec<_> = (0..targets).map(target).collect();
    let json = format!("{{ \"app\": {{ \"targets\": [{}], \"lb\": \"{algorithm}\" }} }}", targets.join(","));
    serde_json::from_str(&json).expect("a configuration")
}

fn pool(config: &BTreeMap<String, UpstreamConfig>, clock: Clock) -> Arc<Pool> {
    let upstreams = Upstreams::build(config, None, &Metrics::new(), &clock).expect("a pool");
    upstreams.get("app").expect("the pool").clone()
}

/// Milliseconds to take one target out, or back in.
fn change_time(pool: &Pool, out: bool) -> f64 {
    let started = Instant::now();
    assert!(pool.drain("10.0.0.1:80", out), "no such target");
    started.elapsed().as_secs_f64() * 1e3
}
