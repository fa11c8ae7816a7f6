//! What must hold at every moment, whatever goes wrong.

use std::future::Future;
use std::task::{Context, Poll, Waker};

use tidegate_upstream::{Failure, NoRetry, NoTarget, Overloaded, Pick, Tried, Why};

use super::SECOND;
use super::plan::{BASE_EJECTION, BREAKER_OPEN, MAX_EJECTION, QUEUE_TIMEOUT};
use super::request::{End, Request};
use super::server::{Server, one_too_many};
use super::world::{JUDGEMENTS, World};

/// What is known of servers.
impl World {
    /// The pool knows of a server just what it must, and counts its requests right.
    pub(super) fn look_at(&mut self, index: usize) {
        let server = &self.servers[index];
        let seen = self.pool.seen(&server.address);
        if !server.listed {
            return self.rule(seen.is_none() || self.replaced_serve(), || format!("{} is still there", server.address));
        }
        let Some(seen) = seen else { self.broken("a listed server is not there") };
        let known = &server.known;
        let model = (known.unchecked, known.unhealthy, known.draining, known.in_flight);
        self.rule((seen.unchecked, seen.unhealthy, seen.draining, seen.in_flight) == model, || {
            format!("{} is {seen:?}, and should be {model:?}", server.address)
        });
        match (known.ejected, seen.ejected) {
            (None, true) => self.look_at_ejection(index),
            (Some(since), false) => self.look_at_return(index, since),
            (Some(since), true) => {
                let over = self.now > since + (MAX_EJECTION * SECOND) + JUDGEMENTS;
                self.rule(!over, || format!("{} is ejected for too long", self.servers[index].address));
            }
            (None, false) => {}
        }
    }

    /// Whether servers that are no longer listed serve on: nobody is usable, and somebody is still to be checked.
    fn replaced_serve(&self) -> bool {
        let awaited = self.servers.iter().any(|server| server.listed && server.known.unchecked);
        awaited && !self.servers.iter().any(Server::is_usable)
    }

    pub(super) fn look_at_all(&mut self) {
        (0..self.servers.len()).for_each(|index| self.look_at(index));
    }

    /// A server was ejected: for a reason, not too many are, and never the last one.
    fn look_at_ejection(&mut self, index: usize) {
        let due = self.servers[index].known.due;
        self.rule(due, || format!("{} was ejected without a reason", self.servers[index].address));
        self.servers[index].known.ejected = Some(self.now);
        let (all, ejected) = self.ejected();
        self.rule(ejected <= most_ejected(all), || format!("{ejected} of {all} are ejected"));
        self.rule(self.servers.iter().any(Server::is_usable), || "the last usable server was ejected".to_owned());
        self.sum.ejections += 1;
    }

    /// A server is no longer ejected: its time is over, or there are too few others.
    fn look_at_return(&mut self, index: usize, since: u64) {
        let (all, ejected) = self.ejected();
        let others = self.servers.iter().filter(|server| server.is_usable() && server.known.returned != Some(self.now));
        let needed = ejected > most_ejected(all) || others.count() == 0;
        let early = self.now < since + BASE_EJECTION * SECOND;
        self.rule(needed || !early, || format!("{} is back too early", self.servers[index].address));
        self.sum.relented += u64::from(early);
        let known = &mut self.servers[index].known;
        (known.ejected, known.returned, known.errors, known.silences) = (None, Some(self.now), 0, 0);
    }

    /// How many are listed, and how many of them ejected.
    fn ejected(&self) -> (usize, usize) {
        let listed = || self.servers.iter().filter(|server| server.listed);
        (listed().count(), listed().filter(|server| server.known.ejected.is_some()).count())
    }

