//! The hour itself: what happens next, and what the pool is told of it.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::sync::Arc;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use tidegate_core::{Clock, Metrics};
use tidegate_upstream::{Pool, Upstreams};

use super::clock::SimClock;
use super::plan::{CHECK_INTERVAL, Plan};
use super::request::Request;
use super::server::{Mood, Server, exponential};
use super::sum::Sum;
use super::{FAULTS_UNTIL, HOUR, SECOND};

/// What happens at some time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Event {
    Arrival,
    Burst,
    /// A request has waited in the queue for as long as it may.
    WaitedEnough(u64),
    /// A request's answer begins, in its try of this number.
    Head(u64, usize),
    End(u64, usize),
    /// A request is tried again.
    Again(u64),
    ClientLeaves(u64),
    /// A server's check, in its life of this number, has a result.
    Check(usize, u32),
    /// Ejected servers whose time is over come back.
    Judgement,
    Fault(usize),
    /// Servers are listed, taken off the list, drained.
    Change,
}

pub(super) struct World {
    pub(super) seed: u64,
    pub(super) rng: SmallRng,
    pub(super) now: u64,
    clock: SimClock,
    pub(super) plan: Plan,
    pub(super) pool: Arc<Pool>,
    pub(super) servers: Vec<Server>,
    pub(super) requests: BTreeMap<u64, Request>,
    /// Those that wait to be let in, in order.
    pub(super) waiting: VecDeque<u64>,
    /// Requests that were let in.
    pub(super) inside: u32,
    /// Permits to try again that are held.
    pub(super) held: u32,
    pub(super) sum: Sum,
    events: BinaryHeap<Reverse<(u64, u64, Event)>>,
    count: u64,
    trace: VecDeque<(u64, Event)>,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        let mut rng = SmallRng::seed_from_u64(seed);
        let plan = Plan::new(seed, &mut rng);
        let clock = SimClock::new();
        let configs = crate::support::config(&plan.yaml);
        let built = Upstreams::build(&configs, None, &Metrics::new(), &Clock::new(clock.clone()));
        let built = built.unwrap_or_else(|errors| panic!("{errors}\n{}", plan.yaml));
        let servers = (0..rng.random_range(2..=6)).map(|number| Server::new(number, &plan, &mut rng)).collect();
        let mut world = Self {
            seed,
            rng,
            now: 0,
            clock,
            plan,
            pool: built.get("app").expect("the pool").clone(),
            servers,
            requests: BTreeMap::new(),
            waiting: VecDeque::new(),
            inside: 0,
            held: 0,
            sum: Sum::default(),
            events: BinaryHeap::new(),
            count: 0,
            trace: VecDeque::new(),
        };
        world.begin();
        world
    }

    fn begin(&mut self) {
        for server in 0..self.servers.len() {
            self.servers[server].list(true, &self.plan);
            self.after_about(120, Event::Fault(server));
        }
        self.publish();
        for server in 0..self.servers.len() {
            self.expect_check(server, SECOND);
        }
        self.after(5 * SECOND, Event::Arrival);
        for (mean, event) in [(120, Event::Burst), (300, Event::Change)] {
            self.after_about(mean, event);
        }
        self.after(JUDGEMENTS, Event::Judgement);
    }

    /// Lives through the hour, and what is left of its requests after it.
    pub(super) fn run(mut self) -> Sum {
        while let Some(Reverse((time, _, event))) = self.events.pop() {
            self.now = time;
            self.clock.set(time);
            self.remember(event);
            self.happen(event);
            self.ask_the_waiting();
        }
        self.expect_all_well();
        self.sum
    }

    fn happen(&mut self, event: Event) {
        let over = self.now >= HOUR;
        let calm = self.now >= FAULTS_UNTIL;
        match event {
            Event::Arrival if !over => {
                self.arrive();
                self.after_about(6, event);
            }
            Event::Burst if !calm => {
                (0..20).for_each(|_| self.arrive());
                self.after_about(120, event);
            }
            Event::Fault(server) => self.fault(server, calm),
            Event::Change if !calm => {
                self.change();
                self.after_about(300, event);
            }
            Event::Check(server, life) if !over => self.check(server, life),
            Event::Judgement if !over => {
                self.pool.judge_by_hand();
                self.look_at_all();
                self.after(JUDGEMENTS, event);
            }
            Event::Arrival | Event::Burst | Event::Change | Event::Check(..) | Event::Judgement => {}
            Event::WaitedEnough(_) => {}
            Event::Head(request, attempt) => self.head(request, attempt),
            Event::End(request, attempt) => self.end(request, attempt),
            Event::Again(request) => self.start(request),
            Event::ClientLeaves(request) => self.leave(request),
        }
    }

    pub(super) fn after(&mut self, nanoseconds: u64, event: Event) {
        self.count += 1;
        self.events.push(Reverse((self.now + nanoseconds, self.count, event)));
    }

    /// After a random time of that many seconds on average.
    fn after_about(&mut self, seconds: u64, event: Event) {
        let wait = exponential(seconds * SECOND, &mut self.rng);
        self.after(wait, event);
    }

    fn fault(&mut self, server: usize, calm: bool) {
        if calm {
            self.servers[server].mood = Mood::Well;
            return;
        }
        self.sum.faults += 1;
        self.servers[server].turn(self.now, &mut self.rng);
        let mean = if self.servers[server].mood == Mood::Well { 240 } else { 60 };
        let wait = exponential(mean * SECOND, &mut self.rng);
        // Whoever is ill is well again when the calm comes.
        self.after(wait.min(FAULTS_UNTIL - self.now), Event::Fault(server));
    }

    fn check(&mut self, index: usize, life: u32) {
        let server = &mut self.servers[index];
        let (Some(rule), true) = (&self.plan.health, server.listed && server.life == life) else { return };
        let good = server.passes_check();
        server.known.checked(rule, good);
        self.pool.check_by_hand(&server.address, good);
        self.look_at_all();
        self.expect_check(index, CHECK_INTERVAL * SECOND);
    }

    fn expect_check(&mut self, server: usize, within: u64) {
        let life = self.servers[server].life;
        let jitter = self.rng.random_range(0..=within / 10);
        self.after(within - jitter, Event::Check(server, life));
    }

    /// A server comes, goes, or is to have no new requests for a while.
    fn change(&mut self) {
        let index = self.rng.random_range(0..self.servers.len());
        let others = self.servers.iter().filter(|server| server.listed).count() > 1;
        let server = &mut self.servers[index];
        if server.listed && self.rng.random() {
            server.known.draining = !server.known.draining;
            let on = server.known.draining;
            assert!(self.pool.drain(&server.address, on), "a listed server can be drained");
        } else if others && server.listed || !server.listed && self.pool.seen(&server.address).is_none() {
            server.list(!server.listed, &self.plan);
            self.publish();
            self.expect_check(index, SECOND);
        }
        self.look_at_all();
        self.sum.changes += 1;
    }

    fn publish(&mut self) {
        let listed = self.servers.iter().filter(|server| server.listed);
        let targets = listed.map(Server::config).collect();
        self.pool.set_targets(targets).unwrap_or_else(|errors| panic!("{errors}"));
    }

    fn remember(&mut self, event: Event) {
        if self.trace.len() == TRACE {
            self.trace.pop_front();
        }
        self.trace.push_back((self.now, event));
    }

    /// Ends the simulation: a rule is broken. Lots within the pool are not the seed's, so that another run may take
    /// another course: the last events are told.
    pub(super) fn broken(&self, rule: &str) -> ! {
        let trace: Vec<String> =
            self.trace.iter().map(|(at, event)| format!("{:.3} s: {event:?}", *at as f64 / SECOND as f64)).collect();
        panic!("seed {}: {rule}\n{}\n{}", self.seed, self.plan.yaml, trace.join("\n"));
    }

    #[track_caller]
    pub(super) fn rule(&self, holds: bool, rule: impl FnOnce() -> String) {
        if !holds {
            self.broken(&rule());
        }
    }
}

pub(super) const JUDGEMENTS: u64 = 3 * SECOND;
const TRACE: usize = 40;
