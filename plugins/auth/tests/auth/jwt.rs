//! Signed tokens: which are taken, from where, and what is read of them.

use std::time::Duration;

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use tidegate_testkit::{Answer, TestGateway, certs, manual_clock, upstream};

use crate::support::{
    EDDSA, ES256, ES384, FAR, Issuer, RS256, SECRET, bearer, claims, claims_with, guarded, guarded_yaml, hs256, jwks,
    token, with_auth,
};

/// A section with one JWT provider of these settings.
fn provider(settings: &str) -> String {
    format!(
        "{{ providers: [{{ jwt: {{ {settings} }} }}], identity: {{ headers: {{ X-User-ID: sub, X-Role: roles }} }} }}"
    )
}

/// The same with the key of [`token`].
fn with_secret(settings: &str) -> String {
    provider(&format!("keys: [{{ secret: \"{SECRET}\", algorithms: [HS256] }}], {settings}"))
}

async fn sent(gateway: &TestGateway, token: &str) -> Answer {
    gateway.request(http::Method::GET, "/x").header("Authorization", bearer(token)).send().await
}

fn with_claims(over: Value) -> String {
    token(&claims_with("u1", over))
}

#[tokio::test]
async fn every_algorithm_is_taken_with_its_key() {
    let set = tempfile::NamedTempFile::new().expect("a file");
    let mut keys: Vec<Value> = [&*RS256, &*ES256, &*ES384, &*EDDSA].map(Issuer::jwk).into();
    // For all that RSA is good for.
    keys[0].as_object_mut().expect("an object").remove("alg");
    for (kid, alg) in [("h2", "HS256"), ("h3", "HS384"), ("h5", "HS512")] {
        use base64::Engine as _;
        let k = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(SECRET);
        keys.push(json!({"kty": "oct", "kid": kid, "alg": alg, "k": k}));
    }
    std::fs::write(set.path(), json!({"keys": keys}).to_string()).expect("the set is written");
    let section = provider(&format!("jwks: {{ file: {:?} }}", set.path()));
    let (upstream, gateway) = guarded(&section, "require").await;

    let header = |algorithm, kid: &str| {
        let mut header = Header::new(algorithm);
        header.kid = Some(kid.to_owned());
        header
    };
    use Algorithm::{HS256, HS384, HS512, PS256, PS384, PS512, RS256 as Rs256, RS384, RS512};
    let mut tokens = vec![ES256.token(&claims("u1")), ES384.token(&claims("u1")), EDDSA.token(&claims("u1"))];
    for algorithm in [Rs256, RS384, RS512, PS256, PS384, PS512] {
        tokens.push(RS256.token_with(&header(algorithm, "rs"), &claims("u1")));
    }
    let secret = EncodingKey::from_secret(SECRET.as_bytes());
    for (algorithm, kid) in [(HS256, "h2"), (HS384, "h3"), (HS512, "h5")] {
        tokens.push(jsonwebtoken::encode(&header(algorithm, kid), &claims("u1"), &secret).expect("a token"));
    }
    for token in &tokens {
        sent(&gateway, token).await.expect(200);
    }
    let seen = upstream.requests();
    assert_eq!(seen.len(), 12);
    assert!(seen.iter().all(|request| request.header("x-user-id") == Some("u1")));
    assert_eq!(gateway.metric("tidegate_auth_keys", &[("provider", "jwt")]).await, 7.0);
}

#[tokio::test]
async fn keys_are_taken_as_pem_as_certificates_and_as_base64() {
    let certs = certs();
    let leaf = certs.leaf(&["issuer.test"]);
    let signing = EncodingKey::from_ec_pem(&std::fs::read(&leaf.key).expect("a key")).expect("an EC key");
    let section = provider(&format!(
        "keys: [{{ id: rs, pem: {:?} }}, {{ id: cert, file: {:?} }}, \
         {{ id: hs, secret_base64: \"YS1zZWNyZXQtb2YtdGhpcnR5LXR3by1ieXRlcy0wMTI_Pw\", algorithms: [HS256] }}]",
        RS256.public_pem, leaf.cert,
    ));
    let (_upstream, gateway) = guarded(&section, "require").await;
    sent(&gateway, &RS256.token(&claims("u1"))).await.expect(200);
    let header = |algorithm, kid: &str| {
        let mut header = Header::new(algorithm);
        header.kid = Some(kid.to_owned());
        header
    };
    let signed =
        |header: &Header, key: &EncodingKey| jsonwebtoken::encode(header, &claims("u1"), key).expect("a token");
    sent(&gateway, &signed(&header(Algorithm::ES256, "cert"), &signing)).await.expect(200);
    let secret = EncodingKey::from_secret(b"a-secret-of-thirty-two-bytes-012??");
    sent(&gateway, &signed(&header(Algorithm::HS256, "hs"), &secret)).await.expect(200);
    sent(&gateway, &signed(&header(Algorithm::HS256, "rs"), &secret)).await.expect(401);
}

