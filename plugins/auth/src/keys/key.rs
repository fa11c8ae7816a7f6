//! One signing key.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
    RsaPublicKeyComponents,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::config::service::SigningAlgorithm;

/// A key that signs, ready to use: parsing one costs more than a signature does.
pub(super) struct SigningKey {
    pair: Pair,
    algorithm: SigningAlgorithm,
    kid: String,
    public: Value,
    /// The token's header for the kinds of token there are, as it stands in them.
    headers: [(&'static str, String); 2],
}

enum Pair {
    Ecdsa(EcdsaKeyPair),
    Rsa(Box<RsaKeyPair>),
    Ed(Ed25519KeyPair),
}

/// A new private key (PKCS #8). Making one of RSA takes a while.
pub(super) fn generate(algorithm: SigningAlgorithm) -> Option<Vec<u8>> {
    use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
    let random = SystemRandom::new();
    match algorithm {
        SigningAlgorithm::ES256 => {
            let made = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).ok()?;
            Some(made.as_ref().to_vec())
        }
        SigningAlgorithm::EdDSA => Some(Ed25519KeyPair::generate_pkcs8(&random).ok()?.as_ref().to_vec()),
        SigningAlgorithm::RS256 => {
            let made = aws_lc_rs::rsa::KeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).ok()?;
            let der: Pkcs8V1Der<'_> = made.as_der().ok()?;
            Some(der.as_ref().to_vec())
        }
    }
}

impl SigningKey {
    /// Reads a private key; `None` if it is none of this algorithm.
    pub(super) fn read(algorithm: SigningAlgorithm, pkcs8: &[u8]) -> Option<Self> {
        let pair = Pair::read(algorithm, pkcs8)?;
        let mut public = pair.public();
        let kid = thumbprint(&public);
        let more = json!({ "kid": kid, "alg": name(algorithm), "use": "sig" });
        if let (Value::Object(public), Value::Object(more)) = (&mut public, more) {
            public.extend(more);
        }
        let headers = ["at+jwt", "JWT"].map(|typ| (typ, header(algorithm, typ, &kid)));
        Some(Self { pair, algorithm, kid, public, headers })
    }

    /// Its id: its thumbprint (RFC 7638).
    #[cfg(test)]
    pub(super) fn kid(&self) -> &str {
        &self.kid
    }

    /// Its public half (RFC 7517).
    pub(super) fn public(&self) -> &Value {
        &self.public
    }

    /// A token of these claims (RFC 7515 section 3.1). `None` only where the library fails.
    pub(super) fn sign(&self, typ: &str, claims: &Map<String, Value>) -> Option<String> {
        let ready = self.headers.iter().find(|(known, _)| *known == typ);
        let mut token = match ready {
            Some((_, header)) => header.clone(),
            None => header(self.algorithm, typ, &self.kid),
        };
        token.push('.');
        BASE64.encode_string(serde_json::to_vec(claims).ok()?, &mut token);
        let signature = self.pair.sign(token.as_bytes())?;
        token.push('.');
        BASE64.encode_string(signature, &mut token);
        Some(token)
    }
}

