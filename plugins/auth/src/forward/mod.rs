//! Another service decides.

mod answer;
mod key;
mod question;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::Request;
use serde_json::{Value, json};
use tidegate_core::{BuildCx, ConfigError, ConfigErrors};

use crate::calls::{Asks, Calls, Memo};
use crate::config::{Forward as Config, OnStoreError};
use crate::id::Id;
use crate::plugin::Parts;
use crate::verdict::{Answer, Asking, Authenticator, Failure, Proved, Reason, Refusal, Verdict};

use answer::Reading;
use key::Key;
use question::Question;

/// The longest body of an answer. Nobody looks at it: a page that asks to log in, for one.
const LARGEST: usize = 1024 * 1024;
/// An answer is remembered at most as long as this.
const LONGEST: Duration = Duration::from_secs(3600);

/// The provider.
struct Forward {
    name: Box<str>,
    question: Question,
    only_with_credentials: bool,
    on_error: OnStoreError,
    /// How answers are remembered; `None` asks for each request.
    remembered: Option<(Key, Arc<Memo<Known>>)>,
    service: Arc<Service>,
}

/// Whoever decides.
struct Service {
    calls: Calls,
    reading: Reading,
    cache: Duration,
}

/// What the service said.
#[derive(Debug, Clone)]
enum Known {
    Proved(Proved),
    /// The request may go on, as nobody's.
    Nobody,
    /// Never remembered, like [`Known::Failed`].
    Refused(Arc<Answer>),
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
    let question = errors.collect(Question::build(config));
    let reading = errors.collect(Reading::build(&config.identity, name).map_err(|e| e.under(&"identity".into())));
    let key = errors.collect(Key::build(config));
    if config.cache.get() > LONGEST {
        errors.push(ConfigError::at("cache", "must be at most 1h"));
    }
    let asks = Asks { name, timeout: config.timeout.get(), largest: LARGEST, ca: config.ca.as_deref() };
    let calls = errors.collect(Calls::build(&asks, cx));
    let (Some(question), Some(reading), Some(key), Some(calls), true) =
        (question, reading, key, calls, errors.is_empty())
    else {
        return Err(errors);
    };
    // Another configuration may ask or read otherwise.
    let same = Id::hash(&[name.as_bytes(), format!("{config:?}").as_bytes()]).text();
    let clock = cx.clock().clone();
    let memo = cx.retain(&format!("forward {same}"), || Memo::new(&clock, config.entries));
    let remembers = !config.cache.get().is_zero() && config.entries > 0;
    Ok(Arc::new(Forward {
        name: name.into(),
        question,
        only_with_credentials: config.only_with_credentials,
        on_error: config.on_error,
        remembered: remembers.then(|| (key, (*memo).clone())),
        service: Arc::new(Service { calls, reading, cache: config.cache.get() }),
    }))
}

impl Forward {
    fn verdict(&self, known: Known) -> Verdict {
        match known {
            Known::Proved(proved) => Verdict::Proved(proved),
            Known::Nobody => Verdict::Nothing,
            Known::Refused(answer) => Verdict::Refused(Refusal {
                answer: Some(Box::new(Answer::clone(&answer))),
                ..Refusal::new(Reason::Declined, "the service says no")
            }),
            Known::Failed(_) if self.on_error == OnStoreError::Allow => Verdict::Nothing,
            Known::Failed(why) => {
                Verdict::Failed(Failure { code: "forward_auth_unavailable", detail: why.as_ref().to_owned() })
            }
        }
    }
}

#[async_trait]
impl Authenticator for Forward {
    fn name(&self) -> &str {
        &self.name
    }

    fn at_once(&self, asking: &Asking<'_>) -> Option<Verdict> {
        if self.only_with_credentials && !self.question.is_for(&asking.head) {
            return Some(Verdict::Nothing);
        }
        let (key, memo) = self.remembered.as_ref()?;
        memo.get(key.of(&asking.head, memo.hasher())).map(|known| self.verdict(known))
    }

    async fn authenticate(&self, asking: &Asking<'_>) -> Verdict {
        if let Some(verdict) = self.at_once(asking) {
            return verdict;
        }
        let ask = |request| {
            let service = self.service.clone();
            async move { service.ask(request).await }
        };
        let request = self.question.about(&asking.head);
        let Some((key, memo)) = &self.remembered else {
            return self.verdict(ask(request).await.0);
        };
        let mut asked_itself = false;
        let known = memo.get_or(key.of(&asking.head, memo.hasher()), || {
            asked_itself = true;
            ask(request.clone())
        });
        match known.await {
            // What one client is to keep is no other's: cookies of a login that begins here.
            Known::Refused(answer) if !asked_itself && answer::is_personal(&answer) => {
                self.verdict(ask(request).await.0)
            }
            known => self.verdict(known),
        }
    }

    fn state(&self) -> Option<Value> {
        let (_, memo) = self.remembered.as_ref()?;
        Some(json!({ "remembered": memo.len() }))
    }
}

impl Service {
    /// What the service says, and how long that is remembered.
    async fn ask(&self, request: Request<Bytes>) -> (Known, Duration) {
        let known = match self.calls.ask(request).await {
            Ok(answer) => self.reading.read(&answer),
            Err(why) => Known::Failed(why.into()),
        };
        let keep = match &known {
            Known::Proved(_) | Known::Nobody => self.cache,
            Known::Refused(_) | Known::Failed(_) => Duration::ZERO,
        };
        (known, keep)
    }
}
