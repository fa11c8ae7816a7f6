//! People log in with a provider that nobody here wrote, and get this gateway's own tokens for it.

use std::path::Path;

use http::Method;
use tidegate_testkit::{Answer, IdentityProvider, TestGateway, Upstream, identity_provider, upstream};

use crate::tidegate;

/// A site behind a gateway that people log in to with `provider`; `op` is more about the provider, `service` more of the
/// service.
fn site(app: &Upstream, provider: &IdentityProvider, dir: &Path, op: &str, service: &str) -> String {
    format!(
        "upstreams: {{ app: {{ targets: [\"{}\"] }} }}\n\
         auth:\n\
         \x20 identity: {{ headers: {{ X-User-ID: sub, X-User-Roles: roles, X-User-Name: name }} }}\n\
         \x20 service:\n\
         \x20   issuer: \"https://site.example\"\n\
         \x20   store: {{ file: {:?} }}\n\
         \x20   access: {{ claims: [name, email] }}\n\
         \x20   attempts: {{ client: 100 }}\n\
         \x20   login_with: {{ op: {{ issuer: \"{}\", signup: true, roles: [user], {op} }} }}\n\
         {service}\
         routing:\n  routes:\n\
         \x20   - {{ name: auth, match: {{ path: \"/auth/**\" }}, endpoint: {{ auth: {{}} }} }}\n\
         \x20   - {{ name: admin, match: {{ path: \"/admin/**\" }}, upstream: app, plugins: {{ auth: {{ require: {{ roles: \
         [admin] }} }} }} }}\n\
         \x20   - {{ name: app, match: {{ path: \"/**\" }}, upstream: app, plugins: {{ auth: require }} }}\n",
        app.target(),
        dir.join("auth.redb"),
        provider.issuer(),
    )
}

fn with_secret(more: &str) -> String {
    let (id, secret) = IdentityProvider::SITE;
    format!("client_id: {id}, client_secret: \"{secret}\"{more}")
}

/// What a browser does: to the provider, through its pages, and back.
async fn log_in(gateway: &TestGateway, provider: &IdentityProvider, user: &str, return_to: &str) -> Answer {
    let away = gateway.get(&format!("/auth/login/op?return_to={return_to}")).await.expect(303);
    let cookie = away.header("set-cookie").and_then(|set| set.split(';').next()).expect("an attempt").to_owned();
    let back = provider.follow(away.header("location").expect("a question"), user).await;
    let path = back.strip_prefix("https://site.example").unwrap_or_else(|| panic!("not back to the site: {back}"));
    gateway.request(Method::GET, path).header("Cookie", cookie).send().await
}

async fn get(gateway: &TestGateway, path: &str, answer: &Answer) -> Answer {
    let json = answer.json();
    let token = json["access_token"].as_str().unwrap_or_else(|| panic!("no token: {json}"));
    gateway.request(Method::GET, path).header("Authorization", format!("Bearer {token}")).send().await
}

#[tokio::test]
async fn who_logs_in_there_is_logged_in_here() {
    let (provider, app) = (identity_provider().await, upstream().reply("*", "ok").start().await);
    let dir = tempfile::tempdir().expect("a directory");
    let op = with_secret(", userinfo: true, roles_from: { claim: groups, map: { admin: admin } }");
    let gateway = tidegate().start(&site(&app, &provider, dir.path(), &op, "")).await;
    let ada = log_in(&gateway, &provider, "ada", "/").await.expect(200);
    get(&gateway, "/", &ada).await.expect(200);
    let seen = app.requests().pop().expect("it is there");
    assert_eq!((seen.header("x-user-name"), seen.header("x-user-roles")), (Some("ada of the provider"), Some("user")));
    let id = seen.header("x-user-id").expect("an id").to_owned();
    get(&gateway, "/admin/x", &ada).await.expect(403);
    let root = log_in(&gateway, &provider, "root", "/").await.expect(200);
    get(&gateway, "/admin/x", &root).await.expect(200);
    // Next time it is the same account, also from two browsers at once.
    let (one, two) = tokio::join!(log_in(&gateway, &provider, "ada", "/"), log_in(&gateway, &provider, "ada", "/"));
    for again in [one.expect(200), two.expect(200)] {
        get(&gateway, "/", &again).await.expect(200);
        assert_eq!(app.requests().pop().expect("it is there").header("x-user-id"), Some(id.as_str()));
    }
    assert_eq!(gateway.metric("tidegate_auth_events_total", &[("event", "signup")]).await, 2.0);
}

#[tokio::test]
async fn of_first_logins_at_once_all_get_the_same_account() {
    let (provider, app) = (identity_provider().await, upstream().reply("*", "ok").start().await);
    let dir = tempfile::tempdir().expect("a directory");
    let gateway = tidegate().start(&site(&app, &provider, dir.path(), &with_secret(""), "")).await;
    let login = || log_in(&gateway, &provider, "ada", "/");
    let (one, two, three) = tokio::join!(login(), login(), login());
    for answer in [one, two, three] {
        get(&gateway, "/", &answer.expect(200)).await.expect(200);
    }
    let ids: std::collections::BTreeSet<_> =
        app.requests().iter().map(|request| request.header("x-user-id").expect("an id").to_owned()).collect();
    assert_eq!(ids.len(), 1);
    assert_eq!(gateway.metric("tidegate_auth_events_total", &[("event", "signup")]).await, 1.0);
}

