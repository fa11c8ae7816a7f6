//! One route's share: who is asking, and may they.

use std::sync::Arc;

use tidegate_core::{Asked, Cx, Flow, Handler, HeaderName, Method, RequestHead, RequestHeader, Result, header};

use crate::answer;
use crate::config::Mode;
use crate::decide::{Decision, Rules};
use crate::metrics::Refused;
use crate::plugin::Shared;
use crate::providers::{Found, Selected, Walk};
use crate::revoke::{self, Standing};
use crate::verdict::{Asking, Failure, Proved, Reason, Refusal, Scheme, Verdict};

/// Who may use one route.
pub struct RouteAuth {
    pub(crate) mode: Mode,
    pub(crate) rules: Rules,
    pub(crate) providers: Selected,
    pub(crate) refused: Refused,
    pub(crate) shared: Arc<Shared>,
}

impl Handler for RouteAuth {
    async fn early_request(&self, cx: &mut Cx<'_>) -> Result<Flow> {
        if self.mode == Mode::Public {
            return Ok(Flow::Continue);
        }
        let found = {
            let asking = self.asking(cx);
            let found = match self.providers.at_once(&asking) {
                Walk::Found(found) => found,
                Walk::Waiting(waiting) => Box::pin(self.providers.wait(&asking, waiting)).await,
            };
            self.standing(found).await
        };
        Ok(self.settle(cx, found))
    }

    async fn request(&self, cx: &mut Cx<'_>) -> Result<Flow> {
        match self.mode {
            Mode::Public | Mode::Optional => Ok(Flow::Continue),
            Mode::Deny | Mode::Require if cx.identity().is_none() => {
                Ok(self.refuse(cx, &Refusal::from(Reason::Missing), None))
            }
            Mode::Deny => Ok(self.forbid(cx, "deny")),
            Mode::Require => {
                let decision = self.rules.decide(&cx.asked(self.shared.clock.wall())).await;
                Ok(self.abide(cx, decision))
            }
        }
    }

    fn upstream_request(&self, cx: &mut Cx<'_>, head: &mut RequestHeader) -> Result<()> {
        self.shared.forwarder.apply(cx.identity(), head)?;
        if self.mode != Mode::Public {
            for provider in self.providers.iter() {
                provider.strip(head);
                provider.tell(cx.connection(), head);
            }
        }
        Ok(())
    }

    fn explain(&self, asked: &Asked<'_>) -> Vec<String> {
        match (self.mode, asked.identity) {
            (Mode::Public, _) => {
                vec!["nobody is asked who they are; fields that could be taken for an identity are removed".to_owned()]
            }
            (Mode::Optional, _) => {
                vec![format!("anybody may; who is known is told to the upstream ({})", self.proofs())]
            }
            (Mode::Deny, None) => vec!["401: nobody may, and nobody is asking".to_owned()],
            (Mode::Deny, Some(_)) => vec!["403: nobody may".to_owned()],
            (Mode::Require, None) => {
                let first = format!("401: who is asking must be proved ({}), and then:", self.proofs());
                std::iter::once(first).chain(self.rules.explain(asked)).collect()
            }
            (Mode::Require, Some(_)) => self.rules.explain(asked),
        }
    }
}

impl RouteAuth {
    fn asking<'a>(&self, cx: &'a Cx<'_>) -> Asking<'a> {
        Asking { head: cx.head(), connection: cx.connection(), now: self.shared.clock.wall() }
    }

    /// The same, unless what was proved was revoked. Only what has proved something gets here: a store is never asked
    /// about a token that somebody made up.
    async fn standing(&self, found: Found) -> Found {
        let Verdict::Proved(Proved { mark: Some(mark), .. }) = &found.verdict else { return found };
        let revoked = match self.shared.revocations.check(mark) {
            Standing::Good => return found,
            Standing::Revoked => Ok(true),
            Standing::Ask => Box::pin(self.shared.revocations.ask(mark)).await,
            Standing::Lost => Err(revoke::store_lost()),
        };
        match revoked {
            Ok(false) => found,
            Ok(true) => found.with(Verdict::Refused(Refusal::from(Reason::Revoked))),
            Err(failure) => found.with(Verdict::Failed(failure)),
        }
    }

    fn settle(&self, cx: &mut Cx<'_>, found: Found) -> Flow {
        self.providers.count(&found);
        let about = self.providers.scheme_of(&found);
        match found.verdict {
            Verdict::Proved(proved) => {
                cx.set_identity(proved.identity);
                Flow::Continue
            }
            // Another plugin may have proved who it is.
            Verdict::Nothing if self.mode == Mode::Optional || cx.identity().is_some() => Flow::Continue,
            // Whoever answers it comes after this plugin, and before `request`, where it would be refused.
            Verdict::Nothing if is_preflight(&cx.head()) => Flow::Continue,
            Verdict::Nothing => self.refuse(cx, &Refusal::from(Reason::Missing), about),
            Verdict::Refused(refusal) | Verdict::NotMine(refusal) => self.refuse(cx, &refusal, about),
            Verdict::Failed(failure) => self.fail(cx, &failure),
        }
    }

    fn abide(&self, cx: &Cx<'_>, decision: Decision) -> Flow {
        match decision {
            Decision::Allow => Flow::Continue,
            Decision::Deny(rule) => self.forbid(cx, &rule),
            Decision::Scope(needed) => self.respond(self.shared.answers.insufficient_scope(&needed)),
            Decision::Failed(failure) => self.fail(cx, &failure),
        }
    }

    fn refuse(&self, cx: &Cx<'_>, refusal: &Refusal, about: Option<Scheme>) -> Flow {
        let reply = self.shared.answers.unauthorized(refusal, self.providers.schemes(), about);
        let (reason, detail) = (refusal.reason.as_str(), &refusal.detail);
        log::debug!(request_id:% = cx.request_id(), route:% = cx.route().name(), reason, detail:%; "nobody who is known");
        self.respond(reply)
    }

    /// For somebody who is known: `rule` is for the log alone.
    fn forbid(&self, cx: &Cx<'_>, rule: &str) -> Flow {
        log::debug!(request_id:% = cx.request_id(), route:% = cx.route().name(), rule; "somebody who may not");
        self.respond(answer::forbidden())
    }

    fn fail(&self, cx: &Cx<'_>, failure: &Failure) -> Flow {
        self.shared.complaints.of(failure, cx.request_id().as_str());
        self.respond(answer::unavailable(failure))
    }

    fn respond(&self, reply: tidegate_core::Reply) -> Flow {
        self.refused.count(reply.code().unwrap_or_default());
        Flow::Respond(reply)
    }

    /// By whom an identity can be proved here.
    fn proofs(&self) -> String {
        let names: Vec<_> = self.providers.iter().map(|provider| provider.name()).collect();
        format!("by {}", names.join(", "))
    }
}

/// Whether a browser asks if a page may ask. It sends no proof of anybody with it (Fetch section 4.8).
fn is_preflight(head: &RequestHead<'_>) -> bool {
    let has = |name: HeaderName| head.headers.contains_key(name);
    *head.method == Method::OPTIONS && has(header::ORIGIN) && has(header::ACCESS_CONTROL_REQUEST_METHOD)
}
