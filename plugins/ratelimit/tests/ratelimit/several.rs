//! Several limits at once: all or nothing, shared or a route's own, by plan (H4, H10).

use super::*;

#[tokio::test]
async fn what_one_limit_refuses_costs_nothing_in_the_others() {
    let (gateway, clock) =
        start("{ name: wide, rate: 10/h, per: route }, { name: narrow, rate: 2/m, per: client }").await;
    assert_eq!(admitted(&gateway, 8, "192.0.2.1").await, 2, "narrow");
    assert_eq!(admitted(&gateway, 8, "192.0.2.2").await, 2);
    // Four of ten are gone from the wide one, not sixteen.
    let mut through = 0;
    for client in 3..20 {
        through += admitted(&gateway, 1, &format!("192.0.2.{client}")).await;
    }
    assert_eq!(through, 6);
    clock.advance(MINUTE);
    assert_eq!(admitted(&gateway, 1, "192.0.2.1").await, 0, "wide");
}

#[tokio::test]
async fn five_logins_in_fifteen_minutes_leave_the_general_limit_alone() {
    let yaml = "trusted_proxies: [127.0.0.0/8]
ratelimit:
  limits: { general: { rate: 100/15m, algorithm: fixed_window, per: client } }
  default: { use: [general] }
routing:
  routes:
    - { name: api, match: { path: \"/v1/**\" }, reply: { body: api } }
    - name: login
      match: { path: \"/v1/auth/**\" }
      reply: { body: login }
      plugins: { ratelimit: { use: [general], limits: [{ name: login, rate: 5/15m, algorithm: fixed_window, per: client }] } }
";
    let clock = manual_clock();
    let gateway = builder().clock(&clock).start(yaml).await;
    let send = async |path| ask_at(&gateway, path, "192.0.2.1", &[]).await;
    for status in [200, 200, 200, 200, 200, 429, 429] {
        send("/v1/auth/login").await.expect(status);
    }
    // One counter over both routes: five of the hundred are gone.
    let mut ok = 0;
    for _ in 0..100 {
        ok += usize::from(send("/v1/users").await.status == 200);
    }
    assert_eq!(ok, 95);
    send("/none").await.expect(429);
    clock.advance(15 * MINUTE);
    send("/v1/auth/login").await.expect(200);
    send("/none").await.expect(404);
}

#[tokio::test]
async fn one_configuration_protects_everything_and_a_route_has_its_own_say() {
    let yaml = "ratelimit: { limits: { all: { rate: 2/h, per: client } }, default: { use: [all] } }
routing:
  routes:
    - { name: a, match: { path: /a }, reply: { body: a } }
    - { name: b, match: { path: /b }, reply: { body: b } }
    - { name: free, match: { path: /free }, reply: { body: free }, plugins: { ratelimit: off } }
    - { name: own, match: { path: /own }, reply: { body: own }, plugins: { ratelimit: { limits: [{ rate: 1/h, per: client }] } } }
";
    let gateway = builder().start(yaml).await;
    for (path, status) in [("/a", 200), ("/b", 200), ("/a", 429), ("/free", 200), ("/own", 200), ("/own", 429)] {
        gateway.get(path).await.expect(status);
    }
}

#[tokio::test]
async fn plans_decide_how_much_and_the_unknown_get_the_least() {
    let limit = "{ per: identity, plans: { free: 1/h, pro: 3/h }, plan: claim.plan, otherwise: free }";
    let (gateway, _clock) = start(limit).await;
    let send = async |user, claims| ask(&gateway, "192.0.2.1", &[("x-user", user), ("x-claims", claims)]).await.status;
    for (user, claims, expected) in [
        ("anna", r#"{"plan":"pro"}"#, [200, 200, 200, 429]),
        ("ben", r#"{"plan":"free"}"#, [200, 429, 429, 429]),
        ("carl", r#"{"plan":"made-up"}"#, [200, 429, 429, 429]),
        ("dora", "{}", [200, 429, 429, 429]),
        ("emil", r#"{"plan":["pro"]}"#, [200, 429, 429, 429]),
    ] {
        for status in expected {
            assert_eq!(send(user, claims).await, status, "{user}");
        }
    }
}

#[tokio::test]
async fn a_claim_can_be_the_rate_within_bounds() {
    let (gateway, _clock) = start("{ per: identity, rate: 1/h, rate_from: claim.rate, at_most: 3/h }").await;
    let send = async |user, claims| ask(&gateway, "192.0.2.1", &[("x-user", user), ("x-claims", claims)]).await.status;
    for (user, claims, expected) in [
        ("anna", r#"{"rate":"2/h"}"#, [200, 200, 429, 429]),
        ("ben", r#"{"rate":"1000/s"}"#, [200, 200, 200, 429]),
        ("fred", r#"{"rate":"1000/1000h"}"#, [200, 200, 200, 429]),
        ("carl", r#"{"rate":"0/s"}"#, [200, 429, 429, 429]),
        ("dora", r#"{"rate":"nonsense"}"#, [200, 429, 429, 429]),
        ("emil", r#"{"rate":"99999999999999999999/s"}"#, [200, 429, 429, 429]),
    ] {
        for status in expected {
            assert_eq!(send(user, claims).await, status, "{user}");
        }
    }
}
