//! Against guessing: how many attempts, lockout, challenges.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tidegate_core::{BuildCx, ConfigErrors};

use crate::config::service::Service;
use crate::keys::KeyRing;
use crate::store::{Store, StoreError};

/// Counts attempts and failures.
pub(crate) struct Guard {}

/// An attempt at something that is worth guessing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attempt<'a> {
    pub(crate) client: IpAddr,
    /// The account's name as it was given, normalised; empty where none is.
    pub(crate) account: &'a str,
    /// The solution of a challenge that the client sent.
    pub(crate) solution: Option<&'a str>,
    /// Whether a device that has logged in to this account before is at it (its long-lived cookie says so).
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
    pub(crate) fn build(
        _config: &Service,
        _store: &Arc<dyn Store>,
        _keys: &Arc<KeyRing>,
        _cx: &mut BuildCx<'_>,
    ) -> Result<Arc<Self>, ConfigErrors> {
        Ok(Arc::new(Self {}))
    }

    /// Counts the attempt before anything is looked up, so that a thousand at once are not a thousand guesses.
    pub(crate) async fn admit(&self, _attempt: &Attempt<'_>) -> Result<Admission, StoreError> {
        Ok(Admission::Go)
    }

    /// It failed; whether the account is locked for this client from now on.
    pub(crate) async fn failed(&self, _attempt: &Attempt<'_>) -> Result<bool, StoreError> {
        Ok(false)
    }

    /// It succeeded: failures at this account by this client are forgotten.
    pub(crate) async fn succeeded(&self, _attempt: &Attempt<'_>) -> Result<(), StoreError> {
        Ok(())
    }
}
