//! Sessions by a cookie, in place of tokens.

use http::Method;
use serde_json::json;

use super::cookies::Jar;
use super::site::{PASSWORD, Site, code, post, site};

const SESSION: &str = "session: { idle: 30m, absolute: 12h }";

async fn log_in(site: &Site) -> Jar {
    let body = json!({ "name": "jane", "password": PASSWORD });
    let answer = post(&site.gateway, "/auth/login", &body).send().await.expect(200);
    assert_eq!(answer.json(), json!({ "expires_in": 1800 }));
    Jar::of(&answer)
}

async fn status(site: &Site, jar: &Jar) -> u16 {
    let cookie = jar.header(&["__Host-session"]);
    site.gateway.request(Method::GET, "/app").header("cookie", cookie).send().await.status
}

#[tokio::test]
async fn a_login_sets_one_cookie_that_says_nothing_and_is_good_until_logout() {
    let site = site(SESSION).await;
    site.sign_up("jane").await;
    let jar = log_in(&site).await;
    assert_eq!(
        jar.attributes(),
        [
            ("__Host-session", "Path=/; Max-Age=43200; HttpOnly; Secure; SameSite=Strict"),
            ("__Host-csrf", "Path=/; Max-Age=43200; Secure; SameSite=Strict"),
            ("__Host-device", "Path=/; Max-Age=15552000; HttpOnly; Secure; SameSite=Strict"),
        ]
    );
    assert_eq!(status(&site, &jar).await, 200);
    let sent = site.upstream.request();
    assert_eq!(sent.header("x-user-id").map(str::len), Some(32));
    let (cookie, csrf) = (jar.header(&["__Host-session"]), jar.value("__Host-csrf"));
    let send = |method: Method, path: &str| site.gateway.request(method, path).header("cookie", &*cookie);
    assert_eq!(send(Method::GET, "/auth/me").send().await.expect(200).json()["name"], "jane");
    assert_eq!(code(&send(Method::POST, "/app").send().await.expect(403)), "csrf");
    send(Method::POST, "/app").header("x-csrf-token", csrf).send().await.expect(200);
    send(Method::POST, "/auth/refresh").header("x-csrf-token", csrf).send().await.expect(404);
    assert_eq!(code(&send(Method::POST, "/auth/logout").send().await.expect(403)), "csrf");
    let answer = send(Method::POST, "/auth/logout").header("x-csrf-token", csrf).send().await.expect(204);
    assert_eq!(Jar::of(&answer).value("__Host-session"), "");
    assert_eq!(status(&site, &jar).await, 401);
}

#[tokio::test]
async fn it_ends_when_it_is_idle_and_in_any_case_after_its_longest() {
    let site = site(SESSION).await;
    site.sign_up("jane").await;
    let idle = log_in(&site).await;
    site.pass(30 * 60 - 1);
    assert_eq!(status(&site, &idle).await, 200);
    site.pass(30 * 60 - 1);
    assert_eq!(status(&site, &idle).await, 200, "it was used");
    site.pass(30 * 60);
    assert_eq!(status(&site, &idle).await, 401);

    let busy = log_in(&site).await;
    for _ in 0..12 * 4 - 1 {
        site.pass(15 * 60);
        assert_eq!(status(&site, &busy).await, 200);
    }
    site.pass(15 * 60 - 1);
    assert_eq!(status(&site, &busy).await, 200);
    site.pass(1);
    assert_eq!(status(&site, &busy).await, 401);
}

#[tokio::test]
async fn logging_out_everywhere_ends_sessions_that_are_remembered_and_a_new_one_is_good_at_once() {
    let site = site(SESSION).await;
    site.sign_up("jane").await;
    let (one, two) = (log_in(&site).await, log_in(&site).await);
    for jar in [&one, &two] {
        assert_eq!(status(&site, jar).await, 200);
    }
    let all = site.gateway.post("/auth/logout-all").header("cookie", one.header(&["__Host-session"]));
    all.header("x-csrf-token", one.value("__Host-csrf")).send().await.expect(204);
    assert_eq!((status(&site, &one).await, status(&site, &two).await), (401, 401));
    let new = log_in(&site).await;
    assert_eq!(status(&site, &new).await, 200);
}

#[tokio::test]
async fn a_cookie_that_was_made_up_is_refused() {
    let site = site(SESSION).await;
    site.sign_up("jane").await;
    let jar = log_in(&site).await;
    let good = jar.value("__Host-session");
    let session = |cookie: &str| {
        let cookie = format!("__Host-session={cookie}");
        site.gateway.request(Method::GET, "/app").header("cookie", cookie).send()
    };
    for bad in ["x", "", &good[1..], &"A".repeat(64), &format!("{}AA", &good[..62])] {
        session(bad).await.expect(401);
    }
    session(good).await.expect(200);
}
