//! What attackers do to tokens: every one of them is a 401 and nothing more. The upstream sees none, nobody is asked
//! for keys that a token names, and no text makes the gateway fail.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use tidegate_testkit::{Answer, TestGateway, Upstream, upstream};

use crate::support::{
    EDDSA, ES256, FAR, Issuer, RS256, SECRET, bearer, claims, claims_with, guarded, hs256, jwks, token,
};

/// A gateway that takes tokens of RS256, ES256 and EdDSA, each with a key of its own.
async fn keyed() -> (Upstream, TestGateway) {
    let set = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(set.path(), jwks(&[&RS256, &ES256, &EDDSA])).expect("the set is written");
    let section = format!("{{ providers: [{{ jwt: {{ jwks: {{ file: {:?} }} }} }}] }}", set.path());
    guarded(&section, "require").await
}

async fn shared() -> (Upstream, TestGateway) {
    guarded(&format!("{{ providers: [{}] }}", hs256()), "require").await
}

async fn sent(gateway: &TestGateway, token: &str) -> Answer {
    gateway.request(http::Method::GET, "/x").header("Authorization", bearer(token)).send().await
}

async fn assert_refused(gateway: &TestGateway, token: &str) {
    let shown = &token[..token.len().min(300)];
    let answer = sent(gateway, token).await;
    assert_eq!(answer.status, 401, "{shown}");
    let challenge = answer.header("www-authenticate").unwrap_or_default();
    assert!(challenge.starts_with("Bearer ") && challenge.contains("error=\"invalid_token\""), "{challenge}: {shown}");
    // What was sent is nobody's to read in an answer.
    assert!(token.len() < 20 || !answer.text().contains(token), "{shown}");
}

/// Every one of these is refused, a good one is let through, and nothing else came to the upstream.
async fn assert_only_good(upstream: &Upstream, gateway: &TestGateway, bad: &[String], good: &str) {
    for token in bad {
        assert_refused(gateway, token).await;
    }
    assert_eq!(upstream.requests().len(), 0);
    sent(gateway, good).await.expect(200);
    assert_eq!(upstream.requests().len(), 1);
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Header and claims, as they are signed.
fn unsigned(header: &Value, claims: &Value) -> String {
    texts(&header.to_string(), &claims.to_string())
}

fn texts(header: &str, claims: &str) -> String {
    format!("{}.{}", encode(header), encode(claims))
}

fn with_hmac(text: &str, secret: &[u8]) -> String {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), text.as_bytes());
    format!("{text}.{}", encode(tag))
}

fn good(issuer: &Issuer) -> String {
    issuer.token(&claims("u1"))
}

#[tokio::test]
async fn a_token_that_is_not_signed_is_refused_however_none_is_spelled() {
    let (upstream, gateway) = keyed().await;
    let (_, signature) = good(&RS256).rsplit_once('.').map(|(a, b)| (a.to_owned(), b.to_owned())).expect("parts");
    let mut bad = Vec::new();
    for none in
        ["none", "None", "NONE", "nOnE", "none ", " none", "non\u{435}", "", "null", "RS256 ", "rs256", "RS-256"]
    {
        for kid in [None, Some("rs")] {
            let header = json!({"alg": none, "typ": "JWT", "kid": kid.unwrap_or("es")});
            let text = unsigned(&header, &claims("root"));
            bad.extend([format!("{text}."), format!("{text}.e30"), format!("{text}.{signature}"), text]);
        }
    }
    for alg in [json!(null), json!(0), json!(["RS256"]), json!({"RS256": true})] {
        bad.push(format!("{}.{signature}", unsigned(&json!({"alg": alg, "kid": "rs"}), &claims("root"))));
    }
    assert_only_good(&upstream, &gateway, &bad, &good(&RS256)).await;
}

#[tokio::test]
async fn a_public_key_is_no_shared_secret() {
    let (upstream, gateway) = keyed().await;
    let pem = RS256.public_pem.as_str();
    let der: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    let jwk = RS256.jwk();
    let modulus = jwk["n"].as_str().expect("a text");
    let secrets: Vec<Vec<u8>> = vec![
        pem.into(),
        pem.trim_end().into(),
        pem.replace('\n', "\r\n").into(),
        STANDARD.decode(der).expect("base64"),
        jwk.to_string().into(),
        modulus.into(),
        URL_SAFE_NO_PAD.decode(modulus).expect("base64url"),
        Vec::new(),
        vec![0; 32],
    ];
    let mut bad = Vec::new();
    for secret in &secrets {
        for kid in ["rs", "es", "ed"] {
            let header = json!({"alg": "HS256", "typ": "JWT", "kid": kid});
            bad.push(with_hmac(&unsigned(&header, &claims("root")), secret));
        }
        bad.push(with_hmac(&unsigned(&json!({"alg": "HS256"}), &claims("root")), secret));
    }
    assert_only_good(&upstream, &gateway, &bad, &good(&RS256)).await;
}

