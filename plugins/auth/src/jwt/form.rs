//! The compact form of a token (RFC 7515 section 7.1), read strictly: there is one way to write one, and nothing in it
//! that the gateway doesn't understand but would have to.

use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, Visitor};
use serde_json::{Map, Value};
use smallvec::SmallVec;

use super::json::{self, DEEPEST, Strict, Text};

/// The longest token, in bytes.
pub(super) const LONGEST: usize = 16 * 1024;
/// The longest `kid`, in bytes.
pub(super) const LONGEST_KID: usize = 256;
/// The most members of a header.
const MOST_MEMBERS: usize = 32;

/// Where a header is decoded to.
pub(super) type Space = SmallVec<[u8; 512]>;

/// Why a text is no token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FormError {
    /// It may be something else altogether.
    Other(&'static str),
    /// It means to be a token, and is none.
    Broken(&'static str),
}

/// The three parts of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Parts<'a> {
    /// What the signature is of: header and claims, with the dot between.
    pub(super) signed: &'a str,
    header: &'a str,
    claims: &'a str,
    /// Empty where it was taken off.
    pub(super) signature: &'a str,
}

/// What is read of a header; the rest is not looked at: where its keys are is for the configuration to say, never for
/// the token (`jku`, `x5u`, `jwk`, `x5c`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Head<'a> {
    pub(super) alg: Cow<'a, str>,
    pub(super) kid: Option<Cow<'a, str>>,
    pub(super) typ: Option<Cow<'a, str>>,
}

impl<'a> Parts<'a> {
    pub(super) fn split(token: &'a str) -> Result<Self, FormError> {
        if token.len() > LONGEST {
            return Err(FormError::Other("it is longer than 16 KiB"));
        }
        let three = || {
            let (signed, signature) = token.rsplit_once('.')?;
            let (header, claims) = signed.split_once('.')?;
            let whole = !header.is_empty() && !claims.is_empty() && !claims.contains('.');
            whole.then_some(Self { signed, header, claims, signature })
        };
        three().ok_or(FormError::Other("it is not three parts with dots between"))
    }

    pub(super) fn head<'s>(&self, space: &'s mut Space) -> Result<Head<'s>, FormError> {
        let json = decode(self.header, space).ok_or(FormError::Other("its header is no base64url"))?;
        if json.trim_ascii_start().first() != Some(&b'{') {
            return Err(FormError::Other("its header is no JSON object"));
        }
        json::read(json, ReadHead).map_err(FormError::Broken)
    }

    pub(super) fn claims(&self) -> Result<Map<String, Value>, FormError> {
        let mut space = SmallVec::<[u8; 1024]>::new();
        let json = decode(self.claims, &mut space).ok_or(FormError::Broken("its claims are no base64url"))?;
        json::object(json).map_err(FormError::Broken)
    }
}

/// Without padding, and the bits after the last byte zero: one text for one value.
fn decode<'s, const N: usize>(text: &str, space: &'s mut SmallVec<[u8; N]>) -> Option<&'s [u8]> {
    space.resize(base64::decoded_len_estimate(text.len()), 0);
    let length = URL_SAFE_NO_PAD.decode_slice(text, space).ok()?;
    space.get(..length)
}

/// The header, as it is read.
struct ReadHead;

