//! What a new configuration and a restart keep.

use serde_json::json;

use super::site::{pair, post, site};

#[tokio::test]
async fn a_reload_keeps_keys_sessions_and_what_was_revoked() {
    let site = site("").await;
    let (good, gone) = (site.join("jane").await, site.log_in("jane").await);
    site.logout(&gone.access).await.expect(204);
    site.reload("access: { ttl: 10m }").await;
    assert_eq!((site.status(&good.access).await, site.status(&gone.access).await), (200, 401));
    let next = site.refresh(&good.refresh).await.expect(200);
    assert_eq!(next.json()["expires_in"], 600);
    assert_eq!(site.status(&pair(&next).access).await, 200);
}

#[tokio::test]
async fn a_restart_keeps_users_keys_sessions_and_what_was_revoked() {
    let site = site("").await;
    let (good, gone) = (site.join("jane").await, site.log_in("jane").await);
    let used = site.refresh(&good.refresh).await.expect(200);
    site.logout(&gone.access).await.expect(204);
    let site = site.restart("").await;
    assert_eq!((site.status(&good.access).await, site.status(&gone.access).await), (200, 401));
    site.refresh(&gone.refresh).await.expect(401);
    let again = site.refresh(&good.refresh).await.expect(200);
    assert_eq!(pair(&again).refresh, pair(&used).refresh, "also the successor within the grace");
    assert_eq!(site.status(&site.log_in("jane").await.access).await, 200);
}

/// A token that lives for fifteen minutes is refused for as long, though new ones live for one.
#[tokio::test]
async fn what_was_revoked_is_remembered_as_long_as_tokens_live_that_were_issued_before_a_reload_or_a_restart() {
    for restart in [false, true] {
        let mut site = site("").await;
        let old = site.join("jane").await;
        if restart {
            site = site.restart("access: { ttl: 1m }").await;
        } else {
            site.reload("access: { ttl: 1m }").await;
        }
        // By the refresh token, which says nothing of what was issued with it.
        let body = json!({ "refresh_token": old.refresh });
        post(&site.gateway, "/auth/logout", &body).send().await.expect(204);
        site.pass(10 * 60);
        // For a gateway that knows what the store does.
        let site = site.restart("access: { ttl: 1m }").await;
        assert_eq!(site.status(&old.access).await, 401, "restart: {restart}");
    }
}
