//! Roles, scopes, permissions, parameters, lists and statements (F22 to F24, F26, F27, F44).

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use tidegate_core::Method;
use tidegate_core::redis::cmd;
use tidegate_testkit::{Answer, TestGateway, manual_clock, redis, wait_until_async};

use crate::paths::with_paths;
use crate::support::{bearer, claims_with, hs256, token};

/// A section with [`hs256`] and this beside.
fn section(more: &str) -> String {
    format!("auth:\n  providers: [{}]\n{more}\n", hs256())
}

/// Routes: name, path and what is required.
fn routes(routes: &[(&str, &str, &str)]) -> String {
    let mut yaml = "routing:\n  routes:\n".to_owned();
    for (name, path, require) in routes {
        let plugins = format!("{{ auth: {{ require: {require} }} }}");
        writeln!(yaml, "    - {{ name: {name}, path: \"{path}\", plugins: {plugins} }}").expect("a text grows");
    }
    yaml
}

/// A request by `subject`, who has these claims beside.
async fn ask(gateway: &TestGateway, method: &str, path: &str, subject: &str, claims: Value) -> Answer {
    let method: Method = method.parse().expect("a method");
    let token = bearer(&token(&claims_with(subject, claims)));
    gateway.request(method, path).header("authorization", token).send().await
}

async fn status(gateway: &TestGateway, method: &str, path: &str, subject: &str, claims: Value) -> u16 {
    ask(gateway, method, path, subject, claims).await.status
}

/// By definition: what a role gives, with `*` at the end for the rest.
fn gives(patterns: &[&str], permission: &str) -> bool {
    patterns.iter().any(|pattern| match pattern.strip_suffix('*') {
        Some(start) => permission.starts_with(start),
        None => *pattern == permission,
    })
}

#[tokio::test]
async fn three_roles_have_just_the_routes_that_their_permissions_open() {
    let roles = [
        ("admin", &["*"][..]),
        ("moderator", &["posts:*", "comments:delete", "users:read"]),
        ("user", &["posts:read", "comments:write"]),
    ];
    let permissions = ["posts:read", "posts:write", "comments:write", "comments:delete", "users:read", "users:delete"];
    let given: BTreeMap<_, _> = roles.iter().copied().collect();
    let section = section(&format!("  roles: {}", serde_json::to_string(&given).expect("JSON")));
    let requires: Vec<_> = permissions.iter().map(|one| format!("{{ permissions: [\"{one}\"] }}")).collect();
    let paths: Vec<_> = permissions.iter().map(|one| format!("/{}", one.replace(':', "/"))).collect();
    let all: Vec<_> = (0..permissions.len()).map(|at| (permissions[at], &*paths[at], &*requires[at])).collect();
    let all: Vec<_> = all.iter().map(|(name, path, require)| (name.replace(':', "-"), *path, *require)).collect();
    let all: Vec<_> = all.iter().map(|(name, path, require)| (&**name, *path, *require)).collect();
    let gateway = with_paths().start(&(section + &routes(&all))).await;
    for (permission, path) in permissions.iter().zip(&paths) {
        for (role, patterns) in roles {
            let expected = if gives(patterns, permission) { 200 } else { 403 };
            let found = status(&gateway, "GET", path, "u1", json!({ "role": role })).await;
            assert_eq!(found, expected, "{role} {permission}");
        }
        assert_eq!(status(&gateway, "GET", path, "u1", json!({ "role": "nobody" })).await, 403, "{permission}");
        assert_eq!(status(&gateway, "GET", path, "u1", json!({})).await, 403, "{permission}");
        assert_eq!(gateway.get(path).await.status, 401, "{permission}");
    }
    let both = json!({ "roles": ["user", "moderator"] });
    assert_eq!(status(&gateway, "GET", "/comments/write", "u1", both.clone()).await, 200);
    assert_eq!(status(&gateway, "GET", "/comments/delete", "u1", both).await, 200);
}

#[tokio::test]
async fn only_admins_get_to_admin_routes_and_delete_users() {
    let gateway = with_paths()
        .start(
            &(section("")
                + &routes(&[
                    ("admin", "/v1/admin", "{ roles: [admin] }"),
                    ("users", "/users/{id}", "{ methods: [{ methods: [DELETE], roles: [admin] }] }"),
                ])),
        )
        .await;
    let john = || json!({ "role": "user" });
    let admin = || json!({ "role": "admin" });
    assert_eq!(gateway.get("/v1/admin").await.status, 401);
    let no = ask(&gateway, "GET", "/v1/admin", "john", john()).await.expect(403);
    assert_eq!(no.json()["code"], "forbidden");
    assert!(!no.text().contains("admin"), "who may is not for who may not: {}", no.text());
    assert_eq!(no.header("www-authenticate"), None, "another proof would not help");
    assert_eq!(status(&gateway, "GET", "/v1/admin", "ann", admin()).await, 200);
    for (method, who, expected) in [
        ("DELETE", john(), 403),
        ("delete", john(), 403),
        ("DELETE", admin(), 200),
        ("GET", john(), 200),
        ("PUT", john(), 200),
    ] {
        assert_eq!(status(&gateway, method, "/users/7", "john", who.clone()).await, expected, "{method} {who}");
    }
    assert_eq!(gateway.request(Method::DELETE, "/users/7").send().await.status, 401);
}

