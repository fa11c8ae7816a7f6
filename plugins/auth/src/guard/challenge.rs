//! What a client has to solve after failures.

use std::time::Duration;

use serde_json::{Value, json};
use tidegate_core::{BuildCx, ConfigError, ConfigErrors};

use super::service::Verifier;
use super::work::Puzzles;
use super::{Admission, Mac, Marks};
use crate::config::service::{Challenge, ChallengeKind};
use crate::id::{Id, Millis};
use crate::store::{Counter, Store, StoreError};

/// How long a solution that a service took is remembered; they are good for less.
const REMEMBERED: Duration = Duration::from_secs(3600);

/// Asks for a solution, and checks it.
pub(super) struct Challenger {
    /// After how many failures.
    pub(super) after: u32,
    window: Duration,
    kind: Kind,
}

enum Kind {
    Work(Puzzles),
    Service(Verifier),
}

/// What a solution was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Checked {
    /// And it won't be again.
    Solved,
    /// None, or one that was taken before.
    Wrong,
    /// Whoever knows did not say.
    Unknown,
}

impl Challenger {
    /// Errors are relative to `challenge`.
    pub(super) fn build(config: &Challenge, mac: &Mac, cx: &BuildCx<'_>) -> Result<Self, ConfigErrors> {
        let mut errors = ConfigErrors::new();
        if config.after == 0 {
            errors.push(ConfigError::at("after", "must be at least 1"));
        }
        if config.window.get().is_zero() {
            errors.push(ConfigError::at("window", "must be longer than nothing"));
        }
        let kind = match config.kind {
            ChallengeKind::Work => {
                if !config.hostnames.is_empty() {
                    let error = ConfigError::at("hostnames", "it says nothing about `work`");
                    errors.push(error.help("remove it: a puzzle of the gateway's own is good for one account"));
                }
                Puzzles::build(config, mac).map(Kind::Work)
            }
            _ => Verifier::build(config, cx).map(Kind::Service),
        };
        let Some(kind) = errors.collect(kind) else { return Err(errors) };
        errors.into_result(Self { after: config.after, window: config.window.get(), kind })
    }

    /// The counters of failures that call for it: of the client, and at the account where there is one.
    pub(super) fn failures(&self, marks: &Marks) -> Vec<Counter> {
        let counter = |key| Counter { key, window: self.window };
        let account = marks.account.map(|_| counter(marks.account_failures));
        std::iter::once(counter(marks.client_failures)).chain(account).collect()
    }

    /// The refusal that asks for a solution.
    pub(super) fn ask(&self, marks: &Marks, now: Millis) -> Admission {
        let members = match &self.kind {
            Kind::Work(puzzles) => puzzles.ask(&marks.prefix, now),
            Kind::Service(service) => Some(service.ask()),
        };
        let told = |challenge: Value| Admission::Challenge(json!({ "challenge": challenge }));
        members.map_or(Admission::Busy, told)
    }

    /// Checks a solution. One that is right is good once.
    pub(super) async fn check(
        &self,
        solution: &str,
        marks: &Marks,
        store: &dyn Store,
        now: Millis,
    ) -> Result<Checked, StoreError> {
        let (id, until) = match &self.kind {
            Kind::Work(puzzles) => match puzzles.check(solution, &marks.prefix, now) {
                Ok(Some(solved)) => solved,
                Ok(None) => return Ok(Checked::Wrong),
                Err(_) => return Ok(Checked::Unknown),
            },
            Kind::Service(service) => match service.check(solution).await {
                Checked::Solved => (Id::hash(&[b"guard", b"solution", solution.as_bytes()]), now.plus(REMEMBERED)),
                other => return Ok(other),
            },
        };
        let first = store.put(id, &[], until, true, now).await?;
        Ok(if first { Checked::Solved } else { Checked::Wrong })
    }
}
