//! The id by which client, log, upstream and error answer know a request.
//!
//! An id from outside is taken only from those whom the configuration names, and only if it is 1 to 128 of
//! `[A-Za-z0-9._-]`: it goes into logs and headers, where anything else could forge lines.

use std::time::{SystemTime, UNIX_EPOCH};

use http::{HeaderMap, HeaderName};
use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_core::ConfigError;
use tidegate_core::facts::RequestId;

/// How requests get their ids.
///
/// ```yaml
/// request_id: { header: X-Request-ID, accept: trusted, format: uuid7 }
/// ```
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RequestIdConfig {
    /// The header field that carries the id: from the client, to the upstream, and back in the answer.
    /// Default: `X-Request-ID`.
    header: String,
    /// Whose id is taken over rather than replaced by a new one. Default: `trusted`.
    accept: Accept,
    /// What a new id looks like. Default: `uuid4`.
    format: IdFormat,
}

impl Default for RequestIdConfig {
    fn default() -> Self {
        Self { header: "X-Request-ID".into(), accept: Accept::default(), format: IdFormat::default() }
    }
}

/// Whose request id is taken over. One that is empty, longer than 128 characters, given twice, or has a character
/// other than letters, digits, `.`, `_` and `-` is never taken over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Accept {
    /// That of a proxy listed in `trusted_proxies`.
    #[default]
    Trusted,
    /// Nobody's.
    Never,
    /// Everybody's. Clients can then choose ids that others have used.
    Always,
}

/// What a new request id looks like.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum IdFormat {
    /// A random UUID (RFC 9562 version 4).
    #[default]
    Uuid4,
    /// A UUID that begins with the time, so that ids sort by age (RFC 9562 version 7).
    Uuid7,
}

/// Takes over ids or makes new ones.
#[derive(Debug, Clone)]
pub(crate) struct RequestIds {
    header: HeaderName,
    accept: Accept,
    format: IdFormat,
}

/// Fields that mean something else to everyone who reads them.
const TAKEN: [&str; 12] = [
    "authorization",
    "connection",
    "content-length",
    "content-type",
    "cookie",
    "date",
    "host",
    "keep-alive",
    "set-cookie",
    "te",
    "transfer-encoding",
    "upgrade",
];

impl RequestIds {
    /// As the configuration says. The error is relative to its section.
    pub(crate) fn new(config: &RequestIdConfig) -> Result<Self, ConfigError> {
        let header = HeaderName::from_bytes(config.header.as_bytes()).map_err(|_| {
            ConfigError::at("header", format!("`{}` is no header name", config.header.escape_debug()))
                .help("use letters, digits and `-`, such as X-Request-ID")
        })?;
        if TAKEN.contains(&header.as_str()) {
            return Err(ConfigError::at("header", format!("`{header}` has another meaning in HTTP"))
                .help("use a field of its own, such as X-Request-ID"));
        }
        Ok(Self { header, accept: config.accept, format: config.format })
    }

    /// The id of a request with these header fields; `trusted` says whether a trusted proxy sent it.
    pub(crate) fn of(&self, headers: &HeaderMap, trusted: bool) -> RequestId {
        let listens = match self.accept {
            Accept::Trusted => trusted,
            Accept::Never => false,
            Accept::Always => true,
        };
        let given = if listens { self.given(headers) } else { None };
        given.unwrap_or_else(|| self.new_id())
    }

    /// The id in the headers, if it is fit to be used and the only one.
    fn given(&self, headers: &HeaderMap) -> Option<RequestId> {
        let mut lines = headers.get_all(&self.header).iter();
        match (lines.next(), lines.next()) {
            (Some(line), None) => RequestId::parse(line.as_bytes()),
            _ => None,
        }
    }

    fn new_id(&self) -> RequestId {
        let random: u128 = rand::random();
        match self.format {
            IdFormat::Uuid4 => RequestId::uuid(random, 4),
            IdFormat::Uuid7 => RequestId::uuid(with_time(random, SystemTime::now()), 7),
        }
    }

    /// The header field that carries the id.
    pub(crate) fn header(&self) -> &HeaderName {
        &self.header
    }
}

