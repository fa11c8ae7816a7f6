//! Tokens that are refused before they expire (F11-F13, X9).

use std::time::Instant;

use serde_json::json;
use tidegate_core::Method;
use tidegate_testkit::{Answer, Client, Redis, TestGateway, Upstream, call, redis, upstream, wait_until_async};

use super::support::*;

/// Gateways that share one Redis: `revocation` is what their sections say about it.
async fn sharing(redis: &Redis, count: usize, revocation: &str) -> (Upstream, Vec<TestGateway>) {
    let upstream = upstream().reply("/*", "let through").start().await;
    let yaml = shared_yaml(&upstream, redis, revocation);
    let mut gateways = Vec::new();
    for _ in 0..count {
        gateways.push(with_auth().start(&yaml).await);
    }
    (upstream, gateways)
}

fn shared_yaml(upstream: &Upstream, redis: &Redis, revocation: &str) -> String {
    let section = format!("{{ providers: [{}], revocation: {{ store: shared, {revocation} }} }}", hs256());
    let stores = format!("stores: {{ shared: {{ redis: \"{}\", timeout: 10s }} }}\n", redis.url());
    stores + &guarded_yaml(upstream, &section, "require")
}

async fn ask(gateway: &TestGateway, token: &str) -> Answer {
    gateway.request(Method::GET, "/").header("Authorization", bearer(token)).send().await
}

async fn admin(gateway: &TestGateway, path: &str) -> Answer {
    Client::connect(gateway.admin_addr()).await.send(call(Method::POST, path)).await
}

fn with_jti(subject: &str, jti: &str) -> String {
    token(&claims_with(subject, json!({ "jti": jti, "iat": 1_000_000_000 })))
}

async fn caught_up(gateway: &TestGateway) {
    wait_until_async("everything that was revoked is known", async || {
        let summary = gateway.admin("/auth/").await.expect(200).json();
        summary["revocations"]["caught_up"] == json!(true)
    })
    .await;
}

