//! The certificate of the TLS connection, which the listener has verified.

mod dn;
mod names;
#[cfg(test)]
mod tests;
mod xfcc;

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use serde_json::{Map, Value, json};
use tidegate_core::facts::{IdentityParts, Proof};
use tidegate_core::{BuildCx, Clock, ConfigError, ConfigErrors, ConfigPath, Connection, HeaderName, RequestHeader};

use crate::cache::{Keyed, Remembered};
use crate::config::{ClientCertificate as Config, NamePart};
use crate::plugin::Parts;
use crate::verdict::{Asking, Authenticator, Proved, Reason, Refusal, Verdict};

use names::Read;

/// RFC 9440 section 2.2.
const CLIENT_CERT: HeaderName = HeaderName::from_static("client-cert");
/// Envoy's, which others understand, too.
const XFCC: HeaderName = HeaderName::from_static("x-forwarded-client-cert");
/// Fields in which proxies tell of certificates: no client may.
static SPOOFABLE: [HeaderName; 3] = [CLIENT_CERT, HeaderName::from_static("client-cert-chain"), XFCC];
/// The most connections whose certificates are remembered, read.
const REMEMBERED: usize = 4096;
/// How long; then they are read again.
const FOR: Duration = Duration::from_secs(3600);

/// The provider.
struct ClientCertificate {
    name: Box<str>,
    subject: Box<[NamePart]>,
    roles: BTreeMap<String, Vec<String>>,
    scopes: BTreeMap<String, Vec<String>>,
    allow: Box<[Pattern]>,
    forward: bool,
    forward_xfcc: bool,
    clock: Clock,
    key: Keyed,
    /// By where the certificate of a connection is in memory.
    known: Remembered<Arc<Known>>,
}

/// A certificate that was read.
struct Known {
    /// As long as this is kept, nothing else can be where the certificate was.
    certificate: Weak<[u8]>,
    found: Result<Somebody, (Reason, &'static str)>,
    /// For `Client-Cert`.
    field: Option<HeaderValue>,
    /// For `X-Forwarded-Client-Cert`.
    xfcc: Option<HeaderValue>,
}

struct Somebody {
    proved: Proved,
    begins: SystemTime,
    ends: SystemTime,
}

/// A subject, or the beginning of one.
enum Pattern {
    Exactly(Box<str>),
    Begins(Box<str>),
}

/// The provider. Errors are relative to its own map.
pub(crate) fn build(
    config: &Config,
    name: &str,
    parts: &Parts,
    _cx: &mut BuildCx<'_>,
) -> Result<Arc<dyn Authenticator>, ConfigErrors> {
    Ok(Arc::new(ClientCertificate::new(config, name, &parts.clock)?))
}

impl ClientCertificate {
    fn new(config: &Config, name: &str, clock: &Clock) -> Result<Self, ConfigErrors> {
        let mut errors = ConfigErrors::new();
        if config.subject.is_empty() {
            let error = ConfigError::at("subject", "no name: nobody would ever be known");
            errors.push(error.help("leave `subject` out for its default"));
        }
        for (index, part) in config.subject.iter().enumerate() {
            if config.subject.iter().take(index).any(|before| before == part) {
                errors.push(ConfigError::at(ConfigPath::from("subject").index(index), "the same name twice"));
            }
        }
        let mut allow = Vec::with_capacity(config.allow.len());
        for (index, text) in config.allow.iter().enumerate() {
            let at = ConfigPath::from("allow").index(index);
            allow.extend(errors.collect(Pattern::read(text).map_err(|error| error.under(&at))));
        }
        errors.into_result(Self {
            name: name.into(),
            subject: config.subject.as_slice().into(),
            roles: config.roles.clone(),
            scopes: config.scopes.clone(),
            allow: allow.into(),
            forward: config.forward,
            forward_xfcc: config.forward_xfcc,
            clock: clock.clone(),
            key: Keyed::new(),
            known: Remembered::new(REMEMBERED),
        })
    }

    /// What is known of the connection's certificate; `None` if it has none.
    fn known(&self, connection: &Connection, now: SystemTime) -> Option<Arc<Known>> {
        let certificate = connection.tls.as_ref()?.client_certificate.as_ref()?;
        let place = Arc::as_ptr(certificate).cast::<u8>().addr();
        let key = self.key.hash(0, &place.to_ne_bytes());
        let same = |known: &Arc<Known>| std::ptr::addr_eq(known.certificate.as_ptr(), Arc::as_ptr(certificate));
        if let Some(known) = self.known.get(key, now).filter(same) {
            return Some(known);
        }
        let known = Arc::new(self.read(certificate));
        self.known.put(key, known.clone(), now.checked_add(FOR).unwrap_or(now), now);
        Some(known)
    }