#[tokio::test]
async fn a_token_is_good_until_exp_and_what_clocks_may_differ_by() {
    let clock = manual_clock();
    let upstream = upstream().reply("/*", "let through").start().await;
    let yaml = guarded_yaml(&upstream, &with_secret("leeway: 30s"), "require");
    let gateway = with_auth().clock(&clock).start(&yaml).await;
    let now = 1_767_225_600;
    let expiring = with_claims(json!({"exp": now + 60}));
    let coming = with_claims(json!({"nbf": now + 60}));
    let future = with_claims(json!({"iat": now + 60}));
    sent(&gateway, &expiring).await.expect(200);
    sent(&gateway, &coming).await.expect(401);
    sent(&gateway, &future).await.expect(401);

    clock.advance(Duration::from_secs(30));
    sent(&gateway, &coming).await.expect(200);
    sent(&gateway, &future).await.expect(200);
    clock.advance(Duration::from_secs(59));
    sent(&gateway, &expiring).await.expect(200);
    clock.advance(Duration::from_secs(1));
    let answer = sent(&gateway, &expiring).await.expect(401);
    assert_eq!(answer.json()["code"], "token_expired", "{}", answer.text());
}

#[tokio::test]
async fn a_remembered_token_expires_as_one_that_is_not() {
    for entries in [0, 1000] {
        let clock = manual_clock();
        let upstream = upstream().reply("/*", "let through").start().await;
        let section = format!(
            "{{ cache: {{ entries: {entries}, max_age: 1h }}, providers: [{{ jwt: {{ leeway: 0s, keys: [{{ secret: \"{SECRET}\", algorithms: [HS256] }}] }} }}] }}"
        );
        let gateway = with_auth().clock(&clock).start(&guarded_yaml(&upstream, &section, "require")).await;
        let token = with_claims(json!({"exp": 1_767_225_600 + 60}));
        for _ in 0..3 {
            sent(&gateway, &token).await.expect(200);
        }
        clock.advance(Duration::from_secs(59));
        sent(&gateway, &token).await.expect(200);
        clock.advance(Duration::from_secs(1));
        sent(&gateway, &token).await.expect(401);
    }
}

#[tokio::test]
async fn a_token_is_for_whom_it_says() {
    let (_upstream, gateway) = guarded(&with_secret("audience: [api, other]"), "require").await;
    for good in [json!("api"), json!("other"), json!(["x", "api"])] {
        sent(&gateway, &with_claims(json!({"aud": good}))).await.expect(200);
    }
    for bad in [json!("x"), json!(["x"]), json!([]), json!("API")] {
        sent(&gateway, &with_claims(json!({"aud": bad}))).await.expect(401);
    }
    sent(&gateway, &token(&claims("u1"))).await.expect(401);

    let (_upstream, gateway) = guarded(&with_secret("any_audience: true"), "require").await;
    sent(&gateway, &with_claims(json!({"aud": "whoever"}))).await.expect(200);
    sent(&gateway, &token(&claims("u1"))).await.expect(200);
}

#[tokio::test]
async fn what_a_token_must_be_is_for_the_configuration_to_say() {
    let settings = "issuer: \"https://a.test\", typ: [at+jwt], require: [exp, email], claims: { type: access, org: { id: 7 } }, \
                    max_lifetime: 1h, algorithms: [HS256]";
    let (_upstream, gateway) = guarded(&with_secret(settings), "require").await;
    let good = json!({
        "iss": "https://a.test", "sub": "u1", "email": "e", "type": "access", "org": {"id": 7}, "iat": FAR - 3600, "exp": FAR,
    });
    let sign = |typ: Option<&str>, claims: &Value| {
        let mut header = Header::new(Algorithm::HS256);
        header.typ = typ.map(str::to_owned);
        jsonwebtoken::encode(&header, claims, &EncodingKey::from_secret(SECRET.as_bytes())).expect("a token")
    };
    // It was issued in the future.
    sent(&gateway, &sign(Some("at+jwt"), &good)).await.expect(401);
    let clock = manual_clock();
    clock.advance(Duration::from_secs(FAR - 1800 - 1_767_225_600));
    let upstream = upstream().reply("/*", "let through").start().await;
    let gateway = with_auth().clock(&clock).start(&guarded_yaml(&upstream, &with_secret(settings), "require")).await;
    sent(&gateway, &sign(Some("at+jwt"), &good)).await.expect(200);
    sent(&gateway, &sign(Some("application/AT+JWT"), &good)).await.expect(200);
    sent(&gateway, &sign(Some("JWT"), &good)).await.expect(401);
    sent(&gateway, &sign(None, &good)).await.expect(401);
    for (name, value) in [
        ("iss", json!("https://a.test/")),
        ("iss", json!(null)),
        ("email", json!(null)),
        ("type", json!("refresh")),
        ("org", json!({"id": 8})),
        ("iat", json!(FAR - 3601)),
        ("iat", json!(null)),
    ] {
        let mut bad = good.clone();
        bad[name] = value;
        let answer = sent(&gateway, &sign(Some("at+jwt"), &bad)).await;
        assert_eq!(answer.status, 401, "{name}");
    }
}

