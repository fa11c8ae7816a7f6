//! A request on its way through the gateway.

use std::future::Future;
use std::pin::Pin;

use tidegate_upstream::{Admitted, Failure, Overloaded, Picked, RetryPermit, TargetId, TryOutcome, Why};

use super::server::Server;

pub(super) type Admitting = Pin<Box<dyn Future<Output = Result<Admitted, Overloaded>> + Send>>;

#[derive(Default)]
pub(super) struct Request {
    pub(super) user: u64,
    pub(super) idempotent: bool,
    pub(super) arrived: u64,
    /// Set while it waits to be let in.
    pub(super) admitting: Option<Admitting>,
    pub(super) admitted: Option<Admitted>,
    pub(super) tried: Vec<TargetId>,
    /// The same as servers, and their lives.
    pub(super) visited: Vec<(usize, u32)>,
    /// Held from the failure of one try to the end of the next.
    pub(super) permit: Option<RetryPermit>,
    /// Whether that has a place in the budget.
    pub(super) holds: bool,
    pub(super) attempt: Option<Attempt>,
}

impl Request {
    pub(super) fn has_tried(&self, index: usize, server: &Server) -> bool {
        self.visited.contains(&(index, server.life))
    }
}

/// One try.
pub(super) struct Attempt {
    pub(super) picked: Picked,
    pub(super) server: usize,
    /// The life of the server in which it began.
    pub(super) life: u32,
    pub(super) began: u64,
    pub(super) end: End,
}

/// How a try ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Status(u16),
    Failed(Failure),
}

impl End {
    pub(super) fn outcome(self) -> TryOutcome {
        match self {
            Self::Status(status) => TryOutcome::Answered { status, grpc: None },
            Self::Failed(failure) => TryOutcome::Failed(failure),
        }
    }

    pub(super) fn why(self) -> Why {
        match self {
            Self::Status(status) => Why::Status(status),
            Self::Failed(failure) => Why::Failed(failure),
        }
    }

    pub(super) fn is_good(self) -> bool {
        matches!(self, Self::Status(..500))
    }
}
