//! Logins that fail alike, and passwords that change.

use http::Method;
use serde_json::json;
use tidegate_testkit::{Answer, wait_until_async};

use super::site::{PASSWORD, Site, code, pair, part, post, site};
use crate::support::bearer;

async fn login(site: &Site, name: &str, password: &str) -> Answer {
    post(&site.gateway, "/auth/login", &json!({ "name": name, "password": password })).send().await
}

/// How many passwords were hashed, once they were so many: an answer may be faster than its count.
async fn hashed(site: &Site, at_least: f64) -> f64 {
    let count = async || site.gateway.metric("tidegate_auth_hash_seconds_count", &[]).await;
    wait_until_async("so many hashes", async || count().await >= at_least).await;
    count().await
}

/// What a client can tell answers apart by.
fn seen(answer: &Answer) -> (u16, Vec<String>, serde_json::Value) {
    let mut body = answer.json();
    body["request_id"].take();
    (answer.status, answer.headers.names(), body)
}

#[tokio::test]
async fn unknown_names_and_wrong_passwords_are_alike_in_answer_and_in_work() {
    let site = site("").await;
    site.sign_up("jane").await;
    let before = hashed(&site, 1.0).await;
    let mut answers = Vec::new();
    for (name, password) in [
        ("jane", "wrong password that is long"),
        ("nobody", "wrong password that is long"),
        ("nobody", PASSWORD),
        ("no name at all!", PASSWORD),
        ("jane", ""),
        ("jane", &"x".repeat(100)),
    ] {
        let answer = login(&site, name, password).await.expect(401);
        let done = before + answers.len() as f64 + 1.0;
        assert_eq!(hashed(&site, done).await, done, "one hash, for {name}");
        assert_eq!(code(&answer), "invalid_credentials");
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
        answers.push(seen(&answer));
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:#?}");
    assert_eq!(answers[0].2["detail"], "Invalid credentials");
    login(&site, "jane", PASSWORD).await.expect(200);
}

#[tokio::test]
async fn a_password_that_was_hashed_cheaply_is_hashed_anew_at_login() {
    let site = site("password: { cost: 10 }").await;
    site.sign_up("jane").await;
    let site = site.restart("password: { cost: 11 }").await;
    for hashes in [2.0, 3.0] {
        login(&site, "jane", PASSWORD).await.expect(200);
        assert_eq!(hashed(&site, hashes).await, hashes, "anew once, and then it is as it should be");
    }
    let site = site.restart("password: { cost: 10 }").await;
    login(&site, "jane", PASSWORD).await.expect(200);
    assert_eq!(hashed(&site, 1.0).await, 1.0, "never cheaper");
}

async fn change(site: &Site, access: &str, old: &str, new: &str) -> Answer {
    let body = json!({ "old_password": old, "new_password": new });
    post(&site.gateway, "/auth/password", &body).header("authorization", bearer(access)).send().await
}

#[tokio::test]
async fn a_new_password_ends_every_other_login_and_this_one_goes_on() {
    const NEW: &str = "a different long password";
    let site = site("").await;
    let (here, elsewhere) = (site.join("jane").await, site.log_in("jane").await);
    let answer = change(&site, &here.access, "not the old one", NEW).await.expect(403);
    assert_eq!(code(&answer), "invalid_credentials");
    let answer = change(&site, &here.access, PASSWORD, "short").await.expect(400);
    assert_eq!(code(&answer), "weak_password");
    assert_eq!(code(&change(&site, &here.access, PASSWORD, PASSWORD).await.expect(400)), "weak_password");
    assert_eq!(site.status(&elsewhere.access).await, 200, "nothing has changed yet");

    let answer = change(&site, &here.access, PASSWORD, NEW).await.expect(200).json();
    let access = answer["access_token"].as_str().expect("a token");
    assert_eq!((site.status(access).await, site.status(&here.access).await), (200, 200));
    assert_eq!(site.status(&elsewhere.access).await, 401);
    site.refresh(&elsewhere.refresh).await.expect(401);
    let next = pair(&site.refresh(&here.refresh).await.expect(200));
    assert_eq!(site.status(&next.access).await, 200);

    login(&site, "jane", PASSWORD).await.expect(401);
    login(&site, "jane", NEW).await.expect(200);
    let metrics = site.gateway.metrics().await;
    assert_eq!(metrics.sum("tidegate_auth_events_total", &[("event", "password_changed")]), 1.0);
}

#[tokio::test]
async fn logins_with_the_old_password_that_are_under_way_do_not_outlive_a_change() {
    const NEW: &str = "a different long password";
    let site = site("").await;
    let here = site.join("jane").await;
    let logins = futures_util::future::join_all((0..8).map(|_| login(&site, "jane", PASSWORD)));
    let (changed, logins) = futures_util::join!(change(&site, &here.access, PASSWORD, NEW), logins);
    changed.expect(200);
    for answer in logins.into_iter().filter(|answer| answer.status == 200) {
        let pair = pair(&answer);
        assert_eq!(site.status(&pair.access).await, 401);
        site.refresh(&pair.refresh).await.expect(401);
    }
}

/// As an operator says.
async fn administer(site: &Site, change: &str) {
    let path = format!("/auth/users?name=jane&{change}");
    site.gateway.request(Method::PUT, &path).to(site.gateway.admin_addr()).send().await.expect(200);
}

#[tokio::test]
async fn an_account_that_was_disabled_is_like_one_that_nobody_has() {
    let site = site("").await;
    let before = site.join("jane").await;
    administer(&site, "disabled=true").await;
    let disabled = login(&site, "jane", PASSWORD).await.expect(401);
    let unknown = login(&site, "nobody", PASSWORD).await.expect(401);
    assert_eq!(seen(&disabled), seen(&unknown));
    assert_eq!(site.status(&before.access).await, 401);
    site.refresh(&before.refresh).await.expect(401);
    administer(&site, "disabled=false").await;
    assert_eq!(site.status(&site.log_in("jane").await.access).await, 200);
}

#[tokio::test]
async fn new_roles_are_in_the_next_token_and_the_old_one_is_not_good_any_more() {
    let site = site("").await;
    let before = site.join("jane").await;
    administer(&site, "roles=admin,user").await;
    assert_eq!(site.status(&before.access).await, 401);
    let after = pair(&site.refresh(&before.refresh).await.expect(200));
    assert_eq!(part(&after.access, 1)["roles"], json!(["admin", "user"]));
    assert_eq!(site.status(&after.access).await, 200);
}

#[tokio::test]
async fn a_session_by_cookie_outlives_new_roles() {
    let site = site("session: {}").await;
    site.sign_up("jane").await;
    let answer = login(&site, "jane", PASSWORD).await.expect(200);
    let cookie = super::cookies::Jar::of(&answer).header(&["__Host-session"]);
    let status = async || site.gateway.request(Method::GET, "/app").header("cookie", &*cookie).send().await.status;
    assert_eq!(status().await, 200);
    administer(&site, "roles=admin").await;
    assert_eq!(status().await, 200);
    site.pass(60);
    assert_eq!(status().await, 200);
}

const ARGON: &str = "password: { algorithm: argon2id, argon2id: { memory: 7MiB, passes: 5 } }";

#[tokio::test]
async fn hashes_of_both_kinds_are_good_and_the_other_kind_is_made_anew_at_login() {
    let site = site(ARGON).await;
    site.sign_up("jane").await;
    login(&site, "jane", PASSWORD).await.expect(200);
    login(&site, "jane", "wrong password that is long").await.expect(401);
    let site = site.restart("password: { cost: 10 }").await;
    for hashes in [2.0, 3.0] {
        login(&site, "jane", PASSWORD).await.expect(200);
        assert_eq!(hashed(&site, hashes).await, hashes, "anew once");
    }
    let site = site.restart(ARGON).await;
    for hashes in [2.0, 3.0] {
        login(&site, "jane", PASSWORD).await.expect(200);
        assert_eq!(hashed(&site, hashes).await, hashes, "and back");
    }
    // A name that nobody has is one comparison, too.
    for (nth, name) in ["jane", "nobody"].into_iter().enumerate() {
        login(&site, name, "wrong password that is long").await.expect(401);
        assert_eq!(hashed(&site, 4.0 + nth as f64).await, 4.0 + nth as f64, "{name}");
    }
}

#[tokio::test]
async fn what_a_hash_costs_is_said_for_its_kind_and_is_no_less_than_it_should_be() {
    let site = site("").await;
    for (rules, place) in [
        ("{ algorithm: argon2id, cost: 12 }", "password.cost"),
        ("{ argon2id: { passes: 3 } }", "password.argon2id"),
        ("{ algorithm: argon2id, argon2id: { memory: 6MiB, passes: 16 } }", "password.argon2id.memory"),
        ("{ algorithm: argon2id, argon2id: { memory: 1GiB } }", "password.argon2id.memory"),
        ("{ algorithm: argon2id, argon2id: { passes: 0 } }", "password.argon2id.passes"),
        ("{ algorithm: argon2id, argon2id: { lanes: 5 } }", "password.argon2id.lanes"),
        ("{ algorithm: argon2id, argon2id: { memory: 19MiB, passes: 1 } }", "password.argon2id: it is weaker"),
        ("{ algorithm: argon2id, argon2id: { memory: 45MiB, passes: 1 } }", "password.argon2id: it is weaker"),
        ("{ min_score: 5 }", "password.min_score"),
    ] {
        let yaml = super::site::yaml(
            &site.upstream,
            &super::site::file_store(site.dir.path()),
            &format!("password: {rules}"),
            "",
        );
        let error = site.gateway.reload(&yaml).await.expect_err(rules);
        assert!(error.contains(&format!("auth.service.{place}")), "{rules}: {error}");
    }
}

#[tokio::test]
async fn a_password_that_is_easy_to_guess_is_refused_where_it_is_scored() {
    let site = site("password: { cost: 10, min: 8, min_score: 3 }").await;
    let sign_up = async |password: &str| {
        let body = json!({ "name": "jane", "password": password, "email": "jane@mail.test" });
        post(&site.gateway, "/auth/signup", &body).send().await
    };
    for easy in ["qwertyuiop12", "Password1234", "monkeymonkeymonkey", "20.11.2026"] {
        let answer = sign_up(easy).await.expect(400);
        assert_eq!(code(&answer), "weak_password", "{easy}");
        assert!(answer.text().contains("is too easy to guess") && !answer.text().contains(easy), "{easy}");
    }
    sign_up("correct horse battery staple").await.expect(201);
}