impl<'de> DeserializeSeed<'de> for ReadHead {
    type Value = Head<'de>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Head<'de>, D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for ReadHead {
    type Value = Head<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a header")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Head<'de>, A::Error> {
        let mut names = SmallVec::<[Cow<'de, str>; 8]>::new();
        let (mut alg, mut kid, mut typ) = (None, None, None);
        while let Some(name) = members.next_key_seed(Text)? {
            if names.contains(&name) {
                return Err(json::twice());
            }
            if names.len() == MOST_MEMBERS {
                return Err(A::Error::custom("too many members"));
            }
            match &*name {
                "alg" => alg = Some(members.next_value_seed(Text)?),
                "kid" => kid = Some(members.next_value_seed(Text)?),
                "typ" => typ = Some(members.next_value_seed(Text)?),
                // They change what the token means, and must be understood by whoever takes it (RFC 7515 section
                // 4.1.11, RFC 7797, RFC 7516 section 4.1.3): nothing of the kind is.
                "crit" | "b64" | "zip" => return Err(A::Error::custom("an extension")),
                _ => drop(members.next_value_seed(Strict(DEEPEST - 1))?),
            }
            names.push(name);
        }
        let long = kid.as_ref().is_some_and(|kid: &Cow<'_, str>| kid.len() > LONGEST_KID);
        match alg {
            Some(alg) if !long => Ok(Head { alg, kid, typ }),
            _ => Err(A::Error::custom("no `alg`, or a long `kid`")),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encode(text: &str) -> String {
        URL_SAFE_NO_PAD.encode(text)
    }

    fn head(json: &str) -> Result<(String, Option<String>, Option<String>), FormError> {
        let token = format!("{}.e30.eA", encode(json));
        let mut space = Space::new();
        let head = Parts::split(&token)?.head(&mut space)?;
        Ok((head.alg.into(), head.kid.map(Into::into), head.typ.map(Into::into)))
    }

    #[test]
    fn a_token_is_three_parts_and_no_other_number() {
        for bad in ["", ".", "..", "a.b", "a..c", ".b.c", "a.b.c.d", "a.b.c.d.e", "a", "a.b.."] {
            assert!(matches!(Parts::split(bad), Err(FormError::Other(_))), "{bad}");
        }
        let parts = Parts::split("aa.bb.cc").expect("three parts");
        assert_eq!((parts.signed, parts.header, parts.claims, parts.signature), ("aa.bb", "aa", "bb", "cc"));
        assert_eq!(Parts::split("aa.bb.").map(|parts| parts.signature), Ok(""));
        let long = |length: usize| format!("a.b.{}", "c".repeat(length - 4));
        assert!(Parts::split(&long(LONGEST)).is_ok());
        assert!(Parts::split(&long(LONGEST + 1)).is_err());
    }

    #[test]
    fn there_is_one_way_to_write_a_part() {
        let claims = |text: &str| Parts::split(&format!("e30.{text}.x")).expect("three parts").claims();
        assert!(claims("eyJhIjoxfQ").is_ok());
        // Padding, the other alphabet, a bit after the last byte, whitespace, percent.
        for bad in
            ["eyJhIjoxfQ==", "eyJhIjoxfR", "eyJhIjox fQ", "eyJhIjoxfQ%3D", "eyJh\nIjoxfQ", "+/8", "e", "eyJhIjoxfQ="]
        {
            assert!(matches!(claims(bad), Err(FormError::Broken(_))), "{bad}");
        }
    }

    #[test]
    fn a_header_has_an_algorithm_and_nothing_that_must_be_understood() {
        assert_eq!(head(r#"{"alg":"HS256"}"#), Ok(("HS256".into(), None, None)));
        let escaped = r#"{"typ":"JWT","kid":"a\u0062","alg":"HS256","x5c":["a"],"jwk":{"kty":"oct"},"n":1.5}"#;
        assert_eq!(head(escaped), Ok(("HS256".into(), Some("ab".into()), Some("JWT".into()))));
        for bad in [
            "{}",
            r#"{"alg":null}"#,
            r#"{"alg":256}"#,
            r#"{"alg":["HS256"]}"#,
            r#"{"alg":"HS256","alg":"HS256"}"#,
            r#"{"alg":"HS256","\u0061lg":"none"}"#,
            r#"{"alg":"HS256","crit":["exp"]}"#,
            r#"{"alg":"HS256","crit":[]}"#,
            r#"{"alg":"HS256","b64":false}"#,
            r#"{"alg":"HS256","zip":"DEF"}"#,
            r#"{"alg":"HS256","kid":1}"#,
            r#"{"alg":"HS256","typ":{}}"#,
            r#"{"alg":"HS256","jwk":{"k":1,"k":1}}"#,
            r#"{"alg":"HS256"}x"#,
        ] {
            assert!(matches!(head(bad), Err(FormError::Broken(_))), "{bad}");
        }
        for other in ["", "[]", "x", "\"alg\"", " "] {
            assert!(matches!(head(other), Err(FormError::Other(_))), "{other}");
        }
    }

    #[test]
    fn a_header_is_bounded() {
        let kid = |length: usize| head(&format!(r#"{{"alg":"HS256","kid":"{}"}}"#, "k".repeat(length)));
        assert!(kid(LONGEST_KID).is_ok());
        assert!(kid(LONGEST_KID + 1).is_err());
        let members = |count: usize| {
            let more: String = (1..count).map(|n| format!(",\"m{n}\":0")).collect();
            head(&format!(r#"{{"alg":"HS256"{more}}}"#))
        };
        assert!(members(MOST_MEMBERS).is_ok());
        assert!(members(MOST_MEMBERS + 1).is_err());
        assert!(head(&format!(r#"{{"alg":"HS256","x":{}"#, "[".repeat(8_000))).is_err());
    }

    fn whole(token: &str) -> Option<(Parts<'_>, Map<String, Value>)> {
        let parts = Parts::split(token).ok()?;
        parts.head(&mut Space::new()).ok()?;
        Some((parts, parts.claims().ok()?))
    }

    proptest! {
        #[test]
        fn no_text_is_more_than_refused(text in "\\PC{0,400}") {
            let _ = whole(&text);
        }

        #[test]
        fn no_three_parts_are_more_than_refused(
            header in proptest::collection::vec(any::<u8>(), 0..200),
            claims in proptest::collection::vec(any::<u8>(), 0..200),
            signature in "[A-Za-z0-9_=.-]{0,40}",
        ) {
            let token = format!("{}.{}.{signature}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
            let _ = whole(&token);
        }

        #[test]
        fn a_token_that_is_read_is_written_in_the_only_way(
            kid in "[ -~]{0,20}", names in proptest::collection::btree_set("[a-z]{1,8}", 0..6), change in any::<(usize, u8)>(),
        ) {
            let header = serde_json::json!({"alg": "ES256", "kid": kid}).to_string();
            let claims: Map<String, Value> = names.into_iter().map(|name| (name, Value::from(1))).collect();
            let text = serde_json::to_string(&claims).expect("JSON");
            let token = format!("{}.{}.c2ln", encode(&header), encode(&text));
            prop_assert_eq!(whole(&token).map(|(_, claims)| claims), Some(claims));
            // Changed anywhere, it is refused or decodes to something else: no two texts are one token.
            let mut changed = token.clone().into_bytes();
            let place = change.0 % changed.len();
            changed[place] = change.1 & 0x7f;
            let changed = String::from_utf8(changed).expect("ASCII");
            if changed != token && let Some((parts, _)) = whole(&changed) {
                let bytes = |text: &str| URL_SAFE_NO_PAD.decode(text).expect("it was read");
                let same = bytes(parts.header) == header.as_bytes() && bytes(parts.claims) == text.as_bytes();
                prop_assert!(!same || parts.signature != "c2ln");
            }
        }
    }
}