#[tokio::test]
async fn a_key_is_only_used_with_its_own_algorithms() {
    let (upstream, gateway) = keyed().await;
    let crossed = |issuer: &Issuer, kid: &str| {
        let mut header = Header::new(issuer.algorithm);
        header.kid = Some(kid.to_owned());
        issuer.token_with(&header, &claims("u1"))
    };
    // Its `alg` is PS256, the key would fit, and the set says RS256.
    let mut pss = Header::new(Algorithm::PS256);
    pss.kid = Some("rs".to_owned());
    let bad = [
        crossed(&ES256, "rs"),
        crossed(&ES256, "ed"),
        crossed(&EDDSA, "es"),
        crossed(&RS256, "es"),
        RS256.token_with(&pss, &claims("u1")),
    ];
    assert_only_good(&upstream, &gateway, &bad, &good(&EDDSA)).await;
}

#[tokio::test]
async fn a_kid_is_compared_and_nothing_else() {
    let (upstream, gateway) = keyed().await;
    let mut bad = Vec::new();
    for kid in [
        "../../../../../../dev/null",
        "/dev/null",
        "file:///etc/passwd",
        "http://127.0.0.1:1/keys",
        "' OR '1'='1",
        "x' UNION SELECT 'secret' --",
        "rs; DROP TABLE keys",
        "$(id)",
        "`id`",
        "| id",
        "{{7*7}}",
        "${jndi:ldap://127.0.0.1/a}",
        "rs\u{0}",
        "rs\r\nX-User-ID: root",
        "RS",
        "rs ",
        "",
        "%72%73",
        "\u{202e}sr",
        &"k".repeat(256),
        &"k".repeat(10_000),
    ] {
        let text = unsigned(&json!({"alg": "HS256", "kid": kid}), &claims("root"));
        // What /dev/null, or an injected answer, would make of the secret.
        bad.extend([with_hmac(&text, b""), with_hmac(&text, b"secret")]);
        let mut header = Header::new(Algorithm::RS256);
        header.kid = Some(kid.to_owned());
        bad.push(RS256.token_with(&header, &claims("root")));
    }
    for kid in [json!(1), json!(null), json!(["rs"]), json!({"rs": 1})] {
        bad.push(with_hmac(&unsigned(&json!({"alg": "HS256", "kid": kid}), &claims("root")), b""));
    }
    assert_only_good(&upstream, &gateway, &bad, &good(&RS256)).await;
}

#[tokio::test]
async fn keys_that_a_token_brings_or_points_at_are_not_looked_at() {
    let (upstream, gateway) = keyed().await;
    let (attacker, pair) = attackers();
    let evil = upstream_of(&attacker).await;
    let at = format!("http://{}/jwks.json", evil.addr());
    let mut bad = Vec::new();
    for alg in ["RS256", "ES256"] {
        for kid in [Some("rs"), Some("es"), Some("evil"), None] {
            for (name, value) in [
                ("jku", json!(at)),
                ("x5u", json!(at)),
                ("jwk", attacker.clone()),
                ("x5c", json!(["MIIB"])),
                ("x5t", json!("AAAA")),
                ("url", json!(at)),
            ] {
                let mut header = json!({"alg": alg, name: value});
                if let Some(kid) = kid {
                    header["kid"] = json!(kid);
                }
                let text = unsigned(&header, &claims("root"));
                let signature = jsonwebtoken::crypto::sign(text.as_bytes(), &pair, Algorithm::ES256).expect("signed");
                bad.push(format!("{text}.{signature}"));
            }
        }
    }
    // And in the claims.
    let issuer = claims_with("root", json!({"iss": format!("http://{}", evil.addr())}));
    let mut header = Header::new(Algorithm::ES256);
    header.kid = Some("evil".to_owned());
    bad.push(jsonwebtoken::encode(&header, &issuer, &pair).expect("signed"));
    assert_only_good(&upstream, &gateway, &bad, &good(&ES256)).await;
    assert_eq!(evil.connections(), 0, "nobody was asked for keys");

    // A good token with such a header is as good as without it.
    let mut header = Header::new(Algorithm::ES256);
    (header.kid, header.jku) = (Some("es".to_owned()), Some(at));
    sent(&gateway, &ES256.token_with(&header, &claims("u1"))).await.expect(200);
    assert_eq!(evil.connections(), 0);
}

