//! Signing keys: others check with what is published, also while keys change.

use std::os::unix::fs::PermissionsExt;

use http::Method;
use serde_json::{Value, json};
use tidegate_testkit::{upstream, wait_until, wait_until_async};

use super::site::{Site, file_store, part, site, yaml};
use crate::support::with_auth;

async fn published(site: &Site) -> Vec<String> {
    let jwks = site.gateway.get("/auth/.well-known/jwks.json").await.expect(200).json();
    let keys = jwks["keys"].as_array().expect("a list").iter();
    keys.map(|key| key["kid"].as_str().expect("an id").to_owned()).collect()
}

fn kid(access: &str) -> String {
    part(access, 0)["kid"].as_str().expect("an id").to_owned()
}

#[tokio::test]
async fn keys_change_with_an_overlap_and_no_good_token_is_ever_refused() {
    let site = site("keys: { rotate: 24h, publish_before: 1h }").await;
    let old = site.join("jane").await;
    let first = kid(&old.access);
    assert_eq!(published(&site).await, std::slice::from_ref(&first));

    wait_until("the task sleeps", || site.clock.sleepers() > 0).await;
    site.pass(23 * 3600);
    wait_until_async("the next key is published", async || published(&site).await.len() == 2).await;
    let before = site.log_in("jane").await;
    assert_eq!(kid(&before.access), first, "it does not sign yet");

    site.pass(3600 - 1);
    let last = site.log_in("jane").await;
    assert_eq!(kid(&last.access), first);
    site.pass(1);
    let new = site.log_in("jane").await;
    assert_ne!(kid(&new.access), first);
    assert_eq!((site.status(&last.access).await, site.status(&new.access).await), (200, 200));
    assert_eq!(published(&site).await, [first.clone(), kid(&new.access)]);

    site.pass(15 * 60 - 2);
    assert_eq!(site.status(&last.access).await, 200, "until it expires");
    site.pass(3600);
    wait_until_async("the old key is gone", async || published(&site).await == [kid(&new.access)]).await;
}

#[tokio::test]
async fn the_keys_are_what_others_expect_for_every_algorithm() {
    for (algorithm, members) in [
        ("ES256", &["alg", "crv", "kid", "kty", "use", "x", "y"][..]),
        ("RS256", &["alg", "e", "kid", "kty", "n", "use"]),
        ("EdDSA", &["alg", "crv", "kid", "kty", "use", "x"]),
    ] {
        let site = site(&format!("keys: {{ algorithm: {algorithm} }}")).await;
        let pair = site.join("jane").await;
        assert_eq!(part(&pair.access, 0)["alg"], algorithm);
        assert_eq!(site.status(&pair.access).await, 200);
        let answer = site.gateway.get("/auth/.well-known/jwks.json").await.expect(200);
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert_eq!(answer.header("cache-control"), Some("public, max-age=1800"));
        let key = answer.json()["keys"][0].clone();
        assert_eq!((&key["alg"], &key["use"]), (&json!(algorithm), &json!("sig")));
        let mut names: Vec<_> = key.as_object().expect("a key").keys().cloned().collect();
        names.sort();
        assert_eq!(names, members, "nothing private");
    }
}

#[tokio::test]
async fn another_gateway_takes_the_tokens_by_discovery() {
    let site = site("").await;
    let document = site.gateway.get("/auth/.well-known/openid-configuration").await.expect(200).json();
    assert_eq!(document["issuer"], "https://api.test");
    assert_eq!(document["jwks_uri"], "https://api.test/auth/.well-known/jwks.json");
    let head = site.gateway.request(Method::HEAD, "/auth/.well-known/openid-configuration").send().await.expect(200);
    assert!(head.body.is_empty());

    let pair = site.join("jane").await;
    let url = format!("http://{}/auth/.well-known/jwks.json", site.gateway.addr());
    let section = format!(
        "{{ providers: [{{ jwt: {{ jwks: {{ url: \"{url}\" }}, issuer: \"https://api.test\", audience: [api], \
         typ: [at+jwt], claims: {{ type: access }} }} }}] }}"
    );
    let upstream = upstream().reply("/*", "").start().await;
    let other =
        with_auth().clock(&site.clock).start(&crate::support::guarded_yaml(&upstream, &section, "require")).await;
    assert_eq!(super::site::status(&other, &pair.access).await, 200);
}

#[tokio::test]
async fn the_service_can_be_mounted_where_discovery_looks() {
    let dir = tempfile::tempdir().expect("a directory");
    let upstream = upstream().start().await;
    let yaml = yaml(&upstream, &file_store(dir.path()), "", "").replace(
        "routes:\n",
        "routes:\n    - { name: known, match: { path: \"/.well-known/**\" }, endpoint: { auth: { at: / } } }\n",
    );
    let gateway = with_auth().start(&yaml).await;
    let document: Value = gateway.get("/.well-known/openid-configuration").await.expect(200).json();
    assert_eq!(document["jwks_uri"], "https://api.test/.well-known/jwks.json");
    gateway.get("/.well-known/jwks.json").await.expect(200);
}

#[tokio::test]
async fn the_files_are_for_the_owner_alone_and_a_gateway_does_not_start_with_others() {
    let site = site("").await;
    let pair = site.join("jane").await;
    let folder = site.folder().join("auth.redb.keys");
    let file = folder.join("keys.json");
    let mode = |path: &std::path::Path| std::fs::metadata(path).expect("there").permissions().mode() & 0o777;
    assert_eq!((mode(&folder), mode(&file)), (0o700, 0o600));

    let site = site.restart("").await;
    assert_eq!(site.status(&pair.access).await, 200, "the same keys");

    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o644)).expect("ours");
    let upstream = upstream().start().await;
    let Site { gateway, dir, .. } = site;
    assert!(gateway.shutdown().await);
    drop(gateway);
    let error = with_auth().try_start(&yaml(&upstream, &file_store(dir.path()), "", "")).await.expect_err("readable");
    assert!(error.contains("chmod 600") && error.contains("auth.service.keys.folder"), "{error}");
}

#[tokio::test]
async fn checking_a_configuration_makes_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let upstream = upstream().start().await;
    with_auth().check(&yaml(&upstream, &file_store(dir.path()), "", "")).expect("good");
    assert_eq!(std::fs::read_dir(dir.path()).expect("a folder").count(), 0);
}
