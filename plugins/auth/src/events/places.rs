//! A login from a device or a place that the account was never used from.

use std::net::IpAddr;
use std::time::Duration;

use super::{Event, EventKind, Events, Origin};
use crate::config::service::NewPlace;
use crate::id::{Id, Millis};
use crate::store::{Store, StoreError};

/// How long a device or a place is remembered after its last login.
const REMEMBERED: Duration = Duration::from_secs(180 * 24 * 3600);

impl Events {
    /// Remembers from where a user logged in, and tells if that is new. The first login of all is not: there is nothing
    /// to compare it with. A store that doesn't answer costs the event, not the login.
    pub(crate) async fn new_login(&self, store: &dyn Store, user: Id, session: Option<Id>, origin: &Origin) {
        let now = Millis::of(self.clock.wall());
        let mut new = Vec::new();
        for what in &self.new_login {
            match remember(store, user, *what, origin, now).await {
                Ok(true) => new.push(what.as_str()),
                Ok(false) => {}
                Err(error) => {
                    log::warn!("whether a login is from a new {} is not known: {error}", what.as_str());
                }
            }
        }
        if !new.is_empty() {
            let event = Event { new, session, ..Event::new(EventKind::LoginNew, origin) };
            self.emit(event.user(user));
        }
    }
}

impl NewPlace {
    fn as_str(self) -> &'static str {
        match self {
            NewPlace::Device => "device",
            NewPlace::Place => "place",
        }
    }
}

/// Whether this device or place is new, while others are known.
async fn remember(
    store: &dyn Store,
    user: Id,
    what: NewPlace,
    origin: &Origin,
    now: Millis,
) -> Result<bool, StoreError> {
    let (until, kind) = (now.plus(REMEMBERED), what.as_str().as_bytes());
    let any = Id::hash(&[b"login", kind, &user.0]);
    let this = Id::hash(&[b"login", kind, &user.0, &fingerprint(what, origin)]);
    let first = store.put(any, &[], until, true, now).await?;
    let new = store.put(this, &[], until, true, now).await?;
    // What is known stays known for as long again.
    if !first {
        store.put(any, &[], until, false, now).await?;
    }
    if !new {
        store.put(this, &[], until, false, now).await?;
    }
    Ok(new && !first)
}

fn fingerprint(what: NewPlace, origin: &Origin) -> Vec<u8> {
    match (what, origin.country) {
        (NewPlace::Device, _) => origin.agent.clone().into_bytes(),
        (NewPlace::Place, Some(country)) => country.as_str().as_bytes().to_vec(),
        (NewPlace::Place, None) => network(origin.client),
    }
}

/// 24 bits of an IPv4 address, 48 of an IPv6 address.
fn network(client: IpAddr) -> Vec<u8> {
    match client.to_canonical() {
        IpAddr::V4(v4) => v4.octets()[..3].to_vec(),
        IpAddr::V6(v6) => v6.octets()[..6].to_vec(),
    }
}
