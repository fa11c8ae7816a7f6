//! One route's share of the plugin: what the gateway's questions come to.

use std::sync::atomic::Ordering;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant, SystemTime};

use tidegate_core::cache::engine::{CacheMeta, HitHandler};
use tidegate_core::cache::{Admit, AtOnce, CacheKey, CachePolicy, Lookup, Offer, Slice, Slices, Use, Zone};
use tidegate_core::config::ByteSize;
use tidegate_core::facts::{CacheStatus, Cached};
use tidegate_core::{
    Asked, Clock, Cx, Flow, Handler, HeaderMap, Method, Outcome, Reply, RequestHead, RequestHeader, ResponseHeader,
    Result, header,
};

use crate::admit::{Answer, Refused, admit};
use crate::config::PurgeMethod;
use crate::control::{Asks, Says};
use crate::invalidate;
use crate::judge::{Judgement, judge};
use crate::key::Has;
use crate::purge::{Fleet, Verdict, purge_by_method};
use crate::rules::Rules;
use crate::status::{Name, ZoneCounters, tell};
use crate::store::{Head, Hit, Notes};
use crate::vary;
use crate::warm::Wanted;
use crate::zones::ZoneHandle;

/// One route's share.
pub struct CacheRoute {
    pub(crate) rules: Rules,
    pub(crate) zone: Arc<ZoneHandle>,
    pub(crate) lock_wait: Duration,
    /// Of how many bytes slices are.
    pub(crate) slice: Option<u64>,
    pub(crate) name: Option<Name>,
    pub(crate) purge: Option<PurgeMethod>,
    /// Other gateways.
    pub(crate) fleet: Option<Fleet>,
    /// Counts what is wanted, where somebody wants to know.
    pub(crate) wanted: Option<Arc<Wanted>>,
    pub(crate) clock: Clock,
    pub(crate) counters: ZoneCounters,
}

/// For how long whoever fetches a new answer is left alone: then another one may try.
const RENEWAL: Duration = Duration::from_secs(10);

impl Handler for CacheRoute {
    async fn request(&self, cx: &mut Cx<'_>) -> Result<Flow> {
        let Some(purge) = self.purge.as_ref().filter(|_| cx.head().method.as_str() == "PURGE") else {
            return Ok(Flow::Continue);
        };
        // Boxed: it is rare, and large.
        Ok(Flow::Respond(Box::pin(self.purge(purge, cx)).await))
    }

    /// For each try: a purge while the one before was waited for does not hit this one's answer.
    fn upstream_request(&self, cx: &mut Cx<'_>, _: &mut RequestHeader) -> Result<()> {
        let marks = &self.zone.store().marks;
        if cx.facts().cache != CacheStatus::Bypass {
            let asked = marks.asked_for(&invalidate::url(&self.rules.key.query, &cx.head()), self.clock.wall());
            cx.facts_mut().cached.asked = Some(asked);
        }
        Ok(())
    }

    async fn response(&self, cx: &mut Cx<'_>, head: &mut ResponseHeader) -> Result<()> {
        let facts = cx.facts();
        tell(head, self.name.as_ref(), facts.cache, &facts.cached)?;
        self.tell_client(cx, facts.cache, head)
    }

    fn cache(&self) -> Option<&dyn CachePolicy> {
        Some(self)
    }

    fn finished(&self, cx: &Cx<'_>, _: &Outcome) {
        self.counters.count(cx.facts().cache, &cx.facts().cached);
    }

    fn explain(&self, asked: &Asked<'_>) -> Vec<String> {
        if asked.route.is_served_here() {
            return vec!["what the gateway answers itself is not cached".to_owned()];
        }
        let headers = asked.head.headers;
        let line = match self.key(&asked.head, Has::of(headers), asked.identity) {
            Err(why) => format!("the cache is bypassed ({why})"),
            Ok(_) => {
                let times = self.rules.times(asked.head.path);
                let default = times.fixed.unwrap_or(times.default).as_secs();
                let word = if times.fixed.is_some() { "always" } else { "unless the upstream says otherwise" };
                format!("looked up in the cache; a new answer is fresh for {default} s, {word}")
            }
        };
        let asks = Asks::of(headers);
        let mut lines = vec![line];
        if let Some(size) = self.slice {
            lines.push(format!("it is fetched and stored in slices of {}", ByteSize::new(size)));
        }
        if self.rules.respect_client && asks.no_store {
            lines.push("the client does not want it stored".to_owned());
        }
        lines
    }
}

impl CachePolicy for CacheRoute {
    fn zone(&self) -> Zone {
        let zone = self.zone.store().engine_zone(self.lock_wait);
        match self.lock_wait.is_zero() {
            true => Zone { lock: None, ..zone },
            false => zone,
        }
    }

