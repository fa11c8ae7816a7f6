//! Tokens that are refused before they expire.

mod known;
mod learn;
mod open;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use smallvec::SmallVec;
use tidegate_core::{BuildCx, Clock, ConfigErrors};

use crate::config::service::StoreChoice;
use crate::config::{OnStoreError, Revocation as RevocationConfig, RevocationMode};
use crate::id::Millis;
use crate::store::{Revocation, Revoked, Store, StoreError};
use crate::verdict::{Failure, Mark};

use known::Known;
use learn::Learner;

/// What this gateway knows of revocations.
///
/// In `local` mode everything that is revoked anywhere is known here, exactly: a good token costs a look into a map,
/// and no question to anybody.
pub(crate) struct Revocations {
    mode: RevocationMode,
    on_store_error: OnStoreError,
    known: Arc<Known>,
    store: Option<Arc<dyn Store>>,
    clock: Clock,
}

/// What is known here about a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    Good,
    Revoked,
    /// The store has to be asked.
    Ask,
    /// The store is lost, and nothing may pass then.
    Lost,
}

/// What operators see of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RevocationState {
    pub(crate) known: usize,
    pub(crate) bytes: usize,
    pub(crate) caught_up: bool,
    pub(crate) overflowed: bool,
    pub(crate) lost: bool,
}

impl Revocations {
    /// `service`: the token service's store, and how it was chosen. Without one, the one that the section names is
    /// opened; without that either, nothing is ever revoked. Errors are relative to the section's `revocation`.
    pub(crate) fn build(
        config: &RevocationConfig,
        service: Option<(&StoreChoice, Arc<dyn Store>)>,
        cx: &mut BuildCx<'_>,
    ) -> Result<Arc<Self>, ConfigErrors> {
        let (store, name) = open::store(config, service, cx)?.unzip();
        let name = name.unwrap_or_default();
        let mode = match &store {
            Some(_) => config.mode,
            None => RevocationMode::Off,
        };
        let usual = match mode {
            RevocationMode::Strict => OnStoreError::Deny,
            RevocationMode::Local | RevocationMode::Off => OnStoreError::Allow,
        };
        let on_store_error = config.on_store_error.unwrap_or(usual);
        let known = cx.retain(&format!("revocations/{name}/{}", config.entries), || Known::new(config.entries));
        let this = Self { mode, on_store_error, known, store, clock: cx.clock().clone() };
        if let Some(learner) = this.learner(config, cx)? {
            cx.spawn("revocations", move |stop| learner.run(stop));
        }
        Ok(Arc::new(this))
    }

    /// What is known here. Takes no lock that is held for long, and allocates nothing.
    pub(crate) fn check(&self, mark: &Mark) -> Standing {
        if self.mode == RevocationMode::Off {
            return Standing::Good;
        }
        if self.known.holds(mark) {
            return Standing::Revoked;
        }
        let progress = &self.known.progress;
        match (self.mode, progress.lost.load(Relaxed), self.on_store_error) {
            (RevocationMode::Local, true, OnStoreError::Deny) => Standing::Lost,
            (RevocationMode::Local, true, OnStoreError::Allow) => Standing::Good,
            (RevocationMode::Local, false, _) if progress.is_whole() => Standing::Good,
            _ => Standing::Ask,
        }
    }

    /// Asks the store whether it is revoked. Where it doesn't answer and that is no reason to refuse, what is known
    /// here counts.
    pub(crate) async fn ask(&self, mark: &Mark) -> Result<bool, Failure> {
        let Some(store) = &self.store else { return Ok(false) };
        let names: SmallVec<[Revoked; 5]> = mark.names().collect();
        let answer = store.is_revoked(&names, mark.issued, Millis::of(self.clock.wall())).await;
        match (answer, self.on_store_error) {
            (Ok(revoked), _) => Ok(revoked),
            (Err(_), OnStoreError::Allow) => Ok(self.known.holds(mark)),
            (Err(error), OnStoreError::Deny) => Err(lost(&error)),
        }
    }

    /// What was revoked by this gateway holds here at once; called after the store has it.
    pub(crate) fn heard(&self, revoked: &[Revocation]) {
        self.known.add(revoked);
    }

    /// Revokes by an operator's word; false where there is no store to keep it.
    pub(crate) async fn revoke(&self, revoked: &[Revocation]) -> Result<bool, StoreError> {
        let Some(store) = &self.store else { return Ok(false) };
        store.revoke(revoked, Millis::of(self.clock.wall())).await?;
        self.heard(revoked);
        Ok(true)
    }

    /// What operators see; `None` where nothing is ever revoked.
    pub(crate) fn state(&self) -> Option<RevocationState> {
        let progress = &self.known.progress;
        (self.mode != RevocationMode::Off).then(|| RevocationState {
            known: self.known.len(),
            bytes: self.known.bytes(),
            caught_up: progress.caught_up.load(Relaxed),
            overflowed: progress.overflowed.load(Relaxed),
            lost: progress.lost.load(Relaxed),
        })
    }

    /// For the benchmark: with so many tokens revoked, and everything known.
    pub(crate) fn for_bench(revoked: usize) -> Self {
        let known = Known::new(revoked.max(1));
        known.progress.caught_up.store(true, Relaxed);
        let of = |n: usize| Revoked::Token(crate::id::Id::hash(&[&n.to_be_bytes()]));
        let all = (0..revoked).map(|n| Revocation { what: of(n), before: u64::MAX, until: Millis(u64::MAX / 2) });
        all.for_each(|one| known.add(&[one]));
        let (mode, on_store_error) = (RevocationMode::Local, OnStoreError::Deny);
        Self { mode, on_store_error, known: Arc::new(known), store: None, clock: Clock::system() }
    }

    /// Who reads the store, where what it has is worth knowing.
    fn learner(&self, config: &RevocationConfig, cx: &BuildCx<'_>) -> Result<Option<Learner>, ConfigErrors> {
        let reads = match self.mode {
            RevocationMode::Off => false,
            RevocationMode::Local => true,
            // It is what counts while the store is lost.
            RevocationMode::Strict => self.on_store_error == OnStoreError::Allow,
        };
        let Some(store) = self.store.clone().filter(|_| reads) else { return Ok(None) };
        let metrics = learn::LearnMetrics::new(cx.metrics())?;
        Ok(Some(Learner::new(self.known.clone(), store, self.clock.clone(), config.learn.get(), metrics)))
    }
}

/// While the store is lost, and nothing may pass then.
pub(crate) fn store_lost() -> Failure {
    let detail = "the store of revocations has not answered for too long".to_owned();
    Failure { code: "store_unavailable", detail }
}

fn lost(error: &StoreError) -> Failure {
    Failure { code: "store_unavailable", detail: format!("the store of revocations: {error}") }
}