impl Pair {
    fn read(algorithm: SigningAlgorithm, pkcs8: &[u8]) -> Option<Self> {
        Some(match algorithm {
            SigningAlgorithm::ES256 => {
                Pair::Ecdsa(EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8).ok()?)
            }
            SigningAlgorithm::RS256 => Pair::Rsa(Box::new(RsaKeyPair::from_pkcs8(pkcs8).ok()?)),
            SigningAlgorithm::EdDSA => Pair::Ed(Ed25519KeyPair::from_pkcs8(pkcs8).ok()?),
        })
    }

    /// The members that make the thumbprint, and no others (RFC 7638 section 3.2, RFC 8037 section 2).
    fn public(&self) -> Value {
        match self {
            Pair::Ecdsa(pair) => {
                // 4, then both halves: SEC 1 section 2.3.3.
                let (x, y) = pair.public_key().as_ref().get(1..).unwrap_or_default().split_at(32);
                json!({ "crv": "P-256", "kty": "EC", "x": BASE64.encode(x), "y": BASE64.encode(y) })
            }
            Pair::Rsa(pair) => {
                let parts = RsaPublicKeyComponents::<Vec<u8>>::from(pair.public_key());
                json!({ "e": BASE64.encode(parts.e), "kty": "RSA", "n": BASE64.encode(parts.n) })
            }
            Pair::Ed(pair) => {
                json!({ "crv": "Ed25519", "kty": "OKP", "x": BASE64.encode(pair.public_key().as_ref()) })
            }
        }
    }

    fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        let random = SystemRandom::new();
        match self {
            Pair::Ecdsa(pair) => Some(pair.sign(&random, message).ok()?.as_ref().to_vec()),
            Pair::Ed(pair) => Some(pair.sign(message).as_ref().to_vec()),
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).ok()?;
                Some(signature)
            }
        }
    }
}

fn header(algorithm: SigningAlgorithm, typ: &str, kid: &str) -> String {
    BASE64.encode(json!({ "alg": name(algorithm), "kid": kid, "typ": typ }).to_string())
}

/// The members in the order of their names, without spaces: what a `serde_json` map is written as.
fn thumbprint(public: &Value) -> String {
    let members = ["crv", "e", "kty", "n", "x", "y"];
    let mut text = String::from("{");
    for (name, value) in members.iter().filter_map(|name| Some((name, public.get(name)?.as_str()?))) {
        let comma = if text.len() > 1 { "," } else { "" };
        text.push_str(&format!("{comma}\"{name}\":\"{value}\""));
    }
    text.push('}');
    BASE64.encode(Sha256::digest(text))
}

fn name(algorithm: SigningAlgorithm) -> &'static str {
    match algorithm {
        SigningAlgorithm::ES256 => "ES256",
        SigningAlgorithm::RS256 => "RS256",
        SigningAlgorithm::EdDSA => "EdDSA",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thumbprint_is_that_of_the_rfc() {
        // RFC 7638 section 3.1.
        let n = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMs\
                 tn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajr\
                 n1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
        let key = json!({ "kty": "RSA", "n": n, "e": "AQAB", "alg": "RS256", "kid": "2011-04-29" });
        assert_eq!(thumbprint(&key), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
        // RFC 8037 appendix A.3.
        let key = json!({ "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" });
        assert_eq!(thumbprint(&key), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }

    #[test]
    fn what_is_signed_is_verified_by_what_is_published_for_every_algorithm() {
        for algorithm in [SigningAlgorithm::ES256, SigningAlgorithm::RS256, SigningAlgorithm::EdDSA] {
            let key = SigningKey::read(algorithm, &generate(algorithm).expect("made")).expect("read");
            let claims = Map::from_iter([("sub".to_owned(), json!("u1"))]);
            for typ in ["at+jwt", "JWT", "other"] {
                let token = key.sign(typ, &claims).expect("signed");
                let head = jsonwebtoken::decode_header(&token).expect("a header");
                assert_eq!((head.kid.as_deref(), head.typ.as_deref()), (Some(key.kid()), Some(typ)));
                let public = serde_json::from_value(key.public().clone()).expect("a key");
                let public = jsonwebtoken::DecodingKey::from_jwk(&public).expect("a good key");
                let (message, signature) = token.rsplit_once('.').expect("three parts");
                let good = jsonwebtoken::crypto::verify(signature, message.as_bytes(), &public, head.alg);
                assert!(good.expect("verified"), "{algorithm:?}");
            }
        }
    }

    #[test]
    fn a_key_of_another_algorithm_is_none() {
        let key = generate(SigningAlgorithm::EdDSA).expect("made");
        assert!(SigningKey::read(SigningAlgorithm::ES256, &key).is_none());
        assert!(SigningKey::read(SigningAlgorithm::RS256, b"").is_none());
    }
}
