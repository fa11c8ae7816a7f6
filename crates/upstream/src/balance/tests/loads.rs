//! Requests that take time, of which the balancer learns: an open loop in virtual time, as many clients don't wait for
//! one another.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::*;
use crate::pick::{Failure, TryOutcome};

const FAST: Duration = Duration::from_millis(10);
const SLOW: Duration = Duration::from_millis(100);
const REQUESTS: u32 = 20_000;

/// What became of the requests.
struct Run {
    shares: BTreeMap<u16, usize>,
    times: Vec<Duration>,
}

impl Run {
    fn share(&self, port: u16) -> f64 {
        *self.shares.get(&port).unwrap_or(&0) as f64 / f64::from(REQUESTS)
    }

    fn p(&self, hundredth: usize) -> Duration {
        let mut times = self.times.clone();
        times.sort_unstable();
        times[times.len() * hundredth / 100]
    }
}

/// One request every 3 ms or so on three targets, of which the third is ten times slower; or refuses at once.
fn run(bed: &Bed, third: Result<Duration, Duration>) -> Run {
    let mut lots = SmallRng::seed_from_u64(7);
    let mut run = Run { shares: BTreeMap::new(), times: Vec::new() };
    let mut ends = BinaryHeap::new();
    let mut held = BTreeMap::new();
    let mut now = Duration::ZERO;
    for n in 0..REQUESTS {
        // Arrivals of a Poisson process.
        now += Duration::from_secs_f64(-(1.0 - lots.random::<f64>()).ln() * 0.003);
        while let Some(Reverse((end, n))) = ends.pop() {
            if end > now {
                ends.push(Reverse((end, n)));
                break;
            }
            bed.clock.advance(end - bed.clock.passed());
            finish(held.remove(&n).unwrap(), third.is_err());
        }
        bed.clock.advance(now - bed.clock.passed());
        let picked = bed.pick();
        let port = port_of(picked.address());
        let took = if port == 3 { third.unwrap_or_else(|took| took) } else { FAST };
        *run.shares.entry(port).or_default() += 1;
        run.times.push(took);
        ends.push(Reverse((now + took, n)));
        held.insert(n, picked);
    }
    run
}

fn finish(mut picked: Picked, third_fails: bool) {
    if third_fails && port_of(picked.address()) == 3 {
        return picked.finish(TryOutcome::Failed(Failure::Connect));
    }
    picked.answered();
    picked.finish(TryOutcome::Answered { status: 200, grpc: None });
}

#[test]
fn a_target_ten_times_slower_gets_less_than_15_percent_and_fewer_wait_for_it() {
    let even = run(&Bed::alike("lb: round_robin", 3), Ok(SLOW));
    assert_eq!(even.p(80), SLOW);
    for lb in ["least_request", "peak_ewma"] {
        let run = run(&Bed::alike(&format!("lb: {lb}"), 3), Ok(SLOW));
        let share = run.share(3);
        assert!(share < 0.15, "{lb}: {share}");
        assert_eq!(run.p(80), FAST, "{lb}");
        // Equal ones get equal shares.
        assert!((run.share(1) - run.share(2)).abs() < 0.05, "{lb}: {:?}", run.shares);
    }
}

#[test]
fn peak_ewma_shuns_a_slow_target_more_than_its_queue_alone_would_have_it() {
    let run = run(&Bed::alike("lb: peak_ewma", 3), Ok(SLOW));
    assert!(run.share(3) < 0.05, "{:?}", run.shares);
}

#[test]
fn peak_ewma_tries_a_slow_target_again_after_a_silence() {
    let bed = Bed::alike("lb: peak_ewma", 3);
    run(&bed, Ok(SLOW));
    bed.clock.advance(Duration::from_secs(600));
    let shares = bed.shares(300);
    assert!(shares.get(&3).is_some_and(|share| *share > 30), "{shares:?}");
}

#[test]
fn a_target_that_refuses_at_once_does_not_draw_the_requests_of_peak_ewma() {
    let run = run(&Bed::alike("lb: peak_ewma", 3), Err(Duration::from_micros(100)));
    assert!(run.share(3) < 0.15, "{:?}", run.shares);
}

#[test]
fn idle_targets_get_what_their_weights_say() {
    for lb in ["least_request", "peak_ewma"] {
        let bed = Bed::new(&format!("lb: {lb}"), &["1, weight: 3", "2"]);
        let shares = bed.shares(8_000);
        assert!(shares[&2].abs_diff(2_000) < 250, "{lb}: {shares:?}");
    }
}

#[test]
fn busy_targets_have_as_much_in_flight_as_their_weights_say() {
    for lb in ["least_request", "peak_ewma"] {
        let bed = Bed::new(&format!("lb: {lb}"), &["1, weight: 3", "2", "3"]);
        let held: Vec<_> = (0..1_000).map(|_| bed.pick()).collect();
        let heavy = held.iter().filter(|picked| port_of(picked.address()) == 1).count();
        assert!(heavy.abs_diff(600) < 20, "{lb}: {heavy}");
    }
}
