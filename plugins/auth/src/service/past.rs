//! What was issued and hashed in another way before this configuration, or is at this moment by another gateway at the same
//! store: tokens that live for longer, hashes that cost more.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tidegate_core::{Clock, Stop};

use super::tokens::LONGEST as LONGEST_TTL;
use crate::hashing::{Effort, Kind, Seen};
use crate::id::{Id, Millis};
use crate::store::{Store, StoreError};

/// How often the store is looked at.
const LOOK: Duration = Duration::from_secs(60);
/// For so long it is kept there.
const KEPT: Duration = Duration::from_secs(366 * 24 * 3600);
/// How much newer something must be to be worth a write.
const DAY: Duration = Duration::from_secs(24 * 3600);

/// What is known of it. Kept over reloads.
#[derive(Debug, Default)]
pub(super) struct Past(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Whether the store has said what it knows.
    asked: bool,
    issued: Option<Issued>,
}

/// The tokens that live longest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Issued {
    ttl: Duration,
    /// When the last of them has expired.
    until: Millis,
}

impl Past {
    /// Tokens of this life are issued from now on.
    pub(super) fn issues(&self, ttl: Duration, now: Millis) {
        let issued = Issued::from(ttl, now);
        let mut state = self.0.lock();
        state.issued = Some(state.issued.map_or(issued, |other| other.with(issued, now)));
    }

    /// How long a token may live that is good now, where those issued here live for `ttl`. Nothing is forgotten before the
    /// store was asked.
    pub(super) fn longest(&self, ttl: Duration, now: Millis) -> Duration {
        let state = self.0.lock();
        match (state.asked, state.issued) {
            (false, _) => LONGEST_TTL.max(ttl),
            (true, Some(issued)) => ttl.max(issued.ttl.min(issued.until.since(now))),
            (true, None) => ttl,
        }
    }
}

impl Issued {
    fn from(ttl: Duration, now: Millis) -> Self {
        Self { ttl, until: now.plus(2 * (ttl + LOOK)) }
    }

    /// Both: the one that lives longer, unless that is over.
    fn with(self, other: Self, now: Millis) -> Self {
        match (self.until > now, other.until > now) {
            (true, false) => self,
            (false, true) => other,
            _ if self.ttl == other.ttl => Self { until: self.until.max(other.until), ..self },
            _ if self.ttl > other.ttl => self,
            _ => other,
        }
    }
}

/// Tells other gateways, and those to come, what this one does, and learns from them.
pub(super) struct Keeper {
    pub(super) past: Arc<Past>,
    pub(super) seen: Arc<Seen>,
    pub(super) store: Arc<dyn Store>,
    pub(super) clock: Clock,
    pub(super) ttl: Duration,
}

impl Keeper {
    /// Until it is told to stop.
    pub(super) async fn run(self, mut stop: Stop) {
        let mut told = false;
        loop {
            let looked = tokio::select! {
                looked = self.look() => looked,
                () = stop.stopped() => return,
            };
            if let Err(error) = &looked
                && !told
            {
                log::warn!(error:%; "what gateways have issued before is not known: revocations are kept for a day");
            }
            told = looked.is_err();
            tokio::select! {
                () = self.clock.sleep(LOOK) => {}
                () = stop.stopped() => return,
            }
        }
    }

    async fn look(&self) -> Result<(), StoreError> {
        let now = Millis::of(self.clock.wall());
        let kept = self.store.get(key(), now).await?;
        // What can't be read is of another version, and is as good as nothing.
        let kept: Record = kept.and_then(|kept| serde_json::from_slice(&kept).ok()).unwrap_or_default();
        self.learn(&kept, now);
        let ours = self.record(now);
        if ours.is_news(&kept, now.plus(self.ttl + LOOK)) {
            let text = serde_json::to_vec(&ours).map_err(|_| StoreError::Corrupt("a record in memory".to_owned()))?;
            self.store.put(key(), &text, now.plus(KEPT), false, now).await?;
        }
        Ok(())
    }

    fn learn(&self, kept: &Record, now: Millis) {
        kept.hashes.iter().filter_map(Hashed::kind).for_each(|(kind, seen)| self.seen.note(kind, seen));
        let mut state = self.past.0.lock();
        state.asked = true;
        let own = Issued::from(self.ttl, now);
        let all = state.issued.into_iter().chain(kept.issued());
        state.issued = Some(all.fold(own, |all, one| all.with(one, now)));
    }

    fn record(&self, now: Millis) -> Record {
        let issued = self.past.0.lock().issued;
        let hashes = self.seen.kinds(now).into_iter().map(Hashed::from).collect();
        let (ttl, until) = issued.map_or((0, 0), |issued| (Millis(0).plus(issued.ttl).0, issued.until.0));
        Record { ttl, until, hashes }
    }
}

/// Under which the store has it.
fn key() -> Id {
    Id::hash(&[b"service", b"past"])
}

/// As the store has it.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Record {
    /// Milliseconds.
    ttl: u64,
    until: u64,
    hashes: Vec<Hashed>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Hashed {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bcrypt: Option<u32>,
    /// Memory in KiB, passes, lanes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    argon2id: Option<[u32; 3]>,
    seen: u64,
}

impl Record {
    fn issued(&self) -> Option<Issued> {
        (self.until > 0)
            .then(|| Issued { ttl: Duration::from_millis(self.ttl).min(LONGEST_TTL), until: Millis(self.until) })
    }

