//! Gateways whose clocks differ a little.

use std::time::Duration;

use tidegate_core::TimeSource;
use tidegate_testkit::Answer;

use super::site::{Site, pair, site};
use crate::support::bearer;

const AHEAD: Duration = Duration::from_secs(20);

/// What a gateway does whose clock is ahead.
fn ahead(site: &Site) {
    site.clock.set_wall(site.clock.wall() + AHEAD);
}

fn back(site: &Site) {
    site.clock.set_wall(site.clock.wall() - AHEAD);
}

async fn logout_all(site: &Site, access: &str) -> Answer {
    site.gateway.post("/auth/logout-all").header("authorization", bearer(access)).send().await
}

#[tokio::test]
async fn logging_out_everywhere_ends_what_a_gateway_issued_whose_clock_is_ahead() {
    let site = site("").await;
    site.sign_up("jane").await;
    ahead(&site);
    let stolen = site.log_in("jane").await;
    back(&site);
    let own = site.log_in("jane").await;
    assert_eq!(site.status(&stolen.access).await, 200);
    logout_all(&site, &own.access).await.expect(204);
    assert_eq!(site.status(&own.access).await, 401);
    assert_eq!(site.status(&stolen.access).await, 401);
}

#[tokio::test]
async fn a_logout_is_remembered_as_long_as_a_token_lives_that_a_gateway_issued_whose_clock_is_ahead() {
    let site = site("").await;
    let first = site.join("jane").await;
    ahead(&site);
    let next = pair(&site.refresh(&first.refresh).await.expect(200));
    back(&site);
    site.logout(&first.access).await.expect(204);
    assert_eq!(site.status(&next.access).await, 401);
    // A second before it expires, for a gateway that knows what the store does.
    site.pass(AHEAD.as_secs() + 15 * 60 - 1);
    let site = site.restart("").await;
    assert_eq!(site.status(&next.access).await, 401);
}
