//! The tries of one request: where they went, and what came of the last.

use std::sync::Arc;

use http::{HeaderMap, StatusCode};
use smallvec::SmallVec;
use tidegate_upstream::{Admitted, NoRetry, Picked, Pool, RetryPermit, TargetId, TryOutcome, Why};

/// One request's way to an upstream.
#[derive(Default)]
pub(crate) struct Tries {
    /// The pool that serves it; chosen once, so that tries don't change sides of a split.
    pub(crate) pool: Option<Arc<Pool>>,
    /// The target of the try under way.
    pub(crate) picked: Option<Picked>,
    /// The request's place in the pool, from before the first try until it is over. Dropped after `picked`: the pool
    /// hears how a try has ended before it lets in the next request.
    pub(crate) admitted: Option<Admitted>,
    /// Where this request has been, the try under way included.
    pub(crate) tried: SmallVec<[TargetId; 4]>,
    /// The target of the last try that is over.
    last: Option<Arc<str>>,
    /// Leave for the try under way, or for the next one; in the pool's budget for that long.
    pub(super) permit: Option<RetryPermit>,
    /// How many of the tries the pool's `retry` has allowed.
    pub(super) retries: u32,
    /// Why there was another try; the last reason, for the log.
    pub(super) again: Option<Why>,
    /// Why there was none.
    pub(super) refused: Option<NoRetry>,
    /// Whether something of the request has been sent in the try under way.
    pub(super) sent: bool,
    /// What the target said.
    pub(super) answer: Option<Answer>,
    /// How many 1xx answers came before.
    pub(super) interim: u8,
    /// Whether the try under way has less than half of the request's time, and that is what bounds it.
    pub(super) hurried: bool,
    /// Whether the lot of the pool's mirror has been drawn.
    pub(crate) mirrored: bool,
    /// Whether a kept connection turned out to be dead: that is forgiven once.
    pub(super) forgiven: bool,
}

/// The head of an answer, as far as it tells how the target does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) grpc: Option<u16>,
}

impl Tries {
    /// A try begins.
    pub(super) fn begin(&mut self, picked: Picked) {
        self.tried.push(picked.id());
        self.picked = Some(picked);
        (self.sent, self.answer, self.interim, self.hurried) = (false, None, 0, false);
    }

    /// The client has to send its body yet.
    pub(super) fn sending(&mut self) {
        if let Some(picked) = &mut self.picked {
            picked.sending();
        }
    }

    /// The end of the client's body has come.
    pub(super) fn all_sent(&mut self) {
        if let Some(picked) = &mut self.picked {
            picked.sent();
        }
    }

    /// A connection stands.
    pub(crate) fn connected(&mut self, reused: bool) {
        if let Some(picked) = &mut self.picked {
            picked.connected(reused);
        }
    }

    /// The head of the answer is there.
    pub(crate) fn answered(&mut self, status: StatusCode, headers: &HeaderMap) {
        if let Some(picked) = &mut self.picked {
            picked.answered();
        }
        self.answer = Some(Answer { status, grpc: grpc_status(headers) });
        if status == StatusCode::SWITCHING_PROTOCOLS {
            // What follows is no HTTP, and says nothing of how the target does; it still counts as in flight.
            self.tell(TryOutcome::Answered { status: status.as_u16(), grpc: None });
        }
    }

    /// What follows a body may say more.
    pub(crate) fn trailers(&mut self, trailers: &HeaderMap) {
        if let Some(answer) = &mut self.answer {
            answer.grpc = grpc_status(trailers).or(answer.grpc);
        }
    }

    /// The answer has been passed on whole. `asked` is what the client's head had.
    pub(crate) fn complete(&mut self, asked: &HeaderMap) {
        if let Some(outcome) = self.outcome(asked) {
            self.tell(outcome);
        }
    }

    /// What the target's answer amounts to, if there is one. A call that was too late for the time that its client
    /// gave it was cancelled: anybody could make a target late that is well.
    pub(super) fn outcome(&self, asked: &HeaderMap) -> Option<TryOutcome> {
        let Answer { status, grpc } = self.answer?;
        let grpc = grpc.map(|code| if code == 4 && asked.contains_key("grpc-timeout") { 1 } else { code });
        Some(TryOutcome::Answered { status: status.as_u16(), grpc })
    }

    /// The try is over, and with it the target's request in flight.
    pub(super) fn end(&mut self, outcome: TryOutcome) {
        self.tell(outcome);
        self.permit = None;
        if let Some(picked) = self.picked.take() {
            self.last = Some(picked.target().clone());
        }
    }

    /// What is to be known of them, for the log of the request on whose behalf they were.
    pub(crate) fn told(&self) -> Self {
        let last = self.picked.as_ref().map(Picked::target).or(self.last.as_ref()).cloned();
        Self {
            pool: self.pool.clone(),
            tried: self.tried.clone(),
            last,
            again: self.again,
            refused: self.refused,
            ..Self::default()
        }
    }

    fn tell(&mut self, outcome: TryOutcome) {
        if let Some(picked) = &mut self.picked {
            picked.finish(outcome);
        }
    }

    /// The target of the last try, for the log.
    pub(crate) fn target(&self) -> Option<&str> {
        self.picked.as_ref().map(Picked::target).or(self.last.as_ref()).map(|target| &**target)
    }

    /// Why there was another try, for the log.
    pub(crate) fn why_again(&self) -> Option<&'static str> {
        self.again.map(|why| why.as_str())
    }

    /// Why there was none, where somebody might wonder, for the log.
    pub(crate) fn why_not_again(&self) -> Option<&'static str> {
        self.refused.filter(|no| *no != NoRetry::NotAsked).map(|no| no.as_str())
    }
}

/// `grpc-status`: in the trailers, or in the head of an answer that has nothing else.
fn grpc_status(headers: &HeaderMap) -> Option<u16> {
    headers.get("grpc-status")?.to_str().ok()?.parse().ok()
}
