//! Limits counted in Redis, exactly, for all gateways: one script, one round trip for all limits of a request.
//!
//! The server's clock is the only clock. The script decides and writes; the verdict is computed here from the state it
//! found, by the same arithmetic, so that the server does no more than it must. Needs Redis 5 or newer.

mod answer;
mod background;
mod encode;
mod flights;

#[cfg(test)]
pub(crate) mod tests;

use std::sync::Arc;
use std::sync::LazyLock;

use tidegate_core::redis::{ErrorKind, FromRedisValue, RedisError, cmd};
use tidegate_core::{Redis, Script, StoreError};

pub(crate) use answer::Answer;
pub(crate) use background::{Pace, Shared, Tally};

use self::background::{Job, Struck};
use self::encode::{Arg, Holder, Names, push_limit};
use super::leased::Leases;
use super::{Ask, Settlement, Strike, Taken};
use crate::key::Key;
use crate::rule::{Micros, Now, Rule, Shape, Verdict};

macro_rules! script {
    ($($part:literal),*) => {
        LazyLock::new(|| Script::new(concat!(include_str!("lua/prelude.lua"), $(include_str!(concat!("lua/", $part))),*)))
    };
}

static LIMITS: LazyLock<Script> = script!("kinds.lua", "limits.lua");
/// A server compiles a script once, but makes its functions each time.
static LIMITS_AND_LOGS: LazyLock<Script> = script!("kinds.lua", "sliding.lua", "limits.lua");
static STRIKE: LazyLock<Script> = script!("strike.lua");
static RENEW: LazyLock<Script> = script!("renew.lua");

/// The script for limits of these rules.
fn limits<'a>(rules: impl IntoIterator<Item = &'a Rule>) -> &'static Script {
    if rules.into_iter().any(Rule::keeps_log) { &LIMITS_AND_LOGS } else { &LIMITS }
}

/// Limits of one group of routes, in one Redis. Cheap to clone.
#[derive(Clone)]
pub(crate) struct RedisStore {
    redis: Redis,
    prefix: Arc<str>,
    names: Names,
    shared: Arc<Shared>,
}

impl RedisStore {
    /// Counts in `redis`, in keys that begin with `prefix`. What all groups and configurations share is in `shared`.
    pub(crate) fn new(redis: Redis, prefix: &str, shared: Arc<Shared>) -> Self {
        Self { redis, prefix: prefix.into(), names: Names::new(prefix, "limits"), shared }
    }

    /// The same, for limits that are asked for together and with no others: in a cluster, all keys of one `tag` are on
    /// one server, because one script reads and writes them. Limits that several routes share need one tag for all
    /// these routes.
    pub(crate) fn group(&self, tag: &str) -> Self {
        Self { names: Names::new(&self.prefix, tag), ..self.clone() }
    }

