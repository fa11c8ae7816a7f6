//! Which of the live targets is next.
//!
//! pingora-load-balancing serves with its algorithms, which are one atomic step or one random number. Its
//! `LoadBalancer::select` allocates a set and clones a backend for each request, and its `Weighted` keeps its own copy
//! of the backends, which merges two that share an address, starts from the first one again whenever a name resolves
//! to something new, and serves a weight as one burst. So the algorithm is theirs and the order of turns is ours.

use pingora_load_balancing::selection::SelectionAlgorithm;
use pingora_load_balancing::selection::algorithms::{Random, RoundRobin};

use crate::config::Algorithm;
use crate::live::Live;
use crate::pick::Pick;

/// Chooses one of a pool's live targets. Called for each try of each request: takes no lock, allocates nothing.
pub(crate) trait Balance: Send + Sync {
    /// An index into [`Live::targets`]; `None` only if there are none. A target that was tried before comes again only
    /// when no other is left.
    fn pick(&self, live: &Live, cx: &Pick<'_>) -> Option<usize>;
}

impl Algorithm {
    pub(crate) fn balance(self) -> Box<dyn Balance> {
        match self {
            Self::RoundRobin => Box::new(ByTurn(RoundRobin::new())),
            Self::Random => Box::new(ByTurn(Random)),
        }
    }
}

/// Takes turns; whose turn is next is the algorithm's word.
struct ByTurn<A>(A);

/// How often the algorithm is asked for a target that was not tried yet, before the first such target is taken.
/// Asking again uses up the turn of the target that follows, so that a failing one doesn't double its load.
const DRAWS: usize = 4;

impl<A: SelectionAlgorithm + Send + Sync> Balance for ByTurn<A> {
    fn pick(&self, live: &Live, cx: &Pick<'_>) -> Option<usize> {
        let fresh = |index: &usize| live.targets().get(*index).is_some_and(|target| !cx.tried.contains(&target.id()));
        let draw = || live.turn(self.0.next(&[]));
        let first = draw()?;
        std::iter::once(first)
            .chain((1..DRAWS).filter_map(|_| draw()))
            .find(&fresh)
            .or_else(|| (0..live.targets().len()).find(&fresh))
            .or(Some(first))
    }
}
