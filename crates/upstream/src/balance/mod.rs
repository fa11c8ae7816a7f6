//! Which of the targets that serve is next. Decided without a lock and without an allocation: all that takes longer is
//! done when targets come, go, fall ill or recover, and kept in the [`View`](crate::view::View).

mod candidates;
mod choices;
mod consistent_hash;
mod ewma;
pub(crate) mod hash_on;
mod lots;
mod maglev;
mod round_robin;
mod serving;
#[cfg(test)]
mod tests;

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use crate::config::{Algorithm, LbFields, UpstreamConfig};
use crate::pick::{Pick, TryOutcome};
use crate::pool::Pool;
use crate::target::LiveTarget;

use candidates::Candidates;
use choices::{Choices, Cost};
use consistent_hash::{ConsistentHash, Load};
use ewma::RttSettings;
use hash_on::HashOn;
use lots::Lots;
use round_robin::{Counter, RoundRobin};

pub(crate) use candidates::{Moment, fits};
pub(crate) use ewma::Ewma;
pub(crate) use serving::Serving;

/// How often a target is drawn, if it can't have the request, before somebody is taken who can.
const DRAWS: usize = 8;

/// The largest weight that a target can have. Larger ones are refused where they are configured.
const LARGEST_WEIGHT: u32 = 256;

/// How a pool chooses, and what of it outlives a set of targets.
pub(crate) struct Balance {
    lb: LbFields,
    near_turns: Arc<Counter>,
    far_turns: Arc<Counter>,
    /// Counted only for `consistent_hash`.
    load: Option<Arc<Load>>,
    hash_on: Box<[HashOn]>,
    /// In nanoseconds; `None` without slow start.
    slow_start: Option<NonZeroU64>,
    rtt: Option<RttSettings>,
}

impl Balance {
    /// What `config` asks for. Requests that a pool before sent are still in flight.
    pub(crate) fn new(config: &UpstreamConfig, previous: Option<&Self>) -> Self {
        let lb = &*config.lb;
        let hashes = lb.algorithm == Algorithm::ConsistentHash;
        let slow_start =
            config.slow_start.map(|time| u64::try_from(Duration::from(time).as_nanos()).unwrap_or(u64::MAX));
        let known_load = previous.and_then(|previous| previous.load.clone());
        // What can't be parsed was refused when the configuration was checked.
        let hash_on = lb.hash_on.iter().filter(|_| hashes).filter_map(|text| hash_on::parse(text).ok());
        Self {
            near_turns: Arc::new(Counter::new()),
            far_turns: Arc::new(Counter::new()),
            load: hashes.then(|| known_load.unwrap_or_default()),
            hash_on: hash_on.collect(),
            slow_start: slow_start.and_then(NonZeroU64::new),
            rtt: (lb.algorithm == Algorithm::PeakEwma).then(|| RttSettings::new(lb)),
            lb: lb.clone(),
        }
    }

    /// Who of `targets` serves now.
    pub(crate) fn serving(&self, targets: &[Arc<LiveTarget>]) -> Serving {
        Serving::of(targets, &self.lb)
    }

    /// A set that takes its turns with the other near ones before and after it.
    pub(crate) fn near(&self, members: Vec<Arc<LiveTarget>>) -> Set {
        self.set(members, &self.near_turns)
    }

    /// The same for those of other zones.
    pub(crate) fn far(&self, members: Vec<Arc<LiveTarget>>) -> Set {
        self.set(members, &self.far_turns)
    }