    /// A try has ended: the server's faults in a row, and that they are enough for an ejection where it may be.
    pub(super) fn look_at_outcome(&mut self, index: usize, end: End) {
        let Some(rule) = &self.plan.outlier else { return self.look_at(index) };
        let known = &mut self.servers[index].known;
        let silent = matches!(end, End::Failed(_));
        known.due = match end.is_good() {
            true => {
                known.errors = 0;
                false
            }
            false => one_too_many(&mut known.errors, rule.consecutive_5xx),
        };
        match silent {
            true => known.due |= one_too_many(&mut known.silences, rule.consecutive_connect),
            false => known.silences = 0,
        }
        let (all, ejected) = self.ejected();
        let usable = self.servers.iter().filter(|server| server.is_usable()).count();
        let server = &self.servers[index];
        let must = server.known.due && server.is_usable() && usable > 1 && ejected < most_ejected(all);
        self.look_at_all();
        let ejected = std::mem::take(&mut self.servers[index].known.due) && self.servers[index].known.ejected.is_some();
        self.rule(ejected || !must, || format!("{} should have been ejected", self.servers[index].address));
    }
}

/// Half of them, but one if there are two.
fn most_ejected(all: usize) -> usize {
    if all > 1 { (all / 2).max(1) } else { 0 }
}

/// Where requests go.
impl World {
    /// No request goes to a server that is known not to serve while there is one that does.
    pub(super) fn look_at_pick(&self, index: usize, request: &Request) {
        let server = &self.servers[index];
        let at = |rule: &str| format!("{}: {rule}", server.address);
        if !server.listed {
            return self.rule(self.replaced_serve(), || at("it is no longer listed"));
        }
        self.rule(!server.known.draining, || at("it is to have no new requests"));
        self.rule(server.is_usable() || self.is_panic(), || at("it was picked though it is not usable"));
        let most = self.plan.per_target.unwrap_or(u32::MAX);
        self.rule(server.known.in_flight < most, || at("it has as many requests as it may"));
        let free = |other: &(usize, &Server)| other.1.is_usable() && other.1.known.in_flight < most;
        let mut free = self.servers.iter().enumerate().filter(free);
        if request.has_tried(index, server) {
            let untried = free.any(|(index, other)| !request.has_tried(index, other));
            self.rule(!untried, || at("it was tried before, and another was not"));
        } else if request.tried.is_empty() && server.is_usable() {
            let nearer = free.any(|(_, other)| other.priority < server.priority);
            self.rule(!nearer, || at("a lower tier can serve"));
        }
    }

    /// So few are usable that all are used.
    fn is_panic(&self) -> bool {
        let Some(threshold) = self.plan.panic_threshold else { return false };
        let known = |server: &&Server| server.listed && !server.known.draining && !server.known.unchecked;
        let (all, usable) =
            (self.servers.iter().filter(known), self.servers.iter().filter(|server| server.is_usable()));
        usable.count() * 100 < threshold as usize * all.count().max(1)
    }

    pub(super) fn look_at_no_target(&self, none: NoTarget) {
        let usable = || self.servers.iter().filter(|server| server.is_usable());
        let most = self.plan.per_target.unwrap_or(u32::MAX);
        match none {
            NoTarget::NoAddress => self.broken("servers are listed"),
            NoTarget::Unusable => self.rule(usable().count() == 0, || "a server is usable".to_owned()),
            // Nobody spills over to the next tier because this one is full.
            NoTarget::Full => {
                let tier = usable().map(|server| server.priority).min();
                let mut tier = usable().filter(|server| Some(server.priority) == tier);
                self.rule(tier.all(|server| server.known.in_flight >= most), || "a server has room".to_owned());
            }
        }
    }
}

/// How much is let in, and tried again.
impl World {
    pub(super) fn look_at_limits(&self) {
        let most = self.plan.in_flight.unwrap_or(u32::MAX);
        self.rule(self.inside <= most, || format!("{} requests are in, of at most {most}", self.inside));
    }