/// The upper 48 bits become the milliseconds since 1970 (RFC 9562 section 5.7).
fn with_time(random: u128, now: SystemTime) -> u128 {
    let millis = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    random & (u128::MAX >> 48) | millis << 80
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use std::time::Duration;
    use tidegate_core::RawConfig;
    use tidegate_core::config::Value;

    fn ids(accept: Accept, format: IdFormat) -> RequestIds {
        RequestIds::new(&RequestIdConfig { accept, format, ..Default::default() }).expect("valid")
    }

    fn sent(lines: &[&[u8]]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append("x-request-id", http::HeaderValue::from_bytes(line).expect("a value"));
        }
        headers
    }

    #[test]
    fn an_id_is_taken_over_from_those_whom_the_configuration_names() {
        let headers = sent(&[b"Abc-1.2_3"]);
        for (accept, from_trusted, from_anyone) in
            [(Accept::Trusted, true, false), (Accept::Never, false, false), (Accept::Always, true, true)]
        {
            let ids = ids(accept, IdFormat::Uuid4);
            assert_eq!(ids.of(&headers, true).as_str() == "Abc-1.2_3", from_trusted, "{accept:?}");
            assert_eq!(ids.of(&headers, false).as_str() == "Abc-1.2_3", from_anyone, "{accept:?}");
        }
    }

    #[test]
    fn an_id_that_could_forge_a_log_line_is_replaced() {
        let ids = ids(Accept::Always, IdFormat::Uuid4);
        let long = [b'a'; 10_000];
        let one_too_many = [b'a'; 129];
        let bad: [&[u8]; 10] = [b"", b" ", b"a b", b"a\tb", b"a\"b", b"{a}", b"a,b", b"\xc3\xbc", &long, &one_too_many];
        for value in bad {
            let id = ids.of(&sent(&[value]), true);
            assert_eq!(id.as_str().len(), 36, "{value:?}");
        }
        for injected in [&b"a\r\nSet-Cookie: x=1"[..], b"a\n", b"a\r", b"a\0"] {
            assert_eq!(RequestId::parse(injected), None, "{injected:?}");
        }
        assert_eq!(ids.of(&sent(&[&[b'a'; 128]]), true).as_str(), "a".repeat(128));
    }

    #[test]
    fn two_ids_are_none() {
        let id = ids(Accept::Always, IdFormat::Uuid4).of(&sent(&[b"one", b"two"]), true);
        assert_eq!(id.as_str().len(), 36);
    }

    #[test]
    fn new_ids_are_uuids_and_never_the_same() {
        for (format, version) in [(IdFormat::Uuid4, '4'), (IdFormat::Uuid7, '7')] {
            let ids = ids(Accept::Never, format);
            let made: HashSet<String> =
                (0..1000).map(|_| ids.of(&HeaderMap::new(), true).as_str().to_owned()).collect();
            assert_eq!(made.len(), 1000);
            for id in made {
                let dashes: Vec<_> = id.char_indices().filter(|(_, c)| *c == '-').map(|(place, _)| place).collect();
                assert_eq!((id.len(), &dashes[..]), (36, &[8, 13, 18, 23][..]), "{id}");
                assert_eq!(id.chars().nth(14), Some(version), "{id}");
                assert!(id.chars().nth(19).is_some_and(|c| "89ab".contains(c)), "{id}");
            }
        }
    }

    #[test]
    fn a_uuid7_begins_with_the_time() {
        // The example of RFC 9562 appendix A.6.
        let at = UNIX_EPOCH + Duration::from_millis(0x017F_22E2_79B0);
        let random = u128::MAX >> 48 & !(0xffff << 64) | 0xcc3 << 64;
        let id = RequestId::uuid(with_time(random, at), 7);
        let id = id.as_str().as_bytes();
        assert_eq!(&id[..18], b"017f22e2-79b0-7cc3");
    }

    #[test]
    fn a_header_name_that_cannot_work_is_refused() {
        let refused = |name: &str| {
            let config = RequestIdConfig { header: name.into(), ..Default::default() };
            RequestIds::new(&config).expect_err(name).to_string()
        };
        assert!(refused("X Request").starts_with("header: `X Request` is no header name"));
        assert!(refused("").contains("no header name"));
        assert!(refused("HOST").starts_with("header: `host` has another meaning in HTTP"));
    }

    #[test]
    fn the_section_is_read_with_its_defaults() {
        let read = |value| RawConfig::new(value, "request_id").read::<RequestIdConfig>();
        let config = read(Value::map([("accept", Value::from("never"))])).expect("valid");
        let ids = RequestIds::new(&config).expect("valid");
        assert_eq!(ids.header().as_str(), "x-request-id");
        assert_eq!((ids.accept, ids.format), (Accept::Never, IdFormat::Uuid4));
        assert!(read(Value::map([("heather", Value::from("x"))])).is_err());
        assert!(read(Value::map([("format", Value::from("uuid1"))])).is_err());
    }
}