/// A key pair of somebody else, who calls it `es`.
fn attackers() -> (Value, EncodingKey) {
    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).expect("a key pair");
    let key = EncodingKey::from_ec_pem(pair.serialize_pem().as_bytes()).expect("a key");
    let jwk = jsonwebtoken::jwk::Jwk::from_encoding_key(&key, Algorithm::ES256).expect("a public key");
    (serde_json::to_value(jwk).expect("JSON"), key)
}

async fn upstream_of(jwk: &Value) -> Upstream {
    upstream().reply("/*", json!({"keys": [jwk]}).to_string()).start().await
}

#[tokio::test]
async fn claims_that_are_not_good_now_or_here_are_refused() {
    let (upstream, gateway) = shared().await;
    let bad = [
        json!({"exp": 1_000_000_000}),
        json!({"exp": 0}),
        json!({"exp": -1}),
        json!({"exp": "4102444800"}),
        json!({"exp": 1e300}),
        json!({"exp": true}),
        json!({"exp": null}),
        json!({"nbf": FAR - 1}),
        json!({"nbf": "now"}),
        json!({"iat": FAR - 1}),
        json!({"aud": "somebody-else"}),
        json!({"aud": []}),
        json!({"aud": {"api": true}}),
        json!({"sub": ""}),
        json!({"sub": null}),
        json!({"sub": "root\r\nX-Role: admin"}),
        json!({"sub": {"$ne": null}}),
    ]
    .map(|over| token(&claims_with("u1", over)));
    assert_only_good(&upstream, &gateway, &bad, &token(&claims("u1"))).await;
}