    /// Whether it says more than what is kept. `needed`: until when that must speak of these tokens at least.
    fn is_news(&self, kept: &Self, needed: Millis) -> bool {
        let longer = self.ttl != kept.ttl || (self.until > kept.until && kept.until < needed.0);
        let known = |one: &Hashed| {
            let same = |other: &&Hashed| other.bcrypt == one.bcrypt && other.argon2id == one.argon2id;
            let other = kept.hashes.iter().find(same);
            other.is_some_and(|other| Millis(one.seen).since(Millis(other.seen)) < DAY)
        };
        longer || !self.hashes.iter().all(known)
    }
}

impl From<(Kind, Millis)> for Hashed {
    fn from((kind, seen): (Kind, Millis)) -> Self {
        let (bcrypt, argon2id) = match kind {
            Kind::Bcrypt(cost) => (Some(cost), None),
            Kind::Argon2id(Effort { memory, passes, lanes }) => (None, Some([memory, passes, lanes])),
        };
        Self { bcrypt, argon2id, seen: seen.0 }
    }
}

impl Hashed {
    /// Only kinds that passwords are compared with: nobody is to wait for what a record claims.
    fn kind(&self) -> Option<(Kind, Millis)> {
        let argon2id = |[memory, passes, lanes]: [u32; 3]| Effort { memory, passes, lanes };
        let kind = match (self.bcrypt, self.argon2id.map(argon2id)) {
            (Some(cost @ 4..=16), None) => Kind::Bcrypt(cost),
            (None, Some(effort)) if effort.is_bearable() => Kind::Argon2id(effort),
            _ => return None,
        };
        Some((kind, Millis(self.seen)))
    }
}

#[cfg(test)]
mod tests {
    use tidegate_testkit::{ManualClock, manual_clock};

    use super::*;
    use crate::store::fake::FakeStore;

    const QUARTER: Duration = Duration::from_secs(900);
    const MINUTE: Duration = Duration::from_secs(60);

    struct Gateway(Keeper);

    impl Gateway {
        fn new(store: &Arc<FakeStore>, clock: &ManualClock, ttl: Duration, past: &Arc<Past>) -> Self {
            let (past, seen, clock_) = (past.clone(), Arc::new(Seen::default()), Clock::new(clock.clone()));
            past.issues(ttl, Millis::of(clock_.wall()));
            Self(Keeper { past, seen, store: store.clone(), clock: clock_, ttl })
        }

        fn now(&self) -> Millis {
            Millis::of(self.0.clock.wall())
        }

        fn longest(&self) -> Duration {
            self.0.past.longest(self.0.ttl, self.now())
        }
    }

    #[tokio::test]
    async fn tokens_of_a_configuration_before_are_thought_of_until_the_last_has_expired() {
        let (store, clock, kept) = (FakeStore::new(), manual_clock(), Arc::new(Past::default()));
        let before = Gateway::new(&store, &clock, QUARTER, &kept);
        assert_eq!(before.longest(), LONGEST_TTL, "the store has not answered yet");
        for _ in 0..100 {
            before.0.look().await.expect("an answer");
            clock.advance(LOOK);
        }
        // A reload keeps it, a restart reads it, and another gateway does.
        for past in [kept, Arc::default()] {
            let now = Gateway::new(&store, &clock, MINUTE, &past);
            now.0.look().await.expect("an answer");
            assert_eq!(now.longest(), QUARTER);
        }
        let now = Gateway::new(&store, &clock, MINUTE, &Arc::default());
        now.0.look().await.expect("an answer");
        clock.advance(QUARTER + QUARTER);
        assert!(now.longest() < QUARTER);
        clock.advance(QUARTER);
        assert_eq!(now.longest(), MINUTE);
    }

    #[tokio::test]
    async fn what_is_known_is_not_written_again_and_again() {
        let (store, clock) = (FakeStore::new(), manual_clock());
        let gateway = Gateway::new(&store, &clock, QUARTER, &Arc::default());
        gateway.0.seen.note(Kind::Bcrypt(12), gateway.now());
        for _ in 0..60 {
            gateway.0.look().await.expect("an answer");
            clock.advance(LOOK);
            gateway.0.seen.note(Kind::Bcrypt(12), gateway.now());
        }
        // Each look is one call, each write another.
        let writes = store.calls() - 60;
        assert!((3..=6).contains(&writes), "{writes} writes in an hour");
    }

    #[tokio::test]
    async fn kinds_of_hashes_are_learned_from_others_and_nonsense_is_not() {
        let (store, clock) = (FakeStore::new(), manual_clock());
        let argon = Kind::Argon2id(Effort { memory: 19456, passes: 2, lanes: 1 });
        let one = Gateway::new(&store, &clock, QUARTER, &Arc::default());
        one.0.seen.note(Kind::Bcrypt(13), one.now());
        one.0.seen.note(argon, one.now());
        one.0.look().await.expect("an answer");
        let other = Gateway::new(&store, &clock, QUARTER, &Arc::default());
        other.0.look().await.expect("an answer");
        let kinds = |one: &Gateway| one.0.seen.kinds(one.now()).into_iter().map(|(kind, _)| kind).collect::<Vec<_>>();
        assert_eq!(kinds(&other), [Kind::Bcrypt(13), argon]);
        let seen = one.now().0;
        for text in [
            "no JSON".to_owned(),
            format!("{{\"hashes\":[{{\"bcrypt\":31,\"seen\":{seen}}}]}}"),
            format!("{{\"hashes\":[{{\"argon2id\":[4000000000,9,1],\"seen\":{seen}}}]}}"),
        ] {
            store.put(key(), text.as_bytes(), Millis(u64::MAX), false, one.now()).await.expect("an answer");
            let fresh = Gateway::new(&store, &clock, QUARTER, &Arc::default());
            fresh.0.look().await.expect("an answer");
            assert_eq!(kinds(&fresh), [], "{text}");
        }
    }
}