async fn asked(gateway: &TestGateway) -> f64 {
    gateway.metric("tidegate_store_requests_total", &[]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_revoked_here_is_refused_at_once_and_elsewhere_within_the_time_to_learn() {
    let redis = redis().await;
    let (_upstream, gateways) = sharing(&redis, 2, "learn: 200ms").await;
    let (gone, stays) = (with_jti("u1", "gone"), with_jti("u1", "stays"));
    for gateway in &gateways {
        ask(gateway, &gone).await.expect(200);
    }
    admin(&gateways[0], "/auth/revoke?jti=gone&for=1h").await.expect(200);
    let refused = ask(&gateways[0], &gone).await.expect(401);
    assert_eq!(refused.json()["code"], "token_revoked");
    wait_until_async("the other gateway has learned", async || ask(&gateways[1], &gone).await.status == 401).await;
    for gateway in &gateways {
        ask(gateway, &stays).await.expect(200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_tokens_of_a_subject_can_be_revoked_and_those_of_others_stay() {
    let redis = redis().await;
    let (_upstream, gateways) = sharing(&redis, 1, "learn: 200ms").await;
    let gateway = &gateways[0];
    admin(gateway, "/auth/revoke?sub=u1").await.expect(200);
    for jti in ["a", "b"] {
        assert_eq!(ask(gateway, &with_jti("u1", jti)).await.expect(401).json()["code"], "token_revoked");
        ask(gateway, &with_jti("u2", jti)).await.expect(200);
    }
    let later = token(&claims_with("u1", json!({ "iat": in_seconds(5) })));
    ask(gateway, &later).await.expect(200);
}

fn in_seconds(seconds: u64) -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("later");
    now.as_secs() + seconds
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_forged_tokens_cause_no_question_to_a_store() {
    let redis = redis().await;
    // Strict: every token that is good is asked about.
    let (_upstream, gateways) = sharing(&redis, 1, "mode: strict").await;
    let gateway = &gateways[0];
    let good = with_jti("u1", "a");
    ask(gateway, &good).await.expect(200);
    let before = (asked(gateway).await, redis.calls("mget").await);
    for hundred in 0..100 {
        let mut client = gateway.connect().await;
        for n in 0..100 {
            let forged = forged(&with_jti("u1", &format!("{hundred}-{n}")));
            client.send(call(Method::GET, "/").header("Authorization", bearer(&forged))).await.expect(401);
        }
    }
    assert_eq!((asked(gateway).await, redis.calls("mget").await), before);
    ask(gateway, &good).await.expect(200);
    assert!(asked(gateway).await > before.0, "a good one is asked about");
}

/// A key that nobody has could be one that another gateway has just made: asking for it must not be what a stranger can
/// have done ten thousand times.
#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_tokens_of_unknown_keys_cause_next_to_no_question_to_a_store() {
    let redis = redis().await;
    let upstream = upstream().reply("/*", "let through").start().await;
    let secret = "a-secret-that-seals-the-keys-of-the-tests-0123456789";
    let section = format!(
        "{{ service: {{ issuer: \"https://gw.example\", store: {{ redis: shared, secret: \"{secret}\" }} }}, \
         revocation: {{ learn: 1h }} }}"
    );
    let stores = format!("stores: {{ shared: {{ redis: \"{}\", timeout: 10s }} }}\n", redis.url());
    let gateway = with_auth().start(&(stores + &guarded_yaml(&upstream, &section, "require"))).await;
    caught_up(&gateway).await;
    let claims = json!({
        "iss": "https://gw.example", "aud": "api", "sub": "u1", "exp": FAR, "iat": in_seconds(0), "jti": "a",
        "sid": "00000000000000000000000000000001", "type": "access",
    });
    let (before, begun) = (asked(&gateway).await, Instant::now());
    for hundred in 0..100 {
        let mut client = gateway.connect().await;
        for n in 0..100 {
            let kid = Some(format!("{hundred}-{n}"));
            let header = jsonwebtoken::Header {
                kid,
                typ: Some("at+jwt".to_owned()),
                ..jsonwebtoken::Header::new(ES256.algorithm)
            };
            let forged = ES256.token_with(&header, &claims);
            client.send(call(Method::GET, "/").header("Authorization", bearer(&forged))).await.expect(401);
        }
    }
    let questions = asked(&gateway).await - before;
    // One look a second is allowed, however long it takes.
    let most = 10.0 + 2.0 * begun.elapsed().as_secs_f64();
    assert!(questions <= most, "{questions}, not {most}");
}

#[tokio::test(flavor = "multi_thread")]
async fn in_local_mode_good_tokens_cause_no_question_either() {
    let redis = redis().await;
    let (_upstream, gateways) = sharing(&redis, 1, "learn: 1h").await;
    let gateway = &gateways[0];
    caught_up(gateway).await;
    let before = asked(gateway).await;
    let mut client = gateway.connect().await;
    for n in 0..200 {
        let token = with_jti("u1", &n.to_string());
        client.send(call(Method::GET, "/").header("Authorization", bearer(&token))).await.expect(200);
    }
    assert_eq!(asked(gateway).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_store_follows_on_store_error_and_is_never_an_error_of_ours() {
    for (revocation, status) in [
        ("mode: strict", 503),
        ("mode: strict, on_store_error: allow", 200),
        ("learn: 100ms", 200),
        ("learn: 100ms, on_store_error: deny", 503),
    ] {
        let mut redis = redis().await;
        let (_upstream, gateways) = sharing(&redis, 1, revocation).await;
        let (gateway, token, gone) = (&gateways[0], with_jti("u1", "a"), with_jti("u1", "gone"));
        ask(gateway, &token).await.expect(200);
        admin(gateway, "/auth/revoke?jti=gone").await.expect(200);
        redis.kill().await;
        let mut seen = std::collections::BTreeSet::new();
        wait_until_async(&format!("{status} with {revocation}"), async || {
            let answer = ask(gateway, &token).await;
            seen.insert(answer.status);
            if answer.status == 503 {
                assert_eq!(answer.json()["code"], "store_unavailable", "{revocation}");
                assert!(answer.headers.has("Retry-After"), "{answer:#?}");
            }
            let lost = gateway.metric("tidegate_auth_revocations_store_lost", &[]).await == 1.0;
            answer.status == status && (lost || revocation.starts_with("mode"))
        })
        .await;
        assert!(seen.iter().all(|status| [200, 503].contains(status)), "{revocation}: {seen:?}");
        // What was revoked here is known here.
        ask(gateway, &gone).await.expect(401);
        redis.restart().await;
        wait_until_async("the store is back", async || ask(gateway, &token).await.status == 200).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_forgets_neither_good_tokens_nor_revoked_ones() {
    let mut redis = redis().await;
    let (upstream, gateways) = sharing(&redis, 1, "learn: 1h").await;
    let gateway = &gateways[0];
    caught_up(gateway).await;
    let (good, gone) = (with_jti("u1", "a"), with_jti("u1", "gone"));
    ask(gateway, &good).await.expect(200);
    admin(gateway, "/auth/revoke?jti=gone").await.expect(200);
    let misses = gateway.metric("tidegate_auth_cache_misses_total", &[]).await;
    // Nobody could be asked again.
    let yaml = shared_yaml(&upstream, &redis, "learn: 1h") + "trusted_proxies: [10.0.0.0/8]\n";
    redis.kill().await;
    gateway.reload(&yaml).await.expect("reloaded");
    ask(gateway, &good).await.expect(200);
    assert_eq!(gateway.metric("tidegate_auth_cache_misses_total", &[]).await, misses, "its signature is checked anew");
    assert_eq!(ask(gateway, &gone).await.expect(401).json()["code"], "token_revoked");
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_are_told_what_is_going_on_and_what_they_got_wrong() {
    let redis = redis().await;
    let (_upstream, gateways) = sharing(&redis, 1, "learn: 200ms").await;
    let gateway = &gateways[0];
    ask(gateway, &with_jti("u1", "a")).await.expect(200);
    caught_up(gateway).await;
    admin(gateway, "/auth/revoke?jti=b").await.expect(200);
    let summary = gateway.admin("/auth/").await.expect(200).json();
    assert_eq!(summary["providers"][0]["name"], "jwt", "{summary}");
    assert_eq!(summary["cache"]["tokens"], 1, "{summary}");
    assert_eq!(summary["revocations"]["known"], 1, "{summary}");
    for (path, status) in [
        ("/auth/revoke", 400),
        ("/auth/revoke?jti=", 400),
        ("/auth/revoke?jti=a&sub=b", 400),
        ("/auth/revoke?jti=a&for=soon", 400),
        ("/auth/revoke?jti=a&for=9999d", 400),
        ("/auth/nothing", 404),
        ("/auth/", 405),
    ] {
        assert_eq!(admin(gateway, path).await.status, status, "{path}");
    }
    gateway.admin("/auth/revoke?jti=a").await.expect(405);
    gateway.admin("/auth/sessions?user=u1").await.expect(404);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_store_nothing_is_revoked_and_an_operator_is_told_so() {
    let (_upstream, gateway) = guarded(&format!("{{ providers: [{}] }}", hs256()), "require").await;
    admin(&gateway, "/auth/revoke?jti=a").await.expect(404);
    assert!(gateway.admin("/auth/").await.json()["revocations"].is_null());
    ask(&gateway, &with_jti("u1", "a")).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_is_forgotten_when_the_token_has_expired() {
    let redis = redis().await;
    let (_upstream, gateways) = sharing(&redis, 1, "learn: 100ms").await;
    admin(&gateways[0], "/auth/revoke?jti=brief&for=5s").await.expect(200);
    let key = format!("auth:{{r}}:token:{}", "*");
    let left = async || redis.ask::<Vec<String>>(tidegate_core::redis::cmd("KEYS").arg(&key)).await.len();
    assert_eq!(left().await, 1);
    wait_until_async("Redis has forgotten", async || left().await == 0).await;
}

/// RFC 7519 section 4.1.7: a `jti` says which token only among those of its issuer, and so does a `sub`.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_revoked_of_one_issuer_is_not_of_another() {
    let redis = redis().await;
    let (_upstream, gateways) = sharing(&redis, 1, "learn: 200ms").await;
    let gateway = &gateways[0];
    let of = |issuer: &str, subject: &str, jti: &str| {
        token(&claims_with(subject, json!({ "iss": issuer, "jti": jti, "iat": 1_000_000_000 })))
    };
    caught_up(gateway).await;
    admin(gateway, "/auth/revoke?jti=1&iss=https%3A%2F%2Fa.example").await.expect(200);
    admin(gateway, "/auth/revoke?sub=jane&iss=https%3A%2F%2Fb.example").await.expect(200);
    let (a, b) = ("https://a.example", "https://b.example");
    for (issuer, subject, jti, status) in
        [(a, "john", "1", 401), (b, "john", "1", 200), (b, "jane", "2", 401), (a, "jane", "2", 200)]
    {
        assert_eq!(ask(gateway, &of(issuer, subject, jti)).await.status, status, "{issuer} {subject} {jti}");
    }
    ask(gateway, &with_jti("jane", "1")).await.expect(200);
    // Whoever doesn't say of which issuer means all.
    admin(gateway, "/auth/revoke?sub=jane").await.expect(200);
    for token in [of(a, "jane", "2"), of(b, "jane", "3"), with_jti("jane", "4")] {
        ask(gateway, &token).await.expect(401);
    }
    ask(gateway, &of(b, "john", "1")).await.expect(200);
    admin(gateway, "/auth/revoke?sub=jane&iss=").await.expect(400);
}

/// The name stays, and what it names is another server: what was read of the first says nothing of the second.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_moves_is_read_from_its_beginning() {
    let (old, new) = (redis().await, redis().await);
    let (_up, elsewhere) = sharing(&new, 1, "learn: 200ms").await;
    admin(&elsewhere[0], "/auth/revoke?jti=gone&for=1h").await.expect(200);
    let (upstream, gateways) = sharing(&old, 1, "learn: 200ms").await;
    let gateway = &gateways[0];
    // So that its place in the log is later than that of what the other server has.
    admin(gateway, "/auth/revoke?jti=other&for=1h").await.expect(200);
    caught_up(gateway).await;
    ask(gateway, &with_jti("u1", "gone")).await.expect(200);
    gateway.reload(&shared_yaml(&upstream, &new, "learn: 200ms")).await.expect("a good configuration");
    ask(gateway, &with_jti("u1", "gone")).await.expect(401);
    caught_up(gateway).await;
    ask(gateway, &with_jti("u1", "gone")).await.expect(401);
    ask(gateway, &with_jti("u1", "other")).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn revocations_are_kept_below_a_prefix() {
    let redis = redis().await;
    let (_a, first) = sharing(&redis, 2, "learn: 200ms, prefix: gate").await;
    let (_b, other) = sharing(&redis, 1, "learn: 200ms").await;
    admin(&first[0], "/auth/revoke?jti=gone&for=1h").await.expect(200);
    let gone = with_jti("u1", "gone");
    wait_until_async("the other one has learned", async || ask(&first[1], &gone).await.status == 401).await;
    ask(&other[0], &gone).await.expect(200);
    let keys: Vec<String> = redis.ask(tidegate_core::redis::cmd("KEYS").arg("*")).await;
    assert!(!keys.is_empty() && keys.iter().all(|key| key.starts_with("gate:")), "{keys:?}");
    let upstream = upstream().start().await;
    let error = with_auth().check(&shared_yaml(&upstream, &redis, "prefix: \"a b\"")).expect_err("a blank");
    assert!(error.contains("auth.revocation.prefix"), "{error}");
    let alone =
        guarded_yaml(&upstream, &format!("{{ providers: [{}], revocation: {{ prefix: a }} }}", hs256()), "require");
    let error = with_auth().check(&alone).expect_err("no store");
    assert!(error.contains("auth.revocation.prefix"), "{error}");
}
