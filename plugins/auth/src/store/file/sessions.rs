//! Sessions in the file.

use redb::{ReadTransaction, ReadableTable};

use super::expiry;
use super::revocations;
use super::tables::{Due, Expiring, OF_USER, SESSIONS, Tables, of_user, room};
use crate::id::{Id, Millis};
use crate::store::record::{self, corrupt};
use crate::store::{Revocation, Rotate, Rotated, Session, StoreError};

/// Of all users together. A record has some 400 bytes.
const MOST: u64 = 100_000_000;

pub(super) fn open(tables: &mut Tables<'_>, session: &Session, most: u32, over: Millis) -> Result<Vec<Id>, StoreError> {
    let now = session.created;
    expiry::reap(tables, over, expiry::IN_PASSING)?;
    room(&tables.sessions, MOST, "sessions")?;
    let others = all(&tables.of_user, &tables.sessions, session.user)?;
    let (live, over): (Vec<_>, Vec<_>) = others.into_iter().partition(|session| session.is_live(now));
    let room_for = most.saturating_sub(1) as usize;
    let excess = live.len().saturating_sub(room_for);
    let ended = live.into_iter().take(excess).collect::<Vec<_>>();
    for session in over.iter().chain(&ended) {
        remove(tables, session)?;
    }
    write(tables, session)?;
    tables.of_user.insert(&of_user(session.user, session.created, session.id), ())?;
    let due = Due { at: session.expires(), what: Expiring::Session(session.id) };
    tables.expiry.insert(&due.key(), ())?;
    Ok(ended.into_iter().map(|session| session.id).collect())
}

pub(super) fn rotate(tables: &mut Tables<'_>, rotate: &Rotate) -> Result<Rotated, StoreError> {
    let Some(session) = find(&tables.sessions, rotate.session)? else { return Ok(Rotated::Gone) };
    let rotated = session.rotated(rotate);
    if let Rotated::Next(session) = &rotated {
        write(tables, session)?;
    }
    Ok(rotated)
}

pub(super) fn touch(
    tables: &mut Tables<'_>,
    id: Id,
    now: Millis,
    until: Millis,
) -> Result<Option<Session>, StoreError> {
    let Some(session) = find(&tables.sessions, id)?.filter(|session| session.is_live(now)) else { return Ok(None) };
    let session = session.touched(now, until);
    write(tables, &session)?;
    Ok(Some(session))
}

pub(super) fn end(tables: &mut Tables<'_>, user: Id, session: Id, revoke: &[Revocation]) -> Result<bool, StoreError> {
    let Some(session) = find(&tables.sessions, session)?.filter(|session| session.user == user) else {
        return Ok(false);
    };
    revocations::add(tables, revoke)?;
    remove(tables, &session)?;
    Ok(true)
}

pub(super) fn end_all(
    tables: &mut Tables<'_>,
    user: Id,
    keep: Option<Id>,
    revoke: &[Revocation],
) -> Result<u32, StoreError> {
    let sessions = all(&tables.of_user, &tables.sessions, user)?;
    revocations::add(tables, revoke)?;
    let mut ended = 0;
    for session in sessions.iter().filter(|session| Some(session.id) != keep) {
        remove(tables, session)?;
        ended += 1;
    }
    Ok(ended)
}

/// Ends all but one, and refuses what was issued for them.
pub(super) fn end_others(
    tables: &mut Tables<'_>,
    user: Id,
    keep: Option<Id>,
    until: Millis,
) -> Result<Vec<Revocation>, StoreError> {
    let sessions = all(&tables.of_user, &tables.sessions, user)?;
    let revoke: Vec<_> = sessions
        .iter()
        .filter(|session| Some(session.id) != keep)
        .map(|session| Revocation::of_session(session.id, until))
        .collect();
    end_all(tables, user, keep, &revoke)?;
    Ok(revoke)
}

/// Its entry in what expires stays, and finds nothing when it is due.
pub(super) fn remove(tables: &mut Tables<'_>, session: &Session) -> Result<(), StoreError> {
    tables.sessions.remove(&session.id.0)?;
    tables.of_user.remove(&of_user(session.user, session.created, session.id))?;
    Ok(())
}

pub(super) fn by_id(view: &ReadTransaction, id: Id) -> Result<Option<Session>, StoreError> {
    find(&view.open_table(SESSIONS)?, id)
}

/// The oldest first.
pub(super) fn by_user(view: &ReadTransaction, user: Id) -> Result<Vec<Session>, StoreError> {
    all(&view.open_table(OF_USER)?, &view.open_table(SESSIONS)?, user)
}

pub(super) fn find(
    sessions: &impl ReadableTable<&'static [u8; 16], &'static [u8]>,
    id: Id,
) -> Result<Option<Session>, StoreError> {
    let Some(record) = sessions.get(&id.0)? else { return Ok(None) };
    let session = record::read_session(record.value())?;
    if session.id == id { Ok(Some(session)) } else { Err(corrupt("session")) }
}

fn all(
    listed: &impl ReadableTable<&'static [u8; 40], ()>,
    sessions: &impl ReadableTable<&'static [u8; 16], &'static [u8]>,
    user: Id,
) -> Result<Vec<Session>, StoreError> {
    let first = of_user(user, Millis(0), Id([0; 16]));
    let last = of_user(user, Millis(u64::MAX), Id([255; 16]));
    let mut found = Vec::new();
    for entry in listed.range::<&[u8; 40]>(&first..=&last)? {
        let mut id = [0; 16];
        id.copy_from_slice(&entry?.0.value()[24..]);
        found.push(find(sessions, Id(id))?.ok_or_else(|| corrupt("list of sessions"))?);
    }
    Ok(found)
}

fn write(tables: &mut Tables<'_>, session: &Session) -> Result<(), StoreError> {
    tables.sessions.insert(&session.id.0, record::session(session)?.as_slice())?;
    Ok(())
}
