//! Against guessing: how many attempts, lockout, challenges.
//!
//! Everything is counted by what was sent, never by what there is: an account that nobody has is limited, locked and
//! challenged as one that somebody has.

mod challenge;
mod config;
mod device;
mod lockout;
mod marks;
mod metrics;
mod service;
mod work;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use smallvec::SmallVec;
use tidegate_core::{BuildCx, Clock, ConfigErrors};

use crate::config::service::{Attempts, Lockout, Service};
use crate::id::Millis;
use crate::keys::{KeyRing, NoKeys};
use crate::store::{Counted, Counter, Store, StoreError};
use challenge::{Challenger, Checked};
pub(crate) use device::KNOWN_FOR;
use marks::Marks;
use metrics::GuardMetrics;

/// HMAC-SHA256 with a key that never leaves the gateways, for one purpose: [`KeyRing::mac`].
pub(crate) type Mac = Arc<dyn Fn(&str, &[u8]) -> Result<[u8; 32], NoKeys> + Send + Sync>;

/// Counts attempts and failures.
pub(crate) struct Guard {
    attempts: Attempts,
    lockout: Lockout,
    challenge: Option<Challenger>,
    store: Arc<dyn Store>,
    mac: Mac,
    metrics: GuardMetrics,
    clock: Clock,
}

/// An attempt at something that is worth guessing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attempt<'a> {
    pub(crate) client: IpAddr,
    /// The account's name as it was given, normalised; empty where none is.
    pub(crate) account: &'a str,
    /// The solution of a challenge that the client sent.
    pub(crate) solution: Option<&'a str>,
    /// Whether a device that has logged in to this account before is at it: see [`Guard::knows`].
    pub(crate) trusted: bool,
}

/// Whether it may go on.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Admission {
    Go,
    /// 429 with `Retry-After`.
    TooMany(Duration),
    /// 429 with `Retry-After` and the code `account_locked`; the same whether or not there is such an account.
    Locked(Duration),
    /// 401 with the code `challenge_required` and these members.
    Challenge(Value),
    /// 503: nobody can say.
    Busy,
}

impl Guard {
    /// Errors are relative to `service`.
    pub(crate) fn build(
        config: &Service,
        store: &Arc<dyn Store>,
        keys: &Arc<KeyRing>,
        cx: &mut BuildCx<'_>,
    ) -> Result<Arc<Self>, ConfigErrors> {
        let keys = keys.clone();
        let mac: Mac = Arc::new(move |purpose, data| keys.mac(purpose, data));
        Self::with(config, store, mac, cx).map(Arc::new)
    }

    fn with(config: &Service, store: &Arc<dyn Store>, mac: Mac, cx: &mut BuildCx<'_>) -> Result<Self, ConfigErrors> {
        let mut errors = config::faults(config);
        let challenge = config.challenge.as_ref().map(|challenge| Challenger::build(challenge, &mac, cx));
        let challenge = errors.collect(challenge.transpose().map_err(|e| e.under(&"challenge".into()))).flatten();
        let metrics = errors.collect(GuardMetrics::new(cx.metrics()));
        let Some(metrics) = metrics.filter(|_| errors.is_empty()) else { return Err(errors) };
        let (attempts, lockout, store) = (config.attempts, config.lockout, store.clone());
        Ok(Self { attempts, lockout, challenge, store, mac, metrics, clock: cx.clock().clone() })
    }

    /// Counts the attempt before anything is looked up, so that a thousand at once are not a thousand guesses. What is
    /// refused before it could be a guess is not counted.
    pub(crate) async fn admit(&self, attempt: &Attempt<'_>) -> Result<Admission, StoreError> {
        let admission = self.decide(attempt).await?;
        self.metrics.count(&admission);
        Ok(admission)
    }

    async fn decide(&self, attempt: &Attempt<'_>) -> Result<Admission, StoreError> {
        let (now, marks) = (self.now(), Marks::of(attempt));
        if let Some(refused) = self.look(attempt, &marks, now).await? {
            return Ok(refused);
        }
        if let Some(wait) = self.over(&self.per_client(&marks), 1, now).await? {
            return Ok(Admission::TooMany(wait));
        }
        // Before the account's own count: who solves nothing must not use up what others have.
        if let (Some(challenger), Some(solution)) = (&self.challenge, attempt.solution) {
            match challenger.check(solution, &marks, &*self.store, now).await? {
                Checked::Solved => {}
                Checked::Wrong => return Ok(challenger.ask(&marks, now)),
                Checked::Unknown => return Ok(Admission::Busy),
            }
        }
        let wait = self.over(self.per_account(attempt, &marks).as_slice(), 1, now).await?;
        Ok(wait.map_or(Admission::Go, Admission::TooMany))
    }

