//! Users and sessions as they are written: a version, then JSON.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{Session, StoreError, User};
use crate::id::{Id, Millis};

/// What every record begins with. A later version of this program that writes something else begins it with another.
const VERSION: u8 = b'1';

#[derive(Serialize, Deserialize)]
struct UserRecord {
    id: String,
    name: String,
    display: String,
    email: Option<String>,
    hash: String,
    roles: Vec<String>,
    created: u64,
    changed: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kept: Option<String>,
    totp: Option<TotpRecord>,
    disabled: bool,
    version: u64,
}

#[derive(Serialize, Deserialize)]
struct TotpRecord {
    secret: String,
    confirmed: bool,
}

#[derive(Serialize, Deserialize)]
struct SessionRecord {
    id: String,
    user: String,
    created: u64,
    used: u64,
    until: u64,
    ends: u64,
    generation: u32,
    rotated: u64,
    agent: String,
    client: String,
    place: String,
}

pub(super) fn user(user: &User) -> Result<Vec<u8>, StoreError> {
    let user = user.clone();
    write(&UserRecord {
        id: user.id.text(),
        name: user.name,
        display: user.display,
        email: user.email,
        hash: user.hash,
        roles: user.roles,
        created: user.created.0,
        changed: user.changed.0,
        kept: user.kept.map(|kept| kept.text()),
        totp: user.totp.map(|(secret, confirmed)| TotpRecord { secret: BASE64.encode(secret), confirmed }),
        disabled: user.disabled,
        version: user.version,
    })
}

pub(super) fn read_user(bytes: &[u8]) -> Result<User, StoreError> {
    let record: UserRecord = read("user", bytes)?;
    let totp = record.totp.map(|totp| BASE64.decode(totp.secret).map(|secret| (secret, totp.confirmed)));
    Ok(User {
        id: id("user", &record.id)?,
        name: record.name,
        display: record.display,
        email: record.email,
        hash: record.hash,
        roles: record.roles,
        created: Millis(record.created),
        changed: Millis(record.changed),
        kept: record.kept.map(|kept| id("user", &kept)).transpose()?,
        totp: totp.transpose().map_err(|_| corrupt("user"))?,
        disabled: record.disabled,
        version: record.version,
    })
}

pub(super) fn session(session: &Session) -> Result<Vec<u8>, StoreError> {
    let session = session.clone();
    write(&SessionRecord {
        id: session.id.text(),
        user: session.user.text(),
        created: session.created.0,
        used: session.used.0,
        until: session.until.0,
        ends: session.ends.0,
        generation: session.generation,
        rotated: session.rotated.0,
        agent: session.agent,
        client: session.client,
        place: session.place,
    })
}

pub(super) fn read_session(bytes: &[u8]) -> Result<Session, StoreError> {
    let record: SessionRecord = read("session", bytes)?;
    Ok(Session {
        id: id("session", &record.id)?,
        user: id("session", &record.user)?,
        created: Millis(record.created),
        used: Millis(record.used),
        until: Millis(record.until),
        ends: Millis(record.ends),
        generation: record.generation,
        rotated: Millis(record.rotated),
        agent: record.agent,
        client: record.client,
        place: record.place,
    })
}

/// What is said of something that this program did not write. Never what it is: it may be somebody's hash.
pub(super) fn corrupt(what: &str) -> StoreError {
    StoreError::Corrupt(format!("a {what}"))
}

fn write(record: &impl Serialize) -> Result<Vec<u8>, StoreError> {
    let mut bytes = vec![VERSION];
    serde_json::to_writer(&mut bytes, record).map_err(|_| corrupt("record in memory"))?;
    Ok(bytes)
}

fn read<T: DeserializeOwned>(what: &str, bytes: &[u8]) -> Result<T, StoreError> {
    match bytes.split_first() {
        Some((&VERSION, json)) => serde_json::from_slice(json).map_err(|_| corrupt(what)),
        _ => Err(corrupt(what)),
    }
}

fn id(what: &str, text: &str) -> Result<Id, StoreError> {
    Id::parse(text).ok_or_else(|| corrupt(what))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::sample::{a_session, a_user};

    #[test]
    fn what_is_written_is_read_and_nothing_else_is() {
        let (one, login) = (a_user("ada"), a_session(Id::random(), Millis(1)));
        let bytes = user(&one).expect("written");
        assert_eq!(read_user(&bytes).expect("read"), one);
        assert_eq!(read_session(&session(&login).expect("written")).expect("read"), login);
        for bad in [&b""[..], b"2{}", b"1", b"1{}", &bytes[..bytes.len() - 1], b"1\xff"] {
            assert!(matches!(read_user(bad), Err(StoreError::Corrupt(_))));
            assert!(matches!(read_session(bad), Err(StoreError::Corrupt(_))));
        }
    }

    #[test]
    fn what_is_said_of_something_corrupt_has_nothing_of_it() {
        let error = read_user(b"1{\"hash\":\"$2b$12$abc\",\"nonsense\":1}").expect_err("no user");
        assert_eq!(error.to_string(), "not what was written: a user");
    }
}