    /// Takes of all or, if one that isn't a shadow refuses, of none. One round trip.
    pub(crate) async fn take(&self, asks: &[Ask<'_>], now: Now) -> Result<Taken, StoreError> {
        Ok(self.ask(asks, &[], now, None).await?.taken(asks, now))
    }

    /// As [`RedisStore::take`], but takes of the ask at each place up to `most` of that place, if there is room; as
    /// much as its cost at least. No `most`: exactly the cost. `time` is the server's unless it is given.
    pub(crate) async fn ask(
        &self,
        asks: &[Ask<'_>],
        most: &[u64],
        now: Now,
        time: Option<Micros>,
    ) -> Result<Answer, StoreError> {
        if asks.is_empty() {
            return Ok(Answer::empty());
        }
        let holder = self.shared.holder();
        let (keys, args) = self.question(asks, most, now, time, holder);
        let numbers: Vec<i64> = self.redis.script(limits(asks.iter().map(|ask| ask.rule)), &keys, &args).await?;
        let answer = Answer::read(&numbers, asks.len()).map_err(|nonsense| self.nonsense(nonsense.to_string()))?;
        self.hold(asks, &keys, &answer, holder);
        Ok(answer)
    }

    /// Keys and arguments of the script.
    fn question(
        &self,
        asks: &[Ask<'_>],
        most: &[u64],
        now: Now,
        time: Option<Micros>,
        holder: Holder,
    ) -> (Vec<String>, Vec<Arg>) {
        let keys = asks.iter().map(|ask| self.names.key(ask.rule, ask.key)).collect();
        let mut args = Vec::with_capacity(2 + 9 * asks.len());
        args.extend([Arg::time(time), Arg::Text("take")]);
        for (place, ask) in asks.iter().enumerate() {
            let most = most.get(place).map_or(-1, |most| i64::try_from(*most).unwrap_or(i64::MAX));
            let cost = i64::try_from(ask.cost).unwrap_or(i64::MAX);
            push_limit(&mut args, ask.rule, cost, most, ask.shadow, now, holder);
        }
        (keys, args)
    }

    /// Remembers what is in flight.
    fn hold(&self, asks: &[Ask<'_>], keys: &[String], answer: &Answer, holder: Holder) {
        for (place, (ask, key)) in asks.iter().zip(keys).enumerate() {
            let granted = answer.granted(place);
            if granted > 0 && matches!(ask.rule.shape, Shape::Concurrency { .. }) {
                self.shared.flights.took(key, holder.epoch, granted);
            }
        }
    }

    /// What the limit would say to a request.
    pub(crate) async fn look(&self, rule: &Rule, key: &Key, now: Now) -> Result<Verdict, StoreError> {
        let ask = Ask { rule, key, cost: 0, shadow: false, policy: 0 };
        let taken = self.take(&[ask], now).await?;
        Ok(taken.verdicts.first().copied().unwrap_or_default())
    }

    /// Forgets what was counted. Whether there was anything.
    pub(crate) async fn reset(&self, rule: &Rule, key: &Key) -> Result<bool, StoreError> {
        let deleted: i64 = self.redis.command(cmd("DEL").arg(self.names.key(rule, key))).await?;
        Ok(deleted > 0)
    }

    /// Charges or gives back, soon.
    pub(crate) fn settle(&self, settlement: Settlement, now: Now) {
        if matches!(settlement.rule.shape, Shape::Concurrency { .. }) {
            self.release(&settlement);
            return;
        }
        self.charge(settlement.rule, &settlement.key, settlement.units, None, now);
    }

    /// Gives back `units` of what was taken at `taken_at` by the server's clock: as much as has not drained since and
    /// is still of the same window, soon.
    pub(crate) fn undo(&self, rule: &Rule, key: &Key, units: u64, taken_at: Micros, now: Now) {
        let units = i64::try_from(units).unwrap_or(i64::MAX);
        self.charge(rule.clone(), key, -units, Some(taken_at), now);
    }

    fn charge(&self, rule: Rule, key: &Key, units: i64, taken_at: Option<Micros>, now: Now) {
        let key = self.names.key(&rule, key);
        let taken_at = taken_at.map_or(-1, |time| i64::try_from(time).unwrap_or(i64::MAX));
        self.shared.send(Job::Charge { names: self.names.clone(), key, rule, units, taken_at, now, epoch: 0 });
    }

    /// A request under a `concurrency` limit has ended, whatever the sign of its units. Returns how many of them were
    /// not counted here: it may have begun while the store was lost.
    pub(crate) fn release(&self, settlement: &Settlement) -> u64 {
        let key = self.names.key(&settlement.rule, &settlement.key);
        let released = self.shared.flights.release(&key, settlement.units.unsigned_abs());
        for (epoch, units) in released.young.into_iter().filter(|(_, units)| *units > 0) {
            let units = -i64::try_from(units).unwrap_or(i64::MAX);
            let (names, key, rule) = (self.names.clone(), key.clone(), settlement.rule.clone());
            let now = Now { steady: 0, wall: 0 };
            self.shared.send(Job::Charge { names, key, rule, units, taken_at: -1, now, epoch });
        }
        if released.older {
            self.shared.send(Job::Held { key });
        }
        released.rest
    }

    /// Counts a strike, soon, and bans if it was one too many.
    pub(crate) fn strike(&self, strike: &Strike) {
        let Shape::Fixed(counts) = &strike.rule.shape else { return };
        let client = self.leases().id(&strike.ban, &strike.ban_key);
        self.leases().bans.forget(client);
        self.shared.send_strike(Struck {
            client,
            count: self.names.key(&strike.rule, &strike.key),
            ban: self.names.key(&strike.ban, &strike.ban_key),
            limit: counts.limit,
            window: counts.window,
            length: strike.length,
        });
    }

    /// Whether its client is banned isn't known any more.
    pub(crate) fn forget_ban(&self, strike: &Strike) {
        self.leases().bans.forget(self.leases().id(&strike.ban, &strike.ban_key));
    }

    /// How many gateways counted here lately, this one among them.
    pub(crate) fn gateways(&self) -> u32 {
        self.shared.gateways()
    }

    /// What the background did, for metrics.
    pub(crate) fn tally(&self) -> &Tally {
        self.shared.tally()
    }

    /// What all gateways of this process have leased of it.
    pub(crate) fn leases(&self) -> &Leases {
        &self.shared.leases
    }

    /// Whether the server that has its keys isn't known to be lost: in a cluster, the others don't matter.
    pub(crate) fn is_up(&self) -> bool {
        self.redis.is_up_for(self.names.as_bytes())
    }

    /// Its name under `stores:`.
    pub(crate) fn name(&self) -> &str {
        self.redis.name()
    }

    async fn run_script<T: FromRedisValue>(
        &self,
        script: &Script,
        keys: &[&str],
        args: &[Arg],
    ) -> Result<T, StoreError> {
        self.redis.script(script, keys, args).await
    }

    fn nonsense(&self, what: String) -> StoreError {
        let cause = RedisError::from((ErrorKind::UnexpectedReturnType, "not what was asked for", what));
        StoreError::Refused { store: self.redis.name().into(), cause }
    }
}

impl std::fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RedisStore({:?}, {:?})", self.redis, self.names)
    }
}
