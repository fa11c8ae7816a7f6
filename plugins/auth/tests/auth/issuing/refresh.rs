//! Rotation: one token is good once, and whoever comes later is a thief, or a second tab.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use http::Method;
use serde_json::json;
use tidegate_testkit::{Client, call};

use super::site::{Pair, Site, code, pair, site};
use crate::support::bearer;

const DAY: u64 = 24 * 3600;

/// Refreshes, as a client that keeps its connection.
async fn step(client: &mut Client, token: &str) -> Pair {
    let body = json!({ "refresh_token": token }).to_string();
    let call = call(Method::POST, "/auth/refresh").header("content-type", "application/json").body(body);
    pair(&client.send(call).await.expect(200))
}

#[tokio::test]
async fn of_a_chain_of_a_thousand_only_the_newest_is_good() {
    let site = site("").await;
    let first = site.join("jane").await;
    let mut client = site.gateway.connect().await;
    let (mut newest, mut seen) = (first.clone(), BTreeSet::new());
    for number in 0..1000 {
        if number % 500 == 0 {
            client = site.gateway.connect().await;
        }
        let next = step(&mut client, &newest.refresh).await;
        assert!(seen.insert(std::mem::replace(&mut newest, next).refresh), "each is another");
    }
    assert_eq!(site.status(&newest.access).await, 200);
    step(&mut client, &newest.refresh).await;
    // One from the middle, long used up.
    site.refresh(&first.refresh).await.expect(401);
    site.refresh(&newest.refresh).await.expect(401);
    assert_eq!(site.status(&newest.access).await, 401, "its family ended");
}

#[tokio::test]
async fn a_thousand_refreshes_at_once_give_one_successor() {
    let site = site("").await;
    let first = site.join("jane").await;
    let lanes = (0..50).map(|_| async {
        let mut client = site.gateway.connect().await;
        let mut got = Vec::new();
        for _ in 0..20 {
            got.push(step(&mut client, &first.refresh).await);
        }
        got
    });
    let got: Vec<Pair> = join_all(lanes).await.into_iter().flatten().collect();
    let refresh: BTreeSet<_> = got.iter().map(|pair| &pair.refresh).collect();
    assert_eq!((got.len(), refresh.len()), (1000, 1));
    let metrics = site.gateway.metrics().await;
    assert_eq!(metrics.sum("tidegate_auth_refresh_total", &[("result", "rotated")]), 1.0);
    assert_eq!(metrics.sum("tidegate_auth_refresh_total", &[("result", "again")]), 999.0);
    for pair in got.iter().step_by(100) {
        assert_eq!(site.status(&pair.access).await, 200, "nobody is logged out");
    }
    site.refresh(&got[0].refresh).await.expect(200);
}

#[tokio::test]
async fn within_the_grace_the_successor_is_the_same_and_after_it_reuse_is_theft() {
    let site = site("").await;
    let first = site.join("jane").await;
    let second = pair(&site.refresh(&first.refresh).await.expect(200));
    site.pass(9);
    let again = pair(&site.refresh(&first.refresh).await.expect(200));
    assert_eq!(again.refresh, second.refresh);
    assert_ne!(again.access, second.access);
    site.pass(1);
    let answer = site.refresh(&first.refresh).await.expect(401);
    assert_eq!(code(&answer), "token_reused");
    for pair in [&first, &second, &again] {
        assert_eq!(site.status(&pair.access).await, 401);
        assert_eq!(code(&site.refresh(&pair.refresh).await.expect(401)), "invalid_token");
    }
    let metrics = site.gateway.metrics().await;
    assert_eq!(metrics.sum("tidegate_auth_refresh_total", &[("result", "reused")]), 1.0);
    assert_eq!(metrics.sum("tidegate_auth_events_total", &[("event", "token_reuse")]), 1.0);
}

/// Somebody uses a token that was used up; whether another login of the user is still good.
async fn after_theft(more: &str) -> (Site, u16, u16) {
    let site = site(more).await;
    let (stolen, other) = (site.join("jane").await, site.log_in("jane").await);
    let bystander = site.join("john").await;
    site.refresh(&stolen.refresh).await.expect(200);
    site.pass(11);
    assert_eq!(code(&site.refresh(&stolen.refresh).await.expect(401)), "token_reused");
    assert_eq!(site.status(&stolen.access).await, 401);
    assert_eq!(site.status(&bystander.access).await, 200);
    let (access, refresh) = (site.status(&other.access).await, site.refresh(&other.refresh).await.status);
    (site, access, refresh)
}

#[tokio::test]
async fn theft_ends_the_family() {
    let (_, access, refresh) = after_theft("").await;
    assert_eq!((access, refresh), (200, 200));
}

