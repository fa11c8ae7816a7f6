//! Everything is as it should be.

use http::Method;
use serde_json::json;
use sha2::{Digest, Sha256};
use tidegate_testkit::{Script, manual_clock, upstream};

use super::kit::{
    KEY, METADATA, OPEN, challenge, changed_world, cookie, form, is_over, issuer, provider, section, sent, world,
};
use crate::issuing::site::{code, file_store, pair, part, post, status, yaml};
use crate::support::{bearer, with_auth};

#[tokio::test]
async fn a_browser_is_sent_away_with_a_question_of_its_own() {
    let world = world(&format!("{OPEN}, parameters: {{ prompt: select_account }}"), "").await;
    assert_eq!(world.op.requests().len(), 0, "nobody has asked yet");
    let answer = world.gateway.get("/auth/login/op?return_to=%2Fnotes%3Fa%3Db").await.expect(303);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let one = sent(&answer);
    assert!(one.url.starts_with(&format!("{}/authorize?theme=dark&", issuer(&world.op))), "{}", one.url);
    for (name, value) in [
        ("theme", "dark"),
        ("response_type", "code"),
        ("client_id", "us"),
        ("redirect_uri", "https://api.test/auth/login/op/callback"),
        ("scope", "openid email profile"),
        ("code_challenge_method", "S256"),
        ("prompt", "select_account"),
    ] {
        assert_eq!(one.asked[name], value);
    }
    assert_eq!(one.asked.len(), 10, "{:?}", one.asked);
    let set: Vec<_> = answer.headers.all("set-cookie").collect();
    let attributes = set[0].split_once("; ").expect("attributes").1;
    assert_eq!((set.len(), attributes), (1, "Path=/; Max-Age=600; HttpOnly; Secure; SameSite=Lax"));
    let two = world.begin("").await;
    for secret in ["state", "nonce", "code_challenge"] {
        assert_eq!(one.asked[secret].len(), 43);
        assert_ne!(one.asked[secret], two.asked[secret]);
        assert!(!one.cookie.contains(&one.asked[secret]), "it is sealed");
    }
    assert_eq!((world.asked(METADATA), world.asked("/jwks")), (1, 1), "it is asked once");
    assert_eq!(world.counted("begun").await, 2.0);
}

#[tokio::test]
async fn who_is_known_there_is_logged_in_here() {
    let world = world(OPEN, "access: { claims: [name, email] }").await;
    let sent = world.begin("").await;
    let mut claims = world.claims("ada", &sent);
    for (name, value) in [("name", json!("Ada")), ("email", json!("ada@mail.test")), ("email_verified", json!(true))] {
        claims[name] = value;
    }
    world.grants(&KEY.token(&claims));
    let answer = world.back_with_code(&sent).await.expect(200);
    assert!(is_over(&answer));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let pair = pair(&answer);
    let said = part(&pair.access, 1);
    assert_eq!(
        (&said["roles"], &said["name"], &said["email"]),
        (&json!(["user"]), &json!("Ada"), &json!("ada@mail.test"))
    );
    assert_eq!(status(&world.gateway, &pair.access).await, 200);

    let exchange = world.op.requests().into_iter().find(|request| request.path() == "/token").expect("an exchange");
    // "us" and "s3:cret", each encoded first (RFC 6749 section 2.3.1).
    assert_eq!(exchange.header("authorization"), Some("Basic dXM6czMlM0FjcmV0"));
    assert_eq!(exchange.header("content-type"), Some("application/x-www-form-urlencoded"));
    let fields = form(&exchange.text());
    assert_eq!(challenge(&fields["code_verifier"]), sent.asked["code_challenge"]);
    assert_eq!(fields["grant_type"], "authorization_code");
    assert_eq!((fields["code"].as_str(), &fields["redirect_uri"]), ("good", &sent.asked["redirect_uri"]));
    assert_eq!(fields.len(), 4);

    let again = part(&crate::issuing::site::pair(&world.log_in("ada", json!({})).await.expect(200)).access, 1);
    assert_eq!(again["sub"], said["sub"], "the same account");
    let other = part(&crate::issuing::site::pair(&world.log_in("eve", json!({})).await.expect(200)).access, 1);
    assert_ne!(other["sub"], said["sub"]);
    assert_eq!((world.events("signup").await, world.events("login").await), (2.0, 3.0));
    assert_eq!(world.counted("logged_in").await, 3.0);
}

