//! Two gateways and one Redis.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use http::Method;
use serde_json::json;
use tidegate_core::redis::cmd;
use tidegate_testkit::{Client, Redis, TestGateway, Upstream, call, redis, upstream, wait_until_async};

use crate::issuing::site::{PASSWORD, Pair, code, log_in, pair, part, post, refresh, sign_up, status, yaml};
use crate::support::{bearer, with_auth};

struct Fleet {
    gateways: [TestGateway; 2],
    upstream: Upstream,
    redis: Redis,
}

const LEARN: Duration = Duration::from_millis(500);

/// Redis may take as long as a busy machine needs.
fn config(redis: &Redis, upstream: &Upstream, more: &str, auth: &str) -> String {
    config_within("10s", redis, upstream, more, auth)
}

fn config_within(timeout: &str, redis: &Redis, upstream: &Upstream, more: &str, auth: &str) -> String {
    let store = "{ redis: shared, secret: \"a secret that all gateways have, long enough\" }";
    let stores = format!("stores: {{ shared: {{ redis: \"{}\", timeout: {timeout} }} }}\n", redis.url());
    let auth = format!(", revocation: {{ learn: {}ms{auth} }}", LEARN.as_millis());
    stores + &yaml(upstream, store, more, &auth)
}

/// Both start at once, on a store with nothing in it.
async fn fleet(more: &str, auth: &str) -> Fleet {
    let (redis, upstream) = (redis().await, upstream().reply("/*", "let through").start().await);
    let config = config(&redis, &upstream, more, auth);
    let (one, two) = futures_util::join!(with_auth().start(&config), with_auth().start(&config));
    for gateway in [&one, &two] {
        wait_until_async("it has keys", async || keys(gateway).await.is_some()).await;
    }
    Fleet { gateways: [one, two], upstream, redis }
}

/// The published keys, if there are any.
async fn keys(gateway: &TestGateway) -> Option<String> {
    let answer = gateway.get("/auth/.well-known/jwks.json").await;
    (answer.status == 200).then(|| answer.text())
}

async fn logout(gateway: &TestGateway, access: &str) -> u16 {
    gateway.post("/auth/logout").header("authorization", bearer(access)).send().await.status
}

#[tokio::test]
async fn gateways_that_start_at_once_take_each_other_s_tokens() {
    let fleet = fleet("", "").await;
    let [one, two] = &fleet.gateways;
    assert_eq!(keys(one).await, keys(two).await);
    sign_up(one, "jane").await;
    let pair_one = log_in(one, "jane").await;
    let pair_two = log_in(two, "jane").await;
    assert_eq!(part(&pair_one.access, 0)["kid"], part(&pair_two.access, 0)["kid"]);
    assert_eq!((status(two, &pair_one.access).await, status(one, &pair_two.access).await), (200, 200));
    let next = pair(&refresh(two, &pair_one.refresh).await.expect(200));
    let next = pair(&refresh(one, &next.refresh).await.expect(200));
    assert_eq!(status(two, &next.access).await, 200);
    assert_eq!(fleet.upstream.requests().len(), 3);
}

#[tokio::test]
async fn a_logout_on_one_is_refused_on_the_other_within_the_configured_time() {
    let fleet = fleet("", "").await;
    let [one, two] = &fleet.gateways;
    sign_up(one, "jane").await;
    for (here, there) in [(one, two), (two, one)] {
        let pair = log_in(here, "jane").await;
        // The other one has seen it, and remembers that it is good.
        assert_eq!(status(there, &pair.access).await, 200);
        assert_eq!(logout(here, &pair.access).await, 204);
        let since = Instant::now();
        assert_eq!(status(here, &pair.access).await, 401, "at once here");
        wait_until_async("refused there", async || status(there, &pair.access).await == 401).await;
        // A busy machine gets more.
        assert!(since.elapsed() < LEARN + Duration::from_secs(20), "{:?}", since.elapsed());
        assert_eq!(code(&refresh(there, &pair.refresh).await.expect(401)), "invalid_token", "the store is asked");
    }
}