#[tokio::test]
async fn theft_ends_all_of_the_user_where_that_is_configured_and_they_can_log_in_again_at_once() {
    let (site, access, refresh) = after_theft("refresh: { on_reuse: revoke_user }").await;
    assert_eq!((access, refresh), (401, 401));
    let new = site.log_in("jane").await;
    assert_eq!(site.status(&new.access).await, 200);
}

#[tokio::test]
async fn no_grace_is_a_choice() {
    let site = site("refresh: { grace: 0s }").await;
    let first = site.join("jane").await;
    site.refresh(&first.refresh).await.expect(200);
    site.pass(1);
    assert_eq!(code(&site.refresh(&first.refresh).await.expect(401)), "token_reused");
}

#[tokio::test]
async fn a_refresh_token_ends_after_its_time_and_a_login_after_its_own_however_often_it_is_refreshed() {
    let site = site("").await;
    let idle = site.join("jane").await;
    site.pass(7 * DAY - 1);
    let kept = pair(&site.refresh(&idle.refresh).await.expect(200));
    site.pass(7 * DAY + 1);
    site.refresh(&kept.refresh).await.expect(401);

    let mut pair_now = site.log_in("jane").await;
    for _ in 0..5 {
        site.pass(5 * DAY + DAY / 2);
        pair_now = pair(&site.refresh(&pair_now.refresh).await.expect(200));
    }
    // 27.5 of 30 days: what is left is less than seven.
    let answer = site.refresh(&pair_now.refresh).await.expect(200);
    assert_eq!(answer.json()["refresh_expires_in"], json!(2 * DAY + DAY / 2));
    site.pass(2 * DAY + DAY / 2);
    site.refresh(&pair(&answer).refresh).await.expect(401);
}

#[tokio::test]
async fn neither_token_is_good_for_what_the_other_is_for() {
    let site = site("").await;
    let pair = site.join("jane").await;
    let answer = site.get("/app", &pair.refresh).await.expect(401);
    assert!(answer.header("www-authenticate").is_some_and(|value| value.contains("invalid_token")));
    site.get("/auth/me", &pair.refresh).await.expect(401);
    assert_eq!(code(&site.refresh(&pair.access).await.expect(401)), "invalid_token");
    // What upstreams are sent to know the user by is signed with the same key, and is no access token.
    let folder = site.folder();
    let store = super::site::file_store(&folder);
    let yaml = super::site::yaml(&site.upstream, &store, "", ", identity: { token: {} }");
    site.gateway.reload(&yaml).await.expect("good");
    site.upstream.forget();
    assert_eq!(site.status(&pair.access).await, 200);
    let internal = site.upstream.request().header("x-identity-token").expect("sent").to_owned();
    assert_eq!(site.status(&internal).await, 401);
    site.refresh(&internal).await.expect(401);
}

#[tokio::test]
async fn a_token_that_was_changed_is_none() {
    let site = site("").await;
    let pair = site.join("jane").await;
    let text = pair.refresh.as_str();
    for at in [0, 10, 21, 22, 24, 26, 30, text.len() - 2] {
        let other = if text.as_bytes()[at] == b'A' { "B" } else { "A" };
        let changed = format!("{}{other}{}", &text[..at], &text[at + 1..]);
        assert_eq!(code(&site.refresh(&changed).await.expect(401)), "invalid_token", "at {at}");
    }
    for bad in ["", "x", &text[1..], &format!("{text}="), &format!("{text}A"), &format!(" {text}")] {
        site.refresh(bad).await.expect(401);
    }
    // The last character has bits that say nothing: there is one text of each token all the same.
    let last = text.as_bytes()[text.len() - 1];
    let twin = (b'A'..=b'z').filter(u8::is_ascii_alphanumeric).find(|b| *b == last + 1);
    if let Some(twin) = twin {
        site.refresh(&format!("{}{}", &text[..text.len() - 1], char::from(twin))).await.expect(401);
    }
    site.refresh(text).await.expect(200);
}

#[tokio::test]
async fn a_logout_while_refreshing_leaves_nothing_good() {
    let site = site("").await;
    site.sign_up("jane").await;
    for _ in 0..10 {
        let first = site.log_in("jane").await;
        let refresh = site.refresh(&first.refresh);
        let logout = site.gateway.post("/auth/logout").header("authorization", bearer(&first.access)).send();
        let (refreshed, logged_out) = futures_util::join!(refresh, logout);
        logged_out.expect(204);
        if refreshed.status == 200 {
            let next = pair(&refreshed);
            assert_eq!(site.status(&next.access).await, 401);
            site.refresh(&next.refresh).await.expect(401);
        }
    }
}
