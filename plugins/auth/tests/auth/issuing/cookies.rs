//! Tokens in cookies, and requests that another site made a browser send.

use http::Method;
use serde_json::json;
use tidegate_testkit::Answer;

use super::site::{PASSWORD, Site, code, part, post, site};

const COOKIES: &str = "delivery: { cookie: {} }";

/// A browser's cookies: the value of each by name, and their attributes.
pub(super) struct Jar(Vec<(String, String, String)>);

impl Jar {
    pub(super) fn of(answer: &Answer) -> Self {
        let cookies = answer.headers.all("set-cookie").map(|cookie| {
            let (pair, attributes) = cookie.split_once("; ").expect("attributes");
            let (name, value) = pair.split_once('=').expect("a value");
            (name.to_owned(), value.to_owned(), attributes.to_owned())
        });
        Self(cookies.collect())
    }

    pub(super) fn value(&self, name: &str) -> &str {
        &self.0.iter().find(|(cookie, ..)| cookie == name).unwrap_or_else(|| panic!("no {name}")).1
    }

    pub(super) fn attributes(&self) -> Vec<(&str, &str)> {
        self.0.iter().map(|(name, _, attributes)| (name.as_str(), attributes.as_str())).collect()
    }

    /// `Cookie`, of these.
    pub(super) fn header(&self, names: &[&str]) -> String {
        names.iter().map(|name| format!("{name}={}", self.value(name))).collect::<Vec<_>>().join("; ")
    }
}

async fn joined(site: &Site) -> Jar {
    site.sign_up("jane").await;
    let body = json!({ "name": "jane", "password": PASSWORD });
    Jar::of(&post(&site.gateway, "/auth/login", &body).send().await.expect(200))
}

#[tokio::test]
async fn cookies_are_exact_and_the_body_has_no_token() {
    let site = site(COOKIES).await;
    site.sign_up("jane").await;
    let body = json!({ "name": "jane", "password": PASSWORD });
    let answer = post(&site.gateway, "/auth/login", &body).send().await.expect(200);
    assert_eq!(answer.json(), json!({ "expires_in": 900, "refresh_expires_in": 604_800 }));
    let jar = Jar::of(&answer);
    assert_eq!(
        jar.attributes(),
        [
            ("__Host-access", "Path=/; Max-Age=900; HttpOnly; Secure; SameSite=Strict"),
            ("__Secure-refresh", "Path=/auth; Max-Age=604800; HttpOnly; Secure; SameSite=Strict"),
            ("__Host-csrf", "Path=/; Max-Age=604800; Secure; SameSite=Strict"),
            ("__Host-device", "Path=/; Max-Age=15552000; HttpOnly; Secure; SameSite=Strict"),
        ]
    );
    assert_eq!(part(jar.value("__Host-access"), 1)["type"], "access");
}

#[tokio::test]
async fn names_and_attributes_are_configured() {
    let site =
        site("delivery: { cookie: { access: __Host-a, refresh: __Secure-r, same_site: lax, insecure: true } }").await;
    let jar = joined(&site).await;
    assert_eq!(
        jar.attributes(),
        [
            ("a", "Path=/; Max-Age=900; HttpOnly; SameSite=Lax"),
            ("r", "Path=/auth; Max-Age=604800; HttpOnly; SameSite=Lax"),
            ("csrf", "Path=/; Max-Age=604800; SameSite=Lax"),
            ("device", "Path=/; Max-Age=15552000; HttpOnly; SameSite=Lax"),
        ]
    );
}

/// A request with cookies, and with the CSRF token or without it.
async fn send(site: &Site, method: Method, path: &str, cookies: &str, csrf: Option<&str>) -> Answer {
    let request = site.gateway.request(method, path).header("cookie", cookies);
    match csrf {
        Some(csrf) => request.header("x-csrf-token", csrf).send().await,
        None => request.send().await,
    }
}

#[tokio::test]
async fn what_changes_something_must_repeat_the_csrf_cookie() {
    let site = site(COOKIES).await;
    let jar = joined(&site).await;
    let other = {
        let body = json!({ "name": "jane", "password": PASSWORD });
        Jar::of(&post(&site.gateway, "/auth/login", &body).send().await.expect(200))
    };
    let (access, refresh) = (jar.header(&["__Host-access"]), jar.header(&["__Secure-refresh"]));
    let (right, wrong) = (jar.value("__Host-csrf"), other.value("__Host-csrf"));
    // What changes nothing needs nothing.
    for path in ["/app", "/auth/me", "/auth/sessions"] {
        send(&site, Method::GET, path, &access, None).await.expect(200);
    }
    for (method, path, cookies) in [
        (Method::POST, "/app", &access),
        (Method::PUT, "/app", &access),
        (Method::DELETE, "/app", &access),
        (Method::POST, "/open/x", &access),
        (Method::POST, "/auth/logout", &access),
        (Method::POST, "/auth/logout", &refresh),
        (Method::POST, "/auth/logout-all", &access),
        (Method::POST, "/auth/refresh", &refresh),
        (Method::DELETE, "/auth/sessions/00000000000000000000000000000000", &access),
    ] {
        for bad in [None, Some(wrong), Some(""), Some("x"), Some(&right[1..])] {
            let answer = send(&site, method.clone(), path, cookies, bad).await.expect(403);
            assert_eq!(code(&answer), "csrf", "{method} {path} {bad:?}");
        }
    }
    let body = json!({ "old_password": PASSWORD, "new_password": "another good password" });
    let change = || post(&site.gateway, "/auth/password", &body).header("cookie", &*access);
    assert_eq!(code(&change().send().await.expect(403)), "csrf");
    send(&site, Method::POST, "/app", &access, Some(right)).await.expect(200);
    send(&site, Method::POST, "/auth/refresh", &refresh, Some(right)).await.expect(200);
    change().header("x-csrf-token", right).send().await.expect(200);
}

