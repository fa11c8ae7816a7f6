//! Counters and small values in the file.

use redb::{ReadTransaction, ReadableTable};

use super::expiry;
use super::tables::{COUNTERS, Due, Expiring, Tables, VALUES, room};
use crate::id::{Id, Millis};
use crate::store::{Counted, Counter, StoreError};

/// Of each. What is over gives way as new ones come, so these are as many as live at once.
const MOST: u64 = 10_000_000;

pub(super) fn count(
    tables: &mut Tables<'_>,
    counters: &[Counter],
    by: u32,
    now: Millis,
    over: Millis,
) -> Result<Vec<Counted>, StoreError> {
    let mut new = 0;
    for counter in counters {
        new += usize::from(tables.counters.get(&counter.key.0)?.is_none());
    }
    if new > 0 {
        expiry::reap(tables, over, new * expiry::IN_PASSING)?;
        room(&tables.counters, MOST, "counters")?;
    }
    counters.iter().map(|counter| count_one(tables, counter, by, now)).collect()
}

fn count_one(tables: &mut Tables<'_>, counter: &Counter, by: u32, now: Millis) -> Result<Counted, StoreError> {
    let kept = tables.counters.get(&counter.key.0)?.map(|kept| kept.value());
    let (counted, fresh) = Counted::now(kept, counter, by, now);
    tables.counters.insert(&counter.key.0, (counted.count, counted.reset.0))?;
    if fresh {
        let due = Due { at: counted.reset, what: Expiring::Counter(counter.key) };
        tables.expiry.insert(&due.key(), ())?;
    }
    Ok(counted)
}

/// Where they stand.
pub(super) fn look(view: &ReadTransaction, counters: &[Counter], now: Millis) -> Result<Vec<Counted>, StoreError> {
    let table = view.open_table(COUNTERS)?;
    let mut all = Vec::with_capacity(counters.len());
    for counter in counters {
        let kept = table.get(&counter.key.0)?.map(|kept| kept.value());
        all.push(Counted::now(kept, counter, 0, now).0);
    }
    Ok(all)
}

pub(super) fn forget(tables: &mut Tables<'_>, keys: &[Id]) -> Result<(), StoreError> {
    for key in keys {
        tables.counters.remove(&key.0)?;
    }
    Ok(())
}

pub(super) fn put(
    tables: &mut Tables<'_>,
    key: Id,
    value: &[u8],
    until: Millis,
    only_new: bool,
    now: Millis,
) -> Result<bool, StoreError> {
    let is_kept = tables.values.get(&key.0)?.is_some_and(|kept| now.0 < kept.value().0);
    if only_new && is_kept {
        return Ok(false);
    }
    room(&tables.values, MOST, "values")?;
    tables.values.insert(&key.0, (until.0, value))?;
    tables.expiry.insert(&Due { at: until, what: Expiring::Value(key) }.key(), ())?;
    Ok(true)
}

pub(super) fn get(view: &ReadTransaction, key: Id, now: Millis) -> Result<Option<Vec<u8>>, StoreError> {
    let kept = view.open_table(VALUES)?.get(&key.0)?;
    let Some(kept) = kept else { return Ok(None) };
    let (until, value) = kept.value();
    Ok((now.0 < until).then(|| value.to_vec()))
}