/// What Redis keeps of revocations beside their log, and for how many milliseconds yet.
async fn revoked(redis: &Redis) -> Vec<(String, i64)> {
    let names: Vec<String> = redis.ask(cmd("KEYS").arg("auth:{r}:*:*")).await;
    let mut revoked = Vec::new();
    for name in names {
        let left = redis.ask(cmd("PTTL").arg(&name)).await;
        revoked.push((name, left));
    }
    revoked
}

#[tokio::test]
async fn what_was_revoked_is_forgotten_when_it_would_have_expired() {
    let fleet = fleet("access: { ttl: 12s }", "").await;
    let [one, _] = &fleet.gateways;
    sign_up(one, "jane").await;
    let pair = log_in(one, "jane").await;
    assert_eq!(logout(one, &pair.access).await, 204);
    let now = || std::time::UNIX_EPOCH.elapsed().expect("after 1970").as_millis() as i64;
    let before = now();
    let kept = revoked(&fleet.redis).await;
    let after = now();
    let expires = part(&pair.access, 1)["exp"].as_i64().expect("a time") * 1000;
    assert_eq!(kept.len(), 2, "the token and its login: {kept:?}");
    // By another gateway's clock, which may be 30 s ahead, tokens of the login expire so much later.
    for (name, left) in kept {
        // It was looked at at some time between the two.
        let (least, most) = (left - (expires - before), left - (expires - after));
        assert!(most >= -1000 && least <= 33_500, "{name} is kept for {left} ms");
    }
    assert_eq!(code(&get(one, "/app", &pair.access).await), "token_revoked");
    wait_until_async("it expires", async || code(&get(one, "/app", &pair.access).await) == "token_expired").await;
}

async fn get(gateway: &TestGateway, path: &str, access: &str) -> tidegate_testkit::Answer {
    gateway.request(Method::GET, path).header("authorization", bearer(access)).send().await
}

async fn step(client: &mut Client, token: &str) -> Pair {
    let body = json!({ "refresh_token": token }).to_string();
    let call = call(Method::POST, "/auth/refresh").header("content-type", "application/json").body(body);
    pair(&client.send(call).await.expect(200))
}

#[tokio::test]
async fn a_thousand_refreshes_at_once_on_two_gateways_give_one_successor() {
    let fleet = fleet("refresh: { grace: 60s }", "").await;
    sign_up(&fleet.gateways[0], "jane").await;
    let first = log_in(&fleet.gateways[0], "jane").await;
    let lanes = (0..40).map(|lane| {
        let (gateway, first) = (&fleet.gateways[lane % 2], &first);
        async move {
            let mut client = gateway.connect().await;
            let mut got = Vec::new();
            for _ in 0..25 {
                got.push(step(&mut client, &first.refresh).await);
            }
            got
        }
    });
    let got: Vec<Pair> = join_all(lanes).await.into_iter().flatten().collect();
    let refresh_tokens: BTreeSet<_> = got.iter().map(|pair| &pair.refresh).collect();
    assert_eq!((got.len(), refresh_tokens.len()), (1000, 1));
    let mut rotated = 0.0;
    for gateway in &fleet.gateways {
        rotated += gateway.metric("tidegate_auth_refresh_total", &[("result", "rotated")]).await;
    }
    assert_eq!(rotated, 1.0);
    refresh(&fleet.gateways[1], &got[0].refresh).await.expect(200);
}

#[tokio::test]
async fn theft_that_one_notices_ends_the_tokens_on_the_other() {
    let fleet = fleet("refresh: { on_reuse: revoke_user, grace: 0s }", "").await;
    let [one, two] = &fleet.gateways;
    sign_up(one, "jane").await;
    let (stolen, other) = (log_in(one, "jane").await, log_in(two, "jane").await);
    refresh(two, &stolen.refresh).await.expect(200);
    assert_eq!(code(&refresh(one, &stolen.refresh).await.expect(401)), "token_reused");
    wait_until_async("refused there", async || status(two, &other.access).await == 401).await;
    refresh(two, &other.refresh).await.expect(401);
}

