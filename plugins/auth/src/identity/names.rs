//! Names of fields: which may carry an identity, and which could be taken for one that does.

use smallvec::SmallVec;
use tidegate_core::{ConfigError, HeaderName, RequestHeader};

/// Fields that mean something to HTTP itself, or that the gateway writes for another reason.
const NOT_OURS: [&str; 25] = [
    "accept-encoding",
    "authorization",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "cookie",
    "date",
    "expect",
    "forwarded",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "range",
    "set-cookie",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
    "x-real-ip",
    "x-request-id",
];
/// Of those, what a client's request can't do without.
const NEEDED: [&str; 5] = ["connection", "content-length", "host", "transfer-encoding", "upgrade"];

/// The name of a field that is written. The error has no path yet.
pub(super) fn written(text: &str) -> Result<HeaderName, ConfigError> {
    let name = parsed(text)?;
    match NOT_OURS.contains(&name.as_str()) || name.as_str().starts_with("x-forwarded-") {
        true => Err(ConfigError::at("", format!("`{name}` has a meaning of its own, and can't say who is asking"))
            .help("choose a name such as X-User-ID")),
        false => Ok(name),
    }
}

/// The name of a field that is removed. The error has no path yet.
pub(super) fn removed(text: &str) -> Result<HeaderName, ConfigError> {
    let name = parsed(text)?;
    match NEEDED.contains(&name.as_str()) {
        true => Err(ConfigError::at("", format!("no request goes without `{name}`"))),
        false => Ok(name),
    }
}

fn parsed(text: &str) -> Result<HeaderName, ConfigError> {
    let bad = |_| ConfigError::at("", format!("`{}` is not a field name", text.escape_debug()));
    HeaderName::from_bytes(text.as_bytes()).map_err(bad)
}

/// Names that clients may not send, in whatever spelling.
///
/// CGI and its heirs (WSGI, Rack, PHP) make one variable of `X-User-ID`, `X_User_ID` and `X.User.ID`: a field that is
/// spelled so is the same field to them (CVE-2015-0219 is one of many cases).
#[derive(Debug, Default)]
pub(super) struct Spoofed {
    names: Vec<Box<[u8]>>,
    /// A bit for each length of a name: most fields of a request are none of these, which this says at once.
    lengths: u64,
}

impl Spoofed {
    pub(super) fn add(&mut self, name: &HeaderName) {
        let folded: Box<[u8]> = name.as_str().bytes().map(folded).collect();
        if !self.names.contains(&folded) {
            self.lengths |= bit(folded.len());
            self.names.push(folded);
        }
    }

    /// Whether it is one of them.
    pub(super) fn has(&self, name: &str) -> bool {
        let same = |known: &[u8]| known.len() == name.len() && name.bytes().map(folded).eq(known.iter().copied());
        self.lengths & bit(name.len()) != 0 && self.names.iter().any(|known| same(known))
    }

    /// Removes all of them.
    pub(super) fn strip(&self, head: &mut RequestHeader) {
        let theirs = head.headers.keys().filter(|name| self.has(name.as_str()));
        let theirs: SmallVec<[HeaderName; 4]> = theirs.cloned().collect();
        for name in &theirs {
            head.remove_header(name);
        }
    }
}

fn bit(length: usize) -> u64 {
    1 << (length % 64)
}

fn folded(byte: u8) -> u8 {
    match byte.is_ascii_alphanumeric() {
        true => byte.to_ascii_lowercase(),
        false => b'-',
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_with_a_meaning_of_their_own_carry_no_identity() {
        for good in ["X-User-ID", "x-user-role", "Remote-User", "X-Identity"] {
            assert!(written(good).is_ok(), "{good}");
        }
        for bad in NOT_OURS.iter().chain(&["Host", "X-Forwarded-For", "X-Forwarded-User", "", "a b", "a:", "ä"]) {
            assert!(written(bad).is_err(), "{bad}");
        }
        for bad in NEEDED.iter().chain(&["a b", ""]) {
            assert!(removed(bad).is_err(), "{bad}");
        }
        assert!(removed("Authorization").is_ok());
    }

    #[test]
    fn every_spelling_that_a_server_may_take_for_the_field_is_removed() {
        let mut spoofed = Spoofed::default();
        spoofed.add(&HeaderName::from_static("x-user-id"));
        spoofed.add(&HeaderName::from_static("client_cert"));
        let mut head = RequestHeader::build("GET", b"/", None).expect("a head");
        let theirs = ["X-User-ID", "x-user-id", "X_User_ID", "x_user-id", "X.USER.ID", "Client-Cert", "client_cert"];
        let others = ["X-User-IDs", "X-User", "XUser-ID", "X-UserrID", "Client-Certs"];
        for name in theirs.into_iter().chain(others) {
            head.append_header(name, "spoof").expect("a field");
        }
        spoofed.strip(&mut head);
        let left: Vec<_> = head.headers.keys().map(HeaderName::as_str).collect();
        assert_eq!(left.len(), others.len(), "{left:?}");
        assert!(others.iter().all(|other| head.headers.contains_key(*other)), "{left:?}");
    }
}
