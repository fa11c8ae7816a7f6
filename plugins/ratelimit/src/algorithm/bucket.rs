//! `token_bucket` and `leaky_bucket`: water that drains at a steady rate. Each request pours its cost in; what does
//! not fit is refused. A token is many units of water and a whole number of units drains in each tick, so that any
//! rate is exact: a third of a token is a third of its units.

use super::{MOST, State, Step, believed};
use crate::rule::{Micros, Verdict};

/// Water in a vessel. `token / drain` ticks is the time of one token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bucket {
    /// What the client is told: tokens it may have at once, or, of a leaky bucket, requests in its period.
    pub quota: u64,
    /// Units of one token.
    pub token: u64,
    /// Units that drain in one tick.
    pub drain: u64,
    /// 1, or 1000 where the rate is so slow that finer ticks would not fit.
    pub tick: Micros,
    /// Units that may be there without anybody waiting.
    pub burst: u64,
    /// Units beyond `burst` that may be had by waiting until they have drained.
    pub extra: u64,
    /// The most units a debt can be; at least `burst + extra`.
    pub most: u64,
}

/// Water at a time that is now, less than a tick before it, or a moment ahead (see [`believed`]).
#[derive(Debug, Clone, Copy)]
struct Level {
    time: Micros,
    water: u64,
}

impl Bucket {
    #[inline(always)]
    pub(super) fn take(&self, state: State, now: Micros, cost: u64) -> Step {
        let level = self.level(state, now);
        if !self.has_room(level.water, cost.max(1)) {
            return Err(self.refusal(level, now, cost.max(1)));
        }
        if cost == 0 {
            return Ok((state, self.verdict(level, now)));
        }
        let after = Level { water: level.water + cost * self.token, ..level };
        let over = after.water.saturating_sub(self.burst);
        let delay = self.until_drained(after.time, over, now);
        Ok((after.state(), Verdict { delay, ..self.verdict(after, now) }))
    }

    pub(super) fn charge(&self, state: State, now: Micros, units: i64) -> State {
        let level = self.level(state, now);
        let poured = units.unsigned_abs().saturating_mul(self.token);
        let water = if units < 0 {
            level.water.saturating_sub(poured)
        } else {
            level.water.saturating_add(poured).min(self.most)
        };
        Level { water, ..level }.state()
    }

    /// With the take there is more water than without, at first by `cost` tokens; the difference can only shrink, by
    /// what has drained since. So much less is given back, which is exact if no time has passed.
    pub(super) fn undo(&self, state: State, now: Micros, taken_at: Micros, cost: u64) -> State {
        let level = self.level(state, now);
        let ticks = level.time.max(now).saturating_sub(taken_at).div_ceil(self.tick);
        let left = cost.saturating_mul(self.token).saturating_sub(ticks.saturating_mul(self.drain));
        Level { water: level.water.saturating_sub(left), ..level }.state()
    }

    #[cfg(test)]
    pub(super) fn fresh_at(&self, state: State, now: Micros) -> Micros {
        match state.amount.min(self.most) {
            0 => 0,
            water => believed(state.time, now) + self.ticks(water) * self.tick,
        }
    }

    #[cfg(test)]
    pub(super) fn fullness(&self, state: State, now: Micros) -> u16 {
        let water = self.level(state, now).water;
        if self.has_room(water, 1) { super::share(water, self.brim()) } else { u16::MAX }
    }

    /// All the water that may be there after a request.
    pub(super) fn brim(&self) -> u64 {
        self.burst + self.extra
    }

    /// Time is kept to the tick: what is left of a tick goes on counting towards the next.
    fn level(&self, state: State, now: Micros) -> Level {
        let time = believed(state.time, now);
        let water = state.amount.min(self.most);
        if time >= now {
            return Level { time, water };
        }
        let elapsed = if self.tick == 1 { now - time } else { (now - time) / self.tick };
        match water.saturating_sub(elapsed.saturating_mul(self.drain)) {
            0 => Level { time: now, water: 0 },
            water => Level { time: time + elapsed * self.tick, water },
        }
    }

    fn has_room(&self, water: u64, cost: u64) -> bool {
        let poured = cost.checked_mul(self.token);
        poured.and_then(|poured| water.checked_add(poured)).is_some_and(|water| water <= self.brim())
    }

    fn refusal(&self, level: Level, now: Micros, cost: u64) -> Verdict {
        let retry = match cost.checked_mul(self.token).and_then(|poured| self.brim().checked_sub(poured)) {
            Some(room) => self.until_drained(level.time, level.water - room, now),
            // Never, truly; it is told what it would wait for the most that can be had.
            None => self.ticks(self.brim()) * self.tick,
        };
        Verdict { allowed: false, retry, ..self.verdict(level, now) }
    }

    fn verdict(&self, level: Level, now: Micros) -> Verdict {
        Verdict {
            allowed: true,
            quota: self.quota,
            remaining: self.burst.saturating_sub(level.water) / self.token,
            reset: self.until_drained(level.time, level.water, now),
            ..Verdict::default()
        }
    }

    /// From `now` until `units` of what was there at `time` have drained.
    fn until_drained(&self, time: Micros, units: u64, now: Micros) -> Micros {
        if units == 0 { 0 } else { time + self.ticks(units) * self.tick - now }
    }

    fn ticks(&self, units: u64) -> u64 {
        units.div_ceil(self.drain)
    }
}

impl Level {
    fn state(self) -> State {
        debug_assert!(self.water <= MOST);
        State { time: self.time, amount: self.water }
    }
}