#[tokio::test]
async fn a_bearer_token_is_no_cookie_and_both_are_one_too_many() {
    let site = site(COOKIES).await;
    let jar = joined(&site).await;
    let token = format!("Bearer {}", jar.value("__Host-access"));
    site.gateway.post("/app").header("authorization", &*token).send().await.expect(200);
    let both = site.gateway.request(Method::GET, "/app").header("authorization", &*token);
    let answer = both.header("cookie", jar.header(&["__Host-access"])).send().await.expect(401);
    assert_eq!(code(&answer), "ambiguous_credentials");
}

#[tokio::test]
async fn refreshing_replaces_the_cookies_and_logging_out_removes_them_with_the_same_attributes() {
    let site = site(COOKIES).await;
    let jar = joined(&site).await;
    let csrf = jar.value("__Host-csrf");
    let refresh = jar.header(&["__Secure-refresh"]);
    let answer = send(&site, Method::POST, "/auth/refresh", &refresh, Some(csrf)).await.expect(200);
    let next = Jar::of(&answer);
    assert_ne!(next.value("__Secure-refresh"), jar.value("__Secure-refresh"));
    assert_eq!(next.value("__Host-csrf"), csrf, "a page that is open goes on");

    let cookies = next.header(&["__Host-access", "__Secure-refresh"]);
    let answer = send(&site, Method::POST, "/auth/logout", &cookies, Some(csrf)).await.expect(204);
    let ended = Jar::of(&answer);
    assert_eq!(
        ended.attributes(),
        [
            ("__Host-access", "Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Strict"),
            ("__Secure-refresh", "Path=/auth; Max-Age=0; HttpOnly; Secure; SameSite=Strict"),
            ("__Host-csrf", "Path=/; Max-Age=0; Secure; SameSite=Strict"),
        ]
    );
    assert_eq!((ended.value("__Host-access"), ended.value("__Secure-refresh")), ("", ""));
    let answer = send(&site, Method::GET, "/app", &next.header(&["__Host-access"]), None).await;
    assert_eq!(code(&answer.expect(401)), "token_revoked");
    let answer = send(&site, Method::POST, "/auth/refresh", &next.header(&["__Secure-refresh"]), Some(csrf)).await;
    let answer = answer.expect(401);
    assert_eq!(Jar::of(&answer).value("__Secure-refresh"), "", "what is good for nothing goes");
}

#[tokio::test]
async fn stale_cookies_go_at_logout_and_another_site_can_not_take_them_away() {
    let site = site(COOKIES).await;
    let answer = send(&site, Method::POST, "/auth/logout", "__Host-access=old", None).await.expect(204);
    assert_eq!(Jar::of(&answer).attributes().len(), 3);
    // A form of another site comes without cookies, but its answer could remove them.
    let answer = site.gateway.post("/auth/logout").send().await.expect(401);
    assert_eq!(Jar::of(&answer).attributes().len(), 0);
}

#[tokio::test]
async fn the_service_s_cookies_stay_with_the_gateway() {
    let site = site(COOKIES).await;
    let jar = joined(&site).await;
    let cookies = format!("theme=dark; {}; lang=de", jar.header(&["__Host-access"]));
    send(&site, Method::GET, "/app", &cookies, None).await.expect(200);
    let seen = site.upstream.requests().pop().expect("a request");
    assert_eq!(seen.headers.get("cookie"), Some("theme=dark; lang=de"));
}

#[tokio::test]
async fn a_host_cookie_for_a_path_of_its_own_is_refused_at_load() {
    let dir = tempfile::tempdir().expect("a directory");
    let upstream = tidegate_testkit::upstream().start().await;
    let store = super::site::file_store(dir.path());
    let yaml = super::site::yaml(&upstream, &store, "delivery: { cookie: { refresh: __Host-refresh } }", "");
    let error = crate::support::with_auth().check(&yaml).expect_err("browsers would drop it");
    assert!(error.contains("__Secure-"), "{error}");
}
