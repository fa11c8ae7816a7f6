//! What it costs to know who is asking: a token that is remembered, and one whose signature is verified.
//!
//! Prints the best of several rounds (what the code costs) and their median (what the machine made of it). Premises that
//! are checked: every token was good, a remembered one was not verified again, a forged one is refused.

use std::hint::black_box;
use std::time::{Duration, Instant, SystemTime};

use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header};
use serde_json::{Value, json};
use tidegate_auth::bench::{Cached, Checks, Request};
use tidegate_auth::jwt_bench::Uncached;

const SECRET: &str = "a-secret-of-the-benchmark-that-is-long-enough";
const ISSUER: &str = "https://issuer.example";

type ReadKey = fn(&[u8]) -> jsonwebtoken::errors::Result<EncodingKey>;

fn main() {
    println!("{:<54} {:>10} {:>10}", "", "best", "(median)");
    remembered();
    verified();
}

fn claims() -> Value {
    let filler = "x".repeat(400);
    json!({
        "iss": ISSUER, "aud": "api", "sub": "3f6c1e0a9b7d4c21", "exp": 4_102_444_800_u64, "iat": 1_700_000_000,
        "jti": "0b9d1b1e-6f0e-4d0a-8d53-1c3c9a0b1c2d", "roles": ["user", "editor"], "scope": "users:read users:write",
        "email": "somebody@example.com", "filler": filler,
    })
}

/// Tokens that were found good before.
fn remembered() {
    let section = |entries: usize| {
        format!(
            "{{ providers: [{{ jwt: {{ keys: [{{ secret: {SECRET}, algorithms: [HS256] }}], issuer: '{ISSUER}', \
             audience: [api] }} }}], cache: {{ entries: {entries} }} }}"
        )
    };
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    let token = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims(), &key).expect("a token");
    let request = Request::bearer(&token);
    let now = SystemTime::now();
    for (others, revoked) in [(0, 0), (100_000, 0), (100_000, 100_000)] {
        let cached = Cached::new(&token, others, revoked);
        assert!(!cached.check(&token.replace("eyJ", "eyK"), now));
        let what = format!("cached, {} bytes, {others} others, {revoked} revoked", token.len());
        measure(&what, 20_000, || cached.check(black_box(&token), now));
    }
    for revoked in [0, 100_000] {
        let checks = Checks::new(&section(100_000), revoked);
        assert!(checks.check(&request));
        let forged = Request::bearer(&token.replace("eyJ", "eyK"));
        assert!(!checks.check(&forged));
        measure(&format!("the provider with it in a request, {revoked} revoked"), 20_000, || checks.check(&request));
    }
    let checks = Checks::new(&section(100_000), 0);
    let head = tidegate_core::RequestHeader::build("GET", b"/v1/users/1", Some(8)).expect("a head");
    let mut told = head.clone();
    assert!(checks.forward(&request, &mut told) && told.headers.contains_key("x-user-id"));
    measure("the same, and X-User-ID for the upstream", 20_000, || {
        let mut head = head.clone();
        checks.forward(&request, &mut head)
    });
    measure("of which: a copy of the head", 20_000, || head.clone().headers.is_empty());
    let checks = Checks::new(&section(0), 0);
    measure("not remembered (HS256), the whole provider", 2_000, || checks.check(&request));
}

/// Tokens that are seen for the first time: form, signature and claims.
fn verified() {
    for algorithm in [Algorithm::HS256, Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA] {
        let (key, jwk) = issuer(algorithm);
        let header = Header { kid: Some("k".to_owned()), ..Header::new(algorithm) };
        let token = jsonwebtoken::encode(&header, &claims(), &key).expect("a token");
        let jwks = json!({ "keys": [jwk] }).to_string();
        let uncached = Uncached::new(jwks.as_bytes(), ISSUER, "api").expect("a set of keys");
        let now = SystemTime::now();
        let (signed, signature) = token.rsplit_once('.').expect("a token");
        let other: String = signature.chars().rev().collect();
        assert!(uncached.check(&token, now) && !uncached.check(&format!("{signed}.{other}"), now));
        measure(&format!("verified, {algorithm:?}, {} bytes", token.len()), 500, || uncached.check(&token, now));
    }
}

fn issuer(algorithm: Algorithm) -> (EncodingKey, Value) {
    if algorithm == Algorithm::HS256 {
        use base64::Engine as _;
        let k = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(SECRET);
        return (
            EncodingKey::from_secret(SECRET.as_bytes()),
            json!({ "kty": "oct", "kid": "k", "alg": "HS256", "k": k }),
        );
    }
    let (alg, read): (_, ReadKey) = match algorithm {
        Algorithm::RS256 => (&rcgen::PKCS_RSA_SHA256, EncodingKey::from_rsa_pem),
        Algorithm::ES256 => (&rcgen::PKCS_ECDSA_P256_SHA256, EncodingKey::from_ec_pem),
        _ => (&rcgen::PKCS_ED25519, EncodingKey::from_ed_pem),
    };
    let pair = rcgen::KeyPair::generate_for(alg).expect("a key pair");
    let key = read(pair.serialize_pem().as_bytes()).expect("a key of ours");
    let public = pair.public_key_pem();
    let jwk = match algorithm {
        // The library only knows private keys of this curve that come without their public half.
        Algorithm::EdDSA => {
            DecodingKey::from_ed_pem(public.as_bytes()).and_then(|key| Jwk::from_decoding_key(&key, Some(algorithm)))
        }
        _ => Jwk::from_encoding_key(&key, algorithm),
    };
    let mut jwk = serde_json::to_value(jwk.expect("a public key")).expect("JSON");
    jwk["kid"] = "k".into();
    (key, jwk)
}

/// Nanoseconds for each call; every one must say yes, unless it only copies.
fn measure(what: &str, calls: u32, call: impl Fn() -> bool) {
    const ROUNDS: usize = 60;
    let copies = what.starts_with("of which");
    let mut times: Vec<Duration> = (0..ROUNDS)
        .map(|_| {
            let started = Instant::now();
            for _ in 0..calls {
                assert!(black_box(call()) || copies);
            }
            started.elapsed() / calls
        })
        .collect();
    times.sort_unstable();
    println!("{what:<54} {:>7} ns {:>7} ns", times[0].as_nanos(), times[ROUNDS / 2].as_nanos());
}
