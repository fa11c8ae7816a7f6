//! Tokens that their issuer is asked about (RFC 7662).

mod answer;
mod question;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tidegate_core::{BuildCx, Clock, ConfigError, ConfigErrors, RequestHeader};

use crate::calls::{Asks, Calls, Memo};
use crate::config::Introspection as Config;
use crate::credential::{Carried, Sources};
use crate::id::Id;
use crate::plugin::Parts;
use crate::verdict::{Asking, Authenticator, Failure, Proved, Reason, Refusal, Scheme, Verdict};

use answer::Checks;
use question::Question;

/// The longest answer: claims of one token.
const LARGEST: usize = 64 * 1024;
/// An answer is remembered at most as long as this.
const LONGEST: Duration = Duration::from_secs(3600);

/// The provider.
struct Introspection {
    name: Box<str>,
    sources: Sources,
    strip: bool,
    /// Whether answers are remembered at all; if not, each request is asked about.
    remembers: bool,
    memo: Arc<Memo<Known>>,
    issuer: Arc<Issuer>,
}

/// Whoever made the tokens.
struct Issuer {
    calls: Calls,
    question: Question,
    checks: Checks,
    cache: Duration,
    cache_refused: Duration,
    clock: Clock,
}

/// What is known about a token.
#[derive(Debug, Clone)]
enum Known {
    Proved(Proved),
    Refused(Reason, &'static str),
    /// Never remembered.
    Failed(Arc<str>),
}

/// The provider. Errors are relative to its own map.
pub(crate) fn build(
    config: &Config,
    name: &str,
    _parts: &Parts,
    cx: &mut BuildCx<'_>,
) -> Result<Arc<dyn Authenticator>, ConfigErrors> {
    let mut errors = ConfigErrors::new();
    let sources = errors.collect(Sources::build(&config.sources, cx).map_err(|e| e.under(&"sources".into())));
    let question = errors.collect(Question::build(config));
    let checks = errors.collect(Checks::build(config, name));
    for (field, time) in [("cache", config.cache), ("cache_refused", config.cache_refused)] {
        if time.get() > LONGEST {
            let error = ConfigError::at(field, "must be at most 1h");
            errors.push(error.help("what an issuer withdraws is taken for as long as this"));
        }
    }
    let asks = Asks { name, timeout: config.timeout.get(), largest: LARGEST, ca: config.ca.as_deref() };
    let calls = errors.collect(Calls::build(&asks, cx));
    let (Some(sources), Some(question), Some(checks), Some(calls), true) =
        (sources, question, checks, calls, errors.is_empty())
    else {
        return Err(errors);
    };
    // Another configuration may find something else in the same answers.
    let same = Id::hash(&[name.as_bytes(), format!("{config:?}").as_bytes()]).text();
    let clock = cx.clock().clone();
    let memo = cx.retain(&format!("introspection {same}"), || Memo::new(&clock, config.entries));
    let issuer =
        Issuer { calls, question, checks, cache: config.cache.get(), cache_refused: config.cache_refused.get(), clock };
    Ok(Arc::new(Introspection {
        name: name.into(),
        sources,
        strip: config.strip,
        remembers: !config.cache.get().is_zero() && config.entries > 0,
        memo: (*memo).clone(),
        issuer: Arc::new(issuer),
    }))
}

#[async_trait]
impl Authenticator for Introspection {
    fn name(&self) -> &str {
        &self.name
    }

    fn at_once(&self, asking: &Asking<'_>) -> Option<Verdict> {
        let token = match self.sources.find(&asking.head) {
            Carried::Nothing => return Some(Verdict::Nothing),
            Carried::Several => return Some(Verdict::Refused(Reason::Ambiguous.into())),
            Carried::Broken => return Some(Verdict::Refused(Reason::Malformed.into())),
            Carried::One(token) => token,
        };
        let known = self.memo.get(self.memo.key(token.as_bytes())).filter(|_| self.remembers)?;
        Some(known.verdict(asking))
    }

    async fn authenticate(&self, asking: &Asking<'_>) -> Verdict {
        if let Some(verdict) = self.at_once(asking) {
            return verdict;
        }
        let Carried::One(token) = self.sources.find(&asking.head) else { return Verdict::Nothing };
        let key = self.memo.key(token.as_bytes());
        let (issuer, token) = (self.issuer.clone(), token.to_owned());
        let ask = async move { issuer.ask(&token).await };
        let known = match self.remembers {
            true => self.memo.get_or(key, || ask).await,
            // Each request is to hear what the issuer says from now on: not what it said a moment ago.
            false => ask.await.0,
        };
        known.verdict(asking)
    }

    fn strip(&self, head: &mut RequestHeader) {
        if self.strip {
            self.sources.strip(head);
        }
    }

    fn scheme(&self) -> Option<Scheme> {
        self.sources.has_bearer().then_some(Scheme::Bearer)
    }

    fn state(&self) -> Option<serde_json::Value> {
        Some(serde_json::json!({ "remembered": self.memo.len() }))
    }
}

impl Issuer {
    /// What becomes of a token, and how long that is remembered.
    async fn ask(&self, token: &str) -> (Known, Duration) {
        let answer = match self.calls.ask(self.question.about(token)).await {
            Ok(answer) => answer,
            Err(why) => return (Known::Failed(why.into()), Duration::ZERO),
        };
        let now = self.clock.wall();
        let known = self.checks.read(&answer, token, now);
        let keep = match &known {
            Known::Proved(proved) => {
                let left = proved.identity.expires().and_then(|expires| expires.duration_since(now).ok());
                left.map_or(self.cache, |left| left.min(self.cache))
            }
            Known::Refused(..) => self.cache_refused,
            Known::Failed(_) => Duration::ZERO,
        };
        (known, keep)
    }
}

impl Known {
    fn verdict(self, asking: &Asking<'_>) -> Verdict {
        match self {
            // The clock may have been set forward since.
            Known::Proved(proved) if proved.identity.expires().is_some_and(|expires| expires <= asking.now) => {
                Verdict::Refused(Reason::Expired.into())
            }
            Known::Proved(proved) => Verdict::Proved(proved),
            Known::Refused(reason, detail) => Verdict::Refused(Refusal::new(reason, detail)),
            Known::Failed(why) => {
                Verdict::Failed(Failure { code: "introspection_unavailable", detail: why.as_ref().to_owned() })
            }
        }
    }
}
