//! What plugins tell one another about a request. Facts never travel as headers by themselves: a plugin that
//! sends one upstream first strips the client's copy.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::{Extensions, HeaderValue};
use serde_json::{Map, Value};

/// The well-known facts of one request. Third parties keep theirs in `extensions`.
#[derive(Debug)]
pub struct Facts {
    /// The id by which client, log, upstream and error answer know this request.
    pub request_id: RequestId,
    /// The real client.
    pub client: ClientAddr,
    /// Who is asking; `None` until a plugin has proved it.
    pub identity: Option<Identity>,
    /// The country the client is in, where something in front of the gateway or a plugin has said so.
    pub country: Option<Country>,
    /// What the cache did.
    pub cache: CacheStatus,
    /// The same, more closely.
    pub cached: Cached,
    /// What the tightest limit said.
    pub limit: Option<LimitOutcome>,
    /// Facts of third parties, by type.
    pub extensions: Extensions,
    /// The same, of the client's request alone: what ends or is paid when that is over. A request of the gateway's own that
    /// the client waits for shares them, one that renews a stored answer behind its back has none.
    pub of_client: Extensions,
}

impl Facts {
    /// Facts of a request about which nothing more is known yet.
    pub fn new(request_id: RequestId, client: ClientAddr) -> Self {
        Self {
            request_id,
            client,
            identity: None,
            country: None,
            cache: CacheStatus::Off,
            cached: Cached::default(),
            limit: None,
            extensions: Extensions::new(),
            of_client: Extensions::new(),
        }
    }
}

/// A request id: 1 to 128 of `[A-Za-z0-9._-]`. Cheap to clone, ready to be sent as a header.
#[derive(Clone, PartialEq, Eq)]
pub struct RequestId(HeaderValue);

impl RequestId {
    /// Longest accepted from outside.
    pub const MAX_LEN: usize = 128;

    /// `None` when the text is empty, too long, or has a character that could break a log line or a header.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let fits = (1..=Self::MAX_LEN).contains(&text.len());
        let clean = text.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
        (fits && clean).then(|| HeaderValue::from_bytes(text).ok().map(Self)).flatten()
    }

    /// A UUID of these bits, in which the version and the variant are set (RFC 9562 section 4). `version` is one
    /// digit: 4 for random bits, 7 for those that begin with the time.
    pub fn uuid(bits: u128, version: u8) -> Self {
        let version = u128::from(version & 0xf);
        let uuid = bits & !(0xf << 76) & !(0b11 << 62) | version << 76 | 0b10 << 62;
        let text = HeaderValue::from_bytes(&uuid_text(uuid));
        Self(text.expect("hex digits and dashes are a header's value"))
    }

    /// As a header value.
    pub fn as_header(&self) -> &HeaderValue {
        &self.0
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        // Only visible ASCII ever gets in.
        self.0.to_str().unwrap_or_default()
    }
}

fn uuid_text(uuid: u128) -> [u8; 36] {
    let mut text = [b'-'; 36];
    let mut place = 0;
    for (nth, byte) in uuid.to_be_bytes().into_iter().enumerate() {
        if matches!(nth, 4 | 6 | 8 | 10) {
            place += 1;
        }
        text[place..place + 2].copy_from_slice(&HEX[usize::from(byte)]);
        place += 2;
    }
    text
}

/// Each byte as two digits.
const HEX: [[u8; 2]; 256] = {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut all = [[0; 2]; 256];
    let mut byte = 0;
    while byte < 256 {
        all[byte] = [DIGITS[byte >> 4], DIGITS[byte & 0xf]];
        byte += 1;
    }
    all
};

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The real client: the connection's peer, or what a trusted proxy said of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientAddr {
    /// Its address; an IPv4-mapped IPv6 address is given as IPv4.
    pub ip: IpAddr,
    /// Whether a trusted proxy's header said so, rather than the connection.
    pub forwarded: bool,
}

