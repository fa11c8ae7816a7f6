//! What becomes of a request: let in, sent, tried again, answered.

use std::task::{Context, Poll, Waker};

use rand::Rng;
use tidegate_upstream::{Admitted, Failure, Overloaded, Pick, Tried};

use super::SECOND;
use super::plan::QUEUE_TIMEOUT;
use super::request::{Admitting, Attempt, End, Request};
use super::server::{Mood, exponential};
use super::world::{Event, World};

impl World {
    pub(super) fn arrive(&mut self) {
        self.sum.requests += 1;
        let id = self.sum.requests;
        let pool = self.pool.clone();
        let request = Request {
            user: self.rng.random(),
            idempotent: self.rng.random_ratio(3, 4),
            arrived: self.now,
            admitting: Some(Box::pin(async move { pool.admit(None).await })),
            ..Request::default()
        };
        self.requests.insert(id, request);
        if self.rng.random_ratio(1, 20) {
            let patience = exponential(5 * SECOND, &mut self.rng);
            self.after(patience, Event::ClientLeaves(id));
        }
        // Not before those who came earlier.
        self.ask_the_waiting();
        match self.ask_to_be_let_in(id) {
            Some(result) => self.let_in(id, result),
            None => {
                self.waiting.push_back(id);
                self.sum.queued += 1;
                self.after(QUEUE_TIMEOUT * SECOND, Event::WaitedEnough(id));
                self.rule(self.waiting.len() as u32 <= self.plan.queue, || "more wait than may".to_owned());
            }
        }
    }

    fn ask_to_be_let_in(&mut self, id: u64) -> Option<Result<Admitted, Overloaded>> {
        let admitting: &mut Admitting = self.requests.get_mut(&id)?.admitting.as_mut()?;
        match admitting.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(result) => Some(result),
            Poll::Pending => None,
        }
    }

    /// Whoever waits is asked again: nobody has a waker here.
    pub(super) fn ask_the_waiting(&mut self) {
        let mut passed_over = None;
        for id in std::mem::take(&mut self.waiting) {
            match self.ask_to_be_let_in(id) {
                Some(result) => {
                    let fair = result.is_err() || passed_over.is_none();
                    self.rule(fair, || format!("{id} was let in before {passed_over:?}"));
                    self.let_in(id, result);
                }
                None => {
                    passed_over.get_or_insert(id);
                    self.waiting.push_back(id);
                }
            }
        }
        self.look_at_the_queue();
    }

    fn let_in(&mut self, id: u64, result: Result<Admitted, Overloaded>) {
        let Some(request) = self.requests.get_mut(&id) else { return };
        request.admitting = None;
        match result {
            Ok(admitted) => {
                request.admitted = Some(admitted);
                self.inside += 1;
                self.look_at_limits();
                self.start(id);
            }
            Err(overloaded) => {
                self.look_at_refusal(&overloaded);
                self.sum.refused += 1;
                self.requests.remove(&id);
            }
        }
    }

    /// The first try, or the next.
    pub(super) fn start(&mut self, id: u64) {
        let Some(request) = self.requests.get(&id) else { return };
        let cx = Pick { hash: Some(request.user), sticky: None, tried: &request.tried };
        let picked = match self.pool.pick(&cx) {
            Ok(picked) => picked,
            Err(none) => {
                self.look_at_no_target(none);
                self.sum.no_target += 1;
                return self.close(id);
            }
        };
        let server = self.servers.iter().position(|server| server.address == picked.address());
        let Some(server) = server else { self.broken("an unknown server was picked") };
        self.look_at_pick(server, request);
        let (began, life) = (self.now, self.servers[server].life);
        let end = self.will_end(server);
        let head = self.servers[server].time(&mut self.rng);
        let attempt = Attempt { picked, server, life, began, end };
        self.servers[server].known.in_flight += 1;
        self.look_at(server);
        let Some(request) = self.requests.get_mut(&id) else { return };
        request.tried.push(attempt.picked.id());
        request.visited.push((server, life));
        let number = request.tried.len();
        request.attempt = Some(attempt);
        self.after(head, Event::Head(id, number));
    }

    fn will_end(&mut self, server: usize) -> End {
        match self.servers[server].mood {
            Mood::Well | Mood::Slow => End::Status(if self.rng.random_ratio(1, 10) { 404 } else { 200 }),
            Mood::Failing => End::Status(if self.rng.random() { 500 } else { 503 }),
            Mood::Stalled => End::Failed(Failure::Timeout),
            Mood::Dead => End::Failed(Failure::Connect),
        }
    }

    /// The answer begins, or it is clear that none will.
    pub(super) fn head(&mut self, id: u64, number: usize) {
        let Some(request) = self.requests.get_mut(&id).filter(|request| request.tried.len() == number) else { return };
        let Some(attempt) = &mut request.attempt else { return };
        if self.servers[attempt.server].died > attempt.began {
            attempt.end = End::Failed(Failure::Reset);
        }
        let answered = matches!(attempt.end, End::Status(_));
        if attempt.end != End::Failed(Failure::Connect) {
            attempt.picked.connected(true);
        }
        if answered {
            attempt.picked.answered();
        }
        // Some bodies take a while.
        match answered && self.rng.random_ratio(1, 4) {
            true => self.after(SECOND, Event::End(id, number)),
            false => self.end(id, number),
        }
    }

    pub(super) fn end(&mut self, id: u64, number: usize) {
        let Some(request) = self.requests.get_mut(&id).filter(|request| request.tried.len() == number) else { return };
        let Some(Attempt { mut picked, server, life, end, .. }) = request.attempt.take() else { return };
        let retried = request.permit.take().is_some();
        self.held -= u32::from(std::mem::take(&mut request.holds));
        picked.finish(end.outcome());
        drop(picked);
        if self.servers[server].listed && self.servers[server].life == life {
            self.servers[server].known.in_flight -= 1;
            self.look_at_outcome(server, end);
        }
        match end.is_good() {
            true => {
                self.sum.good += 1;
                self.sum.saved += u64::from(retried);
                self.close(id);
            }
            false => self.try_again(id, end),
        }
    }

    fn try_again(&mut self, id: u64, end: End) {
        let Some(request) = self.requests.get_mut(&id) else { return };
        let tried = Tried {
            why: end.why(),
            retry: request.tried.len() as u32,
            sent: end != End::Failed(Failure::Connect),
            idempotent: request.idempotent,
            replayable: true,
        };
        match self.pool.retry(&tried) {
            Ok(permit) => {
                let after = permit.after.as_nanos() as u64;
                request.permit = Some(permit);
                request.holds = tried.sent;
                self.held += u32::from(tried.sent);
                self.sum.retries += 1;
                self.look_at_permit(&tried);
                self.after(after, Event::Again(id));
            }
            Err(why) => {
                self.look_at_no_retry(&tried, why);
                self.sum.failed += 1;
                self.close(id);
            }
        }
    }

    /// The client is gone, wherever its request is.
    pub(super) fn leave(&mut self, id: u64) {
        if let Some(attempt) = self.requests.get_mut(&id).and_then(|request| request.attempt.take()) {
            let server = &mut self.servers[attempt.server];
            if server.listed && server.life == attempt.life {
                server.known.in_flight -= 1;
            }
        }
        self.waiting.retain(|waiting| *waiting != id);
        if self.requests.contains_key(&id) {
            self.sum.left += 1;
            self.close(id);
        }
    }

    fn close(&mut self, id: u64) {
        let Some(request) = self.requests.remove(&id) else { return };
        self.held -= u32::from(request.holds);
        self.inside -= u32::from(request.admitted.is_some());
    }
}
