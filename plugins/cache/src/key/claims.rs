//! What else is known of somebody: upstreams get it in fields and tokens, and answer by it.

use aws_lc_rs::digest::{SHA256, digest};
use serde_json::{Map, Value};
use tidegate_core::{ConfigErrors, ConfigPath};

use super::Names;
use crate::config::ClaimsKey;

/// Which claims tell one person's answers apart.
#[derive(Debug, Clone, Default)]
pub(crate) enum Claims {
    /// All but those that say of a token which one it is, and for how long it is good.
    #[default]
    All,
    None,
    These(Names),
    Others(Names),
}

/// A new token for the same has others of these (RFC 7519 section 4.1).
const OF_THE_TOKEN: [&str; 4] = ["exp", "iat", "jti", "nbf"];

impl Claims {
    /// Errors have paths from `key`.
    pub(super) fn build(config: &ClaimsKey) -> Result<Self, ConfigErrors> {
        let names = |list: &[String], key: &str| {
            Names::build(list).map_err(|errors| errors.under(&ConfigPath::from("claims").key(key)))
        };
        Ok(match config {
            ClaimsKey::All => Self::All,
            ClaimsKey::None => Self::None,
            ClaimsKey::Allow(list) => Self::These(names(list, "allow")?),
            ClaimsKey::Deny(list) => Self::Others(names(list, "deny")?),
        })
    }

    /// A digest of those that count: what somebody is said to be does not belong on a disk.
    pub(super) fn digest(&self, claims: &Map<String, Value>) -> [u8; 32] {
        let mut text = Vec::with_capacity(512);
        object(claims.iter().filter(|(name, _)| self.counts(name)), &mut text);
        let mut bytes = [0; 32];
        bytes.iter_mut().zip(digest(&SHA256, &text).as_ref()).for_each(|(to, from)| *to = *from);
        bytes
    }

    fn counts(&self, name: &str) -> bool {
        let of_the_token = || OF_THE_TOKEN.contains(&name);
        match self {
            Self::All => !of_the_token(),
            Self::None => false,
            Self::These(names) => names.has(name.as_bytes()),
            Self::Others(names) => !of_the_token() && !names.has(name.as_bytes()),
        }
    }
}

/// The same for all orders of members, and for nothing else.
fn object<'a>(members: impl Iterator<Item = (&'a String, &'a Value)>, text: &mut Vec<u8>) {
    let mut members: Vec<_> = members.collect();
    members.sort_unstable_by_key(|(name, _)| *name);
    begin(b'{', members.len(), text);
    for (name, member) in members {
        begin(b'n', name.len(), text);
        text.extend_from_slice(name.as_bytes());
        value(member, text);
    }
}

fn value(of: &Value, text: &mut Vec<u8>) {
    match of {
        Value::Object(members) => object(members.iter(), text),
        Value::Array(all) => {
            begin(b'[', all.len(), text);
            all.iter().for_each(|one| value(one, text));
        }
        Value::String(string) => {
            begin(b'"', string.len(), text);
            text.extend_from_slice(string.as_bytes());
        }
        other => {
            let written = other.to_string();
            begin(b'=', written.len(), text);
            text.extend_from_slice(written.as_bytes());
        }
    }
}

fn begin(kind: u8, count: usize, text: &mut Vec<u8>) {
    text.push(kind);
    text.extend_from_slice(&(count as u64).to_be_bytes());
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn digest_of(claims: &Claims, of: &Value) -> [u8; 32] {
        claims.digest(of.as_object().expect("an object"))
    }

    #[test]
    fn claims_in_any_order_are_the_same_and_all_others_are_not() {
        let all = |of: Value| digest_of(&Claims::All, &of);
        let ann = json!({"tenant": "a", "groups": ["x", "y"], "n": {"a": 1, "b": 2}});
        assert_eq!(all(ann.clone()), all(json!({"n": {"b": 2, "a": 1}, "groups": ["x", "y"], "tenant": "a"})));
        for other in [
            json!({"tenant": "b", "groups": ["x", "y"], "n": {"a": 1, "b": 2}}),
            json!({"tenant": "a", "groups": ["y", "x"], "n": {"a": 1, "b": 2}}),
            json!({"tenant": "a", "groups": ["x", "y"], "n": {"a": 1, "b": "2"}}),
            json!({"tenant": "a", "groups": ["x"], "y": null, "n": {"a": 1, "b": 2}}),
            json!({}),
        ] {
            assert_ne!(all(ann.clone()), all(other.clone()), "{other}");
        }
    }

    #[test]
    fn a_new_token_for_the_same_is_the_same() {
        let (old, new) = (json!({"sub": "a", "iat": 1, "exp": 2, "jti": "x"}), json!({"sub": "a", "iat": 3, "nbf": 3}));
        assert_eq!(digest_of(&Claims::All, &old), digest_of(&Claims::All, &new));
        let same = |config: ClaimsKey, a: &Value, b: &Value| {
            let claims = Claims::build(&config).expect("claims");
            digest_of(&claims, a) == digest_of(&claims, b)
        };
        let (one, other) = (json!({"tenant": "a", "sid": 1}), json!({"tenant": "a", "sid": 2}));
        assert!(!same(ClaimsKey::All, &one, &other) && same(ClaimsKey::None, &one, &other));
        assert!(same(ClaimsKey::Allow(vec!["tenant".into()]), &one, &other));
        assert!(same(ClaimsKey::Deny(vec!["sid".into()]), &one, &other));
        assert!(!same(ClaimsKey::Allow(vec!["sid".into()]), &one, &other));
        assert!(!same(ClaimsKey::Allow(vec!["jti".into()]), &old, &new), "who names it wants it");
    }
}