#[tokio::test]
async fn who_lacks_scopes_alone_is_told_which_are_needed() {
    let require =
        "{ scopes: [\"users:read\"], roles: [staff], methods: [{ methods: [GET], scopes: [\"users:list\"] }] }";
    let gateway = with_paths().start(&(section("") + &routes(&[("users", "/users", require)]))).await;
    let staff = |scope: &str| json!({ "roles": ["staff"], "scope": scope });
    for method in ["GET", "HEAD"] {
        let no = ask(&gateway, method, "/users", "u1", staff("users:read other")).await.expect(403);
        let challenge = no.header("www-authenticate").expect("a challenge");
        assert!(challenge.starts_with("Bearer ") && challenge.contains("error=\"insufficient_scope\""), "{challenge}");
        assert!(challenge.contains("scope=\"users:read users:list\""), "{challenge}");
    }
    let no = ask(&gateway, "GET", "/users", "u1", staff("")).await.expect(403);
    assert_eq!(no.json()["code"], "insufficient_scope");
    assert_eq!(status(&gateway, "GET", "/users", "u1", staff("users:list users:read")).await, 200);
    assert_eq!(status(&gateway, "POST", "/users", "u1", staff("users:read")).await, 200);
    let no = ask(&gateway, "GET", "/users", "u1", json!({ "scope": "" })).await.expect(403);
    assert_eq!((no.json()["code"].as_str(), no.header("www-authenticate")), (Some("forbidden"), None));
}

#[tokio::test]
async fn everybody_gets_at_their_own_and_at_nobody_elses() {
    let require = "{ params: { user: sub }, claims: { verified: true, groups: beta } }";
    let gateway = with_paths().start(&(section("") + &routes(&[("own", "/users/{user}/inbox", require)]))).await;
    let good = || json!({ "verified": true, "groups": ["alpha", "beta"] });
    for (path, subject, claims, expected) in [
        ("/users/anna/inbox", "anna", good(), 200),
        ("/users/jos%C3%A9/inbox", "josé", good(), 200),
        ("/users/%61nna/inbox", "anna", good(), 200),
        ("/users/anna/inbox", "ann", good(), 403),
        ("/users/Anna/inbox", "anna", good(), 403),
        ("/users/anna%00/inbox", "anna", good(), 403),
        ("/users/anna;x=1/inbox", "anna", good(), 403),
        ("/users/anna/inbox", "anna", json!({ "groups": ["beta"] }), 403),
        ("/users/anna/inbox", "anna", json!({ "verified": "true", "groups": ["beta"] }), 403),
        ("/users/anna/inbox", "anna", json!({ "verified": true, "groups": "beta" }), 200),
        ("/users/anna/inbox", "anna", json!({ "verified": true, "groups": "betas" }), 403),
    ] {
        assert_eq!(status(&gateway, "GET", path, subject, claims.clone()).await, expected, "{path} {subject} {claims}");
    }
}

const LIST: &str = "{ \"doc:123\": { alice: [read, write], bob: [read], \"role:audit\": [read] } }";
const ACL: &str = "{ acl: { list: docs, resource: \"doc:{id}\" } }";

/// alice reads and writes, bob reads, carol nothing (F26).
async fn alice_bob_and_carol(gateway: &TestGateway) {
    for (method, who, expected) in [
        ("PUT", "alice", 200),
        ("GET", "alice", 200),
        ("PUT", "bob", 403),
        ("DELETE", "bob", 403),
        ("GET", "bob", 200),
        ("HEAD", "bob", 200),
        ("GET", "carol", 403),
        ("PUT", "carol", 403),
    ] {
        assert_eq!(status(gateway, method, "/docs/123", who, json!({})).await, expected, "{method} {who}");
    }
    assert_eq!(status(gateway, "GET", "/docs/124", "alice", json!({})).await, 403, "another document");
    assert_eq!(status(gateway, "GET", "/docs/123", "dora", json!({ "roles": ["audit"] })).await, 200);
    assert_eq!(status(gateway, "GET", "/docs/123", "role:audit", json!({})).await, 403, "a name is no role");
    assert_eq!(gateway.get("/docs/123").await.status, 401);
}

