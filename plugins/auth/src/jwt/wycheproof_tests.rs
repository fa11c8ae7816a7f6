//! Signatures that are easily taken and must not be, by Project Wycheproof. The payloads are no claims: what is checked is
//! the form, the key and the signature.

use serde::Deserialize;
use serde_json::{Value, json};

use super::form::{FormError, Parts, Space};
use super::jwk::Origin;
use super::keys::Keys;
use crate::config::Algorithm;

#[derive(Deserialize)]
struct Vectors {
    groups: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    comment: String,
    key: Value,
    /// Number, what it is about, the token, `valid` or `invalid`.
    tests: Vec<(u32, String, String, String)>,
}

fn is_taken(token: &str, keys: &Keys) -> bool {
    let Ok(parts) = Parts::split(token) else { return false };
    let mut space = Space::new();
    let Ok(head) = parts.head(&mut space) else { return false };
    let Some(algorithm) = Algorithm::parse(&head.alg) else { return false };
    // No JSON is what all of them are; no base64url is what some are about.
    let readable = !matches!(parts.claims(), Err(FormError::Broken("its claims are no base64url")));
    let Ok(candidates) = keys.candidates(head.kid.as_deref(), algorithm) else { return false };
    let signed = |token: Parts<'_>| {
        candidates.iter().any(|key| key.verify(algorithm, token.signed, token.signature) == Some(true))
    };
    readable && !parts.signature.is_empty() && signed(parts)
}

#[test]
fn signatures_are_taken_and_refused_as_project_wycheproof_says() {
    let vectors: Vectors = serde_json::from_str(include_str!("testdata/wycheproof.json")).expect("vectors");
    let mut seen = [0, 0];
    for group in &vectors.groups {
        let set = json!({ "keys": [group.key] }).to_string();
        let (keys, _) = Keys::of_set(set.as_bytes(), Origin::File).expect("a set");
        for (number, about, token, result) in &group.tests {
            let valid = result == "valid";
            assert_eq!(is_taken(token, &keys), valid, "{} {number}: {about}", group.comment);
            seen[usize::from(valid)] += 1;
        }
    }
    assert_eq!(seen, [77, 9]);
}
