//! Revocations in the file: by what they refuse, and in their order.

use redb::{ReadTransaction, ReadableTable};

use super::expiry;
use super::tables::{Due, Expiring, LAST_REVOCATION, REVOCATIONS, REVOKED, Tables, read_revoked, revoked_key};
use crate::id::Millis;
use crate::store::record::corrupt;
use crate::store::{Cursor, PAGE, Revocation, Revoked, StoreError};

/// Adds them. What is refused already as long and as far is left as it is: whoever logs out again and again adds nothing.
pub(super) fn add(tables: &mut Tables<'_>, revoke: &[Revocation]) -> Result<(), StoreError> {
    let mut last = tables.number(LAST_REVOCATION)?;
    for revocation in revoke {
        let key = revoked_key(&revocation.what);
        let kept = tables.revoked.get(&key)?.map(|kept| kept.value());
        let mut wanted = *revocation;
        if let Some((place, before, until)) = kept {
            let kept = Revocation { what: revocation.what, before, until: Millis(until) };
            wanted = kept.with(*revocation);
            if wanted == kept {
                continue;
            }
            tables.revocations.remove(place)?;
        }
        last += 1;
        tables.revoked.insert(&key, (last, wanted.before, wanted.until.0))?;
        tables.revocations.insert(last, &key)?;
        let due = Due { at: wanted.until, what: Expiring::Revocation(wanted.what) };
        tables.expiry.insert(&due.key(), ())?;
    }
    tables.numbers.insert(LAST_REVOCATION, last)?;
    Ok(())
}

/// The same, and removes a few that are over.
pub(super) fn add_now(tables: &mut Tables<'_>, revoke: &[Revocation], over: Millis) -> Result<(), StoreError> {
    expiry::reap(tables, over, expiry::IN_PASSING)?;
    add(tables, revoke)
}

pub(super) fn since(
    view: &ReadTransaction,
    since: Cursor,
    now: Millis,
) -> Result<(Vec<Revocation>, Cursor), StoreError> {
    let (places, revoked) = (view.open_table(REVOCATIONS)?, view.open_table(REVOKED)?);
    let (mut found, mut cursor) = (Vec::new(), since);
    for entry in places.range(since.0.saturating_add(1)..)? {
        let (place, key) = entry?;
        cursor = Cursor(place.value());
        let what = read_revoked(key.value()).ok_or_else(|| corrupt("revocation"))?;
        let kept = revoked.get(key.value())?.ok_or_else(|| corrupt("revocation"))?.value();
        let revocation = Revocation { what, before: kept.1, until: Millis(kept.2) };
        if now < revocation.until {
            found.push(revocation);
        }
        if found.len() == PAGE {
            break;
        }
    }
    Ok((found, cursor))
}

pub(super) fn any(view: &ReadTransaction, of: &[Revoked], issued: u64, now: Millis) -> Result<bool, StoreError> {
    let revoked = view.open_table(REVOKED)?;
    for what in of {
        let kept = revoked.get(&revoked_key(what))?.map(|kept| kept.value());
        let kept = kept.map(|(_, before, until)| Revocation { what: *what, before, until: Millis(until) });
        if kept.is_some_and(|kept| kept.refuses(issued, now)) {
            return Ok(true);
        }
    }
    Ok(false)
}