#[tokio::test]
async fn a_new_device_is_told_of_as_after_a_password() {
    let world = world(OPEN, "").await;
    world.log_in("ada", json!({})).await.expect(200);
    let before = world.events("login_new").await;
    let sent = world.begin("").await;
    world.grants(&KEY.token(&world.claims("ada", &sent)));
    let path = format!("/auth/login/op/callback?code=good&state={}", sent.asked["state"]);
    let request = world.gateway.request(Method::GET, &path).header("cookie", &*sent.cookie);
    request.header("user-agent", "another browser").send().await.expect(200);
    assert_eq!(world.events("login_new").await, before + 1.0);
}

#[tokio::test]
async fn a_browser_goes_on_where_it_wanted_to_with_its_cookies() {
    let wanted = [("delivery: { cookie: {} }", "__Host-access"), ("session: {}", "__Host-session")];
    for (delivery, name) in wanted {
        let world = world(&format!("{OPEN}, return_to: /home"), delivery).await;
        for (query, place) in [("", "/home"), ("?return_to=/notes?a=b%2Bc%23d", "/notes?a=b+c#d")] {
            let sent = world.begin(query).await;
            world.grants(&KEY.token(&world.claims("ada", &sent)));
            let answer = world.back_with_code(&sent).await.expect(303);
            assert_eq!(answer.header("location"), Some(place));
            assert_eq!(answer.text(), "");
            assert!(is_over(&answer));
            let access = cookie(&answer, name).expect("a cookie");
            let page =
                world.gateway.request(Method::GET, "/app").header("cookie", format!("{access}; {}", sent.cookie));
            page.send().await.expect(200);
            let seen = world.upstream.requests().pop().expect("a request");
            assert_eq!(seen.header("cookie"), None, "none of it is an upstream's business");
        }
    }
}

#[tokio::test]
async fn a_secret_is_shown_as_the_provider_or_the_configuration_wants_it() {
    for (config, methods, authorization, fields) in [
        ("client_secret: s", json!(["client_secret_post"]), false, vec!["client_id", "client_secret"]),
        ("client_secret: s", json!(["client_secret_post", "client_secret_basic"]), true, vec![]),
        (
            "client_secret: s, client_auth: post",
            json!(["client_secret_basic"]),
            false,
            vec!["client_id", "client_secret"],
        ),
        ("client_secret: s, client_auth: basic", json!(["client_secret_post"]), true, vec![]),
        ("", json!(["none"]), false, vec!["client_id"]),
    ] {
        let comma = if config.is_empty() { "" } else { ", " };
        let world = world(&format!("{config}{comma}signup: true"), "").await;
        super::kit::says(&world.op, json!({ "token_endpoint_auth_methods_supported": methods }));
        world.log_in("ada", json!({})).await.expect(200);
        let exchange = world.op.requests().into_iter().find(|request| request.path() == "/token").expect("an exchange");
        assert_eq!(exchange.header("authorization").is_some(), authorization, "{config}");
        let sent = form(&exchange.text());
        let of_client: Vec<_> = sent.keys().filter(|name| name.starts_with("client_")).collect();
        assert_eq!(of_client, fields, "{config}");
    }
}

#[tokio::test]
async fn userinfo_says_what_the_token_does_not() {
    let config =
        format!("{OPEN}, userinfo: true, roles_from: {{ claim: groups, map: {{ staff: editor, boss: admin }} }}");
    let world = world(&config, "access: { claims: [name] }").await;
    let me = |claims: serde_json::Value| world.op.set("/me", Script::reply(claims.to_string()));
    me(json!({ "sub": "ada", "name": "There", "groups": ["staff"] }));
    let said = part(&pair(&world.log_in("ada", json!({ "groups": ["boss"] })).await.expect(200)).access, 1);
    assert_eq!((&said["name"], &said["roles"]), (&json!("There"), &json!(["user", "admin"])), "what is signed wins");
    let asked = world.op.requests().into_iter().find(|request| request.path() == "/me").expect("it was asked");
    assert_eq!(asked.header("authorization"), Some("Bearer opaque"));
    me(json!({ "sub": "eve", "name": "Eve" }));
    assert_eq!(code(&world.log_in("ada", json!({})).await.expect(401)), "login_refused");
    me(json!({ "name": "nobody" }));
    assert_eq!(code(&world.log_in("ada", json!({})).await.expect(401)), "login_refused");
    world.op.set("/me", Script::status(403));
    assert_eq!(code(&world.log_in("ada", json!({})).await.expect(503)), "provider_unavailable");
}