#[tokio::test]
async fn who_is_asking_is_read_where_the_configuration_says() {
    let settings = "subject: user.id, roles: [realm_access.roles, groups]";
    let (upstream, gateway) = guarded(&with_secret(settings), "{ require: { roles: [admin] } }").await;
    let roles = json!({"user": {"id": 42}, "realm_access": {"roles": ["admin"]}, "groups": "dev ops", "roles": ["no"]});
    sent(&gateway, &with_claims(roles)).await.expect(200);
    assert_eq!(
        upstream.request().header("x-role").map(|roles| roles.replace(' ', "")).as_deref(),
        Some("admin,dev,ops")
    );
    sent(&gateway, &with_claims(json!({"user": {"id": "u"}, "roles": ["admin"]}))).await.expect(403);
    sent(&gateway, &with_claims(json!({"roles": ["admin"]}))).await.expect(401);
}

#[tokio::test]
async fn a_token_is_found_where_the_configuration_says_and_stripped() {
    let sources =
        "sources: [{ bearer: true }, { header: X-Token }, { cookie: t }, { query: access_token }], strip: true";
    let (upstream, gateway) = guarded(&with_secret(sources), "require").await;
    let good = token(&claims("u1"));
    let get = |path: &str| gateway.request(http::Method::GET, Box::leak(path.to_owned().into_boxed_str()));
    get("/x").header("Authorization", format!("bEaReR   {good}")).send().await.expect(200);
    get("/x").header("X-Token", &good).send().await.expect(200);
    get("/x").header("Cookie", format!("a=1; t={good}; b=2")).send().await.expect(200);
    get(&format!("/x?a=1&access_token={good}&b=2")).send().await.expect(200);
    for request in upstream.requests() {
        assert_eq!(request.header("x-user-id"), Some("u1"));
        assert!(!format!("{request:?}").contains(&good), "{request:?}");
    }
    get("/x").header("Authorization", format!("Token {good}")).send().await.expect(401);
    get("/x").header("Cookie", format!("other={good}")).send().await.expect(401);
}

#[tokio::test]
async fn tokens_of_several_issuers_each_go_to_their_own_provider() {
    let section = format!(
        "{{ providers: [\
         {{ name: a, jwt: {{ issuer: \"https://a.test\", keys: [{{ pem: {:?} }}] }} }}, \
         {{ name: b, jwt: {{ issuer: \"https://b.test\", keys: [{{ pem: {:?} }}] }} }}], \
         identity: {{ headers: {{ X-User-ID: sub }} }} }}",
        RS256.public_pem, ES256.public_pem
    );
    let (upstream, gateway) = guarded(&section, "require").await;
    let of = |issuer: &Issuer, iss: &str| issuer.token(&claims_with("u1", json!({"iss": iss})));
    sent(&gateway, &of(&RS256, "https://a.test")).await.expect(200);
    sent(&gateway, &of(&ES256, "https://b.test")).await.expect(200);
    assert_eq!(upstream.requests().len(), 2);
    // One issuer's key is good for nothing that another says.
    sent(&gateway, &of(&RS256, "https://b.test")).await.expect(401);
    sent(&gateway, &of(&ES256, "https://a.test")).await.expect(401);
    sent(&gateway, &of(&RS256, "https://c.test")).await.expect(401);
    sent(&gateway, "opaque").await.expect(401);
    assert_eq!(upstream.requests().len(), 2);
}

#[tokio::test]
async fn another_key_after_a_reload_is_another_key_for_remembered_tokens_too() {
    let upstream = upstream().reply("/*", "let through").start().await;
    let yaml = |issuer: &Issuer| {
        let section = provider(&format!("keys: [{{ pem: {:?} }}]", issuer.public_pem));
        guarded_yaml(&upstream, &section, "require")
    };
    let gateway = with_auth().start(&yaml(&RS256)).await;
    let token = RS256.token(&claims("u1"));
    sent(&gateway, &token).await.expect(200);
    gateway.reload(&yaml(&ES256)).await.expect("reloaded");
    sent(&gateway, &token).await.expect(401);
    gateway.reload(&yaml(&RS256)).await.expect("reloaded");
    sent(&gateway, &token).await.expect(200);
}

