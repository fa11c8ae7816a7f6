//! A simulated hour of servers that die, stall, fail, slow down and recover, in virtual time, without a socket: a
//! thousand of them, each from a seed. After each event the rules of `rules.rs` must hold.
//!
//! What the gateway should know is counted a second time, the simple way (`server.rs`), and compared.
//! `TIDEGATE_SEED=17 cargo test -p tidegate-upstream --test upstream simulation` lives through one of them.

mod clock;
mod plan;
mod request;
mod rules;
mod server;
mod sum;
mod traffic;
mod world;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use self::sum::Sum;
use self::world::World;

const SECOND: u64 = 1_000_000_000;
const HOUR: u64 = 3600 * SECOND;
/// From then on nothing goes wrong any more, and all must be well at the end of the hour.
const FAULTS_UNTIL: u64 = 3000 * SECOND;

const SEEDS: u64 = 1_000;

#[test]
fn a_thousand_hours_of_random_faults_break_no_rule() {
    if let Some(seed) = std::env::var("TIDEGATE_SEED").ok().and_then(|seed| seed.parse().ok()) {
        println!("{:#?}", World::new(seed).run());
        return;
    }
    let (next, sum) = (AtomicU64::new(0), Mutex::new(Sum::default()));
    let live = || {
        while let Some(seed) = Some(next.fetch_add(1, Ordering::Relaxed)).filter(|seed| *seed < SEEDS) {
            let hour = World::new(seed).run();
            sum.lock().unwrap().add(&hour);
        }
    };
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        (0..threads).for_each(|_| {
            scope.spawn(live);
        });
    });
    sum.into_inner().unwrap().expect_much(SEEDS);
}
