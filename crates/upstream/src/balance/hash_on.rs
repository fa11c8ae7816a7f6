//! What requests of one user have in common: `lb.hash_on`.

use std::hash::Hasher;

use http::HeaderName;
use siphasher::sip::SipHasher13;
use tidegate_core::fields;

/// A part of a request by which its target is chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HashOn {
    /// The client's address.
    Client,
    /// The path, without the query.
    Path,
    /// Who the request was found to be from.
    Identity,
    /// A header's value.
    Header(HeaderName),
    /// A cookie's value.
    Cookie(String),
}

/// What the configuration has written.
///
/// # Errors
/// What is wrong with it, for people.
pub(crate) fn parse(text: &str) -> Result<HashOn, String> {
    match text.split_once('.') {
        None if text == "client" => Ok(HashOn::Client),
        None if text == "path" => Ok(HashOn::Path),
        None if text == "identity" => Ok(HashOn::Identity),
        Some(("header", name)) => {
            let name = name.parse().map_err(|_| format!("`{}` is not the name of a header", name.escape_debug()))?;
            Ok(HashOn::Header(name))
        }
        Some(("cookie", name)) if is_token(name) => Ok(HashOn::Cookie(name.to_owned())),
        Some(("cookie", name)) => Err(format!("`{}` is not the name of a cookie", name.escape_debug())),
        _ => Err(format!("`{}` is nothing that requests have in common", text.escape_debug())),
    }
}

/// A hash for [`Pick::hash`](crate::Pick::hash) of a value that a request has. The same on every gateway, so that all
/// send a user to the same target; whoever can choose values can choose targets, which `lb.bound` bounds.
pub fn hash_key(value: &[u8]) -> u64 {
    let mut hasher = SipHasher13::new();
    hasher.write(value);
    hasher.finish()
}

/// RFC 6265, section 4.1.1, and RFC 9110, section 5.6.2.
pub(crate) fn is_token(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(fields::is_token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_documented_form_is_read() {
        assert_eq!(parse("client"), Ok(HashOn::Client));
        assert_eq!(parse("path"), Ok(HashOn::Path));
        assert_eq!(parse("identity"), Ok(HashOn::Identity));
        assert_eq!(parse("header.X-User"), Ok(HashOn::Header(HeaderName::from_static("x-user"))));
        assert_eq!(parse("cookie.a.b"), Ok(HashOn::Cookie("a.b".to_owned())));
    }

    #[test]
    fn anything_else_is_refused_and_named() {
        for wrong in ["", "Client", "header", "header.", "header.a b", "cookie.", "cookie.a=b", "query.x", "client.x"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
        assert!(parse("query.x").unwrap_err().contains("`query.x`"));
    }

    #[test]
    fn every_gateway_has_the_same_hash() {
        assert_eq!(hash_key(b"alice"), hash_key(b"alice"));
        assert_ne!(hash_key(b"alice"), hash_key(b"bob"));
    }
}