    fn set(&self, members: Vec<Arc<LiveTarget>>, turns: &Arc<Counter>) -> Set {
        let weights = weights_of(&members);
        let choices = |cost| Chooser::Choices(Choices::new(&weights, self.lb.choices, cost));
        let chooser = match self.lb.algorithm {
            Algorithm::RoundRobin => Chooser::RoundRobin(RoundRobin::new(&weights, turns)),
            Algorithm::Random => Chooser::Random(Lots::new(&weights)),
            Algorithm::LeastRequest => choices(Cost::InFlight),
            Algorithm::PeakEwma => choices(Cost::Time(self.rtt.unwrap_or_else(|| RttSettings::new(&self.lb)))),
            Algorithm::ConsistentHash => {
                let load = self.load.clone().unwrap_or_default();
                Chooser::ConsistentHash(ConsistentHash::new(&members, &weights, self.lb.bound, &load))
            }
        };
        Set { members: members.into(), chooser }
    }

    /// A request goes to some target.
    pub(crate) fn entered(&self) {
        self.load.iter().for_each(|load| load.enter());
    }

    /// It has left it.
    pub(crate) fn left(&self) {
        self.load.iter().for_each(|load| load.leave());
    }
}

/// Small enough that sums and products of them never overflow.
fn weights_of(members: &[Arc<LiveTarget>]) -> Vec<u32> {
    members.iter().map(|target| target.spec.weight.clamp(1, LARGEST_WEIGHT)).collect()
}

/// Targets among which one is chosen.
pub(crate) struct Set {
    members: Box<[Arc<LiveTarget>]>,
    chooser: Chooser,
}

enum Chooser {
    RoundRobin(RoundRobin),
    Random(Lots),
    Choices(Choices),
    ConsistentHash(ConsistentHash),
}

impl Set {
    pub(crate) fn members(&self) -> &[Arc<LiveTarget>] {
        &self.members
    }

    /// One that has room and that the request wasn't at before.
    pub(crate) fn choose(&self, cx: &Pick<'_>, moment: &Moment<'_>) -> Option<&Arc<LiveTarget>> {
        if self.members.is_empty() {
            return None;
        }
        let among = Candidates { members: &self.members, cx, moment };
        let place = match &self.chooser {
            Chooser::RoundRobin(turns) => turns.choose(&among),
            Chooser::Random(lots) => by_lot(lots, &among),
            Chooser::Choices(choices) => choices.choose(&among),
            Chooser::ConsistentHash(hash) => hash.choose(&among),
        };
        self.members.get(place?)
    }
}

/// `random`.
fn by_lot(lots: &Lots, among: &Candidates<'_>) -> Option<usize> {
    let draw = |_| lots.draw(among.moment.lot());
    (0..DRAWS).map(draw).find(|place| among.takes_turn(*place)).or_else(|| among.any())
}

impl Pool {
    /// What makes a request's [`Pick::hash`]: the first of these that it has. None unless the pool chooses by hash.
    pub fn hash_on(&self) -> &[HashOn] {
        &self.balance.hash_on
    }

    /// The name of the cookie whose value is [`Pick::sticky`].
    pub fn sticky_cookie(&self) -> Option<&str> {
        self.config.sticky.as_ref().map(|sticky| sticky.cookie.as_str())
    }
}

/// A target has answered within `took`.
pub(crate) fn heard(pool: &Pool, target: &LiveTarget, took: Duration) {
    if let Some(rtt) = &pool.balance.rtt {
        target.state.ewma.heard(took.as_nanos() as f64, rtt, pool.now());
    }
}

/// How long an answer is expected to take, where that decides.
pub(crate) fn expected(pool: &Pool, target: &LiveTarget) -> Option<Duration> {
    let rtt = pool.balance.rtt.as_ref()?;
    Some(Duration::from_nanos(target.state.ewma.expected(rtt, pool.now()) as u64))
}

/// A try has ended without any answer.
pub(crate) fn failed(pool: &Pool, target: &LiveTarget, outcome: TryOutcome, took: Duration) {
    let Some(rtt) = &pool.balance.rtt else { return };
    let took = took.as_nanos() as f64;
    match outcome {
        TryOutcome::Failed(_) => target.state.ewma.failed(took, rtt, pool.now()),
        TryOutcome::Abandoned | TryOutcome::Answered { .. } => target.state.ewma.abandoned(took, rtt, pool.now()),
    }
}
