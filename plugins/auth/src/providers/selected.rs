//! Which of a route's providers decides.

use tidegate_core::header;

use crate::answer::Schemes;
use crate::verdict::{Asking, Authenticator, Reason, Refusal, Scheme, Verdict};

use super::Provider;

/// The providers that count on a route, in order.
///
/// The first that the request carries something for decides. One that is carried something that looks like another's
/// passes it on; if nobody takes it, it was worth nothing, and is refused.
pub(crate) struct Selected {
    all: Box<[Provider]>,
    schemes: Schemes,
}

/// What was decided, and by which of the route's providers; by none where nothing was carried, or too much.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) verdict: Verdict,
    by: Option<usize>,
}

/// How far one gets without waiting for anybody.
#[derive(Debug)]
pub(crate) enum Walk {
    Found(Found),
    Waiting(Waiting),
}

/// A provider has to wait for somebody.
#[derive(Debug)]
pub(crate) struct Waiting {
    at: usize,
    passed_on: PassedOn,
}

/// The first provider that passed something on, and why it did.
type PassedOn = Option<(usize, Refusal)>;

impl Selected {
    pub(super) fn new(all: Box<[Provider]>) -> Self {
        let schemes = all.iter().filter_map(|provider| provider.authenticator.scheme()).collect();
        Self { all, schemes }
    }

    /// How one can prove oneself here.
    pub(crate) fn schemes(&self) -> Schemes {
        self.schemes
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &dyn Authenticator> {
        self.all.iter().map(|provider| &*provider.authenticator)
    }

    /// The scheme of what was decided about.
    pub(crate) fn scheme_of(&self, found: &Found) -> Option<Scheme> {
        self.all.get(found.by?)?.authenticator.scheme()
    }

    /// Counts what came of it.
    pub(crate) fn count(&self, found: &Found) {
        if let Some(provider) = found.by.and_then(|by| self.all.get(by)) {
            provider.checks.count(&found.verdict);
        }
    }

    /// What can be said without waiting for anybody.
    pub(crate) fn at_once(&self, asking: &Asking<'_>) -> Walk {
        // Which of two an upstream would take is anybody's guess (RFC 9110 section 5.3).
        let authorizations = asking.head.headers.get_all(header::AUTHORIZATION);
        if authorizations.iter().nth(1).is_some() {
            return Walk::Found(Found {
                verdict: refused(Reason::Ambiguous, "Authorization was sent twice"),
                by: None,
            });
        }
        self.walk(asking, 0, None)
    }

    /// What is found by waiting.
    pub(crate) async fn wait(&self, asking: &Asking<'_>, mut waiting: Waiting) -> Found {
        while let Some(provider) = self.all.get(waiting.at) {
            let verdict = provider.authenticator.authenticate(asking).await;
            if let Some(found) = decided(waiting.at, verdict, &mut waiting.passed_on) {
                return found;
            }
            match self.walk(asking, waiting.at + 1, waiting.passed_on.take()) {
                Walk::Found(found) => return found,
                Walk::Waiting(next) => waiting = next,
            }
        }
        self.nobody(asking, waiting.passed_on)
    }

    fn walk(&self, asking: &Asking<'_>, from: usize, mut passed_on: PassedOn) -> Walk {
        for (at, provider) in self.all.iter().enumerate().skip(from) {
            let Some(verdict) = provider.authenticator.at_once(asking) else {
                return Walk::Waiting(Waiting { at, passed_on });
            };
            if let Some(found) = decided(at, verdict, &mut passed_on) {
                return Walk::Found(found);
            }
        }
        Walk::Found(self.nobody(asking, passed_on))
    }

    /// No provider takes what the request carries.
    fn nobody(&self, asking: &Asking<'_>, passed_on: PassedOn) -> Found {
        if let Some((by, refusal)) = passed_on {
            return Found { verdict: Verdict::Refused(refusal), by: Some(by) };
        }
        let looked_at = self.schemes.bearer || self.schemes.basic;
        let verdict = match looked_at && asking.head.headers.contains_key(header::AUTHORIZATION) {
            true => refused(Reason::Unknown, "Authorization is of no scheme that a provider takes"),
            false => Verdict::Nothing,
        };
        Found { verdict, by: None }
    }
}

/// Whether the provider at this place has decided.
fn decided(at: usize, verdict: Verdict, passed_on: &mut PassedOn) -> Option<Found> {
    match verdict {
        Verdict::Nothing => None,
        Verdict::NotMine(refusal) => {
            passed_on.get_or_insert((at, refusal));
            None
        }
        verdict => Some(Found { verdict, by: Some(at) }),
    }
}

impl Found {
    /// The same request with another end.
    pub(crate) fn with(self, verdict: Verdict) -> Self {
        Self { verdict, ..self }
    }
}

fn refused(reason: Reason, detail: &'static str) -> Verdict {
    Verdict::Refused(Refusal::new(reason, detail))
}
