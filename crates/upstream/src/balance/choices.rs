//! `least_request` and `peak_ewma`: the best of a few that are drawn by lot.
//!
//! To look at two and take the better one is nearly as good as to look at all, and it has no herds: gateways that
//! don't know of one another don't all run to the same idle target (Mitzenmacher, "The power of two choices in
//! randomized load balancing", 1996).

use super::candidates::{Candidates, Moment};
use super::ewma::RttSettings;
use super::lots::Lots;
use crate::target::LiveTarget;

/// Draws a few targets and takes the cheapest.
pub(crate) struct Choices {
    lots: Lots,
    choices: usize,
    cost: Cost,
}

/// What is compared. Among equals the first drawn is taken, so that idle targets get what their weights say: were the
/// new request counted before it is divided by the weight, the heavier of two idle targets would get all requests that
/// come one by one.
pub(crate) enum Cost {
    /// Requests in flight, for the target's weight.
    InFlight,
    /// The time that one more request is expected to take, with those before it.
    Time(RttSettings),
}

/// The most that are looked at for one choice: all `choices`, and some that are full or were tried.
const LOOKS: usize = 12;

impl Choices {
    pub(crate) fn new(weights: &[u32], choices: u8, cost: Cost) -> Self {
        Self { lots: Lots::new(weights), choices: usize::from(choices), cost }
    }

    pub(crate) fn choose(&self, among: &Candidates<'_>) -> Option<usize> {
        let mut drawn = Drawn { places: [0; LOOKS], len: 0 };
        let mut best: Option<(f64, usize)> = None;
        let mut compared = 0;
        while compared < self.choices {
            let Some(place) = drawn.next(&self.lots, among) else { break };
            let Some(target) = among.get(place).filter(|_| among.takes_turn(place)) else { continue };
            compared += 1;
            let cost = self.cost.of(target, among.moment);
            if best.is_none_or(|(least, _)| cost < least) {
                best = Some((cost, place));
            }
        }
        best.map(|(_, place)| place).or_else(|| among.any())
    }
}

impl Cost {
    fn of(&self, target: &LiveTarget, moment: &Moment<'_>) -> f64 {
        let load = f64::from(target.state.in_flight()) / f64::from(target.spec.weight.max(1));
        match self {
            Self::InFlight => load,
            Self::Time(settings) => target.state.ewma.expected(settings, moment.now()) * (load + 1.0),
        }
    }
}

/// The places drawn so far: each only once.
struct Drawn {
    places: [usize; LOOKS],
    len: usize,
}

impl Drawn {
    fn next(&mut self, lots: &Lots, among: &Candidates<'_>) -> Option<usize> {
        let all = among.members.len();
        if self.len >= all.min(LOOKS) {
            return None;
        }
        let mut place = lots.draw(among.moment.lot());
        // Rather its neighbour than to draw again: where one has nearly all the weight, that would take long.
        while self.places.get(..self.len)?.contains(&place) {
            place = (place + 1) % all;
        }
        *self.places.get_mut(self.len)? = place;
        self.len += 1;
        Some(place)
    }
}
