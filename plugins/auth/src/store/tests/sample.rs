//! A user, a session.

use std::time::Duration;

use crate::id::{Id, Millis};
use crate::store::{Session, User};

pub(crate) fn a_user(name: &str) -> User {
    User {
        id: Id::random(),
        name: name.to_owned(),
        display: name.to_uppercase(),
        email: Some(format!("{name}@example.com")),
        hash: "$2b$10$".to_owned(),
        roles: vec!["user".to_owned()],
        created: Millis(1),
        changed: Millis(2),
        kept: None,
        totp: Some((vec![0, 255, 7], true)),
        disabled: false,
        version: 1,
    }
}

/// Good for a day and 30 days at most.
pub(crate) fn a_session(user: Id, now: Millis) -> Session {
    Session {
        id: Id::random(),
        user,
        created: now,
        used: now,
        until: now.plus(Duration::from_secs(86_400)),
        ends: now.plus(Duration::from_secs(30 * 86_400)),
        generation: 1,
        rotated: now,
        agent: "curl/8 \"quoted\"".to_owned(),
        client: "192.0.2.1".to_owned(),
        place: "AT".to_owned(),
    }
}
