//! The token service as a provider: its access tokens, in `Authorization` or in a cookie, and its session cookies.

use std::sync::Arc;

use async_trait::async_trait;
use tidegate_core::{BuildCx, ConfigErrors, RequestHead};

use super::cookies::Cookies;
use super::csrf;
use super::session_cookie::{KnownSessions, SessionCookies, no_keys};
use super::tokens::Tokens;
use crate::config::Source;
use crate::config::service::Service;
use crate::credential::Sources;
use crate::id::Millis;
use crate::keys::KeyRing;
use crate::plugin::Parts;
use crate::verdict::{Asking, Authenticator, Proved, Reason, Scheme, Verdict};

struct Own {
    tokens: Arc<dyn Authenticator>,
    /// The cookie that access tokens come in.
    access: Option<String>,
    sessions: Option<SessionCookies>,
    /// The service's own cookies: none of an upstream's business, and good for hours.
    cookies: Sources,
    keys: Arc<KeyRing>,
}

/// The provider for `service: {}`. What is wrong with the service is said by [`check`](super::check) and by those who open
/// its store and its keys: the error here is empty.
pub(crate) fn provider(
    name: &str,
    config: &Service,
    parts: &Parts,
    cx: &mut BuildCx<'_>,
) -> Result<Arc<dyn Authenticator>, ConfigErrors> {
    let (Some(keys), Some(store)) = (&parts.keys, &parts.store) else { return Err(ConfigErrors::new()) };
    let said = |_: ConfigErrors| ConfigErrors::new();
    let cookies = Cookies::build(config).map_err(said)?;
    let own = cookies.hidden().map(|name| Source::Cookie(name.to_owned())).collect::<Vec<_>>();
    let own = Sources::of(&own).map_err(said)?;
    let access = cookies.deliver.then(|| cookies.access.clone());
    let tokens = crate::jwt::own(name, &config.issuer, &config.audience, access.as_deref(), keys.clone(), parts);
    let sessions = match config.session.as_ref().zip(cookies.session.as_deref()) {
        Some((session, cookie)) => {
            // What is remembered names the provider, and is of one store.
            let claims = &config.access.claims;
            let key = format!("sessions {name} {} {claims:?}", crate::store::place(&config.store, cx));
            let known = cx.retain(&key, KnownSessions::new);
            let kept = (keys.clone(), store.clone());
            Some(SessionCookies::new((name, cookie), session, Tokens::build(config).map_err(said)?, kept, known))
        }
        None => None,
    };
    Ok(Arc::new(Own { tokens, access, sessions, cookies: own, keys: keys.clone() }))
}

#[async_trait]
impl Authenticator for Own {
    fn name(&self) -> &str {
        self.tokens.name()
    }

    fn at_once(&self, asking: &Asking<'_>) -> Option<Verdict> {
        match self.tokens.at_once(asking)? {
            Verdict::Nothing => {
                let Some(sessions) = &self.sessions else { return Some(Verdict::Nothing) };
                let verdict = sessions.at_once(&asking.head, Millis::of(asking.now)).ok()?;
                Some(self.unforged(verdict, &asking.head))
            }
            verdict => Some(self.of_token(verdict, asking)),
        }
    }

    async fn authenticate(&self, asking: &Asking<'_>) -> Verdict {
        match self.tokens.authenticate(asking).await {
            Verdict::Nothing => {
                let Some(sessions) = &self.sessions else { return Verdict::Nothing };
                let now = Millis::of(asking.now);
                let verdict = match sessions.at_once(&asking.head, now) {
                    Ok(verdict) => verdict,
                    Err(id) => sessions.ask(id, now).await,
                };
                self.unforged(verdict, &asking.head)
            }
            verdict => self.of_token(verdict, asking),
        }
    }

    fn strip(&self, head: &mut tidegate_core::RequestHeader) {
        self.tokens.strip(head);
        self.cookies.strip(head);
    }

    fn scheme(&self) -> Option<Scheme> {
        Some(Scheme::Bearer)
    }

    fn state(&self) -> Option<serde_json::Value> {
        self.tokens.state()
    }
}

impl Own {
    /// A token that came in a cookie is the browser's word, not the page's.
    fn of_token(&self, verdict: Verdict, asking: &Asking<'_>) -> Verdict {
        // Both a cookie and a bearer token would have been refused as ambiguous.
        let cookie = self.access.as_deref().and_then(|name| asking.head.cookie(name));
        match cookie {
            Some(_) => self.unforged(verdict, &asking.head),
            None => verdict,
        }
    }

    fn unforged(&self, verdict: Verdict, head: &RequestHead<'_>) -> Verdict {
        let Verdict::Proved(Proved { mark: Some(mark), .. }) = &verdict else { return verdict };
        let Some(session) = mark.session else { return verdict };
        match csrf::is_forgeable(&self.keys, session, head) {
            Ok(false) => verdict,
            Ok(true) => Verdict::Refused(Reason::Csrf.into()),
            Err(error) => no_keys(error),
        }
    }
}