/// What comes of everything there is to do, while Redis is lost.
async fn all(gateway: &TestGateway, good: &Pair) -> Vec<(&'static str, u16)> {
    let login = post(gateway, "/auth/login", &json!({ "name": "jane", "password": PASSWORD })).send().await;
    let signup = json!({ "name": "john", "password": PASSWORD });
    let signup = post(gateway, "/auth/signup", &signup).send().await;
    let change = json!({ "old_password": PASSWORD, "new_password": "another long password" });
    let change = post(gateway, "/auth/password", &change).header("authorization", bearer(&good.access)).send().await;
    let everywhere = gateway.post("/auth/logout-all").header("authorization", bearer(&good.access)).send().await;
    let mut all = vec![
        ("login", login.status),
        ("signup", signup.status),
        ("password", change.status),
        ("logout-all", everywhere.status),
        ("refresh", refresh(gateway, &good.refresh).await.status),
        ("logout", logout(gateway, &good.access).await),
    ];
    for (name, path) in [("me", "/auth/me"), ("sessions", "/auth/sessions")] {
        all.push((name, get(gateway, path, &good.access).await.status));
    }
    all
}

#[tokio::test]
async fn while_redis_is_lost_what_needs_it_is_not_now_and_tokens_are_still_checked() {
    let mut fleet = fleet("", "").await;
    let [one, _] = &fleet.gateways;
    sign_up(one, "jane").await;
    let (good, gone) = (log_in(one, "jane").await, log_in(one, "jane").await);
    assert_eq!(logout(one, &gone.access).await, 204);
    fleet.redis.kill().await;
    let [one, _] = &fleet.gateways;
    for (name, status) in all(one, &good).await {
        assert_eq!(status, 503, "{name}");
    }
    let answer = refresh(one, &good.refresh).await;
    assert_eq!((code(&answer).as_str(), answer.header("retry-after")), ("store_unavailable", Some("1")));
    assert_eq!((status(one, &good.access).await, status(one, &gone.access).await), (200, 401));
    assert!(keys(one).await.is_some(), "keys are at hand");

    // It comes back with nothing in it, as one without a disk does: keys are put back, tokens stay good.
    fleet.redis.restart().await;
    let [one, two] = &fleet.gateways;
    wait_until_async("users can register again", async || {
        let body = json!({ "name": "june", "password": PASSWORD });
        matches!(post(one, "/auth/signup", &body).send().await.status, 201 | 409)
    })
    .await;
    let june = log_in(one, "june").await;
    assert_eq!((status(two, &june.access).await, status(one, &good.access).await), (200, 200));
}

#[tokio::test]
async fn while_redis_is_lost_tokens_are_refused_where_that_is_chosen() {
    let mut fleet = fleet("", ", on_store_error: deny").await;
    sign_up(&fleet.gateways[0], "jane").await;
    let good = log_in(&fleet.gateways[0], "jane").await;
    fleet.redis.kill().await;
    let [one, two] = &fleet.gateways;
    for gateway in [one, two] {
        wait_until_async("it counts as lost", async || status(gateway, &good.access).await == 503).await;
        assert_eq!(get(gateway, "/auth/me", &good.access).await.status, 503);
    }
}

#[tokio::test]
async fn a_redis_that_is_killed_in_the_middle_is_never_a_500() {
    let mut fleet = fleet("", "").await;
    sign_up(&fleet.gateways[0], "jane").await;
    let good = log_in(&fleet.gateways[0], "jane").await;
    let [one, two] = &fleet.gateways;
    let busy = async |gateway: &TestGateway| {
        let mut seen = BTreeSet::new();
        for _ in 0..3 {
            seen.extend(all(gateway, &good).await.into_iter().map(|(_, status)| status));
            seen.insert(status(gateway, &good.access).await);
        }
        seen
    };
    let killed = async {
        tokio::task::yield_now().await;
        fleet.redis.kill().await;
    };
    let (one, two, ()) = futures_util::join!(busy(one), busy(two), killed);
    let seen: BTreeSet<_> = one.union(&two).copied().collect();
    assert!(seen.contains(&503), "{seen:?}");
    assert!(seen.iter().all(|status| [200, 201, 204, 401, 403, 409, 503].contains(status)), "{seen:?}");
}