#[tokio::test]
async fn a_list_in_the_configuration_says_who_may_what() {
    let yaml = section(&format!("  acl: {{ docs: {{ entries: {LIST} }} }}")) + &routes(&[("docs", "/docs/{id}", ACL)]);
    let gateway = with_paths().start(&yaml).await;
    alice_bob_and_carol(&gateway).await;
}

#[tokio::test]
async fn verbs_are_what_the_list_says_they_are() {
    let list = "{ docs: { entries: { \"doc:1\": { alice: [look], bob: [remove, look] } },
        verbs: { GET: look, DELETE: remove } } }";
    let yaml = section(&format!("  acl: {list}")) + &routes(&[("docs", "/docs/{id}", ACL)]);
    let gateway = with_paths().start(&yaml).await;
    for (method, who, expected) in [
        ("GET", "alice", 200),
        ("HEAD", "alice", 200),
        ("OPTIONS", "alice", 403),
        ("DELETE", "alice", 403),
        ("DELETE", "bob", 200),
        ("PUT", "bob", 403),
    ] {
        assert_eq!(status(&gateway, method, "/docs/1", who, json!({})).await, expected, "{method} {who}");
    }
}

fn write(path: &Path, text: &str) {
    // As editors do it: nobody ever sees half a file.
    let new = path.with_extension("new");
    std::fs::write(&new, text).expect("written");
    std::fs::rename(&new, path).expect("renamed");
}

#[tokio::test]
async fn a_list_in_a_file_is_read_again_when_it_changes_and_kept_when_it_can_not_be_used() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("acl.yaml");
    write(&file, LIST);
    let yaml = section(&format!("  acl: {{ docs: {{ file: {file:?} }} }}")) + &routes(&[("docs", "/docs/{id}", ACL)]);
    let clock = manual_clock();
    let gateway = with_paths().clock(&clock).start(&yaml).await;
    alice_bob_and_carol(&gateway).await;
    let becomes = async |who: &str, expected: u16| {
        wait_until_async(&format!("{who} gets {expected}"), async || {
            clock.advance(Duration::from_secs(1));
            status(&gateway, "GET", "/docs/123", who, json!({})).await == expected
        })
        .await;
    };
    write(&file, "{ \"doc:123\": { carol: [read] } }");
    becomes("carol", 200).await;
    assert_eq!(status(&gateway, "GET", "/docs/123", "alice", json!({})).await, 403);
    write(&file, "{ \"doc:123\": { alice: [read");
    // The next good one comes after the bad one, so that the bad one was seen when it is there.
    for _ in 0..3 {
        clock.advance(Duration::from_secs(1));
        assert_eq!(status(&gateway, "GET", "/docs/123", "carol", json!({})).await, 200, "the last good one");
    }
    write(&file, "{ \"doc:123\": { bob: [read] } }");
    becomes("bob", 200).await;
    assert_eq!(status(&gateway, "GET", "/docs/123", "carol", json!({})).await, 403);
}

fn stored(url: &str, more: &str) -> String {
    let store = format!("stores: {{ shared: {{ redis: \"{url}\", timeout: 5s }} }}\n");
    let list = format!("  acl: {{ docs: {{ store: {{ name: shared{more} }} }} }}");
    store + &section(&list) + &routes(&[("docs", "/docs/{id}", ACL)])
}

#[tokio::test]
async fn a_list_in_a_store_says_who_may_what_and_without_it_nobody_may() {
    let mut redis = redis().await;
    let set = async |field: &str, verbs: &str| {
        let () = redis.ask(cmd("HSET").arg("acl:doc:123").arg(field).arg(verbs)).await;
    };
    set("alice", "read, write").await;
    set("bob", "read").await;
    set("role:audit", "read").await;
    let gateway = with_paths().start(&stored(&redis.url(), "")).await;
    alice_bob_and_carol(&gateway).await;
    set("carol", "read").await;
    assert_eq!(status(&gateway, "GET", "/docs/123", "carol", json!({})).await, 200, "each request asks");
    set("*", "write").await;
    assert_eq!(status(&gateway, "PUT", "/docs/123", "dora", json!({})).await, 200, "everybody who is known");
    assert_eq!(status(&gateway, "GET", "/docs/123", "*", json!({})).await, 403, "a name is not everybody");
    redis.kill().await;
    let lost = ask(&gateway, "GET", "/docs/123", "alice", json!({})).await.expect(503);
    assert_eq!(lost.json()["code"], "store_unavailable");
    assert!(lost.header("retry-after").is_some());
    assert_eq!(gateway.get("/docs/123").await.status, 401, "who is unknown is told so");
}

