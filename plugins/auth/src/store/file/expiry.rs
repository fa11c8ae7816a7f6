//! What is over is removed: a little whenever something comes that will be over one day, and all of it by the sweep.

use redb::ReadableTable;

use super::sessions;
use super::tables::{Due, Expiring, Tables, revoked_key};
use crate::id::Millis;
use crate::store::StoreError;
use crate::store::record::corrupt;

/// How many are looked at for each one that comes: more than one, so that what is over doesn't pile up between sweeps.
pub(super) const IN_PASSING: usize = 4;

/// What was looked at, and what of it was removed.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Reaped {
    pub(super) looked_at: usize,
    pub(super) removed: u64,
}

/// Looks at up to `most` that may be over at `now`.
pub(super) fn reap(tables: &mut Tables<'_>, now: Millis, most: usize) -> Result<Reaped, StoreError> {
    let mut due = Vec::new();
    for entry in tables.expiry.range::<&[u8; 25]>(..&Due::end(now))?.take(most) {
        due.push(*entry?.0.value());
    }
    let mut reaped = Reaped::default();
    for key in due {
        tables.expiry.remove(&key)?;
        let due = Due::read(&key).ok_or_else(|| corrupt("time"))?;
        reaped.looked_at += 1;
        let removed = match remove(tables, due.what, now) {
            // One record that can't be read, as after a downgrade, is not to stop all that is written from here on.
            Err(StoreError::Corrupt(why)) => {
                log::error!("the store of the auth plugin has a record that can't be read; it is left there: {why}");
                false
            }
            removed => removed?,
        };
        reaped.removed += u64::from(removed);
    }
    Ok(reaped)
}

/// Removes it if it is over. What was begun anew has another entry; only sessions get theirs here, so that using one
/// writes one record.
fn remove(tables: &mut Tables<'_>, what: Expiring, now: Millis) -> Result<bool, StoreError> {
    match what {
        Expiring::Session(id) => {
            let Some(session) = sessions::find(&tables.sessions, id)? else { return Ok(false) };
            if session.is_live(now) {
                tables.expiry.insert(&Due { at: session.expires(), what }.key(), ())?;
                return Ok(false);
            }
            sessions::remove(tables, &session)?;
        }
        Expiring::Counter(id) => {
            if tables.counters.get(&id.0)?.is_none_or(|kept| now.0 < kept.value().1) {
                return Ok(false);
            }
            tables.counters.remove(&id.0)?;
        }
        Expiring::Value(id) => {
            if tables.values.get(&id.0)?.is_none_or(|kept| now.0 < kept.value().0) {
                return Ok(false);
            }
            tables.values.remove(&id.0)?;
        }
        Expiring::Revocation(what) => {
            let key = revoked_key(&what);
            let Some((place, _, until)) = tables.revoked.get(&key)?.map(|kept| kept.value()) else { return Ok(false) };
            if now.0 < until {
                return Ok(false);
            }
            tables.revoked.remove(&key)?;
            tables.revocations.remove(place)?;
        }
    }
    Ok(true)
}
