//! Who of a set may be chosen for one try of one request.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use pingora_load_balancing::selection::SelectionAlgorithm;
use pingora_load_balancing::selection::algorithms::Random;

use crate::pick::Pick;
use crate::pool::Pool;
use crate::state::State;
use crate::target::LiveTarget;

/// What a choice may look at besides the targets.
pub(crate) struct Moment<'a> {
    pool: &'a Pool,
    now: Cell<u64>,
}

impl<'a> Moment<'a> {
    pub(crate) fn new(pool: &'a Pool) -> Self {
        Self { pool, now: Cell::new(0) }
    }

    /// Nanoseconds on the pool's clock. Read once, and only if somebody asks: it is the dearest part of a pick.
    pub(crate) fn now(&self) -> u64 {
        if self.now.get() == 0 {
            self.now.set(self.pool.now());
        }
        self.now.get()
    }

    /// A random number.
    pub(crate) fn lot(&self) -> u64 {
        Random.next(&[])
    }

    /// How much of its full share, in 2^64ths, a target gets now: at first a tenth, so that something tells how it
    /// does, and then more with time. `None`: all of it.
    fn share(&self, state: &State) -> Option<u64> {
        let whole = self.pool.balance.slow_start?.get();
        let from = state.ramp_from.load(Ordering::Relaxed);
        if from == 0 {
            return None;
        }
        let age = self.now().saturating_sub(from);
        if age >= whole {
            // From now on nobody needs the time for it. Unless it has fallen ill and begun anew meanwhile.
            let _ = state.ramp_from.compare_exchange(from, 0, Ordering::Relaxed, Ordering::Relaxed);
            return None;
        }
        let share = 0.1 + 0.9 * (age as f64 / whole as f64);
        Some((share * u64::MAX as f64) as u64)
    }
}

/// The members of a set, for one try.
pub(crate) struct Candidates<'a> {
    pub(crate) members: &'a [Arc<LiveTarget>],
    pub(crate) cx: &'a Pick<'a>,
    pub(crate) moment: &'a Moment<'a>,
}

impl<'a> Candidates<'a> {
    pub(crate) fn get(&self, place: usize) -> Option<&'a Arc<LiveTarget>> {
        self.members.get(place)
    }

    /// Whether the request wasn't there before, and there is room for it.
    fn fits(&self, place: usize) -> bool {
        self.get(place).is_some_and(|target| fits(target, self.cx))
    }

    /// Whether it may be chosen; of a target in its slow start a lot decides.
    pub(crate) fn takes_turn(&self, place: usize) -> bool {
        self.takes(place, || self.moment.lot())
    }

    /// The same with the lot of a slow start given, for those who want the same answer each time.
    pub(crate) fn takes(&self, place: usize, lot: impl FnOnce() -> u64) -> bool {
        let grown = |target: &LiveTarget| self.moment.share(&target.state).is_none_or(|share| lot() < share);
        self.get(place).is_some_and(|target| fits(target, self.cx) && grown(target))
    }

    /// One that fits, if any does: where drawing had no luck. Looks from a place that is drawn by lot, so that not
    /// all who come here go to the same.
    pub(crate) fn any(&self) -> Option<usize> {
        let len = self.members.len();
        let from = (self.moment.lot() as usize).checked_rem(len)?;
        (from..len).chain(0..from).find(|place| self.fits(*place))
    }
}

/// Whether a request wasn't at `target` before, and there is room for it.
pub(crate) fn fits(target: &LiveTarget, cx: &Pick<'_>) -> bool {
    !cx.tried.contains(&target.id()) && target.has_room()
}