#[tokio::test]
async fn what_a_store_says_can_be_remembered_for_a_while() {
    let redis = redis().await;
    let () = redis.ask(cmd("HSET").arg("docs/doc:1").arg("alice").arg("read")).await;
    let clock = manual_clock();
    let gateway = with_paths().clock(&clock).start(&stored(&redis.url(), ", prefix: docs/, cache: 10s")).await;
    let before = redis.calls("hmget").await;
    for _ in 0..5 {
        assert_eq!(status(&gateway, "GET", "/docs/1", "alice", json!({})).await, 200);
        assert_eq!(status(&gateway, "PUT", "/docs/1", "alice", json!({})).await, 403);
        assert_eq!(status(&gateway, "GET", "/docs/1", "bob", json!({})).await, 403);
    }
    assert_eq!(redis.calls("hmget").await - before, 2, "one for each of them");
    let () = redis.ask(cmd("HDEL").arg("docs/doc:1").arg("alice")).await;
    assert_eq!(status(&gateway, "GET", "/docs/1", "alice", json!({})).await, 200, "not asked yet");
    clock.advance(Duration::from_secs(10));
    assert_eq!(status(&gateway, "GET", "/docs/1", "alice", json!({})).await, 403);
}

#[tokio::test]
async fn statements_decide_as_iam_does() {
    let statements = "  statements:
    - { name: readers, effect: allow, actions: [\"users:read\"], resources: [\"/v1/users/*\"] }
    - { name: admins, effect: allow, principals: [\"role:admin\"], actions: [\"users:*\"], resources: [\"/v1/*\"] }
    - { name: inside, effect: allow, actions: [\"reports:*\"], resources: [\"/v1/reports\"], when: { client: [127.0.0.0/8] } }
    - { name: outside, effect: allow, actions: [\"reports:*\"], resources: [\"/v1/reports/*\"], when: { client: [10.0.0.0/8] } }
    - { name: no-root, effect: deny, actions: [\"*\"], resources: [\"/v1/users/root\", \"/v1/users/root/*\"] }";
    let users =
        "{ statements: true, actions: { GET: \"users:read\", DELETE: \"users:delete\", PUT: \"users:write\" } }";
    let reports = "{ statements: true, actions: { GET: \"reports:read\" } }";
    let gateway = with_paths()
        .start(
            &(section(statements)
                + &routes(&[("users", "/v1/users/{id}/**", users), ("reports", "/v1/reports/**", reports)])),
        )
        .await;
    let (user, admin) = (json!({ "roles": ["user"] }), json!({ "roles": ["admin"] }));
    for (method, path, who, expected) in [
        ("GET", "/v1/users/7", &user, 200),
        ("HEAD", "/v1/users/7", &user, 200),
        ("GET", "/v1/users/7/posts/9", &user, 200),
        ("DELETE", "/v1/users/7", &user, 403),
        ("DELETE", "/v1/users/7", &admin, 200),
        ("PUT", "/v1/users/7", &admin, 200),
        ("POST", "/v1/users/7", &admin, 403),
        ("GET", "/v1/users/root", &user, 403),
        ("GET", "/v1/users/root", &admin, 403),
        ("GET", "/v1/users/root/x", &admin, 403),
        ("GET", "/v1/users/root;a=b", &admin, 403),
        ("GET", "/v1/users/roo%74", &admin, 403),
        ("GET", "/v1/users/root%2Fx", &admin, 403),
        ("GET", "/v1/users/root%00", &admin, 403),
        ("GET", "/v1/users/roots", &admin, 200),
        ("GET", "/v1/reports", &user, 200),
        ("GET", "/v1/reports/7", &user, 403),
        ("POST", "/v1/reports", &admin, 403),
    ] {
        assert_eq!(status(&gateway, method, path, "u1", who.clone()).await, expected, "{method} {path} {who}");
    }
    assert_eq!(gateway.get("/v1/users/root").await.status, 401);
}

#[tokio::test]
async fn what_can_not_work_is_refused_with_file_line_and_remedy() {
    let yaml =
        section("  roles: { admin: [\"*:read\"] }\n  statements: [{ effect: allow, actions: [], resources: [x] }]")
            + &routes(&[(
                "a",
                "/a/{id}",
                "{ permissions: [x], params: { user: sub }, acl: { list: docs, resource: a } }",
            )]);
    let error = with_paths().check(&yaml).expect_err("bad");
    for text in ["auth.roles.admin[0]: ", "auth.statements[0].actions: ", "auth.statements[0].resources[0]: ", "help: "]
    {
        assert!(error.contains(text), "{text} is missing:\n{error}");
    }
    let yaml = section("")
        + &routes(&[("a", "/a/{id}", "{ permissions: [x], params: { user: sub }, acl: { list: docs, resource: a } }")]);
    let error = with_paths().check(&yaml).expect_err("bad");
    for text in ["require.permissions[0]: ", "require.params.user: ", "this route's path has: id", "require.acl.list: "]
    {
        assert!(error.contains(text), "{text} is missing:\n{error}");
    }
}
