//! Sets of keys as JSON (RFC 7517, RFC 7518 section 6, RFC 8037 section 2).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::algorithm::Algorithms;
use super::form::LONGEST_KID;
use super::json;
use super::key::{KeyError, Material, VerifyKey};
use super::keys::MOST_KEYS;
use crate::config::Algorithm;

/// Who can read a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// Everybody: a shared secret in it is none.
    Public,
    /// Whoever can read the gateway's files.
    File,
}

/// A key of a set that is not used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LeftOut {
    /// Its place in the set, from 0.
    pub(super) index: usize,
    pub(super) why: Why,
}

/// Why a key is not used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Why {
    /// A part of it belongs to the issuer alone.
    #[error("its private part is in it: whoever can read the set can sign")]
    Private,
    /// A secret that everybody can fetch.
    #[error("it is a shared secret in a set that others can read")]
    SharedSecret,
    /// It is for something else, or of a kind that isn't known here.
    #[error("{0}")]
    Other(&'static str),
    /// It can't be a key.
    #[error("{0}")]
    Key(#[from] KeyError),
}

impl Why {
    /// Whether the issuer has a problem, and does not merely publish keys for others, too.
    pub(super) fn is_alarming(&self) -> bool {
        matches!(self, Why::Private | Why::SharedSecret | Why::Key(_))
    }
}

/// The keys of a set, and those left out. The error is about the set as a whole.
pub(super) fn read_set(text: &[u8], origin: Origin) -> Result<(Vec<VerifyKey>, Vec<LeftOut>), String> {
    let mut set = json::object(text).map_err(|why| format!("no set of keys: {why}"))?;
    let Some(Value::Array(list)) = set.remove("keys") else {
        return Err("no set of keys: `keys` is no list".to_owned());
    };
    if list.len() > MOST_KEYS {
        return Err(format!("a set of {} keys, and at most {MOST_KEYS} are taken", list.len()));
    }
    let mut left_out = Vec::new();
    let mut keys = Vec::with_capacity(list.len());
    for (index, key) in list.iter().enumerate() {
        match read(key, origin) {
            Ok(key) => keys.push(key),
            Err(why) => left_out.push(LeftOut { index, why }),
        }
    }
    Ok((keys, left_out))
}

fn read(key: &Value, origin: Origin) -> Result<VerifyKey, Why> {
    let Value::Object(key) = key else { return Err(Why::Other("it is no JSON object")) };
    for_signatures(key)?;
    let id = optional(key, "kid")?;
    if id.is_some_and(|id| id.len() > LONGEST_KID) {
        return Err(Why::Other("its `kid` is longer than 256 bytes"));
    }
    let algorithms = match optional(key, "alg")? {
        Some(name) => {
            let algorithm = Algorithm::parse(name).ok_or(Why::Other("its `alg` is not known here"))?;
            Some([algorithm].into_iter().collect::<Algorithms>())
        }
        None => None,
    };
    let secret = || match origin {
        Origin::Public => Err(Why::SharedSecret),
        Origin::File => bytes(key, "k"),
    };
    let kind = (required(key, "kty")?, optional(key, "crv")?);
    if kind.0 != "oct" && ["d", "p", "q", "dp", "dq", "qi", "oth", "k"].iter().any(|part| key.contains_key(*part)) {
        return Err(Why::Private);
    }
    let new = |material: Material<'_>| Ok(VerifyKey::new(id, material, algorithms)?);
    match kind {
        ("RSA", _) => new(Material::Rsa { n: &bytes(key, "n")?, e: &bytes(key, "e")? }),
        ("EC", Some("P-256")) => new(Material::P256(&point(key, 32)?)),
        ("EC", Some("P-384")) => new(Material::P384(&point(key, 48)?)),
        ("EC", Some("P-521")) => new(Material::P521(&point(key, 66)?)),
        ("OKP", Some("Ed25519")) => new(Material::Ed25519(&bytes(key, "x")?)),
        ("oct", _) => new(Material::Secret(&secret()?)),
        ("EC" | "OKP", _) => Err(Why::Other("its curve is none of P-256, P-384, P-521 and Ed25519")),
        _ => Err(Why::Other("its `kty` is not known here")),
    }
}

/// A key for encryption is none for signatures (RFC 7517 sections 4.2 and 4.3).
fn for_signatures(key: &Map<String, Value>) -> Result<(), Why> {
    if optional(key, "use")?.is_some_and(|used| used != "sig") {
        return Err(Why::Other("its `use` is not `sig`"));
    }
    match key.get("key_ops") {
        None => Ok(()),
        Some(Value::Array(ops)) if ops.iter().any(|op| op == "verify") => Ok(()),
        Some(_) => Err(Why::Other("its `key_ops` don't have `verify`")),
    }
}

fn optional<'a>(key: &'a Map<String, Value>, name: &str) -> Result<Option<&'a str>, Why> {
    match key.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(Why::Other("a member that must be a text is something else")),
    }
}

fn required<'a>(key: &'a Map<String, Value>, name: &str) -> Result<&'a str, Why> {
    optional(key, name)?.ok_or(Why::Other("a member is missing"))
}

fn bytes(key: &Map<String, Value>, name: &str) -> Result<Vec<u8>, Why> {
    URL_SAFE_NO_PAD.decode(required(key, name)?).map_err(|_| Why::Other("a member is no base64url"))
}

