//! What is in the file.

use redb::{ReadableTable, ReadableTableMetadata, Table, TableDefinition, WriteTransaction};

use crate::id::{Id, Millis};
use crate::store::{Revoked, StoreError};

pub(super) const USERS: TableDefinition<'_, &[u8; 16], &[u8]> = TableDefinition::new("users");
/// Users by name.
pub(super) const NAMES: TableDefinition<'_, &str, &[u8; 16]> = TableDefinition::new("names");
pub(super) const SESSIONS: TableDefinition<'_, &[u8; 16], &[u8]> = TableDefinition::new("sessions");
/// Sessions by user, the oldest first: [`of_user`].
pub(super) const OF_USER: TableDefinition<'_, &[u8; 40], ()> = TableDefinition::new("sessions of users");
/// What is revoked: its place in [`REVOCATIONS`], before when, until when.
pub(super) const REVOKED: TableDefinition<'_, &[u8; 17], (u64, u64, u64)> = TableDefinition::new("revoked");
/// In the order in which it happened.
pub(super) const REVOCATIONS: TableDefinition<'_, u64, &[u8; 17]> = TableDefinition::new("revocations");
/// A count, and when its window is over.
pub(super) const COUNTERS: TableDefinition<'_, &[u8; 16], (u32, u64)> = TableDefinition::new("counters");
/// A value, and until when it is there.
pub(super) const VALUES: TableDefinition<'_, &[u8; 16], (u64, &[u8])> = TableDefinition::new("values");
/// What is to be looked at when: [`Due`].
pub(super) const EXPIRY: TableDefinition<'_, &[u8; 25], ()> = TableDefinition::new("expiry");
/// The sealed signing keys and their version.
pub(super) const KEYS: TableDefinition<'_, (), (u64, &[u8])> = TableDefinition::new("keys");
pub(super) const NUMBERS: TableDefinition<'_, &str, u64> = TableDefinition::new("numbers");

/// In [`NUMBERS`]: how the tables are laid out.
pub(super) const LAYOUT: &str = "layout";
/// The layout that this program writes.
pub(super) const CURRENT_LAYOUT: u64 = 1;
/// In [`NUMBERS`]: the last place that was given in [`REVOCATIONS`]. Places are not given twice.
pub(super) const LAST_REVOCATION: &str = "last revocation";

pub(super) type Rows<'t, K, V> = Table<'t, K, V>;

/// All of it, to be changed.
pub(super) struct Tables<'t> {
    pub(super) users: Rows<'t, &'static [u8; 16], &'static [u8]>,
    pub(super) names: Rows<'t, &'static str, &'static [u8; 16]>,
    pub(super) sessions: Rows<'t, &'static [u8; 16], &'static [u8]>,
    pub(super) of_user: Rows<'t, &'static [u8; 40], ()>,
    pub(super) revoked: Rows<'t, &'static [u8; 17], (u64, u64, u64)>,
    pub(super) revocations: Rows<'t, u64, &'static [u8; 17]>,
    pub(super) counters: Rows<'t, &'static [u8; 16], (u32, u64)>,
    pub(super) values: Rows<'t, &'static [u8; 16], (u64, &'static [u8])>,
    pub(super) expiry: Rows<'t, &'static [u8; 25], ()>,
    pub(super) keys: Rows<'t, (), (u64, &'static [u8])>,
    pub(super) numbers: Rows<'t, &'static str, u64>,
}

impl<'t> Tables<'t> {
    pub(super) fn open(transaction: &'t WriteTransaction) -> Result<Self, StoreError> {
        Ok(Self {
            users: transaction.open_table(USERS)?,
            names: transaction.open_table(NAMES)?,
            sessions: transaction.open_table(SESSIONS)?,
            of_user: transaction.open_table(OF_USER)?,
            revoked: transaction.open_table(REVOKED)?,
            revocations: transaction.open_table(REVOCATIONS)?,
            counters: transaction.open_table(COUNTERS)?,
            values: transaction.open_table(VALUES)?,
            expiry: transaction.open_table(EXPIRY)?,
            keys: transaction.open_table(KEYS)?,
            numbers: transaction.open_table(NUMBERS)?,
        })
    }

