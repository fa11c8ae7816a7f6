//! From sign-up to logout.

use http::Method;
use serde_json::json;
use tidegate_testkit::Http;

use super::site::{PASSWORD, code, pair, part, post, site};
use crate::support::bearer;

#[tokio::test]
async fn a_client_signs_up_logs_in_is_let_through_refreshes_and_logs_out() {
    let site = site("").await;
    site.sign_up("Jane").await;
    let answer = post(&site.gateway, "/auth/login", &json!({ "name": " jane ", "password": PASSWORD })).send().await;
    let answer = answer.expect(200);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let json = answer.json();
    assert_eq!((&json["token_type"], &json["expires_in"]), (&json!("Bearer"), &json!(900)));
    assert_eq!(json["refresh_expires_in"], json!(7 * 24 * 3600));
    let first = pair(&answer);

    assert_eq!(site.status(&first.access).await, 200);
    let me = site.get("/auth/me", &first.access).await.expect(200).json();
    assert_eq!((&me["name"], &me["email"], &me["roles"]), (&json!("Jane"), &json!("Jane@mail.test"), &json!(["user"])));
    assert_eq!((&me["created"], &me["totp"]), (&json!("2026-01-01T00:00:00Z"), &json!(false)));
    assert_eq!(site.upstream.request().header("x-user-id"), me["id"].as_str());

    site.pass(60);
    let second = pair(&site.refresh(&first.refresh).await.expect(200));
    assert_ne!((&first.access, &first.refresh), (&second.access, &second.refresh));
    assert_eq!((site.status(&first.access).await, site.status(&second.access).await), (200, 200));

    site.logout(&second.access).await.expect(204);
    for access in [&first.access, &second.access] {
        let answer = site.get("/app", access).await.expect(401);
        assert_eq!(code(&answer), "token_revoked", "every token of the login");
    }
    let answer = site.refresh(&second.refresh).await.expect(401);
    assert_eq!(code(&answer), "invalid_token");
    site.logout(&second.access).await.expect(204);
}

#[tokio::test]
async fn an_access_token_says_what_is_configured_and_ends_sharp() {
    let site = site("access: { ttl: 5m, claims: [name, email] }, audience: shop").await;
    let pair = site.join("jane").await;
    let (header, claims) = (part(&pair.access, 0), part(&pair.access, 1));
    assert_eq!((&header["typ"], &header["alg"]), (&json!("at+jwt"), &json!("ES256")));
    assert!(header["kid"].is_string());
    let now = 1_767_225_600;
    assert_eq!(claims["iss"], "https://api.test");
    assert_eq!(claims["aud"], "shop");
    assert_eq!((&claims["iat"], &claims["exp"]), (&json!(now), &json!(now + 300)));
    assert_eq!((&claims["type"], &claims["roles"]), (&json!("access"), &json!(["user"])));
    assert_eq!((&claims["name"], &claims["email"]), (&json!("jane"), &json!("jane@mail.test")));
    let ids = ["sub", "jti", "sid"].map(|id| claims[id].as_str().expect("an id").len());
    assert_eq!((ids, claims.as_object().expect("claims").len()), ([32; 3], 11));

    site.pass(299);
    assert_eq!(site.status(&pair.access).await, 200);
    site.pass(1);
    assert_eq!(code(&site.get("/app", &pair.access).await.expect(401)), "token_expired");
}

#[tokio::test]
async fn a_name_may_be_an_address_and_a_body_says_which() {
    let site = site("").await;
    let body = json!({ "name": "jane@mail.test", "password": PASSWORD });
    post(&site.gateway, "/auth/signup", &body).send().await.expect(201);
    let login = |body| post(&site.gateway, "/auth/login", &body).send();
    login(json!({ "email": "JANE@mail.test", "password": PASSWORD })).await.expect(200);
    let both = json!({ "email": "jane@mail.test", "name": "jane@mail.test", "password": PASSWORD });
    login(both).await.expect(400);
    login(json!({ "password": PASSWORD })).await.expect(400);
}

#[tokio::test]
async fn logging_out_everywhere_ends_every_login_and_a_new_one_is_good_at_once() {
    let site = site("").await;
    let (one, two) = (site.join("jane").await, site.log_in("jane").await);
    let other = site.join("john").await;
    let all = site.gateway.post("/auth/logout-all").header("authorization", bearer(&one.access));
    all.send().await.expect(204);
    for pair in [&one, &two] {
        assert_eq!(site.status(&pair.access).await, 401);
        site.refresh(&pair.refresh).await.expect(401);
    }
    assert_eq!(site.status(&other.access).await, 200, "nobody else's");
    // In the same second, which a revocation of everything before can't tell apart.
    let new = site.log_in("jane").await;
    assert_eq!(site.status(&new.access).await, 200);
    let newer = pair(&site.refresh(&new.refresh).await.expect(200));
    assert_eq!(site.status(&newer.access).await, 200);
}