#[tokio::test]
async fn a_redis_that_hangs_costs_a_bounded_time() {
    const MORE: &str = "refresh: { grace: 60s }";
    let fleet = fleet(MORE, "").await;
    let [one, _] = &fleet.gateways;
    // One that waits for a second only, and has begun to ask.
    let hasty = with_auth().start(&config_within("1s", &fleet.redis, &fleet.upstream, MORE, "")).await;
    wait_until_async("it has keys", async || keys(&hasty).await.is_some()).await;
    sign_up(one, "jane").await;
    let good = log_in(one, "jane").await;
    fleet.redis.stop_answering();
    let begun = Instant::now();
    refresh(&hasty, &good.refresh).await.expect(503);
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    fleet.redis.go_on();
    wait_until_async("it goes on", async || refresh(&hasty, &good.refresh).await.status == 200).await;
}

#[tokio::test]
async fn a_gateway_starts_without_redis_and_has_keys_when_it_comes() {
    let mut redis = redis().await;
    redis.kill().await;
    let upstream = upstream().reply("/*", "").start().await;
    let gateway = with_auth().start(&config(&redis, &upstream, "", "")).await;
    let answer = post(&gateway, "/auth/login", &json!({ "name": "jane", "password": PASSWORD })).send().await;
    answer.expect(503);
    assert_eq!(code(&gateway.get("/auth/.well-known/jwks.json").await.expect(503)), "keys_unavailable");
    redis.restart().await;
    wait_until_async("it has keys", async || keys(&gateway).await.is_some()).await;
    sign_up(&gateway, "jane").await;
    let pair = log_in(&gateway, "jane").await;
    assert_eq!(status(&gateway, &pair.access).await, 200);
}

#[tokio::test]
async fn sessions_by_cookie_are_good_on_both_and_end_on_both() {
    let fleet = fleet("session: {}", "").await;
    let [one, two] = &fleet.gateways;
    sign_up(one, "jane").await;
    let answer = post(one, "/auth/login", &json!({ "name": "jane", "password": PASSWORD })).send().await.expect(200);
    let cookies: Vec<_> = answer.headers.all("set-cookie").filter_map(|cookie| cookie.split_once(';')).collect();
    let of = |name: &str| cookies.iter().find_map(|(pair, _)| pair.strip_prefix(name)).expect("set").to_owned();
    let (session, csrf) = (format!("__Host-session={}", of("__Host-session=")), of("__Host-csrf="));
    let status = async |gateway: &TestGateway| {
        gateway.request(Method::GET, "/app").header("cookie", &*session).send().await.status
    };
    assert_eq!((status(one).await, status(two).await), (200, 200));
    let logout = one.post("/auth/logout").header("cookie", &*session).header("x-csrf-token", &*csrf);
    logout.send().await.expect(204);
    assert_eq!(status(one).await, 401);
    wait_until_async("refused there", async || status(two).await == 401).await;
}

/// A gateway that changes a password and dies before it has ended the other logins: they have ended.
#[tokio::test]
async fn a_login_that_a_new_password_should_have_ended_is_over_though_nobody_came_to_end_it() {
    let fleet = fleet("", "").await;
    let [one, two] = &fleet.gateways;
    sign_up(one, "jane").await;
    let (here, elsewhere) = (log_in(one, "jane").await, log_in(one, "jane").await);
    let sid = part(&elsewhere.access, 1)["sid"].as_str().expect("a session").to_owned();
    let key = format!("auth:{{s:{sid}}}");
    let kept: Vec<u8> = fleet.redis.ask(cmd("DUMP").arg(&key)).await;
    let body = json!({ "old_password": PASSWORD, "new_password": "a different long password" });
    let change = post(one, "/auth/password", &body).header("authorization", bearer(&here.access)).send().await;
    change.expect(200);
    // As if that had not been done.
    let _: String = fleet.redis.ask(cmd("RESTORE").arg(&key).arg(60_000).arg(kept)).await;
    refresh(two, &elsewhere.refresh).await.expect(401);
    refresh(two, &here.refresh).await.expect(200);
    // Logins from now on are later.
    let body = json!({ "name": "jane", "password": "a different long password" });
    let next = pair(&post(two, "/auth/login", &body).send().await.expect(200));
    refresh(one, &next.refresh).await.expect(200);
}
