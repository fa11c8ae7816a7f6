//! What is told of what the cache did: `Cache-Status` (RFC 9211), `Age`, and numbers.

mod counters;
mod field;

#[cfg(test)]
mod tests;

use tidegate_core::facts::{CacheStatus, Cached};
use tidegate_core::{HeaderValue, ResponseHeader, Result, header};

pub(crate) use self::counters::{Counters, ZoneCounters};
pub(crate) use self::field::Name;

/// Puts `Age` and `Cache-Status` into an answer.
pub(crate) fn tell(head: &mut ResponseHeader, name: Option<&Name>, did: CacheStatus, more: &Cached) -> Result<()> {
    if did == CacheStatus::Off {
        return Ok(());
    }
    if let Some(age) = age(did, more) {
        head.insert_header(header::AGE, HeaderValue::from(age))?;
    }
    if let Some(name) = name
        && let Some(value) = name.member(did, more)
    {
        // After those of the caches before this one (RFC 9211 section 2).
        head.append_header("cache-status", value)?;
    }
    Ok(())
}

/// Whatever is sent without asking has an age (RFC 9111 section 5.1). What the upstream has just made or confirmed has one
/// only if another cache has said so; what isn't stored keeps its own.
fn age(did: CacheStatus, more: &Cached) -> Option<u64> {
    match did {
        CacheStatus::Hit | CacheStatus::Stale => Some(more.age.unwrap_or_default().as_secs()),
        CacheStatus::Revalidated => more.age.map(|age| age.as_secs()),
        CacheStatus::Miss if more.stored => more.age.map(|age| age.as_secs()),
        _ => None,
    }
}