    fn lookup(&self, cx: &mut Cx<'_>) -> Lookup {
        let without_body = cx.session().as_downstream_mut().is_body_empty();
        let head = cx.head();
        let has = Has::of(head.headers);
        let found = match without_body {
            true => self.key(&head, has, cx.identity()),
            false => Err("body"),
        };
        let key = match found {
            Ok(key) => key,
            Err(why) => return self.without(cx, why),
        };
        if let Some(wanted) = &self.wanted {
            wanted.note(key.as_bytes());
        }
        match self.asks(head.headers, has).only_if_cached {
            true => Lookup::OnlyStored(key),
            false => Lookup::Key(key),
        }
    }

    fn at_once(&self, cx: &mut Cx<'_>, key: &CacheKey) -> Option<AtOnce> {
        let headers = cx.head().headers;
        let has = Has::of(headers);
        // Parts are cut by the state machine.
        if has.any(Has::RANGE) {
            return None;
        }
        let store = self.zone.store();
        let mut found = store.find(key, None)?;
        let variance = self.variance(&found.head.headers, headers);
        if found.head.variance != variance {
            found = store.find(key, variance)?;
            if found.head.variance != variance {
                return None;
            }
        }
        let judged = self.judge_stored(cx, has, &found.head, &found.notes, key.as_bytes())?;
        let refresh = match judged.worth {
            Use::Fresh => false,
            Use::Stale { refresh } => refresh,
            Use::Expired { .. } | Use::Miss => return None,
        };
        note(&mut cx.facts_mut().cached, &judged);
        Some(AtOnce { status: found.head.status, headers: found.head.headers.clone(), body: found.body, refresh })
    }

    fn variance(&self, stored: &HeaderMap, request: &HeaderMap) -> Option<[u8; 16]> {
        vary::variant(stored, request).map(|text| self.zone.store().hash(&text))
    }

    fn judge(&self, cx: &mut Cx<'_>, _: &CacheMeta, body: &mut HitHandler) -> Use {
        // The head is the store's own: what it tells Pingora is for Pingora's clock.
        let Some(hit) = (**body).as_any().downcast_ref::<Hit>() else { return Use::Miss };
        let has = Has::of(cx.head().headers);
        let judged = self.judge_stored(cx, has, hit.head(), hit.notes(), hit.key());
        let Some(judged) = judged else { return Use::Miss };
        note(&mut cx.facts_mut().cached, &judged);
        cx.facts_mut().cached.asked = Some(hit.head().asked);
        if matches!(judged.worth, Use::Expired { .. }) {
            cx.facts_mut().cached.forwarded = Some(judged.forwarded);
        }
        judged.worth
    }

    fn admit(&self, offer: Offer<'_>) -> Admit {
        let now = self.clock.wall();
        let answer = Answer {
            request: offer.request,
            who: offer.facts.identity.as_ref(),
            sent: offer.sent,
            status: offer.head.status,
            headers: &offer.head.headers,
            not_modified: offer.not_modified,
            slice: offer.slice,
            asked: offer.facts.cached.asked.unwrap_or(now),
            now,
        };
        let too_long = answer.not_modified.is_none() && !self.zone.store().fits_length_of(answer.headers);
        let admitted = admit(&self.rules, &answer);
        match admitted.and_then(|admitted| if too_long { Err(Refused::TooLong) } else { Ok(admitted) }) {
            Ok(admitted) => {
                self.counters.stored.inc();
                (offer.facts.cached.age, offer.facts.cached.ttl) = (admitted.age, Some(admitted.ttl));
                Admit::Store(admitted.meta)
            }
            Err(why) => {
                self.counters.refuse(why);
                (offer.facts.cached.age, offer.facts.cached.ttl) = (None, None);
                if offer.not_modified.is_some() && matches!(why, Refused::Vary | Refused::Validator) {
                    // Asking whether it is good would never again bring a whole answer.
                    self.invalidate_target(&offer.request);
                }
                Admit::Refuse(why.word())
            }
        }
    }

    fn slices(&self) -> Option<&dyn Slices> {
        self.slice.map(|_| self as &dyn Slices)
    }
}

impl Slices for CacheRoute {
    fn size(&self) -> u64 {
        self.slice.unwrap_or(u64::MAX)
    }

    /// After all that the object's own key has: what purges hits its slices, too.
    fn key(&self, key: &CacheKey, slice: Slice) -> CacheKey {
        let number = slice.number().to_be_bytes();
        let parts = key.clone().part(b"s").part(&slice.size().to_be_bytes()).part(&number);
        parts.hashed(|parts| self.zone.store().hash(parts))
    }

    fn outdated(&self, cx: &mut Cx<'_>, last: SystemTime) {
        self.counters.invalidated.inc();
        self.zone.store().marks.outdate(invalidate::url(&self.rules.key.query, &cx.head()), last);
    }
}

impl CacheRoute {
    async fn purge(&self, purge: &PurgeMethod, cx: &Cx<'_>) -> Reply {
        let url = invalidate::url(&self.rules.key.query, &cx.head());
        let marks = &self.zone.store().marks;
        let who = cx.identity().cloned();
        purge_by_method(purge, who.as_ref(), url, false, marks, self.fleet.as_ref(), self.clock.wall()).await
    }

