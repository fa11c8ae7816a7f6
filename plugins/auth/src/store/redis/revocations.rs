//! Revocations in Redis: a key for each, that goes when it can be forgotten, and a log of them in their order.

use tidegate_core::redis::cmd;

use super::script::REVOKE;
use super::{LAST, RedisStore, number, plain};
use crate::id::{Id, Millis};
use crate::store::record::corrupt;
use crate::store::{Cursor, PAGE, Revocation, Revoked, StoreError};

/// How many are sent in one call.
const AT_ONCE: usize = 500;

impl RedisStore {
    pub(super) async fn add_revoked(&self, revoke: &[Revocation], now: Millis) -> Result<(), StoreError> {
        for revoke in revoke.chunks(AT_ONCE) {
            let mut keys = vec![self.names.log(), self.names.due()];
            let mut args = vec![number(now.0)];
            for revocation in revoke {
                keys.push(self.names.revoked(&revocation.what));
                args.extend([name(&revocation.what), number(revocation.before), number(revocation.until.0)]);
            }
            let _: i64 = self.script(&REVOKE, &keys, &args).await?;
        }
        Ok(())
    }

    pub(super) async fn revoked_since(
        &self,
        since: Cursor,
        now: Millis,
    ) -> Result<(Vec<Revocation>, Cursor), StoreError> {
        let mut cursor = since;
        loop {
            let mut page = cmd("ZRANGEBYSCORE");
            page.arg(self.names.log()).arg(format!("({}", cursor.0)).arg("+inf").arg("WITHSCORES");
            page.arg("LIMIT").arg(0).arg(PAGE);
            let entries: Vec<(String, f64)> = self.redis.command(&page).await.map_err(plain)?;
            let Some((_, last)) = entries.last() else { return Ok((Vec::new(), cursor)) };
            // Whole numbers below 2^53.
            cursor = Cursor(*last as u64);
            let all = entries.iter().map(|(entry, _)| parse(entry)).collect::<Result<Vec<_>, _>>()?;
            let live: Vec<_> = all.into_iter().filter(|revocation| now < revocation.until).collect();
            if !live.is_empty() {
                return Ok((live, cursor));
            }
        }
    }

    pub(super) async fn any_revoked(&self, of: &[Revoked], issued: u64, now: Millis) -> Result<bool, StoreError> {
        if of.is_empty() {
            return Ok(false);
        }
        let mut all = cmd("MGET");
        for what in of {
            all.arg(self.names.revoked(what));
        }
        let kept: Vec<Option<String>> = self.redis.command(&all).await.map_err(plain)?;
        for (what, kept) in of.iter().zip(kept) {
            let Some(kept) = kept else { continue };
            if terms(*what, &kept)?.refuses(issued, now) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// As the log has it.
fn name(what: &Revoked) -> String {
    format!("{} {}", what.kind(), what.id().text())
}

/// "kind id before until"
fn parse(entry: &str) -> Result<Revocation, StoreError> {
    let mut words = entry.splitn(3, ' ');
    let what = words.next().zip(words.next().and_then(Id::parse)).and_then(|(kind, id)| Revoked::of(kind, id));
    let (what, rest) = what.zip(words.next()).ok_or_else(|| corrupt("revocation"))?;
    terms(what, rest)
}

/// "before until"
fn terms(what: Revoked, text: &str) -> Result<Revocation, StoreError> {
    let number = |text: &str| text.parse::<u64>().ok();
    let terms = text.split_once(' ').and_then(|(before, until)| number(before).zip(number(until)));
    let (before, until) = terms.ok_or_else(|| corrupt("revocation"))?;
    // What was cut to a number that scripts can count with.
    let before = if before == LAST { u64::MAX } else { before };
    Ok(Revocation { what, before, until: Millis(until) })
}