    /// A number that was kept; 0 at first.
    pub(super) fn number(&self, name: &str) -> Result<u64, StoreError> {
        Ok(self.numbers.get(name)?.map_or(0, |number| number.value()))
    }
}

/// Refuses one more of something that there are too many of.
pub(super) fn room(table: &impl ReadableTableMetadata, most: u64, what: &str) -> Result<(), StoreError> {
    match table.len()? < most {
        true => Ok(()),
        false => Err(StoreError::Full(format!("the store has {most} {what}, and takes no more"))),
    }
}

/// Where a session is listed.
pub(super) fn of_user(user: Id, created: Millis, session: Id) -> [u8; 40] {
    let mut key = [0; 40];
    key[..16].copy_from_slice(&user.0);
    key[16..24].copy_from_slice(&created.0.to_be_bytes());
    key[24..].copy_from_slice(&session.0);
    key
}

/// Something that is over at a time. A session that was used meanwhile is looked at again later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Due {
    pub(super) at: Millis,
    pub(super) what: Expiring,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expiring {
    Session(Id),
    Counter(Id),
    Value(Id),
    Revocation(Revoked),
}

impl Due {
    /// Sorted by time.
    pub(super) fn key(&self) -> [u8; 25] {
        let (kind, id) = match self.what {
            Expiring::Session(id) => (0, id),
            Expiring::Counter(id) => (1, id),
            Expiring::Value(id) => (2, id),
            Expiring::Revocation(what) => (2 + kind(&what), what.id()),
        };
        let mut key = [0; 25];
        key[..8].copy_from_slice(&self.at.0.to_be_bytes());
        key[8] = kind;
        key[9..].copy_from_slice(&id.0);
        key
    }

    pub(super) fn read(key: &[u8; 25]) -> Option<Self> {
        let (mut at, mut id) = ([0; 8], [0; 16]);
        at.copy_from_slice(&key[..8]);
        id.copy_from_slice(&key[9..]);
        let id = Id(id);
        let what = match key[8] {
            0 => Expiring::Session(id),
            1 => Expiring::Counter(id),
            2 => Expiring::Value(id),
            kind => Expiring::Revocation(revoked(kind - 2, id)?),
        };
        Some(Self { at: Millis(u64::from_be_bytes(at)), what })
    }

    /// Behind everything that is over at `now`.
    pub(super) fn end(now: Millis) -> [u8; 25] {
        let mut key = [0; 25];
        key[..8].copy_from_slice(&now.0.saturating_add(1).to_be_bytes());
        key
    }
}

/// The name of what is revoked.
pub(super) fn revoked_key(what: &Revoked) -> [u8; 17] {
    let mut key = [kind(what); 17];
    key[1..].copy_from_slice(&what.id().0);
    key
}

pub(super) fn read_revoked(key: &[u8; 17]) -> Option<Revoked> {
    let mut id = [0; 16];
    id.copy_from_slice(&key[1..]);
    revoked(key[0], Id(id))
}

fn kind(what: &Revoked) -> u8 {
    match what {
        Revoked::Token(_) => 1,
        Revoked::Session(_) => 2,
        Revoked::Subject(_) => 3,
    }
}

fn revoked(kind: u8, id: Id) -> Option<Revoked> {
    match kind {
        1 => Some(Revoked::Token(id)),
        2 => Some(Revoked::Session(id)),
        3 => Some(Revoked::Subject(id)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_due_is_sorted_by_time_and_read_as_it_was_written() {
        let id = Id::random();
        let all = [Expiring::Session(id), Expiring::Counter(id), Expiring::Value(id)];
        let revoked = [Revoked::Token(id), Revoked::Session(id), Revoked::Subject(id)].map(Expiring::Revocation);
        for what in all.into_iter().chain(revoked) {
            let due = |at| Due { at: Millis(at), what };
            assert_eq!(Due::read(&due(7).key()), Some(due(7)));
            assert!(due(255).key() < due(256).key());
            assert!(due(7).key() < Due::end(Millis(7)) && due(8).key() >= Due::end(Millis(7)));
        }
        assert_eq!(Due::read(&[255; 25]), None);
    }
}
