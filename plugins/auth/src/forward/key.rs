//! What answers are remembered by.

use std::hash::Hasher;
use std::net::IpAddr;

use siphasher::sip128::{Hasher128, SipHasher13};
use tidegate_core::{ConfigError, ConfigErrors, ConfigPath, HeaderName, RequestHead};

use super::question::field;
use crate::config::Forward as Config;

/// What of a request its answer is remembered by. The scheme is always part of it.
pub(super) struct Key(Box<[Part]>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Method,
    Host,
    Path,
    Query,
    Client,
    Field(HeaderName),
}

impl Key {
    pub(super) fn build(config: &Config) -> Result<Self, ConfigErrors> {
        if config.key.is_empty() {
            let own = [Part::Method, Part::Host, Part::Path, Part::Query];
            // Those of them that are none are said to be so where they stand.
            let sent = config.send.iter().filter_map(|name| field(name).ok()).map(Part::Field);
            return Ok(Self(own.into_iter().chain(sent).collect()));
        }
        let mut errors = ConfigErrors::new();
        let mut parts = Vec::with_capacity(config.key.len());
        for (index, text) in config.key.iter().enumerate() {
            let at = ConfigPath::from("key").index(index);
            match Part::read(text) {
                Ok(part) if parts.contains(&part) => errors.push(ConfigError::at(at, "the same part twice")),
                Ok(part) => parts.push(part),
                Err(error) => errors.push(error.under(&at)),
            }
        }
        let has = |name: &String| field(name).is_ok_and(|name| parts.contains(&Part::Field(name)));
        if let Some(name) = config.send.iter().find(|name| !has(name)) {
            let message = format!(
                "the service is sent `{}`, and its answers are shared among all values of it",
                name.escape_debug()
            );
            errors.push(ConfigError::at("key", message).help("add it to `key`, or take it out of `send`"));
        }
        errors.into_result(Self(parts.into()))
    }

    /// The key of a request. Each part has its length or number before it, so that no two requests can be made to
    /// meet by moving text from one part to the next.
    pub(super) fn of(&self, head: &RequestHead<'_>, mut hasher: SipHasher13) -> u128 {
        put(&mut hasher, head.scheme.as_str().as_bytes());
        self.0.iter().for_each(|part| part.put(head, &mut hasher));
        hasher.finish128().as_u128()
    }
}

impl Part {
    fn read(text: &str) -> Result<Self, ConfigError> {
        Ok(match text {
            "method" => Part::Method,
            "host" => Part::Host,
            "path" => Part::Path,
            "query" => Part::Query,
            "client" => Part::Client,
            name => Part::Field(field(name)?),
        })
    }

    fn put(&self, head: &RequestHead<'_>, hasher: &mut SipHasher13) {
        match self {
            Part::Method => put(hasher, head.method.as_str().as_bytes()),
            Part::Host => put(hasher, head.authority.as_bytes()),
            Part::Path => put(hasher, head.path.as_bytes()),
            Part::Query => {
                // An empty query is not the same as none.
                hasher.write_u8(u8::from(head.query.is_some()));
                put(hasher, head.query.unwrap_or_default().as_bytes());
            }
            Part::Client => match head.client {
                IpAddr::V4(client) => put(hasher, &client.octets()),
                IpAddr::V6(client) => put(hasher, &client.octets()),
            },
            Part::Field(name) => {
                let values = head.headers.get_all(name);
                hasher.write_usize(values.iter().count());
                values.iter().for_each(|value| put(hasher, value.as_bytes()));
            }
        }
    }
}

fn put(hasher: &mut SipHasher13, text: &[u8]) {
    hasher.write_usize(text.len());
    hasher.write(text);
}