    /// The key of a request; `Err` says why it has none.
    fn key(
        &self,
        head: &RequestHead<'_>,
        has: Has,
        who: Option<&tidegate_core::facts::Identity>,
    ) -> std::result::Result<CacheKey, &'static str> {
        if !matches!(*head.method, Method::GET | Method::HEAD) {
            return Err("method");
        }
        if has.any(Has::PRECONDITION) {
            return Err("precondition");
        }
        if self.rules.bypass.fits(head) {
            return Err("rule");
        }
        let whose = self.rules.sharing.of(has, who)?;
        let store = self.zone.store();
        Ok(self.rules.key.of(head, whose).hashed(|parts| store.hash(parts)))
    }

    /// A request that has no key. What is unsafe is written through, whatever the client wants (RFC 9111 section 4).
    fn without(&self, cx: &mut Cx<'_>, why: &'static str) -> Lookup {
        let head = cx.head();
        if head.method.is_safe() && self.asks(head.headers, Has::of(head.headers)).only_if_cached {
            return Lookup::Nothing(why);
        }
        if why == "method" {
            cx.facts_mut().cached.forwarded = Some("method");
        }
        Lookup::Bypass(why)
    }

    fn asks(&self, headers: &HeaderMap, has: Has) -> Asks {
        match self.rules.respect_client && has.any(Has::CONTROL) {
            true => Asks::of(headers),
            false => Asks::default(),
        }
    }

    /// `None` for what has been purged.
    fn judge_stored(&self, cx: &Cx<'_>, has: Has, head: &Head, notes: &Notes, key: &[u8]) -> Option<Judgement> {
        let expired_at = self.purged(head, notes, key).ok()?;
        let whose = self.rules.sharing.of(has, cx.identity()).ok()?;
        let shared = !self.rules.sharing.is_private(whose);
        let asks = self.asks(cx.head().headers, has);
        let mut judged = judge(head, &asks, expired_at, shared, self.clock.wall());
        if judged.worth == (Use::Stale { refresh: true }) {
            // What is fetched for one that says `no-store` is not stored: somebody else has it renewed.
            judged.worth = Use::Stale { refresh: !asks.no_store && self.is_mine_to_renew(notes) };
        }
        Some(judged)
    }

    /// When its time was ended by a soft purge; `Err` for what is gone.
    fn purged(&self, head: &Head, notes: &Notes, key: &[u8]) -> std::result::Result<Option<SystemTime>, ()> {
        let marks = &self.zone.store().marks;
        let epoch = marks.epoch();
        if notes.checked.load(Ordering::Acquire) == epoch {
            return Ok(None);
        }
        match marks.verdict(key, &head.headers, head.asked) {
            Verdict::Good => {
                notes.checked.store(epoch, Ordering::Release);
                Ok(None)
            }
            // A mark may be somewhat ahead of the clock.
            Verdict::ExpiredAt(at) => Ok(Some(at.min(self.clock.wall()))),
            Verdict::Gone => Err(()),
        }
    }

    fn is_mine_to_renew(&self, notes: &Notes) -> bool {
        let now = u64::try_from(self.clock.now().saturating_duration_since(*BEGINNING).as_nanos()).unwrap_or(u64::MAX);
        let until = now.saturating_add(u64::try_from(RENEWAL.as_nanos()).unwrap_or(u64::MAX));
        notes.may_renew(now, until)
    }

    fn invalidate_target(&self, request: &RequestHead<'_>) {
        self.zone.store().marks.invalidate(invalidate::url(&self.rules.key.query, request), self.clock.wall());
    }

    /// The `Cache-Control` that the route wants clients to see: never in place of one that forbids to store, nor of one to
    /// somebody known that is not for everybody. Caches between here and the client would share it.
    fn tell_client(&self, cx: &Cx<'_>, did: CacheStatus, head: &mut ResponseHeader) -> Result<()> {
        let told = did != CacheStatus::Off && (head.status.is_success() || head.status.is_redirection());
        let Some(value) = self.rules.cache_control(cx.head().path).filter(|_| told) else { return Ok(()) };
        let says = Says::of_client(&head.headers);
        let known = cx.identity().is_some() || cx.head().headers.contains_key(header::AUTHORIZATION);
        let somebodys =
            says.private || (known && !says.is_for_everybody() && !Says::of(&head.headers).is_for_everybody());
        if says.no_store || somebodys || head.headers.contains_key(header::SET_COOKIE) {
            return Ok(());
        }
        head.remove_header(&header::EXPIRES);
        head.remove_header(&header::PRAGMA);
        head.insert_header(header::CACHE_CONTROL, value.clone())?;
        Ok(())
    }
}

/// What instants are counted from, for all configurations of the process: notes outlive a reload.
static BEGINNING: LazyLock<Instant> = LazyLock::new(Instant::now);

fn note(cached: &mut Cached, judged: &Judgement) {
    (cached.age, cached.ttl) = (Some(judged.age), Some(judged.ttl));
}

impl std::fmt::Debug for CacheRoute {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CacheRoute").field("rules", &self.rules).finish_non_exhaustive()
    }
}
