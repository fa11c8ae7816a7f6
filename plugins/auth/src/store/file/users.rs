//! Users in the file.

use redb::{ReadTransaction, ReadableTable};

use super::tables::{NAMES, Tables, USERS, room};
use crate::id::Id;
use crate::store::record::{self, corrupt};
use crate::store::{StoreError, User};

pub(super) fn create(tables: &mut Tables<'_>, user: &User, most: u64) -> Result<bool, StoreError> {
    if tables.names.get(user.name.as_str())?.is_some() || tables.users.get(&user.id.0)?.is_some() {
        return Ok(false);
    }
    room(&tables.users, most, "users")?;
    let record = record::user(user)?;
    tables.users.insert(&user.id.0, record.as_slice())?;
    tables.names.insert(user.name.as_str(), &user.id.0)?;
    Ok(true)
}

pub(super) fn update(tables: &mut Tables<'_>, user: &User) -> Result<bool, StoreError> {
    let Some(kept) = find(&tables.users, user.id)? else { return Ok(false) };
    let renamed = kept.name != user.name;
    if kept.version != user.version || renamed && tables.names.get(user.name.as_str())?.is_some() {
        return Ok(false);
    }
    let record = record::user(&User { version: user.version.saturating_add(1), ..user.clone() })?;
    if renamed {
        tables.names.remove(kept.name.as_str())?;
        tables.names.insert(user.name.as_str(), &user.id.0)?;
    }
    tables.users.insert(&user.id.0, record.as_slice())?;
    Ok(true)
}

pub(super) fn by_id(view: &ReadTransaction, id: Id) -> Result<Option<User>, StoreError> {
    find(&view.open_table(USERS)?, id)
}

pub(super) fn by_name(view: &ReadTransaction, name: &str) -> Result<Option<User>, StoreError> {
    let Some(id) = view.open_table(NAMES)?.get(name)?.map(|id| Id(*id.value())) else { return Ok(None) };
    let user = by_id(view, id)?.filter(|user| user.name == name);
    user.map_or_else(|| Err(corrupt("name")), |user| Ok(Some(user)))
}

fn find(users: &impl ReadableTable<&'static [u8; 16], &'static [u8]>, id: Id) -> Result<Option<User>, StoreError> {
    let Some(record) = users.get(&id.0)? else { return Ok(None) };
    let user = record::read_user(record.value())?;
    if user.id == id { Ok(Some(user)) } else { Err(corrupt("user")) }
}
