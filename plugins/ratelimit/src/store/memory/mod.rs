//! The store in this process: exact, without locks for all limits but sliding windows, and never larger than it was
//! told to be.
//!
//! - [`word`], [`scale`], [`cell`]: one key's state, and how threads share it
//! - [`table`]: where a key's cell is, and what happens when there is no room
//! - [`step`], [`together`]: one limit, and several all or none
//! - [`logs`]: sliding windows
//! - [`upkeep`]: what background tasks and operators do: counts, another size
//! - [`persist`]: the state kept over a restart

mod atoms;
mod cell;
mod logs;
mod persist;
mod scale;
mod shard;
mod step;
mod table;
mod together;
mod upkeep;
mod word;

#[cfg(test)]
pub(super) mod tests;

use std::fmt;
use std::hash::Hasher;
use std::sync::{Arc, OnceLock};
use std::time::{Instant, UNIX_EPOCH};

use parking_lot::Mutex;
use siphasher::sip::SipHasher13;
use smallvec::{SmallVec, smallvec};
use tidegate_core::Clock;

use self::atoms::Machine;
use self::logs::Logs;
use self::step::{Hold, Want};
use self::table::Table;
use self::upkeep::Successor;
use super::{Ask, Settlement, Strike, Taken};
use crate::algorithm::State;
use crate::key::Key;
use crate::rule::{Micros, Now, Rule, Shape, Verdict};

/// Steady time begins here, 35 years after zero, so that what is older than the store has a time too.
const BEGIN: Micros = 1 << 50;

/// Counts in this process. Shared by all that use it, and kept over reloads.
pub(crate) struct Memory {
    table: Table<Machine>,
    logs: Logs,
    size: Size,
    /// Whoever chooses keys can't choose where they are put.
    seed: Seed,
    clock: Clock,
    began: Instant,
    successor: OnceLock<Successor>,
    /// Held while the file is written; one for a store and all its successors.
    saving: Arc<Mutex<()>>,
}

/// Not the seed: it is a secret.
impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").field("size", &self.size).finish_non_exhaustive()
    }
}

/// How many bytes a store may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size {
    /// For all limits but sliding windows. Allocated at once.
    pub table: usize,
    /// For the logs of sliding windows. Allocated as they grow.
    pub logs: usize,
}

impl Size {
    /// All of it for the table, or half for the logs of sliding windows if there are any.
    pub(crate) fn of(bytes: usize, sliding: bool) -> Self {
        let logs = if sliding { bytes / 2 } else { 0 };
        Self { table: bytes - logs, logs }
    }
}

/// Half for each.
impl From<usize> for Size {
    fn from(bytes: usize) -> Self {
        Self::of(bytes, true)
    }
}

type Seed = (u64, u64);
type Wants<'a> = SmallVec<[Want<'a>; 4]>;

impl Memory {
    /// An empty store.
    pub(crate) fn new(size: impl Into<Size>, clock: Clock) -> Self {
        Self::seeded(size.into(), rand::random(), clock.now(), clock)
    }

    fn seeded(size: Size, seed: Seed, began: Instant, clock: Clock) -> Self {
        let table = Table::new(size.table);
        let (logs, successor, saving) = (Logs::new(size.logs), OnceLock::new(), Arc::default());
        Self { table, logs, size, seed, clock, began, successor, saving }
    }

    /// The time by which this store counts; read it once for a request.
    pub(crate) fn now(&self) -> Now {
        let passed = self.clock.now().saturating_duration_since(self.began).as_micros();
        let wall = self.clock.wall().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
        let micros = |time: u128| Micros::try_from(time).unwrap_or(Micros::MAX);
        Now { steady: BEGIN.saturating_add(micros(passed)), wall: micros(wall) }
    }

