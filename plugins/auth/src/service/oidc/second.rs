//! The code of a second factor, after the provider's word: the account's owner asked for both.

use serde_json::{Map, Value};
use tidegate_core::{Body, Cx, Reply, header};

use super::party::Party;
use super::seal::{self, Kept, Proved};
use super::{not_begun, refused};
use crate::events::Origin;
use crate::guard::Attempt;
use crate::service::Desk;
use crate::service::answer::{Answer, Refused, admitted, json};
use crate::service::body::members;
use crate::store::User;

impl Desk<'_> {
    /// `POST login/<name>` with `totp`. Like any login, and `return_to` beside what it gives.
    pub(super) async fn second_step(&self, party: &Party, cx: &mut Cx<'_>) -> Answer {
        let members = members(cx, &["totp", "challenge"]).await?;
        let (code, solution) = (members.needed("totp")?, members.text("challenge")?);
        let proved = self.proved_before(party, cx)?;
        let user = self.of(&proved).await?;
        let (origin, trusted) = (Origin::of(cx), self.is_trusted(cx, &user.name));
        let attempt = Attempt { client: cx.client(), account: &user.name, solution, trusted };
        admitted(self.service.deps.guard.admit(&attempt).await?)?;
        self.service.second_factor(&user, Some(code), &attempt, &origin).await?;
        self.service.deps.guard.succeeded(&attempt).await?;
        let reply = self.logged_in_with(party, &user, &origin).await?;
        self.without_attempt(party, with_place(reply, proved.return_to))
    }

    fn proved_before(&self, party: &Party, cx: &Cx<'_>) -> Result<Proved, Refused> {
        let (keys, context) = (&self.service.deps.keys, party.context(self.at));
        let sealed = cx.head().cookie(&party.cookie).ok_or_else(not_begun)?;
        match seal::open(keys, context, sealed, self.service.now())? {
            Some(Kept::Proved(proved)) => Ok(proved),
            _ => Err(not_begun()),
        }
    }

    /// The user, unless something has changed since.
    async fn of(&self, proved: &Proved) -> Result<User, Refused> {
        let id = proved.user().ok_or_else(not_begun)?;
        let user = self.service.deps.store.user(id).await?;
        user.filter(|user| !user.disabled && user.changed == proved.changed()).ok_or_else(refused)
    }
}

/// The same answer, and where to go from there.
fn with_place(reply: Reply, return_to: String) -> Reply {
    let (status, headers, body) = reply.into_parts();
    let members = match &body {
        Body::Bytes(bytes) => serde_json::from_slice::<Map<String, Value>>(bytes).ok(),
        _ => None,
    };
    let reply = match members {
        Some(mut members) => {
            members.insert("return_to".to_owned(), return_to.into());
            json(status, &Value::Object(members))
        }
        None => Reply::new(status).body(body),
    };
    let cookies = headers.get_all(header::SET_COOKIE).iter().cloned();
    cookies.fold(reply, |reply, cookie| reply.append(header::SET_COOKIE, cookie))
}