    fn read(&self, certificate: &Arc<[u8]>) -> Known {
        let field = self.forward.then(|| {
            // A byte sequence of RFC 8941 section 3.3.5.
            let text = [":", &STANDARD.encode(certificate), ":"].concat();
            HeaderValue::from_str(&text).expect("base64 can stand in a field")
        });
        let xfcc = if self.forward_xfcc { xfcc::value(certificate) } else { None };
        let found = names::read(certificate, &self.subject).and_then(|read| self.somebody(read));
        Known { certificate: Arc::downgrade(certificate), found, field, xfcc }
    }

    fn somebody(&self, read: Read) -> Result<Somebody, (Reason, &'static str)> {
        if !self.allow.is_empty() && !self.allow.iter().any(|pattern| pattern.fits(&read.subject)) {
            return Err((Reason::Unknown, "its subject is not among those that are taken"));
        }
        let of = |lists: &BTreeMap<String, Vec<String>>| {
            let words = lists.get(&*read.subject).into_iter().flatten();
            words.map(|word| word.as_str().into()).collect()
        };
        let parts = IdentityParts {
            roles: of(&self.roles),
            scopes: of(&self.scopes),
            subject: read.subject,
            provider: self.name.clone(),
            proof: Proof::ClientCertificate,
            claims: Map::from_iter([
                ("issuer".to_owned(), Value::from(read.issuer)),
                ("serial".to_owned(), Value::from(read.serial)),
            ]),
            expires: Some(read.ends),
        };
        let proved = Proved { identity: parts.into(), mark: None };
        Ok(Somebody { proved, begins: read.begins, ends: read.ends })
    }
}

impl Known {
    fn verdict(&self, now: SystemTime) -> Verdict {
        match &self.found {
            // The handshake may be long ago.
            Ok(somebody) if somebody.ends <= now => Verdict::Refused(Reason::Expired.into()),
            Ok(somebody) if somebody.begins > now => Verdict::Refused(Reason::NotYetValid.into()),
            Ok(somebody) => Verdict::Proved(somebody.proved.clone()),
            Err((reason, detail)) => Verdict::Refused(Refusal::new(*reason, *detail)),
        }
    }
}

#[async_trait]
impl Authenticator for ClientCertificate {
    fn name(&self) -> &str {
        &self.name
    }

    fn at_once(&self, asking: &Asking<'_>) -> Option<Verdict> {
        let known = self.known(asking.connection, asking.now);
        Some(known.map_or(Verdict::Nothing, |known| known.verdict(asking.now)))
    }

    async fn authenticate(&self, asking: &Asking<'_>) -> Verdict {
        self.at_once(asking).unwrap_or(Verdict::Nothing)
    }

    fn tell(&self, connection: &Connection, head: &mut RequestHeader) {
        if !self.forward && !self.forward_xfcc {
            return;
        }
        let Some(known) = self.known(connection, self.clock.wall()) else { return };
        for (name, field) in [(CLIENT_CERT, &known.field), (XFCC, &known.xfcc)] {
            if let Some(field) = field {
                // There is room: the client's own was removed.
                let _ = head.insert_header(name, field.clone());
            }
        }
    }

    fn spoofable(&self) -> &[HeaderName] {
        &SPOOFABLE
    }

    fn state(&self) -> Option<Value> {
        Some(json!({ "remembered": self.known.len() }))
    }
}

impl Pattern {
    /// The error carries no path.
    fn read(text: &str) -> Result<Self, ConfigError> {
        let (name, begins) = text.strip_suffix('*').map_or((text, false), |name| (name, true));
        if name.contains('*') {
            return Err(ConfigError::at("", "a `*` stands at the end, and once"));
        }
        match (name.is_empty(), begins) {
            (true, false) => Err(ConfigError::at("", "an empty subject is nobody's")),
            (_, true) => Ok(Pattern::Begins(name.into())),
            (_, false) => Ok(Pattern::Exactly(name.into())),
        }
    }

    fn fits(&self, subject: &str) -> bool {
        match self {
            Pattern::Exactly(name) => **name == *subject,
            Pattern::Begins(name) => subject.starts_with(&**name),
        }
    }
}
