//! What one route does with a request: asks all its limits at once, and settles what is known only later.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use smallvec::SmallVec;
use tidegate_core::{Clock, Cx, Flow, Handler, Outcome, ResponseHeader, Result};

use crate::answer;
use crate::banned::Banned;
use crate::config::limits::{Chosen, Limit, Limits, Phase};
use crate::fields;
use crate::key::{Found, Key};
use crate::later::{self, InFlight, Owed};
use crate::metrics::Counts;
use crate::rule::{Rule, Verdict};
use crate::store::{Ask, Settlement, Store, Taken};
use crate::top::Top;

/// No more requests are held back at one time, in one gateway: each keeps a connection.
const MOST_WAITING: usize = 10_000;

/// What all routes of a gateway have in common.
pub(crate) struct Common {
    clock: Clock,
    top: Arc<Top>,
    waiting: AtomicUsize,
}

impl Common {
    pub(crate) fn new(clock: Clock, top: Arc<Top>) -> Self {
        Self { clock, top, waiting: AtomicUsize::new(0) }
    }
}

/// The limits of one route.
pub struct RouteLimits {
    limits: Limits,
    /// For each limit: what it counted, and the number by which the memory store knows it.
    counted: Box<[(Counts, u16)]>,
    store: Store,
    banned: Option<Arc<Banned>>,
    /// The ban is where the limits are: one question for both.
    together: bool,
    common: Arc<Common>,
}

/// One limit that a request is counted by.
struct Asked<'a> {
    /// Its place among the route's.
    place: usize,
    limit: &'a Arc<Limit>,
    rule: Chosen<'a>,
    key: Key,
    cost: u64,
}

type All<'a> = SmallVec<[Asked<'a>; 2]>;

/// What is to be done with a request whose limits have been asked.
enum Decision {
    Pass,
    /// After so long.
    Hold(Duration, Waiting),
    Refuse(tidegate_core::Reply),
}

/// A place among those who are held back; given up when the wait is over, or with the request.
struct Waiting(Arc<Common>);

impl Waiting {
    fn begin(common: &Arc<Common>) -> Option<Self> {
        let waiting = Self(common.clone());
        (common.waiting.fetch_add(1, Relaxed) < MOST_WAITING).then_some(waiting)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Relaxed);
    }
}

impl RouteLimits {
    pub(crate) fn new(
        limits: Limits,
        counted: Box<[(Counts, u16)]>,
        store: Store,
        banned: Option<Arc<Banned>>,
        common: Arc<Common>,
    ) -> Self {
        let together = banned.as_ref().is_some_and(|banned| banned.name == limits.store);
        Self { limits, counted, store, banned, together, common }
    }
}

impl Handler for RouteLimits {
    async fn early_request(&self, cx: &mut Cx<'_>) -> Result<Flow> {
        self.step(Phase::Early, cx).await
    }

    async fn request(&self, cx: &mut Cx<'_>) -> Result<Flow> {
        if self.limits.of(Phase::Identified).1.is_empty() {
            return Ok(Flow::Continue);
        }
        self.step(Phase::Identified, cx).await
    }

    /// Before a cache stores it: what a request cost is said once, to the gateway alone.
    fn upstream_response(&self, cx: &mut Cx<'_>, head: &mut ResponseHeader) -> Result<()> {
        for owed in later::all(cx) {
            self.settle(owed, |limit| limit.cost.after_answer(&head.headers, owed.taken));
        }
        for limit in self.limits.all() {
            limit.cost.field().map(|name| head.remove_header(name));
        }
        Ok(())
    }

    async fn response(&self, cx: &mut Cx<'_>, head: &mut ResponseHeader) -> Result<()> {
        match &cx.facts().limit {
            Some(outcome) => self.limits.fields.write(head, outcome, cx.identity()),
            None => {
                self.limits.fields.clear(head);
                Ok(())
            }
        }
    }

    fn finished(&self, cx: &Cx<'_>, outcome: &Outcome) {
        for owed in later::all(cx) {
            self.settle(owed, |limit| limit.cost.at_the_end(outcome.bytes_received, owed.taken));
        }
        if let Some(banned) = &self.banned {
            banned.count(cx.client(), outcome);
        }
    }
}

impl RouteLimits {
    async fn step(&self, phase: Phase, cx: &mut Cx<'_>) -> Result<Flow> {
        // Nothing of it lives across an await where limits are counted in memory: the future stays small.
        let decision = match &self.store {
            Store::Memory(_) if phase == Phase::Identified || self.together || self.banned.is_none() => {
                self.decide_here(phase, cx)
            }
            _ => Box::pin(self.decide_elsewhere(phase, cx)).await,
        };
        match decision {
            Decision::Pass => Ok(Flow::Continue),
            Decision::Refuse(reply) => Ok(Flow::Respond(reply)),
            Decision::Hold(time, _waiting) => {
                self.common.clock.sleep(time).await;
                Ok(Flow::Continue)
            }
        }
    }