    pub(super) fn look_at_the_queue(&self) {
        let counts = self.pool.counts_by_hand();
        let model = (self.inside, self.waiting.len() as u32);
        self.rule(counts == model, || format!("the pool counts {counts:?}, and should {model:?}"));
        let Some(first) = self.waiting.front().and_then(|id| self.requests.get(id)) else { return };
        let late = self.now > first.arrived + QUEUE_TIMEOUT * SECOND;
        self.rule(!late, || "a request waits for longer than it may".to_owned());
        // One that is being tried already has its place. Breaker and adaptive limit have reasons of their own.
        if let (Some(most), false) = (self.plan.in_flight, self.plan.breaker || self.plan.adaptive) {
            self.rule(self.inside >= most, || "there is room, and requests wait".to_owned());
        }
    }

    pub(super) fn look_at_refusal(&mut self, overloaded: &Overloaded) {
        match overloaded {
            Overloaded::Full => {
                let most = self.plan.in_flight.unwrap_or(if self.plan.adaptive { 0 } else { u32::MAX });
                let full = self.inside >= most && self.waiting.len() as u32 >= self.plan.queue;
                self.rule(full, || "refused, though there is room".to_owned());
            }
            Overloaded::QueueTimeout => self.rule(self.plan.queue > 0, || "there is no queue".to_owned()),
            Overloaded::BreakerOpen { retry_in } => {
                self.sum.broken += 1;
                let short = retry_in.as_secs_f64() <= BREAKER_OPEN as f64;
                self.rule(self.plan.breaker && short, || format!("the breaker is open for {retry_in:?}"));
            }
        }
    }

    /// The budget: at its last grant there were no more retries than may be.
    pub(super) fn look_at_permit(&self, tried: &Tried) {
        let most = self.most_retries();
        self.rule(self.held <= most || !tried.sent, || format!("{} retries, at most {most}", self.held));
        self.rule(tried.retry <= self.plan.attempts, || format!("retry {} of {}", tried.retry, self.plan.attempts));
        self.rule(tried.idempotent || !tried.sent, || "it may have been worked on".to_owned());
        self.rule(is_reason(tried.why), || format!("{:?} is no reason", tried.why));
    }

    fn most_retries(&self) -> u32 {
        (self.inside * self.plan.budget.percent / 100).max(self.plan.budget.min)
    }

    pub(super) fn look_at_no_retry(&mut self, tried: &Tried, why: NoRetry) {
        let right = match why {
            NoRetry::NotAsked => !is_reason(tried.why) || self.plan.attempts == 0,
            NoRetry::Exhausted => tried.retry > self.plan.attempts,
            NoRetry::NotIdempotent => tried.sent && !tried.idempotent,
            NoRetry::BodyGone => false,
            NoRetry::OverBudget => tried.sent && self.held >= self.most_retries(),
        };
        self.sum.over_budget += u64::from(why == NoRetry::OverBudget);
        self.rule(right, || format!("{why:?} for {tried:?}"));
    }

    /// After the hour: nothing is left over, and everything serves again.
    pub(super) fn expect_all_well(&mut self) {
        let left = (self.requests.len(), self.inside, self.held);
        self.rule(left == (0, 0, 0), || format!("requests, places and permits left: {left:?}"));
        self.look_at_the_queue();
        self.look_at_all();
        for server in self.servers.iter().filter(|server| server.listed) {
            let fit = server.is_usable() || server.known.draining;
            self.rule(fit && server.known.in_flight == 0, || format!("{} is not well again", server.address));
        }
        if self.servers.iter().any(Server::is_usable) {
            (0..10).for_each(|_| self.expect_service());
        }
    }

    fn expect_service(&self) {
        let mut admitting = std::pin::pin!(self.pool.admit(None));
        let admitted = admitting.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        self.rule(matches!(admitted, Poll::Ready(Ok(_))), || format!("after the hour: {admitted:?}"));
        let picked = self.pool.pick(&Pick::default());
        self.rule(picked.is_ok(), || format!("after the hour: {picked:?}"));
    }
}

fn is_reason(why: Why) -> bool {
    matches!(why, Why::Failed(Failure::Connect | Failure::Reset | Failure::Timeout) | Why::Status(503))
}