#[tokio::test]
async fn a_token_that_two_parsers_could_read_in_two_ways_is_refused() {
    let (upstream, gateway) = shared().await;
    let sign = |header: &str, claims: &str| with_hmac(&texts(header, claims), SECRET.as_bytes());
    let (head, body) = (r#"{"alg":"HS256"}"#, r#"{"sub":"u1","exp":4102444800}"#);
    let deep = |open: &str, close: &str, depth: usize| {
        format!(r#"{{"sub":"u1","exp":4102444800,"x":{}1{}}}"#, open.repeat(depth), close.repeat(depth))
    };
    let bad = [
        sign(head, r#"{"sub":"u1","sub":"root","exp":4102444800}"#),
        sign(head, r#"{"sub":"u1","\u0073ub":"root","exp":4102444800}"#),
        sign(head, r#"{"sub":"u1","exp":1,"exp":4102444800}"#),
        sign(head, r#"{"sub":"u1","exp":4102444800,"a":{"b":1,"b":2}}"#),
        sign(r#"{"alg":"none","alg":"HS256"}"#, body),
        sign(r#"{"alg":"HS256","alg":"none"}"#, body),
        sign(r#"{"alg":"HS256","a\u006cg":"none"}"#, body),
        sign(r#"{"alg":"HS256","crit":["x"],"x":1}"#, body),
        sign(r#"{"alg":"HS256","crit":[]}"#, body),
        sign(r#"{"alg":"HS256","b64":false,"crit":["b64"]}"#, body),
        sign(r#"{"alg":"HS256","zip":"DEF"}"#, body),
        sign(head, &deep("[", "]", 16)),
        sign(head, &deep("{\"a\":", "}", 16)),
        sign(head, &deep("[", "]", 5_000)),
        sign(&format!(r#"{{"alg":"HS256","x":{}"#, "[".repeat(5_000)), body),
        sign(head, "[]"),
        sign(head, "\"u1\""),
        sign(head, ""),
        sign(head, &format!("{body}{body}")),
        sign(head, &format!("\u{feff}{body}")),
        sign(head, "{\"sub\":\"\\ud800\",\"exp\":4102444800}"),
        sign(&format!("{head}x"), body),
    ];
    assert_only_good(&upstream, &gateway, &bad, &sign(head, &deep("[", "]", 14))).await;
}

#[tokio::test]
async fn there_is_no_second_way_to_write_a_token() {
    let (upstream, gateway) = shared().await;
    let whole = token(&claims("user-1"));
    let parts: Vec<&str> = whole.split('.').collect();
    let [head, body, signature] = parts[..] else { panic!("three parts") };
    // The last character of 32 bytes has two bits too many: four texts, one of which is right.
    let last = signature.chars().last().expect("a character");
    let others = ('A'..='Z').chain('a'..='z').chain('0'..='9').chain(['-', '_']).filter(|other| *other != last);
    let stem = &signature[..signature.len() - 1];
    let mut bad: Vec<String> = others.map(|other| format!("{head}.{body}.{stem}{other}")).collect();
    bad.extend([
        format!("{whole}="),
        format!("{whole}=="),
        format!("{head}=.{body}.{signature}"),
        format!("{head}.{body}=.{signature}"),
        format!("{whole}%3D"),
        format!("{head}.{body}."),
        format!("{head}.{body}"),
        format!("{head}..{signature}"),
        format!(".{body}.{signature}"),
        format!("{whole}."),
        format!(".{whole}"),
        format!("{whole}.{signature}"),
        format!("{head}.{body}.{signature}{signature}"),
        format!("{head}.{body}.{stem}"),
        format!("{head}.{body}.!{signature}"),
        format!("{head}.{body}.{}", STANDARD.encode([0xff; 32])),
        whole.to_uppercase(),
        "..".to_owned(),
        ".".to_owned(),
        "a.b.c".to_owned(),
        "eyJ.eyJ.eyJ".to_owned(),
    ]);
    assert_only_good(&upstream, &gateway, &bad, &whole).await;
}

#[tokio::test]
async fn signatures_of_nothing_are_refused() {
    let (upstream, gateway) = keyed().await;
    let mut bad = Vec::new();
    for (kid, alg, length) in [("es", "ES256", 64), ("ed", "EdDSA", 64), ("rs", "RS256", 256)] {
        let text = unsigned(&json!({"alg": alg, "kid": kid}), &claims("root"));
        let mut one = vec![0; length];
        one[length - 1] = 1;
        one[length / 2 - 1] = 1;
        let der = [0x30, 6, 2, 1, 0, 2, 1, 0];
        for signature in
            [vec![0; length], one, vec![0xff; length], vec![0; length - 1], vec![0; length + 1], vec![0], der.to_vec()]
        {
            bad.push(format!("{text}.{}", encode(signature)));
        }
    }
    // r and s of the curve's order, which are zero there (CVE-2022-21449).
    let order = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
    let order: Vec<u8> = (0..64).step_by(2).filter_map(|at| u8::from_str_radix(&order[at..at + 2], 16).ok()).collect();
    let text = unsigned(&json!({"alg": "ES256", "kid": "es"}), &claims("root"));
    bad.push(format!("{text}.{}", encode([&order[..], &order[..]].concat())));
    // A signature that is good for other claims.
    let (_, signature) = good(&ES256).rsplit_once('.').map(|(a, b)| (a.to_owned(), b.to_owned())).expect("parts");
    bad.push(format!("{text}.{signature}"));
    assert_only_good(&upstream, &gateway, &bad, &good(&ES256)).await;
}

#[tokio::test]
async fn a_token_that_is_too_long_costs_nothing() {
    let (upstream, gateway) = shared().await;
    let long = |bytes: usize| token(&claims_with("u1", json!({"x": "x".repeat(bytes)})));
    assert_refused(&gateway, &long(13_000)).await;
    // So long a head is refused before anybody looks at what is in it.
    let megabyte = long(1024 * 1024);
    let request = format!("GET /x HTTP/1.1\r\nHost: a.test\r\nAuthorization: Bearer {megabyte}\r\n\r\n");
    let answer = gateway.raw(request).await;
    assert!(answer.status().is_some_and(|status| (400..500).contains(&status)), "{:?}", answer.status());
    assert_eq!(upstream.requests().len(), 0);
    sent(&gateway, &long(8_000)).await.expect(200);
}

#[tokio::test]
async fn a_bad_token_is_nobodys_on_an_optional_route_either() {
    let section = format!("{{ providers: [{}] }}", hs256());
    let (upstream, gateway) = guarded(&section, "optional").await;
    assert_refused(&gateway, &token(&claims_with("u1", json!({"exp": 1})))).await;
    assert_refused(&gateway, &format!("{}x", token(&claims("u1")))).await;
    assert_eq!(upstream.requests().len(), 0);
    gateway.get("/x").await.expect(200);
    assert_eq!(upstream.request().header("x-user-id"), None);
}

#[tokio::test]
async fn a_secret_in_a_set_that_others_can_read_is_none() {
    let keys = upstream().start().await;
    let secret = json!({"kty": "oct", "kid": "k", "alg": "HS256", "k": encode(SECRET)});
    let set = json!({"keys": [secret, ES256.jwk()]}).to_string();
    keys.set("/jwks", tidegate_testkit::Script::reply(set));
    let section = format!("{{ providers: [{{ jwt: {{ jwks: {{ url: \"http://{}/jwks\" }} }} }}] }}", keys.addr());
    let (upstream, gateway) = guarded(&section, "require").await;
    let text = unsigned(&json!({"alg": "HS256", "kid": "k"}), &claims("root"));
    assert_only_good(&upstream, &gateway, &[with_hmac(&text, SECRET.as_bytes())], &good(&ES256)).await;
}
