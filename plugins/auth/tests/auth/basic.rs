//! A name and a password with every request (F29, RFC 7617).

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tidegate_core::Method;
use tidegate_testkit::{Answer, ManualClock, TestGateway, Upstream, call, manual_clock, upstream, wait_until_async};

use super::support::*;

/// The lowest that bcrypt has: what is tested here is not how slow it is.
fn hash(password: &str) -> String {
    bcrypt::hash(password, 4).expect("a hash")
}

fn basic(name: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{name}:{password}")))
}

fn users(terms: &str) -> String {
    format!(
        "{{ providers: [{{ basic: {{ users: [{{ name: anna, hash: \"{}\", roles: [admin], scopes: [read] }}], {terms} }} }}], \
         identity: {{ headers: {{ X-User-ID: sub, X-Roles: roles }} }} }}",
        hash("open sesame")
    )
}

async fn start(terms: &str, clock: &ManualClock) -> (Upstream, TestGateway) {
    let upstream = upstream().reply("/*", "let through").start().await;
    let gateway = with_auth().clock(clock).start(&guarded_yaml(&upstream, &users(terms), "require")).await;
    (upstream, gateway)
}

async fn ask(gateway: &TestGateway, authorization: &str) -> Answer {
    gateway.request(Method::GET, "/x").header("Authorization", authorization).send().await
}

