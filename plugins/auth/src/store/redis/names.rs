//! What keys are called. The part in braces says in a cluster which keys are on one server: keys that one script touches
//! have the same, all others may be anywhere.

use std::sync::Arc;

use crate::id::Id;
use crate::store::Revoked;

/// Names of keys, all with the same beginning.
#[derive(Debug, Clone)]
pub(super) struct Names(Arc<str>);

impl Names {
    pub(super) fn new(prefix: &str) -> Self {
        Self(prefix.into())
    }

    /// A user's record.
    pub(super) fn user(&self, id: Id) -> String {
        format!("{}:{{u:{}}}", self.0, id.text())
    }

    /// The ids of a user's sessions, by when they were made.
    pub(super) fn sessions_of(&self, user: Id) -> String {
        format!("{}:{{u:{}}}:sessions", self.0, user.text())
    }

    /// Whose a name is. By its hash, so that it is neither long nor telling.
    pub(super) fn name(&self, name: &str) -> String {
        format!("{}:{{n:{}}}", self.0, Id::hash(&[b"name", name.as_bytes()]).text())
    }

    /// A session: refreshing finds it by its id alone.
    pub(super) fn session(&self, id: Id) -> String {
        format!("{}:{{s:{}}}", self.0, id.text())
    }

    /// Revocations in their order.
    pub(super) fn log(&self) -> String {
        format!("{}:{{r}}:log", self.0)
    }

    /// The same by when they can be forgotten.
    pub(super) fn due(&self) -> String {
        format!("{}:{{r}}:due", self.0)
    }

    /// What is refused. It is there as long as it is.
    pub(super) fn revoked(&self, what: &Revoked) -> String {
        format!("{}:{{r}}:{}:{}", self.0, what.kind(), what.id().text())
    }

    pub(super) fn counter(&self, key: Id) -> String {
        format!("{}:{{c:{}}}", self.0, key.text())
    }

    pub(super) fn value(&self, key: Id) -> String {
        format!("{}:{{v:{}}}", self.0, key.text())
    }

    pub(super) fn keys(&self) -> String {
        format!("{}:{{keys}}", self.0)
    }
}