    /// The same for who comes back from a provider that knows them: the client alone is counted. There is nothing to be
    /// guessed, and a browser that was sent here has no solution with it.
    pub(crate) async fn admit_returning(&self, client: IpAddr) -> Result<Admission, StoreError> {
        let marks = Marks::of(&Attempt { client, account: "", solution: None, trusted: false });
        let wait = self.over(&self.per_client(&marks), 1, self.now()).await?;
        let admission = wait.map_or(Admission::Go, Admission::TooMany);
        self.metrics.count(&admission);
        Ok(admission)
    }

    /// What refuses without counting.
    async fn look(&self, attempt: &Attempt<'_>, marks: &Marks, now: Millis) -> Result<Option<Admission>, StoreError> {
        if let Some(wait) = self.locked(marks, now).await? {
            return Ok(Some(Admission::Locked(wait)));
        }
        // One more would be over.
        let most = self.per_client(marks).into_iter().map(|(counter, most)| (counter, most.saturating_sub(1)));
        if let Some(wait) = self.over(&most.collect::<SmallVec<[_; 2]>>(), 0, now).await? {
            return Ok(Some(Admission::TooMany(wait)));
        }
        match &self.challenge {
            Some(challenger) if attempt.solution.is_none() && self.suspicious(challenger, marks, now).await? => {
                Ok(Some(challenger.ask(marks, now)))
            }
            _ => Ok(None),
        }
    }

    async fn suspicious(&self, challenger: &Challenger, marks: &Marks, now: Millis) -> Result<bool, StoreError> {
        let counted = self.store.count(&challenger.failures(marks), 0, now).await?;
        Ok(counted.iter().any(|counted| counted.count >= challenger.after))
    }

    /// How long to wait if one of these is over its most after `by` more.
    async fn over(&self, counters: &[(Counter, u32)], by: u32, now: Millis) -> Result<Option<Duration>, StoreError> {
        let keys: SmallVec<[_; 2]> = counters.iter().map(|(counter, _)| *counter).collect();
        if keys.is_empty() {
            return Ok(None);
        }
        let counted = self.store.count(&keys, by, now).await?;
        let over = |((_, most), counted): (&(Counter, u32), &Counted)| {
            (counted.count > *most).then(|| counted.reset.since(now))
        };
        Ok(counters.iter().zip(&counted).filter_map(over).max())
    }

    /// What one client may do: at all, and at this account.
    fn per_client(&self, marks: &Marks) -> SmallVec<[(Counter, u32); 2]> {
        let window = self.attempts.window.get();
        let all = (Counter { key: marks.client, window }, self.attempts.client);
        let here = marks.account.map(|_| (Counter { key: marks.pair, window }, self.attempts.account));
        std::iter::once(all).chain(here).collect()
    }

    /// What all may do at this account, if this client is not one of those that it is for.
    fn per_account(&self, attempt: &Attempt<'_>, marks: &Marks) -> Option<(Counter, u32)> {
        let window = self.attempts.window.get();
        let account = marks.account.filter(|_| !attempt.trusted);
        account.map(|key| (Counter { key, window }, self.attempts.account_total))
    }

    /// It failed; whether the account is locked for this client from now on.
    pub(crate) async fn failed(&self, attempt: &Attempt<'_>) -> Result<bool, StoreError> {
        let (now, marks) = (self.now(), Marks::of(attempt));
        if let Some(challenger) = &self.challenge {
            self.store.count(&challenger.failures(&marks), 1, now).await?;
        }
        self.lock_after(&marks, now).await
    }

    /// It succeeded: failures at this account by this client are forgotten. Those that call for a challenge are not:
    /// who has an account of their own could wipe them out between two guesses at others.
    pub(crate) async fn succeeded(&self, attempt: &Attempt<'_>) -> Result<(), StoreError> {
        match Marks::of(attempt) {
            Marks { account: Some(_), failures, .. } => self.store.forget(&[failures]).await,
            _ => Ok(()),
        }
    }

    /// Counts a registration; how long to wait if the client has had as many as it may have in an hour.
    pub(crate) async fn registers(&self, client: IpAddr, per_hour: u32) -> Result<Option<Duration>, StoreError> {
        let counter = Counter { key: marks::registrations(client), window: Duration::from_secs(3600) };
        self.over(&[(counter, per_hour)], 1, self.now()).await
    }

    fn now(&self) -> Millis {
        Millis::of(self.clock.wall())
    }
}

#[cfg(test)]
mod tests;
