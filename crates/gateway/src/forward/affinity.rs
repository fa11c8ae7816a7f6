//! What keeps requests of one user on one target: a hash, or a cookie.

use std::net::IpAddr;

use tidegate_core::RequestHead;
use tidegate_core::facts::Facts;
use tidegate_upstream::{HashOn, Pool, hash_key};

/// What the request has in common with others of its user: the first of `on` that it has.
pub(super) fn hash_of(on: &[HashOn], head: &RequestHead<'_>, facts: &Facts) -> Option<u64> {
    on.iter().find_map(|on| match on {
        HashOn::Client => Some(match head.client {
            IpAddr::V4(ip) => hash_key(&ip.octets()),
            IpAddr::V6(ip) => hash_key(&ip.octets()),
        }),
        HashOn::Path => Some(hash_key(head.path.as_bytes())),
        HashOn::Identity => facts.identity.as_ref().map(|identity| hash_key(identity.subject().as_bytes())),
        HashOn::Header(name) => head.headers.get(name).map(|value| hash_key(value.as_bytes())),
        HashOn::Cookie(name) => head.cookie(name).map(|value| hash_key(value.as_bytes())),
    })
}

/// What the client sent as the pool's sticky cookie.
pub(super) fn sticky_value<'r>(pool: &Pool, head: &RequestHead<'r>) -> Option<&'r str> {
    head.cookie(pool.sticky_cookie()?)
}
