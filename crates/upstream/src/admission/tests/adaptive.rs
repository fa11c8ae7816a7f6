//! A simulated upstream that takes so many requests at a time, and a load that always asks for more.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use serde_json::json;

use super::*;

const MS: u64 = 1_000_000;

/// An upstream whose workers each answer one request at a time; further ones wait there for a worker.
struct Server {
    /// When each worker is free.
    workers: BinaryHeap<Reverse<u64>>,
    /// How long an answer takes, in nanoseconds.
    answer: u64,
    rng: SmallRng,
}

impl Server {
    fn new(workers: usize, answer: u64, seed: u64) -> Self {
        Self { workers: vec![Reverse(0); workers].into(), answer, rng: SmallRng::seed_from_u64(seed) }
    }

    fn set_workers(&mut self, workers: usize, now: u64) {
        self.workers = vec![Reverse(now); workers].into();
    }

    /// When a request that comes now is answered.
    fn answers_at(&mut self, now: u64) -> u64 {
        let Reverse(free) = self.workers.pop().expect("there is a worker");
        let took = self.rng.random_range(self.answer * 9 / 10..self.answer * 11 / 10);
        let done = free.max(now) + took;
        self.workers.push(Reverse(done));
        done
    }
}

/// The gateway with that upstream.
struct World {
    admission: Arc<Admission>,
    clock: HandClock,
    server: Server,
    now: u64,
    /// By the time of their answers.
    under_way: BinaryHeap<Reverse<(u64, u64, usize)>>,
    places: Vec<Option<Admitted>>,
    answered: u64,
}

impl World {
    fn new(adaptive: serde_json::Value, server: Server) -> Self {
        let clock = HandClock::new();
        let admission = admission(json!({ "adaptive": adaptive }), &clock);
        let (under_way, places) = (BinaryHeap::new(), Vec::new());
        Self { admission, clock, server, now: 0, under_way, places, answered: 0 }
    }

    fn limit(&self) -> u32 {
        self.admission.limit().expect("a limit")
    }

    /// Goes on for a while with as many requests as are let in, but never more than `demand` at a time.
    fn run(&mut self, seconds: u64, demand: usize) {
        let end = self.now + seconds * 1_000 * MS;
        while self.now < end {
            self.fill(demand);
            let Some(Reverse((done, began, place))) = self.under_way.pop() else { panic!("nobody is let in") };
            self.clock.advance(Duration::from_nanos(done - self.now));
            self.now = done;
            self.admission.heard(Duration::from_nanos(done - began));
            self.places[place] = None;
            self.answered += 1;
        }
    }

    fn fill(&mut self, demand: usize) {
        while self.under_way.len() < demand {
            let Ok(admitted) = at_once(self.admission.enter(None)) else { return };
            let free = self.places.iter().position(Option::is_none);
            let place = free.unwrap_or_else(|| {
                self.places.push(None);
                self.places.len() - 1
            });
            self.places[place] = Some(admitted);
            self.under_way.push(Reverse((self.server.answers_at(self.now), self.now, place)));
        }
    }
}

const MUCH: usize = 2_000;

#[test]
fn the_limit_finds_the_capacity_and_follows_it_down_and_up() {
    let mut world = World::new(json!({}), Server::new(50, 100 * MS, 1));
    world.run(60, MUCH);
    assert!((50..=110).contains(&world.limit()), "{}", world.limit());
    world.server.set_workers(10, world.now);
    world.run(60, MUCH);
    assert!((10..=30).contains(&world.limit()), "{}", world.limit());
    world.server.set_workers(50, world.now);
    world.run(120, MUCH);
    assert!((50..=110).contains(&world.limit()), "{}", world.limit());
}

#[test]
fn the_limit_stays_where_it_is_however_long_the_load_lasts() {
    let mut world = World::new(json!({}), Server::new(50, 100 * MS, 2));
    world.run(60, MUCH);
    for _ in 0..12 {
        world.run(60, MUCH);
        // It is halved while the usual time is measured.
        assert!((30..=110).contains(&world.limit()), "{}", world.limit());
    }
}

#[test]
fn the_upstream_is_kept_busy() {
    let mut world = World::new(json!({}), Server::new(50, 100 * MS, 3));
    world.run(30, MUCH);
    let before = world.answered;
    world.run(100, MUCH);
    // 500 a second is all that it can do.
    assert!(world.answered - before > 48_000, "{}", world.answered - before);
}

#[test]
fn an_upstream_that_becomes_slower_but_takes_as_many_is_not_held_down_for_ever() {
    let mut world = World::new(json!({}), Server::new(50, 100 * MS, 4));
    world.run(60, MUCH);
    world.server.answer = 250 * MS;
    world.run(300, MUCH);
    assert!(world.limit() >= 40, "{}", world.limit());
}

#[test]
fn without_load_the_limit_does_not_grow() {
    let mut world = World::new(json!({}), Server::new(50, 100 * MS, 5));
    world.run(120, 5);
    assert_eq!(world.limit(), 20);
}

#[test]
fn the_limit_stays_within_its_bounds() {
    let mut world = World::new(json!({ "initial": 8, "min": 6, "max": 30 }), Server::new(50, 100 * MS, 6));
    world.run(60, MUCH);
    assert_eq!(world.limit(), 30);
    world.server.set_workers(1, world.now);
    let limits = std::iter::repeat_with(|| {
        world.run(5, MUCH);
        world.limit()
    });
    let limits: Vec<_> = limits.take(60).collect();
    assert_eq!(limits.iter().min(), Some(&6));
    assert!(limits.iter().all(|limit| *limit <= 30), "{limits:?}");
}

#[test]
fn an_upstream_that_answers_nothing_any_more_is_asked_less() {
    let mut world = World::new(json!({}), Server::new(50, 100 * MS, 7));
    world.run(30, MUCH);
    let before = world.limit();
    for _ in 0..200 {
        world.clock.advance(Duration::from_millis(100));
        world.admission.ended(TryOutcome::Failed(Failure::Timeout), None, 10 * SECOND);
    }
    assert!(world.limit() < before / 2, "{} of {before}", world.limit());
}
