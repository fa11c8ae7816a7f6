//! Who calls an endpoint. The service asks its own provider, whatever the route asks of identities.

use tidegate_core::{Cx, Reply};

use super::TokenService;
use super::answer::{Refused, csrf, invalid_token, unavailable};
use crate::id::Id;
use crate::revoke::Standing;
use crate::verdict::{Asking, Mark, Proved, Reason, Verdict};
use tidegate_core::facts::Proof;

/// Somebody with a token or a session of this service. What came by a cookie has repeated the CSRF cookie.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Caller {
    pub(crate) user: Id,
    pub(crate) session: Id,
    pub(crate) mark: Mark,
    /// By a session's cookie, not by a token.
    pub(super) by_session: bool,
}

/// What a request proves.
pub(super) enum Asker {
    Known(Caller),
    /// It was somebody's, before it was revoked.
    Revoked,
    /// Nobody's.
    Nobody(Reply),
}

impl TokenService {
    /// Who calls, or the 401 that says that nobody does.
    pub(crate) async fn caller(&self, cx: &Cx<'_>) -> Result<Caller, Refused> {
        match self.asker(cx).await? {
            Asker::Known(caller) => Ok(caller),
            Asker::Revoked => Err(invalid_token("token_revoked", "this token was revoked").into()),
            Asker::Nobody(reply) => Err(reply.into()),
        }
    }

    pub(super) async fn asker(&self, cx: &Cx<'_>) -> Result<Asker, Refused> {
        let connection = cx.connection().clone();
        let (head, now) = (cx.head(), self.deps.clock.wall());
        let asking = Asking { head, connection: &connection, now };
        let verdict = match self.deps.own.at_once(&asking) {
            Some(verdict) => verdict,
            None => self.deps.own.authenticate(&asking).await,
        };
        match verdict {
            Verdict::Proved(proved) => self.standing(&proved).await,
            Verdict::Nothing => Ok(Asker::Nobody(invalid_token("missing_token", "a token is needed"))),
            Verdict::Refused(refusal) | Verdict::NotMine(refusal) => match refusal.reason {
                Reason::Csrf => Err(csrf().into()),
                reason => Ok(Asker::Nobody(refused(reason))),
            },
            Verdict::Failed(failure) => {
                log::debug!("nobody can say who is asking: {}", failure.detail);
                Err(unavailable(failure.code).into())
            }
        }
    }

    async fn standing(&self, proved: &Proved) -> Result<Asker, Refused> {
        let by_session = proved.identity.proof() == Proof::Session;
        let caller = proved.mark.and_then(|mark| {
            let user = Id::parse(proved.identity.subject())?;
            Some(Caller { user, session: mark.session?, mark, by_session })
        });
        let Some(caller) = caller else { return Ok(Asker::Nobody(refused(Reason::Claims))) };
        let revoked = match self.deps.revocations.check(&caller.mark) {
            Standing::Good => false,
            Standing::Revoked => true,
            Standing::Ask => {
                self.deps.revocations.ask(&caller.mark).await.map_err(|failure| unavailable(failure.code))?
            }
            Standing::Lost => return Err(unavailable("store_unavailable").into()),
        };
        Ok(if revoked { Asker::Revoked } else { Asker::Known(caller) })
    }
}

fn refused(reason: Reason) -> Reply {
    match reason {
        Reason::Missing => invalid_token("missing_token", "a token is needed"),
        Reason::Expired => invalid_token("token_expired", "this token has expired"),
        Reason::Revoked => invalid_token("token_revoked", "this token was revoked"),
        Reason::Ambiguous => invalid_token("ambiguous_credentials", "there is more than one token"),
        _ => invalid_token("invalid_token", "this is no token of this service"),
    }
}