    /// In this gateway's memory: nothing to wait for.
    fn decide_here(&self, phase: Phase, cx: &mut Cx<'_>) -> Decision {
        let Store::Memory(memory) = &self.store else { return Decision::Pass };
        let mut all = All::new();
        let missing = self.collect(phase, cx, &mut all);
        let ban = self.ban_key(phase, cx.client());
        if all.is_empty() && ban.is_none() {
            return unasked(missing);
        }
        let now = memory.now();
        let taken = memory.take(&self.asks(&all, ban.as_ref()), now);
        self.decide(cx, &all, ban.is_some(), missing, taken)
    }

    /// In a store beyond the network, or in two.
    async fn decide_elsewhere(&self, phase: Phase, cx: &mut Cx<'_>) -> Decision {
        if let Some(decision) = self.banned_elsewhere(phase, cx.client()).await {
            return decision;
        }
        let mut all = All::new();
        let missing = self.collect(phase, cx, &mut all);
        let ban = self.ban_key(phase, cx.client());
        if all.is_empty() && ban.is_none() {
            return unasked(missing);
        }
        match self.store.take(&self.asks(&all, ban.as_ref())).await {
            Some(taken) => self.decide(cx, &all, ban.is_some(), missing, taken),
            // What only counts refuses nobody, whether it can be counted or not.
            None if ban.is_none() && all.iter().all(|asked| !asked.limit.is_enforced()) => unasked(missing),
            None => Decision::Refuse(answer::store_lost()),
        }
    }

    /// Where bans are kept elsewhere than this route's limits.
    async fn banned_elsewhere(&self, phase: Phase, client: IpAddr) -> Option<Decision> {
        let banned = self
            .banned
            .as_ref()
            .filter(|banned| phase == Phase::Early && !self.together && !banned.bans.is_exempt(client))?;
        let key = banned.bans.ban_key(client);
        match banned.store.take(&[banned.ask(&key)]).await {
            None => Some(Decision::Refuse(answer::store_lost())),
            Some(taken) if taken.allowed => None,
            Some(taken) => Some(self.turn_away(banned, taken.verdicts.first().copied().unwrap_or_default())),
        }
    }

    /// The client's ban, where it is asked for together with the limits.
    fn ban_key(&self, phase: Phase, client: IpAddr) -> Option<Key> {
        let banned = self.banned.as_ref().filter(|_| phase == Phase::Early && self.together)?;
        (!banned.bans.is_exempt(client)).then(|| banned.bans.ban_key(client))
    }

