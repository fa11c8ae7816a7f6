//! What users see of themselves: who they are, where they are logged in.

use jiff::Timestamp;
use serde_json::{Value, json};
use tidegate_core::{Cx, Reply, StatusCode};

use super::Desk;
use super::answer::{Answer, invalid_token, json};
use super::body::optional_members;
use crate::events::{Event, EventKind, Origin};
use crate::id::{Id, Millis};
use crate::store::Session;

impl Desk<'_> {
    pub(super) async fn me(&self, cx: &mut Cx<'_>) -> Answer {
        let caller = self.service.caller(cx).await?;
        let user = self.service.deps.store.user(caller.user).await?;
        let Some(user) = user.filter(|user| !user.disabled) else {
            return Err(invalid_token("invalid_token", "there is no such user any more").into());
        };
        let me = json!({
            "id": user.id.text(),
            "name": user.display,
            "email": user.email,
            "roles": user.roles,
            "created": time(user.created),
            "totp": user.totp.is_some_and(|(_, confirmed)| confirmed),
        });
        Ok(json(StatusCode::OK, &me))
    }

    pub(super) async fn sessions(&self, cx: &mut Cx<'_>) -> Answer {
        let caller = self.service.caller(cx).await?;
        let sessions = self.service.deps.store.sessions(caller.user, self.service.now()).await?;
        let sessions: Vec<_> = sessions.iter().map(|session| shown(session, caller.session)).collect();
        Ok(json(StatusCode::OK, &json!({ "sessions": sessions })))
    }

    /// Ends one of the caller's sessions; of others they learn nothing.
    pub(super) async fn end_one(&self, cx: &mut Cx<'_>, session: Id) -> Answer {
        optional_members(cx, &[]).await?;
        let caller = self.service.caller(cx).await?;
        let found = self.service.deps.store.session(session, self.service.now()).await?;
        if found.is_none_or(|found| found.user != caller.user) {
            return Err(Reply::not_found("no such session").into());
        }
        self.service.end(caller.user, session, &[]).await?;
        let event = Event::new(EventKind::SessionRevoked, &Origin::of(cx)).user(caller.user).session(session);
        self.service.deps.events.emit(event);
        let reply = Reply::new(StatusCode::NO_CONTENT);
        if session == caller.session { self.without_cookies(reply) } else { Ok(reply) }
    }
}

fn shown(session: &Session, current: Id) -> Value {
    json!({
        "id": session.id.text(),
        "created": time(session.created),
        "used": time(session.used),
        "expires": time(session.until.min(session.ends)),
        "agent": session.agent,
        "client": session.client,
        "place": session.place,
        "current": session.id == current,
    })
}

/// As RFC 3339 has it, in whole seconds.
fn time(at: Millis) -> String {
    let seconds = i64::try_from(at.seconds()).unwrap_or(i64::MAX);
    Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX).to_string()
}
