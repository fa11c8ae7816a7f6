//! What tests here have in common: tokens made by hand, gateways with the plugin.

#![allow(dead_code)]

use std::sync::LazyLock;

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use tidegate_auth::Auth;
use tidegate_testkit::{GatewayBuilder, TestGateway, Upstream, gateway, upstream};

/// A gateway with the kit's router and this plugin.
pub(crate) fn with_auth() -> GatewayBuilder {
    gateway().plugin::<Auth>()
}

/// The shared secret of [`token`], as long as HS256 wants it.
pub(crate) const SECRET: &str = "a-secret-of-the-tests-that-is-long-enough-for-hs512-too-0123456789";

/// 2100-01-01, in seconds since 1970: no test lives so long.
pub(crate) const FAR: u64 = 4_102_444_800;

/// The provider that takes [`token`]s, as YAML for `providers: [ … ]`.
pub(crate) fn hs256() -> String {
    format!("{{ jwt: {{ keys: [{{ secret: \"{SECRET}\", algorithms: [HS256] }}] }} }}")
}

/// Claims of somebody, good until [`FAR`].
pub(crate) fn claims(subject: &str) -> Value {
    json!({ "sub": subject, "exp": FAR })
}

/// The same with more of them, which win.
pub(crate) fn claims_with(subject: &str, more: Value) -> Value {
    let mut all = claims(subject);
    if let (Value::Object(all), Value::Object(more)) = (&mut all, more) {
        all.extend(more);
    }
    all
}

/// A token of these claims, signed with HS256 and [`SECRET`].
pub(crate) fn token(claims: &Value) -> String {
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &key).expect("a token")
}

/// `Bearer` and the token.
pub(crate) fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

/// A key pair of an issuer, made once in a test binary.
pub(crate) struct Issuer {
    pub(crate) algorithm: Algorithm,
    pub(crate) kid: &'static str,
    /// PKCS #8.
    pub(crate) private_pem: String,
    /// SubjectPublicKeyInfo.
    pub(crate) public_pem: String,
    key: EncodingKey,
}

type ReadKey = fn(&[u8]) -> jsonwebtoken::errors::Result<EncodingKey>;

impl Issuer {
    fn new(kid: &'static str, algorithm: Algorithm) -> Self {
        let (alg, read): (_, ReadKey) = match algorithm {
            Algorithm::RS256 => (&rcgen::PKCS_RSA_SHA256, EncodingKey::from_rsa_pem),
            Algorithm::ES256 => (&rcgen::PKCS_ECDSA_P256_SHA256, EncodingKey::from_ec_pem),
            Algorithm::ES384 => (&rcgen::PKCS_ECDSA_P384_SHA384, EncodingKey::from_ec_pem),
            Algorithm::EdDSA => (&rcgen::PKCS_ED25519, EncodingKey::from_ed_pem),
            other => panic!("no key for {other:?}"),
        };
        let pair = rcgen::KeyPair::generate_for(alg).expect("a key pair");
        let private_pem = pair.serialize_pem();
        let key = read(private_pem.as_bytes()).expect("a key of ours");
        Self { algorithm, kid, public_pem: pair.public_key_pem(), private_pem, key }
    }

    /// A token of these claims with the key's `kid`.
    pub(crate) fn token(&self, claims: &Value) -> String {
        let mut header = Header::new(self.algorithm);
        header.kid = Some(self.kid.to_owned());
        self.token_with(&header, claims)
    }

    /// A token of this head and these claims.
    pub(crate) fn token_with(&self, header: &Header, claims: &Value) -> String {
        jsonwebtoken::encode(header, claims, &self.key).expect("a token")
    }

    /// Its public key (RFC 7517).
    pub(crate) fn jwk(&self) -> Value {
        use jsonwebtoken::{DecodingKey, jwk::Jwk};
        let jwk = match self.algorithm {
            // The library only knows private keys of this curve that come without their public half.
            Algorithm::EdDSA => DecodingKey::from_ed_pem(self.public_pem.as_bytes())
                .and_then(|key| Jwk::from_decoding_key(&key, Some(self.algorithm))),
            _ => Jwk::from_encoding_key(&self.key, self.algorithm),
        };
        let mut jwk = jwk.expect("a public key");
        jwk.common.key_id = Some(self.kid.to_owned());
        serde_json::to_value(jwk).expect("JSON")
    }
}

/// An issuer that signs with RS256 and 2048 bits; `kid: rs`.
pub(crate) static RS256: LazyLock<Issuer> = LazyLock::new(|| Issuer::new("rs", Algorithm::RS256));
/// An issuer that signs with ES256; `kid: es`.
pub(crate) static ES256: LazyLock<Issuer> = LazyLock::new(|| Issuer::new("es", Algorithm::ES256));
/// An issuer that signs with ES384; `kid: es384`.
pub(crate) static ES384: LazyLock<Issuer> = LazyLock::new(|| Issuer::new("es384", Algorithm::ES384));
/// An issuer that signs with EdDSA; `kid: ed`.
pub(crate) static EDDSA: LazyLock<Issuer> = LazyLock::new(|| Issuer::new("ed", Algorithm::EdDSA));

/// A set of public keys (RFC 7517), as text.
pub(crate) fn jwks(issuers: &[&Issuer]) -> String {
    json!({ "keys": issuers.iter().map(|issuer| issuer.jwk()).collect::<Vec<_>>() }).to_string()
}

/// An upstream that answers 200 to everything, and a gateway in front: `section` is the `auth:` section, `policy` what
/// its only route asks (`plugins: { auth: <policy> }`).
pub(crate) async fn guarded(section: &str, policy: &str) -> (Upstream, TestGateway) {
    let upstream = upstream().reply("/*", "let through").start().await;
    let gateway = with_auth().start(&guarded_yaml(&upstream, section, policy)).await;
    (upstream, gateway)
}

/// The configuration of [`guarded`].
pub(crate) fn guarded_yaml(upstream: &Upstream, section: &str, policy: &str) -> String {
    format!(
        "auth: {section}\nupstreams: {{ up: {{ targets: [\"{}\"] }} }}\n\
         routing: {{ routes: [{{ name: guarded, upstream: up, plugins: {{ auth: {policy} }} }}] }}\n",
        upstream.target()
    )
}

/// The same token with another signature, as long as its own.
pub(crate) fn forged(token: &str) -> String {
    let (signed, signature) = token.rsplit_once('.').expect("a token");
    let other: String = signature.bytes().map(|byte| if byte == b'A' { 'E' } else { 'A' }).collect();
    format!("{signed}.{other}")
}