#[tokio::test]
async fn a_browser_goes_on_with_cookies_and_a_client_needs_no_secret() {
    let (provider, app) = (identity_provider().await, upstream().reply("*", "ok").start().await);
    let dir = tempfile::tempdir().expect("a directory");
    let op = format!("client_id: {}", IdentityProvider::SITE_PUBLIC);
    let cookies = "    delivery: { cookie: { same_site: lax } }\n";
    let gateway = tidegate().start(&site(&app, &provider, dir.path(), &op, cookies)).await;
    let answer = log_in(&gateway, &provider, "ada", "/notes%3Fpage%3D2").await.expect(303);
    assert_eq!(answer.header("location"), Some("/notes?page=2"));
    let jar: Vec<_> = answer.headers.all("set-cookie").filter_map(|set| set.split(';').next()).collect();
    let page = gateway.request(Method::GET, "/notes?page=2").header("Cookie", jar.join("; ")).send().await.expect(200);
    assert_eq!(page.text(), "ok");
    let seen = app.requests().pop().expect("it is there");
    let cookies = seen.header("cookie").expect("the one that scripts may read");
    assert!(cookies.starts_with("__Host-csrf=") && !cookies.contains(';'), "{cookies}");
}

#[tokio::test]
async fn a_code_is_nobody_else_s_and_good_once() {
    let (provider, app) = (identity_provider().await, upstream().reply("*", "ok").start().await);
    let dir = tempfile::tempdir().expect("a directory");
    let gateway = tidegate().start(&site(&app, &provider, dir.path(), &with_secret(""), "")).await;
    let begin = async || {
        let away = gateway.get("/auth/login/op").await.expect(303);
        let cookie = away.header("set-cookie").and_then(|set| set.split(';').next()).expect("an attempt").to_owned();
        (away.header("location").expect("a question").to_owned(), cookie)
    };
    let back = async |url: &str, cookie: &str| {
        let path = url.strip_prefix("https://site.example").expect("back to the site");
        gateway.request(Method::GET, path).header("Cookie", cookie).send().await
    };
    let ((question, mine), (other_question, theirs)) = (begin().await, begin().await);
    let url = provider.follow(&question, "ada").await;
    let code = |answer: &Answer| answer.json()["code"].as_str().map(str::to_owned);
    assert_eq!(code(&back(&url, &theirs).await.expect(400)).as_deref(), Some("invalid_callback"), "login CSRF");
    back(&url, &mine).await.expect(200);
    back(&url, &mine).await.expect(400);
    // A stolen code under the thief's own state: the provider knows whose verifier it belongs to.
    let (third_question, _) = begin().await;
    let stolen = provider.follow(&third_question, "root").await;
    let param = |url: &str, name: &str| {
        let pairs = url.split_once('?').expect("a query").1.split('&');
        pairs.filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name).expect("there").1.to_owned()
    };
    let issuer = param(&stolen, "iss");
    let (stolen_code, own_state) = (param(&stolen, "code"), param(&other_question, "state"));
    let injected =
        format!("https://site.example/auth/login/op/callback?code={stolen_code}&state={own_state}&iss={issuer}");
    assert_eq!(code(&back(&injected, &theirs).await.expect(401)).as_deref(), Some("login_refused"), "PKCE");
    // The provider says who it is, and no other may.
    let (question, cookie) = begin().await;
    let url = provider.follow(&question, "ada").await;
    let (unnamed, _) = url.split_once("&iss=").expect("RFC 9207");
    assert_eq!(code(&back(unnamed, &cookie).await.expect(400)).as_deref(), Some("invalid_callback"));
}

#[tokio::test]
async fn a_provider_that_stops_and_comes_back_is_found_again() {
    let (mut provider, app) = (identity_provider().await, upstream().reply("*", "ok").start().await);
    let dir = tempfile::tempdir().expect("a directory");
    let op = with_secret(", fetch: { cooldown: 1s, timeout: 20s }");
    let gateway = tidegate().start(&site(&app, &provider, dir.path(), &op, "")).await;
    let away = gateway.get("/auth/login/op").await.expect(303);
    let cookie = away.header("set-cookie").and_then(|set| set.split(';').next()).expect("an attempt").to_owned();
    let back = provider.follow(away.header("location").expect("a question"), "ada").await;
    provider.stop().await;
    let path = back.strip_prefix("https://site.example").expect("back to the site");
    let answer = gateway.request(Method::GET, path).header("Cookie", cookie).send().await.expect(503);
    assert!(answer.headers.has("retry-after"), "{answer:#?}");
    provider.restart().await;
    log_in(&gateway, &provider, "ada", "/").await.expect(200);
}