#[tokio::test]
async fn a_logout_takes_either_token_and_only_ends_what_was_presented() {
    let site = site("").await;
    let (one, two) = (site.join("jane").await, site.log_in("jane").await);
    // By the refresh token alone: the access token may have expired.
    let body = json!({ "refresh_token": one.refresh });
    post(&site.gateway, "/auth/logout", &body).send().await.expect(204);
    assert_eq!((site.status(&one.access).await, site.status(&two.access).await), (401, 200));
    site.refresh(&one.refresh).await.expect(401);
    // By both.
    let body = json!({ "refresh_token": two.refresh });
    let logout = post(&site.gateway, "/auth/logout", &body).header("authorization", bearer(&two.access));
    logout.send().await.expect(204);
    assert_eq!(site.status(&two.access).await, 401);
    // By none.
    let answer = site.gateway.post("/auth/logout").send().await.expect(401);
    assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
    // The user is who the token says, whatever the body has.
    let three = site.log_in("jane").await;
    let body = json!({ "user": "x" });
    let logout = post(&site.gateway, "/auth/logout", &body).header("authorization", bearer(&three.access));
    logout.send().await.expect(400);
    assert_eq!(site.status(&three.access).await, 200);
}

#[tokio::test]
async fn a_session_is_listed_and_ended_from_another() {
    let site = site("").await;
    site.sign_up("jane").await;
    let login = |agent: &str| {
        let body = json!({ "name": "jane", "password": PASSWORD });
        post(&site.gateway, "/auth/login", &body).header("user-agent", agent.to_owned()).send()
    };
    let (phone, desk) = (pair(&login("Phone").await.expect(200)), pair(&login("Desk").await.expect(200)));
    let list = site.get("/auth/sessions", &desk.access).await.expect(200).json();
    let list = list["sessions"].as_array().expect("a list").clone();
    let of = |agent: &str| list.iter().find(|session| session["agent"] == agent).expect("listed");
    assert_eq!((list.len(), &of("Desk")["current"], &of("Phone")["current"]), (2, &json!(true), &json!(false)));
    assert_eq!(of("Phone")["client"], "127.0.0.1");
    let path = format!("/auth/sessions/{}", of("Phone")["id"].as_str().expect("an id"));

    let stranger = site.join("john").await;
    let end = |access: &str| site.gateway.request(Method::DELETE, &path).header("authorization", bearer(access)).send();
    end(&stranger.access).await.expect(404);
    assert_eq!(site.status(&phone.access).await, 200);
    end(&desk.access).await.expect(204);
    assert_eq!((site.status(&phone.access).await, site.status(&desk.access).await), (401, 200));
    site.refresh(&phone.refresh).await.expect(401);
    end(&desk.access).await.expect(404);
}

#[tokio::test]
async fn the_oldest_session_ends_when_there_are_too_many() {
    let dir = tempfile::tempdir().expect("a directory");
    let upstream = tidegate_testkit::upstream().reply("/*", "").start().await;
    let store = format!("{{ file: {:?}, max_sessions: 2 }}", dir.path().join("a.redb"));
    let gateway = crate::support::with_auth().start(&super::site::yaml(&upstream, &store, "", "")).await;
    super::site::sign_up(&gateway, "jane").await;
    let mut pairs = Vec::new();
    for _ in 0..3 {
        pairs.push(super::site::log_in(&gateway, "jane").await);
    }
    let mut statuses = Vec::new();
    for pair in &pairs {
        statuses.push(super::site::status(&gateway, &pair.access).await);
    }
    assert_eq!(statuses.iter().filter(|status| **status == 401).count(), 1, "{statuses:?}");
    assert_eq!(statuses[2], 200, "the newest stays");
}

#[tokio::test]
async fn both_versions_of_http_are_served() {
    let site = site("").await;
    site.sign_up("jane").await;
    for http in Http::BOTH {
        let body = json!({ "name": "jane", "password": PASSWORD });
        let pair = pair(&post(&site.gateway, "/auth/login", &body).by(http).send().await.expect(200));
        let me = site.gateway.request(Method::GET, "/auth/me").header("authorization", bearer(&pair.access)).by(http);
        assert_eq!(me.send().await.expect(200).json()["name"], "jane");
    }
}

#[tokio::test]
async fn what_is_done_is_counted() {
    let site = site("").await;
    let pair = site.join("jane").await;
    site.refresh(&pair.refresh).await.expect(200);
    site.refresh("x").await.expect(401);
    let metrics = site.gateway.metrics().await;
    let count = |name: &str, labels: &[(&str, &str)]| metrics.sum(name, labels);
    assert_eq!(count("tidegate_auth_issued_total", &[("grant", "login")]), 1.0);
    assert_eq!(count("tidegate_auth_issued_total", &[("grant", "refresh")]), 1.0);
    assert_eq!(count("tidegate_auth_refresh_total", &[("result", "rotated")]), 1.0);
    assert_eq!(count("tidegate_auth_refresh_total", &[("result", "invalid")]), 1.0);
    let requests = |endpoint: &str, status: &str| {
        count("tidegate_auth_service_requests_total", &[("endpoint", endpoint), ("status", status)])
    };
    assert_eq!((requests("refresh", "2xx"), requests("refresh", "4xx"), requests("login", "2xx")), (1.0, 1.0, 1.0));
}
