//! Clients that fail again and again are turned away (F37, G2).

use super::*;

const BANNING: &str = "ban: { status: [401, 404], count: 20, window: 10m, for: 1h, exempt: [\"192.0.2.99/32\"] }";

#[tokio::test]
async fn the_request_after_twenty_failures_is_turned_away_until_the_ban_is_over() {
    let (gateway, clock) = start_with("{ rate: 1000/s, per: client }", BANNING).await;
    let fail = async |from| ask(&gateway, from, &[("x-user", "nobody")]).await.status;
    for _ in 0..20 {
        assert_eq!(fail("192.0.2.1").await, 401);
    }
    let banned = ask(&gateway, "192.0.2.1", &[]).await.expect(403);
    assert_eq!(banned.json()["code"], "banned");
    assert_eq!(banned.header("retry-after"), Some("3600"));
    // On every route, also those without limits and those that aren't there.
    ask_at(&gateway, "/other/x", "192.0.2.1", &[]).await.expect(403);
    ask_at(&gateway, "/none", "192.0.2.1", &[]).await.expect(403);
    ask(&gateway, "192.0.2.2", &[]).await.expect(200);
    clock.advance(60 * MINUTE - SECOND);
    ask(&gateway, "192.0.2.1", &[]).await.expect(403);
    clock.advance(SECOND);
    ask(&gateway, "192.0.2.1", &[]).await.expect(200);
}

#[tokio::test]
async fn failures_that_are_long_ago_do_not_count_and_the_exempt_are_never_banned() {
    let (gateway, clock) = start_with("{ rate: 1000/s, per: client }", BANNING).await;
    let fail = async |from| ask(&gateway, from, &[("x-user", "nobody")]).await.status;
    for _ in 0..19 {
        fail("192.0.2.1").await;
    }
    clock.advance(10 * MINUTE);
    for _ in 0..19 {
        assert_eq!(fail("192.0.2.1").await, 401);
    }
    assert_eq!(fail("192.0.2.1").await, 401);
    assert_eq!(fail("192.0.2.1").await, 403);
    for _ in 0..50 {
        assert_eq!(fail("192.0.2.99").await, 401);
    }
}

#[tokio::test]
async fn what_is_not_found_counts_where_nothing_is_routed() {
    let (gateway, _clock) = start_with("{ rate: 1000/s, per: client }", BANNING).await;
    for _ in 0..20 {
        ask_at(&gateway, "/wp-login.php", "192.0.2.1", &[]).await.expect(404);
    }
    ask_at(&gateway, "/wp-login.php", "192.0.2.1", &[]).await.expect(403);
    assert_eq!(gateway.metric("tidegate_ratelimit_bans_total", &[]).await, 1.0);
}

#[tokio::test]
async fn a_banned_client_is_told_so_whatever_its_request_lacks() {
    let section = "ban: { status: [400], count: 2, window: 1m, for: 1m }";
    let (gateway, _clock) = start_with("{ rate: 1/h, per: header.X-Tenant, missing: refuse }", section).await;
    for status in [400, 400, 403, 403] {
        ask(&gateway, "192.0.2.1", &[]).await.expect(status);
    }
}

#[tokio::test]
async fn a_ban_can_be_for_the_name_of_an_error() {
    let section = "ban: { codes: [unknown_user], count: 2, window: 1m, for: 1m }";
    let (gateway, _clock) = start_with("{ rate: 1000/s, per: client }", section).await;
    for status in [401, 401, 403] {
        ask(&gateway, "192.0.2.1", &[("x-user", "nobody")]).await.expect(status);
    }
}
