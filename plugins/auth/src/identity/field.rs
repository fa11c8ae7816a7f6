//! What a field says of an identity.

use std::fmt::Write as _;

use serde_json::Value;
use smallvec::SmallVec;
use tidegate_core::HeaderValue;
use tidegate_core::facts::Identity;

/// What a field says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum What {
    Subject,
    Roles,
    Scopes,
    Provider,
    /// Dots go into objects.
    Claim(Box<str>),
}

impl What {
    pub(super) fn parse(text: &str) -> Self {
        match text {
            "sub" => Self::Subject,
            "roles" => Self::Roles,
            "scopes" => Self::Scopes,
            "provider" => Self::Provider,
            claim => Self::Claim(claim.into()),
        }
    }

    /// `None` where there is nothing to be said.
    pub(super) fn of(&self, identity: &Identity) -> Option<HeaderValue> {
        let mut text = Text::default();
        match self {
            Self::Subject => text.whole(identity.subject()),
            Self::Provider => text.whole(identity.provider()),
            Self::Roles => identity.roles().iter().for_each(|role| text.item(role)),
            Self::Scopes => identity.scopes().iter().for_each(|scope| text.item(scope)),
            Self::Claim(name) => text.value(identity.claim(name)?),
        }
        text.finish()
    }
}

/// A field's value while it is written: in place, as long as it is short.
#[derive(Default)]
struct Text {
    bytes: SmallVec<[u8; 192]>,
    items: usize,
}

impl Text {
    fn value(&mut self, value: &Value) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| self.scalar(item, Self::item)),
            other => self.scalar(other, Self::whole),
        }
    }

    /// Objects, lists in lists and null have no form that every reader knows: they are left out.
    fn scalar(&mut self, value: &Value, put: fn(&mut Self, &str)) {
        match value {
            Value::String(text) => put(self, text),
            Value::Bool(true) => put(self, "true"),
            Value::Bool(false) => put(self, "false"),
            Value::Number(number) => {
                let mut digits = Digits::default();
                // Only memory could fail.
                let _ = write!(digits, "{number}");
                put(self, digits.as_str());
            }
            Value::Null | Value::Array(_) | Value::Object(_) => {}
        }
    }

    fn whole(&mut self, text: &str) {
        self.encode(text, false);
    }

    /// One of a list. A comma in it doesn't make it two.
    fn item(&mut self, text: &str) {
        if self.items > 0 {
            self.bytes.push(b',');
        }
        self.items += 1;
        self.encode(text, true);
    }

    /// Percent-encoding of what can't stand in a field (RFC 9110 section 5.5), and of the percent sign itself. Blanks
    /// at the ends would be taken for none of the value.
    fn encode(&mut self, text: &str, in_list: bool) {
        const HEX: &[u8; 16] = b"0123456789ABCDEF";
        let last = text.len().saturating_sub(1);
        for (place, byte) in text.bytes().enumerate() {
            let plain = match byte {
                b'%' => false,
                b',' => !in_list,
                b' ' => place != 0 && place != last,
                _ => byte.is_ascii_graphic(),
            };
            match plain {
                true => self.bytes.push(byte),
                false => self.bytes.extend([b'%', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]),
            }
        }
    }

    fn finish(self) -> Option<HeaderValue> {
        // All that was put is visible ASCII and blanks.
        (!self.bytes.is_empty()).then(|| HeaderValue::from_bytes(&self.bytes).ok())?
    }
}

/// A number's text, in place.
#[derive(Default)]
struct Digits(SmallVec<[u8; 32]>);

impl Digits {
    fn as_str(&self) -> &str {
        // Only text was written.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl std::fmt::Write for Digits {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tidegate_core::facts::IdentityParts;

    use super::*;

    fn identity(subject: &str, claims: Value) -> Identity {
        let Value::Object(claims) = claims else { panic!("claims are a map") };
        let roles = ["admin", "a,b"].map(Box::from).into();
        let scopes = ["users:read", "x y"].map(Box::from).into();
        let (subject, provider) = (subject.into(), "jwt".into());
        IdentityParts { subject, provider, roles, scopes, claims, ..IdentityParts::default() }.into()
    }

    #[track_caller]
    fn says(what: &str, identity: &Identity) -> Option<String> {
        let value = What::parse(what).of(identity)?;
        Some(value.to_str().expect("visible ASCII").to_owned())
    }

    #[test]
    fn what_is_known_is_said() {
        let who = identity("u1", json!({ "email": "a@b.example", "realm": { "tenant": "t1" } }));
        for (what, said) in [
            ("sub", "u1"),
            ("provider", "jwt"),
            ("roles", "admin,a%2Cb"),
            ("scopes", "users:read,x y"),
            ("email", "a@b.example"),
            ("realm.tenant", "t1"),
        ] {
            assert_eq!(says(what, &who).as_deref(), Some(said), "{what}");
        }
    }

    #[test]
    fn values_of_all_kinds_have_a_text_or_none() {
        for (value, said) in [
            (json!("text"), Some("text")),
            (json!(7), Some("7")),
            (json!(-1.5), Some("-1.5")),
            (json!(u64::MAX), Some("18446744073709551615")),
            (json!(true), Some("true")),
            (json!(["a", 1, false, "b,c", null, ["d"], {}]), Some("a,1,false,b%2Cc")),
            (json!("a,b"), Some("a,b")),
            (json!(null), None),
            (json!({ "a": 1 }), None),
            (json!([]), None),
            (json!(""), None),
        ] {
            assert_eq!(says("c", &identity("u", json!({ "c": value }))).as_deref(), said, "{value}");
        }
        assert_eq!(says("c", &identity("u", json!({}))), None);
        assert_eq!(says("sub", &identity("", json!({}))), None);
    }

    #[test]
    fn nothing_that_ends_a_field_gets_into_one() {
        for (subject, said) in [
            ("a\r\nX-Admin: 1", "a%0D%0AX-Admin: 1"),
            ("\0", "%00"),
            ("J\u{fc}rgen", "J%C3%BCrgen"),
            ("100%", "100%25"),
            (" a b ", "%20a b%20"),
            (" ", "%20"),
            ("\t\x7f", "%09%7F"),
        ] {
            assert_eq!(says("sub", &identity(subject, json!({}))).as_deref(), Some(said), "{subject:?}");
        }
    }

    #[test]
    fn a_long_value_is_said_whole() {
        let long = "x".repeat(5000);
        assert_eq!(says("sub", &identity(&long, json!({}))), Some(long));
    }

    proptest::proptest! {
        #[test]
        fn whatever_the_subject_it_can_be_read_back(subject in ".+") {
            let said = says("sub", &identity(&subject, json!({}))).expect("a value");
            let back = percent_encoding::percent_decode_str(&said).decode_utf8().expect("UTF-8").into_owned();
            proptest::prop_assert_eq!(back, subject);
            proptest::prop_assert_eq!(said.trim(), said.as_str());
        }
    }
}