#[tokio::test]
async fn an_access_token_that_is_named_is_the_one_that_came_along() {
    let world = world(OPEN, "").await;
    let half = |token: &str| {
        use base64::Engine as _;
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(&Sha256::digest(token)[..16])
    };
    world.log_in("ada", json!({ "at_hash": half("opaque") })).await.expect(200);
    let refused = world.log_in("ada", json!({ "at_hash": half("another") })).await.expect(401);
    assert_eq!(code(&refused), "login_refused");
}

#[tokio::test]
async fn keys_that_the_provider_has_now_are_found() {
    let world = world(&format!("{OPEN}, fetch: {{ cooldown: 30s }}"), "").await;
    world.log_in("ada", json!({})).await.expect(200);
    let new = &*crate::support::RS256;
    world.op.set("/jwks", Script::reply(crate::support::jwks(&[new])));
    world.clock.advance(std::time::Duration::from_secs(31));
    let sent = world.begin("").await;
    world.grants(&new.token(&world.claims("ada", &sent)));
    world.back_with_code(&sent).await.expect(200);
}

#[tokio::test]
async fn a_login_outlives_a_reload_and_a_check_asks_nobody() {
    let (op, app) = (provider().await, upstream().reply("/*", "ok").start().await);
    let (dir, clock) = (tempfile::tempdir().expect("a directory"), manual_clock());
    let yaml = |more: &str| yaml(&app, &file_store(dir.path()), &section(&op, &format!("{OPEN}{more}"), ""), "");
    with_auth().check(&yaml("")).expect("good");
    assert_eq!(op.requests().len(), 0);
    let gateway = with_auth().clock(&clock).start(&yaml("")).await;
    let sent = sent(&gateway.get("/auth/login/op").await.expect(303));
    gateway.reload(&yaml(", return_to: /x")).await.expect("good");
    let query = format!("/auth/login/op/callback?error=access_denied&state={}", sent.asked["state"]);
    let answer = gateway.request(Method::GET, &query).header("cookie", &*sent.cookie).send().await.expect(401);
    assert_eq!(code(&answer), "login_declined");
}

#[tokio::test]
async fn only_what_there_is_is_served_by_its_methods() {
    let world = world(OPEN, "").await;
    for path in ["/auth/login/other", "/auth/login/other/callback", "/auth/login/op/x", "/auth/login/"] {
        world.gateway.get(path).await.expect(404);
    }
    for (method, path, allow) in [
        (Method::HEAD, "/auth/login/op", "GET, POST"),
        (Method::PUT, "/auth/login/op", "GET, POST"),
        (Method::HEAD, "/auth/login/op/callback", "GET"),
        (Method::POST, "/auth/login/op/callback", "GET"),
    ] {
        let answer = world.gateway.request(method, path).send().await.expect(405);
        assert_eq!(answer.header("allow"), Some(allow), "{path}");
    }
    assert_eq!(world.op.requests().len(), 0);
    let token = pair(&world.log_in("ada", json!({})).await.expect(200)).access;
    let me = world.gateway.request(Method::GET, "/auth/me").header("authorization", bearer(&token)).send().await;
    let name = me.expect(200).json()["name"].as_str().expect("a name").to_owned();
    assert!(name.starts_with("op-") && name.len() == 19, "{name}");
    let guess = json!({ "name": name, "password": "whatever it may be" });
    post(&world.gateway, "/auth/login", &guess).send().await.expect(401);
}

#[tokio::test]
async fn callbacks_are_limited_as_logins_are() {
    let limited = |yaml: String| yaml.replace("client: 100000", "client: 2");
    let world = changed_world(OPEN, "", limited).await;
    for _ in 0..2 {
        world.log_in("ada", json!({})).await.expect(200);
    }
    let exchanges = world.asked("/token");
    assert!(world.log_in("ada", json!({})).await.expect(429).headers.has("retry-after"));
    assert_eq!(world.asked("/token"), exchanges);
    // What is no answer to a login costs nobody an attempt.
    world.clock.advance(std::time::Duration::from_secs(900));
    for _ in 0..5 {
        world.back("", &[("code", "x"), ("state", "y")]).await.expect(400);
    }
    world.log_in("ada", json!({})).await.expect(200);
}