/// A country: two letters, in upper case (ISO 3166-1 alpha-2).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Country([u8; 2]);

impl Country {
    /// `None` when it is not two letters.
    pub fn parse(text: &[u8]) -> Option<Self> {
        match text {
            [a, b] if a.is_ascii_alphabetic() && b.is_ascii_alphabetic() => {
                Some(Self([a.to_ascii_uppercase(), b.to_ascii_uppercase()]))
            }
            _ => None,
        }
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        // Only ASCII letters ever get in.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Debug for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Who is asking, proved by a plugin. Cheap to clone.
#[derive(Clone)]
pub struct Identity(Arc<IdentityParts>);

/// What an [`Identity`] is made of.
#[derive(Clone, Default)]
pub struct IdentityParts {
    /// Who: the `sub` of a token, the owner of an API key.
    pub subject: Box<str>,
    /// By which provider of the configuration it was proved.
    pub provider: Box<str>,
    /// How it was proved.
    pub proof: Proof,
    /// What they are (`admin`), as the provider says and the configuration maps it.
    pub roles: Box<[Box<str>]>,
    /// What was granted to whoever holds the proof (`users:read`; RFC 6749 section 3.3).
    pub scopes: Box<[Box<str>]>,
    /// All claims.
    pub claims: Map<String, Value>,
    /// Until when the proof is good, if it ends.
    pub expires: Option<SystemTime>,
}

/// How somebody proved who they are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Proof {
    /// Somehow: a plugin that says no more.
    #[default]
    Other,
    /// A signed token (RFC 7519).
    Jwt,
    /// An opaque token that its issuer was asked about (RFC 7662).
    Introspection,
    /// A key of the configuration.
    ApiKey,
    /// A name and a password (RFC 7617).
    Basic,
    /// A certificate of the TLS connection.
    ClientCertificate,
    /// Another service said so.
    ForwardAuth,
    /// A session of the gateway's own.
    Session,
}

impl Proof {
    /// As logs, metrics and policies call it.
    pub fn as_str(self) -> &'static str {
        match self {
            Proof::Other => "other",
            Proof::Jwt => "jwt",
            Proof::Introspection => "introspection",
            Proof::ApiKey => "api_key",
            Proof::Basic => "basic",
            Proof::ClientCertificate => "client_certificate",
            Proof::ForwardAuth => "forward_auth",
            Proof::Session => "session",
        }
    }
}

impl Identity {
    /// An identity with its claims, and nothing else said of it: `subject` as the provider named it.
    pub fn new(subject: impl Into<Box<str>>, provider: impl Into<Box<str>>, claims: Map<String, Value>) -> Self {
        IdentityParts { subject: subject.into(), provider: provider.into(), claims, ..IdentityParts::default() }.into()
    }

    /// Who: the `sub` of a token, the owner of an API key.
    pub fn subject(&self) -> &str {
        &self.0.subject
    }

    /// By which provider of the configuration it was proved.
    pub fn provider(&self) -> &str {
        &self.0.provider
    }

    /// How it was proved.
    pub fn proof(&self) -> Proof {
        self.0.proof
    }

    /// What they are.
    pub fn roles(&self) -> &[Box<str>] {
        &self.0.roles
    }

    /// What was granted to whoever holds the proof.
    pub fn scopes(&self) -> &[Box<str>] {
        &self.0.scopes
    }

    /// Whether they are `role`.
    pub fn has_role(&self, role: &str) -> bool {
        self.0.roles.iter().any(|has| &**has == role)
    }

    /// Whether `scope` was granted.
    pub fn has_scope(&self, scope: &str) -> bool {
        self.0.scopes.iter().any(|has| &**has == scope)
    }

    /// Until when the proof is good, if it ends.
    pub fn expires(&self) -> Option<SystemTime> {
        self.0.expires
    }