    /// Adds the limits of this phase that the request is counted by. One that it lacks the key for, and must have: then
    /// nothing is taken.
    fn collect<'a>(&'a self, phase: Phase, cx: &Cx<'_>, all: &mut All<'a>) -> Option<&'a Limit> {
        let (first, limits) = self.limits.of(phase);
        if limits.is_empty() || self.limits.is_exempt(cx.client()) {
            return None;
        }
        for (place, limit) in limits.iter().enumerate() {
            let key = match limit.key(cx) {
                Found::Key(key) => key,
                Found::Skip => continue,
                Found::Refuse if limit.is_enforced() => {
                    all.clear();
                    return Some(limit);
                }
                Found::Refuse => {
                    self.counts(first + place).inspect(|counts| counts.shadowed.inc());
                    continue;
                }
            };
            let (rule, cost) = (limit.rule(cx.identity()), limit.cost.at_first(cx));
            all.push(Asked { place: first + place, limit, rule, key, cost });
        }
        None
    }

    fn asks<'a>(&'a self, all: &'a All<'_>, ban: Option<&'a Key>) -> SmallVec<[Ask<'a>; 4]> {
        let ban = self.banned.as_ref().zip(ban).map(|(banned, key)| banned.ask(key));
        let limits = all.iter().map(|asked| Ask {
            rule: &asked.rule,
            key: &asked.key,
            cost: asked.cost,
            shadow: !asked.limit.is_enforced(),
            policy: self.counted.get(asked.place).map_or(0, |(_, policy)| *policy),
        });
        ban.into_iter().chain(limits).collect()
    }

    fn counts(&self, place: usize) -> Option<&Counts> {
        self.counted.get(place).map(|(counts, _)| counts)
    }

    fn decide(
        &self,
        cx: &mut Cx<'_>,
        all: &All<'_>,
        with_ban: bool,
        missing: Option<&Limit>,
        taken: Taken,
    ) -> Decision {
        let (ban, verdicts) = taken.verdicts.split_at(usize::from(with_ban).min(taken.verdicts.len()));
        if let (Some(banned), Some(verdict)) = (&self.banned, ban.iter().find(|verdict| !verdict.allowed)) {
            return self.turn_away(banned, *verdict);
        }
        if missing.is_some() {
            return unasked(missing);
        }
        self.tell(cx, all, verdicts);
        match taken.allowed {
            true => self.allow(cx, all, verdicts),
            false => self.refuse(all, verdicts),
        }
    }

    fn turn_away(&self, banned: &Banned, verdict: Verdict) -> Decision {
        banned.refused.refused.inc();
        Decision::Refuse(answer::banned(verdict.retry))
    }

    /// Notes what the client is to hear: of the tightest limit, over both phases.
    fn tell(&self, cx: &mut Cx<'_>, all: &All<'_>, verdicts: &[Verdict]) {
        let said = all.iter().map(|asked| asked.limit).zip(verdicts);
        if let Some((limit, verdict)) = fields::tightest(said) {
            let (before, now) = (cx.facts_mut().limit.take(), fields::outcome(limit, verdict));
            cx.facts_mut().limit = Some(if verdict.allowed { fields::tighter(before, now) } else { now });
        }
    }

    fn allow(&self, cx: &mut Cx<'_>, all: &All<'_>, verdicts: &[Verdict]) -> Decision {
        let held = all.iter().zip(verdicts).filter(|(asked, _)| asked.limit.is_enforced());
        let delay = held.map(|(_, verdict)| verdict.delay).max().unwrap_or(0);
        let hold = match delay {
            0 => Decision::Pass,
            _ => match Waiting::begin(&self.common) {
                Some(waiting) => Decision::Hold(Duration::from_micros(delay), waiting),
                None => return self.no_place_to_wait(all, verdicts),
            },
        };
        for (asked, verdict) in all.iter().zip(verdicts) {
            let Some(counts) = self.counts(asked.place) else { continue };
            match (verdict.allowed, verdict.delay) {
                (true, 0) => counts.allowed.inc(),
                (true, _) => counts.delayed.inc(),
                (false, _) => {
                    counts.shadowed.inc();
                    log::debug!(route:% = cx.route().name(), limit:% = asked.limit.name; "a shadow would have refused");
                }
            }
        }
        self.note_later(cx, all, verdicts);
        hold
    }

    /// Too many are held back already: what would have been is refused, and what was taken goes back.
    fn no_place_to_wait(&self, all: &All<'_>, verdicts: &[Verdict]) -> Decision {
        let full = |verdict: &Verdict| Verdict { allowed: verdict.delay == 0, retry: verdict.delay, ..*verdict };
        for (asked, _) in all.iter().zip(verdicts).filter(|(_, verdict)| verdict.allowed) {
            self.store.settle(self.settlement(asked.place, &asked.rule, &asked.key, -signed(asked.cost)));
        }
        self.refuse(all, &verdicts.iter().map(full).collect::<SmallVec<[Verdict; 4]>>())
    }

    fn refuse(&self, all: &All<'_>, verdicts: &[Verdict]) -> Decision {
        let mut names = SmallVec::<[&str; 4]>::new();
        for (asked, _) in all.iter().zip(verdicts).filter(|(_, verdict)| !verdict.allowed) {
            let Some(counts) = self.counts(asked.place) else { continue };
            if asked.limit.is_enforced() {
                counts.refused.inc();
                self.common.top.refused(&asked.key);
                names.push(&asked.limit.name);
            } else {
                counts.shadowed.inc();
            }
        }
        let wait = fields::wait(all.iter().map(|asked| asked.limit).zip(verdicts));
        Decision::Refuse(answer::too_many(wait, &names))
    }

    fn note_later(&self, cx: &mut Cx<'_>, all: &All<'_>, verdicts: &[Verdict]) {
        let taken = all.iter().zip(verdicts).filter(|(_, verdict)| verdict.allowed);
        later::note(cx, taken.filter_map(|(asked, _)| self.owed(asked)).collect());
    }

    fn owed(&self, asked: &Asked<'_>) -> Option<Owed> {
        let flies = asked.limit.counts_in_flight();
        if !flies && asked.limit.cost.is_known_at_once() {
            return None;
        }
        let in_flight = flies.then(|| InFlight {
            store: self.store.clone(),
            settlement: self.settlement(asked.place, &asked.rule, &asked.key, -signed(asked.cost)),
        });
        let (place, rule, key, taken) = (asked.place, asked.rule.clone(), asked.key.clone(), asked.cost);
        Some(Owed { place, rule, key, taken, _in_flight: in_flight })
    }

    fn settle(&self, owed: &Owed, units: impl FnOnce(&Limit) -> i64) {
        let units = self.limits.all().get(owed.place).map_or(0, |limit| units(limit));
        if units != 0 {
            self.store.settle(self.settlement(owed.place, &owed.rule, &owed.key, units));
        }
    }

    fn settlement(&self, place: usize, rule: &Rule, key: &Key, units: i64) -> Settlement {
        let policy = self.counted.get(place).map_or(0, |(_, policy)| *policy);
        Settlement { rule: rule.clone(), key: key.clone(), units, policy }
    }
}

/// What becomes of a request of which no limit is asked.
fn unasked(missing: Option<&Limit>) -> Decision {
    missing.map_or(Decision::Pass, |limit| Decision::Refuse(answer::key_missing(limit)))
}

fn signed(units: u64) -> i64 {
    i64::try_from(units).unwrap_or(i64::MAX)
}