    /// Takes all that is asked, or nothing. Shadows are taken when all others allow, each by itself.
    pub(crate) fn take(&self, asks: &[Ask<'_>], now: Now) -> Taken {
        let store = self.current();
        match asks {
            [ask] if !ask.rule.keeps_log() => store.take_one(ask, now),
            _ => store.take_all(asks, now),
        }
    }

    fn take_one(&self, ask: &Ask<'_>, now: Now) -> Taken {
        let want = self.want(0, ask);
        let (allowed, verdict) = match self.table.take(&want, Hold::Final, 0, now) {
            Ok((_, verdict)) => (true, verdict),
            Err(verdict) => {
                self.correct(&want, now);
                (ask.shadow, verdict)
            }
        };
        Taken { allowed, verdicts: smallvec![verdict] }
    }

    fn take_all(&self, asks: &[Ask<'_>], now: Now) -> Taken {
        let mut taken = Taken::default();
        taken.verdicts.resize(asks.len(), Verdict::default());
        let (mut cells, mut logs) = (Wants::new(), Wants::new());
        for (at, ask) in asks.iter().enumerate() {
            match (ask.shadow, ask.rule.keeps_log()) {
                (true, _) => {}
                (false, false) => cells.push(self.want(at, ask)),
                (false, true) => logs.push(self.want(at, ask)),
            }
        }
        let rest = (!logs.is_empty()).then_some(|verdicts: &mut [Verdict]| self.logs.take_all(&logs, now, verdicts));
        let refusal = self.table.take_all(&mut cells, now, &mut taken.verdicts, rest).err();
        taken.allowed = refusal.is_none();
        for ((at, ask), verdict) in asks.iter().enumerate().zip(&mut taken.verdicts) {
            match refusal {
                Some((place, said)) if place == at => {
                    *verdict = said;
                    self.correct(&self.want(at, ask), now);
                }
                Some(_) => *verdict = self.preview(&self.want(at, ask), now),
                None if ask.shadow => *verdict = self.take_alone(&self.want(at, ask), now),
                None => {}
            }
        }
        taken
    }

    /// The time of day was set back: a refusal, which writes nothing else, must not begin the wait anew each time.
    fn correct(&self, want: &Want<'_>, now: Now) {
        if let Shape::Calendar(_) = want.rule.shape {
            let correct = |state| (want.rule.shape.corrected(state, now).unwrap_or(state), ());
            self.table.update(want, now, correct);
        }
    }

    fn take_alone(&self, want: &Want<'_>, now: Now) -> Verdict {
        if want.rule.keeps_log() {
            let mut verdict = [Verdict::default()];
            return match self.logs.take_all(&[Want { at: 0, ..*want }], now, &mut verdict) {
                Ok(()) => verdict[0],
                Err((_, refused)) => refused,
            };
        }
        self.table.take(want, Hold::Final, 0, now).map_or_else(|refused| refused, |(_, verdict)| verdict)
    }

    /// What is left, and whether the cost could be had; nothing is taken.
    fn preview(&self, want: &Want<'_>, now: Now) -> Verdict {
        let said = if want.rule.keeps_log() {
            self.logs.preview(want, now)
        } else {
            let (shape, state) = (&want.rule.shape, self.table.state(want.tag));
            shape.take(state, now, want.cost).map(|_| shape.look(state, now))
        };
        match said {
            Ok(verdict) => Verdict { allowed: true, retry: 0, ..verdict },
            Err(verdict) => verdict,
        }
    }

    /// What the limit says to this cost, without taking it.
    pub(crate) fn look(&self, ask: &Ask<'_>, now: Now) -> Verdict {
        let store = self.current();
        store.preview(&store.want(0, ask), now)
    }

    /// Charges or gives back, whatever the limit says.
    pub(crate) fn settle(&self, settlement: &Settlement, now: Now) {
        let Settlement { rule, key, units, policy } = settlement;
        self.current().charge(rule, key, *policy, *units, now);
    }

    /// Counts a strike. True if it was the last one before a ban, which is set; then strikes are counted anew.
    pub(crate) fn strike(&self, strike: &Strike, now: Now) -> bool {
        let store = self.current();
        if !store.count_strike(strike, now) {
            return false;
        }
        let length = i64::try_from(strike.length).unwrap_or(i64::MAX);
        store.charge(&strike.ban, &strike.ban_key, strike.policy, length, now);
        true
    }

    /// Exactly one of the strikes that fill a count is the one that bans.
    fn count_strike(&self, strike: &Strike, now: Now) -> bool {
        let want = self.want(0, &ask(&strike.rule, &strike.key, strike.policy));
        if strike.rule.keeps_log() {
            return !self.logs.charge(&want, 1, now).allowed && self.logs.forget(want.tag);
        }
        let shape = &strike.rule.shape;
        self.table.update(&want, now, |state| {
            let state = shape.charge(state, now, 1);
            if shape.look(state, now).allowed { (state, false) } else { (State::FRESH, true) }
        })
    }

    fn charge(&self, rule: &Rule, key: &Key, policy: u16, units: i64, now: Now) {
        let want = self.want(0, &ask(rule, key, policy));
        if rule.keeps_log() {
            self.logs.charge(&want, units, now);
        } else {
            self.table.update(&want, now, |state| (rule.shape.charge(state, now, units), ()));
        }
    }

    /// Makes a key as good as never seen; false if it was already.
    pub(crate) fn reset(&self, rule: &Rule, key: &Key) -> bool {
        let store = self.current();
        let want = store.want(0, &ask(rule, key, 0));
        if rule.keeps_log() {
            return store.logs.forget(want.tag);
        }
        store.table.update(&want, store.now(), |state| (State::FRESH, state != State::FRESH))
    }

    #[inline]
    fn want<'a>(&self, at: usize, ask: &Ask<'a>) -> Want<'a> {
        let (rule, limit, tag) = (ask.rule, ask.key.limit, self.tag(ask.rule, ask.key));
        Want { rule, tag, limit, cost: ask.cost, at, policy: ask.policy, glance: 0 }
    }

    /// Two keys with one tag would share a counter: among a million, once in 37 million stores.
    #[inline]
    fn tag(&self, rule: &Rule, key: &Key) -> u64 {
        let mut hasher = SipHasher13::new_with_keys(self.seed.0, self.seed.1);
        // Both are hashes, of the configuration: nobody else chooses them.
        hasher.write_u64(key.limit.rotate_left(32) ^ rule.fingerprint);
        hasher.write(&key.bytes);
        hasher.finish().max(1)
    }
}

/// One unit of a limit, for steps that bring their own units.
fn ask<'a>(rule: &'a Rule, key: &'a Key, policy: u16) -> Ask<'a> {
    Ask { rule, key, cost: 1, shadow: false, policy }
}