    /// A claim by its name; dots go into objects (`realm_access.roles`).
    pub fn claim(&self, name: &str) -> Option<&Value> {
        if let Some(value) = self.0.claims.get(name) {
            return Some(value);
        }
        let mut parts = name.split('.');
        let first = self.0.claims.get(parts.next()?)?;
        parts.try_fold(first, |value, part| value.get(part))
    }

    /// All claims.
    pub fn claims(&self) -> &Map<String, Value> {
        &self.0.claims
    }
}

impl From<IdentityParts> for Identity {
    fn from(parts: IdentityParts) -> Self {
        Self(Arc::new(parts))
    }
}

/// Claims may be personal: only the subject and the provider are printed.
impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({} by {})", self.subject(), self.provider())
    }
}

/// The same of what it is made of.
impl fmt::Debug for IdentityParts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IdentityParts({} by {})", self.subject, self.provider)
    }
}

/// What the cache did for a request (RFC 9211).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheStatus {
    /// The route has no cache.
    Off,
    /// Not looked up, by policy.
    Bypass,
    /// Not there.
    Miss,
    /// Answered from the cache.
    Hit,
    /// Answered from the cache after its time, by policy.
    Stale,
    /// There, asked again, and still good.
    Revalidated,
}

/// What `Cache-Status` (RFC 9211) says beside [`CacheStatus`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cached {
    /// When the upstream was asked, by the gateway's clock; again for each try.
    pub asked: Option<SystemTime>,
    /// How old the answer is that came from the cache, or how old it was when it came, where another cache has said so.
    pub age: Option<Duration>,
    /// For how many seconds it is fresh yet; below zero: since when it isn't.
    pub ttl: Option<i64>,
    /// Why the upstream was asked (`fwd`): `uri-miss`, `vary-miss`, `stale`, `request`, `method`, `bypass`.
    pub forwarded: Option<&'static str>,
    /// What the upstream answered, where it was asked.
    pub upstream_status: Option<u16>,
    /// Whether its answer was stored.
    pub stored: bool,
    /// Whether the request waited for another one that asked for the same.
    pub collapsed: bool,
    /// Why a request was not looked up, or an answer not stored.
    pub why: Option<&'static str>,
}

/// What the tightest limit said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitOutcome {
    /// The limit's name in the configuration.
    pub policy: Arc<str>,
    /// How much is allowed in a window.
    pub limit: u64,
    /// How much of it is left.
    pub remaining: u64,
    /// When all of it is back.
    pub reset: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_id_that_could_forge_a_log_line_is_refused() {
        for bad in [&b""[..], b"a b", b"a\r\nSet-Cookie: x", b"a\n", b"\xff", &[b'a'; 129]] {
            assert!(RequestId::parse(bad).is_none(), "{bad:?}");
        }
        assert_eq!(RequestId::parse(b"aZ9._-").map(|id| id.to_string()).as_deref(), Some("aZ9._-"));
        assert!(RequestId::parse(&[b'a'; 128]).is_some());
    }

    #[test]
    fn a_country_is_two_letters() {
        assert_eq!(Country::parse(b"de").map(|country| country.as_str().to_owned()).as_deref(), Some("DE"));
        for bad in [&b""[..], b"d", b"deu", b"T1", b"\xff\xff", b"d\0"] {
            assert_eq!(Country::parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn claims_are_found_by_name_and_by_path_and_never_printed() {
        let claims = serde_json::json!({"role": "admin", "a.b": 1, "realm": {"roles": ["x"]}});
        let Value::Object(claims) = claims else { unreachable!() };
        let identity = Identity::new("u1", "issuer", claims);
        assert_eq!(identity.claim("role"), Some(&Value::from("admin")));
        assert_eq!(identity.claim("a.b"), Some(&Value::from(1)));
        assert_eq!(identity.claim("realm.roles").and_then(|roles| roles.get(0)), Some(&Value::from("x")));
        assert_eq!(identity.claim("realm.none"), None);
        assert_eq!(format!("{identity:?}"), "Identity(u1 by issuer)");
    }
}