#[tokio::test]
async fn a_right_password_says_who_and_is_not_passed_on() {
    let (upstream, gateway) = start("", &manual_clock()).await;
    for scheme in ["Basic", "basic", "BASIC  "] {
        let authorization = basic("anna", "open sesame").replace("Basic", scheme);
        ask(&gateway, &authorization).await.expect(200);
    }
    for seen in upstream.requests() {
        assert_eq!((seen.header("x-user-id"), seen.header("x-roles")), (Some("anna"), Some("admin")));
        assert!(!seen.headers.has("authorization"));
    }
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_name_look_the_same() {
    let (upstream, gateway) = start("", &manual_clock()).await;
    let wrong = ask(&gateway, &basic("anna", "open sesamE")).await.expect(401);
    let unknown = ask(&gateway, &basic("ben", "open sesame")).await.expect(401);
    assert_eq!((&wrong.json()["code"], &wrong.json()["detail"]), (&unknown.json()["code"], &unknown.json()["detail"]));
    assert_eq!(wrong.header("www-authenticate"), Some("Basic realm=\"api\", charset=\"UTF-8\""));
    assert_eq!(wrong.header("www-authenticate"), unknown.header("www-authenticate"));
    let long = "x".repeat(80);
    for bad in [
        basic("", ""),
        basic("anna", ""),
        basic("anna", &long),
        basic("anna", "open\0sesame"),
        format!("Basic {}", STANDARD.encode("anna")),
        format!("Basic {}", STANDARD.encode(b"anna:\xff")),
        "Basic".to_owned(),
        "Basic !".to_owned(),
        "Bearer abc".to_owned(),
    ] {
        ask(&gateway, &bad).await.expect(401);
    }
    assert!(upstream.requests().is_empty());
}

#[tokio::test]
async fn only_the_first_72_bytes_are_never_enough() {
    let long = "p".repeat(72);
    let section = format!("{{ providers: [{{ basic: {{ users: [{{ name: anna, hash: \"{}\" }}] }} }}] }}", hash(&long));
    let (_upstream, gateway) = guarded(&section, "require").await;
    ask(&gateway, &basic("anna", &long)).await.expect(200);
    ask(&gateway, &basic("anna", &format!("{long}p"))).await.expect(401);
}

/// How many passwords were compared, when it is this many at least: they are counted after they are answered.
async fn hashed(gateway: &TestGateway, least: f64) -> f64 {
    let count = async || gateway.metric("tidegate_auth_hash_seconds_count", &[]).await;
    wait_until_async("comparisons", async || count().await >= least).await;
    count().await
}

#[tokio::test]
async fn a_right_password_is_remembered_for_its_time_and_a_wrong_one_never() {
    let clock = manual_clock();
    let (_upstream, gateway) = start("cache: 1m", &clock).await;
    let right = basic("anna", "open sesame");
    for _ in 0..5 {
        ask(&gateway, &right).await.expect(200);
    }
    assert_eq!(hashed(&gateway, 1.0).await, 1.0);
    for _ in 0..3 {
        ask(&gateway, &basic("anna", "wrong")).await.expect(401);
    }
    assert_eq!(hashed(&gateway, 4.0).await, 4.0);
    clock.advance(Duration::from_secs(60));
    ask(&gateway, &right).await.expect(200);
    assert_eq!(hashed(&gateway, 5.0).await, 5.0);
}

#[tokio::test]
async fn without_a_cache_each_password_is_compared() {
    let (_upstream, gateway) = start("cache: 0s", &manual_clock()).await;
    for _ in 0..3 {
        ask(&gateway, &basic("anna", "open sesame")).await.expect(200);
    }
    assert_eq!(hashed(&gateway, 3.0).await, 3.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_requests_with_one_password_hash_it_once() {
    let (_upstream, gateway) = start("", &manual_clock()).await;
    let client = gateway.connect_h2().await;
    let answers: Vec<_> = (0..50)
        .map(|_| {
            let mut client = client.clone();
            let call = call(Method::GET, "/x").header("Authorization", basic("anna", "open sesame"));
            tokio::spawn(async move { client.send(call).await.status })
        })
        .collect();
    for answer in answers {
        assert_eq!(answer.await.expect("an answer"), 200);
    }
    assert_eq!(hashed(&gateway, 1.0).await, 1.0);
}

#[tokio::test]
async fn a_file_as_htpasswd_writes_it_is_read_again_when_it_changes() {
    let clock = manual_clock();
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("htpasswd");
    let write = |text: String| {
        let new = dir.path().join("new");
        std::fs::write(&new, text).expect("written");
        std::fs::rename(new, &file).expect("renamed");
    };
    write(format!("# staff\nben:{}\n", hash("one").replace("$2b$", "$2y$")));
    let (_upstream, gateway) = start(&format!("file: {file:?}"), &clock).await;
    ask(&gateway, &basic("anna", "open sesame")).await.expect(200);
    ask(&gateway, &basic("ben", "one")).await.expect(200);
    ask(&gateway, &basic("ben", "two")).await.expect(401);

    write(format!("ben:{}\n", hash("two")));
    let changed = async || {
        if clock.sleepers() > 0 {
            clock.advance(Duration::from_secs(2));
        }
        ask(&gateway, &basic("ben", "two")).await.status == 200
    };
    wait_until_async("the new password", changed).await;
    ask(&gateway, &basic("ben", "one")).await.expect(401);

    write("ben:plain\n".to_owned());
    for _ in 0..3 {
        clock.advance(Duration::from_secs(2));
        ask(&gateway, &basic("ben", "two")).await.expect(200);
    }
}

#[tokio::test]
async fn basic_and_bearer_live_side_by_side() {
    let section = format!(
        "{{ providers: [{{ basic: {{ users: [{{ name: anna, hash: \"{}\" }}] }} }}, {}] }}",
        hash("x"),
        hs256()
    );
    let (_upstream, gateway) = guarded(&section, "require").await;
    ask(&gateway, &basic("anna", "x")).await.expect(200);
    ask(&gateway, &bearer(&token(&claims("u1")))).await.expect(200);
    let missing = gateway.get("/x").await.expect(401);
    let schemes: Vec<_> = missing.headers.all("www-authenticate").filter_map(|text| text.split(' ').next()).collect();
    assert_eq!(schemes, ["Bearer", "Basic"]);
    let both = gateway.request(Method::GET, "/x").header("Authorization", basic("anna", "x"));
    let both = both.header("Authorization", bearer(&token(&claims("u1")))).send().await.expect(401);
    assert_eq!(both.json()["code"], "ambiguous_credentials");
}

#[tokio::test]
async fn what_can_not_work_is_refused_at_load() {
    let upstream = upstream().reply("/*", "x").start().await;
    let good = hash("x");
    for (terms, path) in [
        ("users: []".to_owned(), "users"),
        ("users: [{ name: a, hash: hunter2 }]".to_owned(), "users[0].hash"),
        ("users: [{ name: a, hash: \"$apr1$hunter2\" }]".to_owned(), "users[0].hash"),
        (format!("users: [{{ name: 'a:b', hash: \"{good}\" }}]"), "users[0].name"),
        (format!("users: [{{ name: a, hash: \"{good}\" }}, {{ name: a, hash: \"{good}\" }}]"), "users[1].name"),
        ("file: /nowhere/htpasswd".to_owned(), "file"),
        (format!("users: [{{ name: a, hash: \"{good}\" }}], cache: 2h"), "cache"),
    ] {
        let section = format!("{{ providers: [{{ basic: {{ {terms} }} }}] }}");
        let errors = with_auth().check(&guarded_yaml(&upstream, &section, "require")).expect_err(&terms);
        assert!(errors.contains(&format!("auth.providers[0].basic.{path}")), "{terms}: {errors}");
        assert!(!errors.contains("hunter2"), "{errors}");
    }
}
