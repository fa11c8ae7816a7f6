//! `/ratelimit/…` on the admin listener: who is refused most, what is left of one key, bans.

use std::net::IpAddr;

use serde_json::{Value, json};
use tidegate_core::{Admin, AdminRequest, Method, Reply, StatusCode, async_trait};

use crate::banned::Banned;
use crate::key::Key;
use crate::registry::{Listed, Registry};
use crate::rule::{Micros, Verdict};

/// How many offenders are listed, unless `most=` says otherwise.
const MOST: usize = 20;

#[async_trait]
impl Admin for Registry {
    fn paths(&self) -> &'static [&'static str] {
        &["top", "key", "ban"]
    }

    async fn answer(&self, request: &AdminRequest<'_>) -> Option<Reply> {
        let answer = match (request.path, request.method) {
            ("top", &Method::GET) => Ok(self.worst(request)),
            ("key", &Method::GET) => self.look(request).await,
            ("key", &Method::DELETE) => self.reset(request).await,
            ("ban", &Method::GET) => self.ban(request).await,
            ("ban", &Method::DELETE) => self.lift(request).await,
            ("top" | "key" | "ban", _) => {
                return Some(Reply::problem(
                    StatusCode::METHOD_NOT_ALLOWED,
                    "method",
                    "GET, or DELETE for a key or a ban",
                ));
            }
            _ => return None,
        };
        Some(answer.map_or_else(|refused| refused, |value| Reply::json(&value)))
    }
}

impl Registry {
    fn worst(&self, request: &AdminRequest<'_>) -> Value {
        let most = request.query("most").and_then(|most| most.parse().ok()).unwrap_or(MOST);
        let offenders = self.top.worst(most).into_iter().map(|offender| {
            let (route, limit) = self.names(offender.limit).unzip();
            json!({
                "route": route.flatten().as_deref(),
                "limit": limit.as_deref(),
                "key": offender.key,
                "refused": offender.refused,
                "over": offender.over,
            })
        });
        json!({ "offenders": offenders.collect::<Vec<_>>() })
    }

    async fn look(&self, request: &AdminRequest<'_>) -> Result<Value, Reply> {
        let (listed, key) = self.key_of(request)?;
        let mut counters = Vec::new();
        for rule in listed.limit.rules().known() {
            counters.extend(listed.store.look(&rule, &key).await);
        }
        // A key may have counted by several plans: of those that it has used, the one that has least left.
        let rank = |verdict: &&Verdict| (verdict.remaining == verdict.quota, verdict.remaining);
        let tightest = counters.iter().min_by_key(rank).ok_or_else(store_lost)?;
        let mut value = told(tightest);
        value["route"] = (*listed.route).into();
        value["limit"] = (*listed.limit.name).into();
        value["key"] = key.shown().into();
        if counters.len() > 1 {
            value["counters"] = counters.iter().map(told).collect();
        }
        Ok(value)
    }

    async fn reset(&self, request: &AdminRequest<'_>) -> Result<Value, Reply> {
        let (listed, key) = self.key_of(request)?;
        let mut reset = false;
        for rule in listed.limit.rules().known() {
            reset |= listed.store.reset(&rule, &key).await.ok_or_else(store_lost)?;
        }
        self.top.forget(&key);
        log::info!(route:% = listed.route, limit:% = listed.limit.name, key:% = key.shown(); "a key was reset by an operator");
        Ok(json!({ "reset": reset }))
    }

    fn key_of(&self, request: &AdminRequest<'_>) -> Result<(Listed, Key), Reply> {
        let named = |name| request.query(name).ok_or_else(|| bad(format!("say which: {name}=…")));
        let (route, limit) = (named("route")?, named("limit")?);
        let listed = self.find(&route, &limit);
        let listed = listed.ok_or_else(|| Reply::not_found(format!("route {route} has no limit {limit}")))?;
        let key = listed.limit.keys().given(listed.limit.id, |name| request.query(name)).map_err(bad)?;
        Ok((listed, key))
    }

    async fn ban(&self, request: &AdminRequest<'_>) -> Result<Value, Reply> {
        let (banned, client) = self.banned_client(request)?;
        let key = banned.bans.ban_key(client);
        let verdict = banned.store.look(banned.bans.rule(), &key).await.ok_or_else(store_lost)?;
        Ok(json!({ "client": client.to_string(), "banned": !verdict.allowed, "seconds": seconds(verdict.retry) }))
    }

    async fn lift(&self, request: &AdminRequest<'_>) -> Result<Value, Reply> {
        let (banned, client) = self.banned_client(request)?;
        let strike = banned.bans.strike(client, 0);
        let lifted = banned.store.reset(&strike.ban, &strike.ban_key).await.ok_or_else(store_lost)?;
        banned.store.reset(&strike.rule, &strike.key).await.ok_or_else(store_lost)?;
        log::info!(client:% = client; "a ban was lifted by an operator");
        Ok(json!({ "client": client.to_string(), "lifted": lifted }))
    }

    fn banned_client(&self, request: &AdminRequest<'_>) -> Result<(&Banned, IpAddr), Reply> {
        let banned = self.banned.as_deref().ok_or_else(|| Reply::not_found("this gateway bans nobody"))?;
        let client = request.query("client").and_then(|client| client.parse().ok());
        Ok((banned, client.ok_or_else(|| bad("say whom: client=<address>".to_owned()))?))
    }
}

fn told(verdict: &Verdict) -> Value {
    json!({ "quota": verdict.quota, "remaining": verdict.remaining, "reset_seconds": seconds(verdict.reset) })
}

fn seconds(micros: Micros) -> u64 {
    micros.div_ceil(1_000_000)
}

fn bad(why: String) -> Reply {
    Reply::bad_request("bad_request", why)
}

fn store_lost() -> Reply {
    Reply::unavailable("store_lost", "the store did not answer")
}