#[tokio::test]
async fn a_key_that_is_the_only_one_needs_no_kid() {
    let without = |issuer: &Issuer| issuer.token_with(&Header::new(issuer.algorithm), &claims("u1"));
    let only = provider(&format!("keys: [{{ id: rs, pem: {:?} }}]", RS256.public_pem));
    let (_upstream, gateway) = guarded(&only, "require").await;
    sent(&gateway, &without(&RS256)).await.expect(200);
    sent(&gateway, &ES256.token(&claims("u1"))).await.expect(401);

    let set = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(set.path(), jwks(&[&RS256, &ES256])).expect("the set is written");
    let (_upstream, gateway) = guarded(&provider(&format!("jwks: {{ file: {:?} }}", set.path())), "require").await;
    sent(&gateway, &without(&RS256)).await.expect(401);
    sent(&gateway, &RS256.token(&claims("u1"))).await.expect(200);
}

#[tokio::test]
async fn each_step_that_fails_is_counted_by_its_reason() {
    let settings = "audience: [api], issuer: \"https://a.test\", claims: { type: access }, max_lifetime: 60000d";
    let (_upstream, gateway) = guarded(&with_secret(settings), "require").await;
    let good = json!({"iss": "https://a.test", "aud": "api", "type": "access", "iat": 1});
    let with = |over: Value| {
        let mut all = good.clone();
        all.as_object_mut().expect("an object").extend(over.as_object().expect("an object").clone());
        token(&claims_with("u1", all))
    };
    let header = |header: &Header| {
        let claims = claims_with("u1", good.clone());
        jsonwebtoken::encode(header, &claims, &EncodingKey::from_secret(SECRET.as_bytes())).expect("a token")
    };
    let mut odd = Header::new(Algorithm::HS256);
    odd.typ = Some("logout+jwt".to_owned());
    let forged = with(json!({})).rsplit_once('.').map(|(signed, _)| format!("{signed}.{}", "A".repeat(43)));
    for (token, result) in [
        (with(json!({})), "proved"),
        ("x".to_owned(), "malformed"),
        (header(&Header::new(Algorithm::HS512)), "algorithm"),
        (forged.expect("a token"), "signature"),
        (with(json!({"exp": 1})), "expired"),
        (with(json!({"nbf": FAR})), "not_yet_valid"),
        (with(json!({"iat": FAR})), "lifetime"),
        (with(json!({"iss": "https://b.test"})), "issuer"),
        (with(json!({"aud": "other"})), "audience"),
        (header(&odd), "type"),
        (with(json!({"sub": null})), "claims"),
    ] {
        let labels = [("provider", "jwt"), ("result", result)];
        let before = gateway.metric("tidegate_auth_checks_total", &labels).await;
        sent(&gateway, &token).await.expect(if result == "proved" { 200 } else { 401 });
        assert_eq!(gateway.metric("tidegate_auth_checks_total", &labels).await, before + 1.0, "{result}");
    }
}

#[tokio::test]
async fn no_configuration_and_no_check_prints_a_secret() {
    let (_upstream, gateway) = guarded(&format!("{{ providers: [{}] }}", hs256()), "require").await;
    sent(&gateway, &token(&claims("u1"))).await.expect(200);
    let metrics = gateway.metrics_text().await;
    assert!(!metrics.contains(&SECRET[..10]));
    let log = gateway.access_log(1).await.concat();
    assert!(!log.contains("eyJ") && !log.contains(&SECRET[..10]), "{log}");
}

#[tokio::test]
async fn more_than_one_token_is_refused() {
    let provider = format!(
        "{{ jwt: {{ keys: [{{ secret: \"{SECRET}\", algorithms: [HS256] }}], sources: [{{ bearer: true }}, {{ cookie: t }}, {{ query: t }}] }} }}"
    );
    let (upstream, gateway) = guarded(&format!("{{ providers: [{provider}] }}"), "require").await;
    let good = token(&claims("u1"));
    let get = |path: String| gateway.request(http::Method::GET, Box::leak(path.into_boxed_str()));
    let twice = [
        get("/x".into()).header("Authorization", bearer(&good)).header("Authorization", bearer(&good)),
        get("/x".into()).header("Authorization", bearer(&good)).header("Cookie", format!("t={good}")),
        get("/x".into()).header("Cookie", format!("t={good}; t={good}")),
        get(format!("/x?t={good}&t={good}")),
        get(format!("/x?t={good}")).header("Authorization", bearer(&good)),
    ];
    for request in twice {
        assert_eq!(request.send().await.status, 401);
    }
    assert_eq!(upstream.requests().len(), 0);
    get("/x".into()).header("Cookie", format!("t={good}")).send().await.expect(200);
    get(format!("/x?t={good}")).send().await.expect(200);
}