/// Uncompressed. Coordinates have their full length, leading zeros and all (RFC 7518 section 6.2.1.2).
fn point(key: &Map<String, Value>, length: usize) -> Result<Vec<u8>, Why> {
    let (x, y) = (bytes(key, "x")?, bytes(key, "y")?);
    match x.len() == length && y.len() == length {
        true => Ok([&[4][..], &x, &y].concat()),
        false => Err(Why::Other("its coordinates are not as long as its curve's")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// RFC 7515 appendix A.3.
    fn p256() -> Value {
        json!({
            "kty": "EC", "crv": "P-256",
            "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
            "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
        })
    }

    fn with(mut key: Value, name: &str, value: impl Into<Value>) -> Value {
        key[name] = value.into();
        key
    }

    fn oct(bytes: usize) -> Value {
        json!({"kty": "oct", "k": URL_SAFE_NO_PAD.encode(vec![7; bytes]), "alg": "HS256"})
    }

    fn only(key: Value, origin: Origin) -> Result<VerifyKey, Why> {
        let set = json!({"keys": [key]}).to_string();
        let (mut keys, mut left_out) = read_set(set.as_bytes(), origin).expect("a set");
        keys.pop().ok_or_else(|| left_out.remove(0).why)
    }

    #[test]
    fn keys_for_something_else_are_left_out() {
        assert!(only(with(p256(), "use", "sig"), Origin::Public).is_ok());
        assert!(only(with(p256(), "key_ops", json!(["sign", "verify"])), Origin::Public).is_ok());
        for other in [
            with(p256(), "use", "enc"),
            with(p256(), "use", 1),
            with(p256(), "key_ops", json!(["encrypt"])),
            with(p256(), "key_ops", "verify"),
            with(p256(), "alg", "ECDH-ES"),
            with(p256(), "alg", "none"),
            with(p256(), "kid", 1),
            with(p256(), "kid", "k".repeat(257)),
            with(p256(), "crv", "P-521"),
            with(p256(), "crv", "secp256k1"),
            with(p256(), "kty", "AKP"),
            with(p256(), "x", "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVE"),
            with(p256(), "x", "AA"),
            json!({"kty": "EC"}),
            json!("key"),
        ] {
            assert!(matches!(only(other.clone(), Origin::Public), Err(Why::Other(_))), "{other}");
        }
    }

    #[test]
    fn weak_and_impossible_keys_are_left_out_with_an_alarm() {
        let short = json!({"kty": "RSA", "n": URL_SAFE_NO_PAD.encode([0xff; 128]), "e": "AQAB"});
        let off_curve = with(p256(), "x", URL_SAFE_NO_PAD.encode([1; 32]));
        for bad in [short, off_curve, with(p256(), "alg", "RS256"), with(p256(), "alg", "HS256")] {
            assert!(only(bad.clone(), Origin::Public).is_err_and(|why| why.is_alarming()), "{bad}");
        }
    }

    #[test]
    fn what_nobody_should_see_is_not_taken_from_a_set() {
        for origin in [Origin::Public, Origin::File] {
            let private = with(p256(), "d", "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI");
            assert_eq!(only(private, origin).err(), Some(Why::Private));
        }
        assert_eq!(only(oct(32), Origin::Public).err(), Some(Why::SharedSecret));
        assert!(only(oct(32), Origin::File).is_ok());
        assert!(only(oct(31), Origin::File).is_err());
        let mut unsaid = oct(64);
        unsaid.as_object_mut().expect("an object").remove("alg");
        assert_eq!(only(unsaid, Origin::File).err(), Some(Why::Key(KeyError::NoAlgorithm)));
    }

    #[test]
    fn the_algorithm_of_a_key_is_respected() {
        let n = URL_SAFE_NO_PAD.encode([0xff; 256]);
        let key = only(json!({"kty": "RSA", "n": n, "e": "AQAB", "alg": "PS256"}), Origin::Public).expect("a key");
        assert_eq!(key.algorithms.iter().collect::<Vec<_>>(), [Algorithm::PS256]);
        let key = only(json!({"kty": "RSA", "n": n, "e": "AQAB"}), Origin::Public).expect("a key");
        assert_eq!(key.algorithms, Algorithms::RSA);
    }

    #[test]
    fn a_set_that_is_none_is_refused_as_a_whole() {
        let many = json!({"keys": vec![p256(); MOST_KEYS + 1]}).to_string();
        for bad in ["", "[]", "{}", r#"{"keys":{}}"#, r#"{"keys":[],"keys":[]}"#, "<html>", &many] {
            assert!(read_set(bad.as_bytes(), Origin::Public).is_err(), "{}", &bad[..bad.len().min(20)]);
        }
        assert!(read_set(br#"{"keys":[],"more":1}"#, Origin::Public).is_ok_and(|(keys, _)| keys.is_empty()));
        let mixed = json!({"keys": [oct(32), p256(), {"kty": "x"}]}).to_string();
        let (keys, left_out) = read_set(mixed.as_bytes(), Origin::Public).expect("a set");
        assert_eq!((keys.len(), left_out.len()), (1, 2));
        assert_eq!(left_out[1].index, 2);
    }
}
