//! The store of a configuration that is only being checked.

use async_trait::async_trait;

use super::{Counted, Counter, Cursor, Revocation, Revoked, Rotate, Rotated, Session, Store, StoreError, User};
use crate::id::{Id, Millis};

/// Nothing is opened, and nothing answered.
pub(super) struct Closed;

fn closed<T>() -> Result<T, StoreError> {
    Err(StoreError::Unavailable("the configuration is only being checked: no store is open".to_owned()))
}

#[async_trait]
impl Store for Closed {
    async fn create_user(&self, _: &User) -> Result<bool, StoreError> {
        closed()
    }
    async fn user(&self, _: Id) -> Result<Option<User>, StoreError> {
        closed()
    }
    async fn user_named(&self, _: &str) -> Result<Option<User>, StoreError> {
        closed()
    }
    async fn update_user(&self, _: &User) -> Result<bool, StoreError> {
        closed()
    }
    async fn change_password(&self, _: &User, _: Millis) -> Result<Option<Vec<Revocation>>, StoreError> {
        closed()
    }

    async fn open_session(&self, _: &Session, _: u32) -> Result<Vec<Id>, StoreError> {
        closed()
    }
    async fn rotate(&self, _: &Rotate) -> Result<Rotated, StoreError> {
        closed()
    }
    async fn session(&self, _: Id, _: Millis) -> Result<Option<Session>, StoreError> {
        closed()
    }
    async fn touch(&self, _: Id, _: Millis, _: Millis) -> Result<Option<Session>, StoreError> {
        closed()
    }
    async fn sessions(&self, _: Id, _: Millis) -> Result<Vec<Session>, StoreError> {
        closed()
    }
    async fn end_session(&self, _: Id, _: Id, _: &[Revocation]) -> Result<bool, StoreError> {
        closed()
    }
    async fn end_sessions(&self, _: Id, _: Option<Id>, _: &[Revocation]) -> Result<u32, StoreError> {
        closed()
    }
    async fn revoke(&self, _: &[Revocation], _: Millis) -> Result<(), StoreError> {
        closed()
    }
    async fn revoked(&self, _: Cursor, _: Millis) -> Result<(Vec<Revocation>, Cursor), StoreError> {
        closed()
    }
    async fn is_revoked(&self, _: &[Revoked], _: u64, _: Millis) -> Result<bool, StoreError> {
        closed()
    }
    async fn count(&self, _: &[Counter], _: u32, _: Millis) -> Result<Vec<Counted>, StoreError> {
        closed()
    }
    async fn forget(&self, _: &[Id]) -> Result<(), StoreError> {
        closed()
    }
    async fn put(&self, _: Id, _: &[u8], _: Millis, _: bool, _: Millis) -> Result<bool, StoreError> {
        closed()
    }
    async fn get(&self, _: Id, _: Millis) -> Result<Option<Vec<u8>>, StoreError> {
        closed()
    }
    async fn keys(&self) -> Result<Option<(u64, Vec<u8>)>, StoreError> {
        closed()
    }
    async fn swap_keys(&self, _: u64, _: &[u8]) -> Result<bool, StoreError> {
        closed()
    }
    async fn sweep(&self, _: Millis) -> Result<u64, StoreError> {
        closed()
    }
}
