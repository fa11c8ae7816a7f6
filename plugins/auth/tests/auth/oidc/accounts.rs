//! Whose account it is.

use http::Method;
use serde_json::{Value, json};

use super::kit::{OPEN, World, changed_world, closed, world};
use crate::issuing::site::{code, pair, part, status};

/// `sub` of our own token after a login there.
async fn account(world: &World, subject: &str, more: Value) -> String {
    let pair = pair(&world.log_in(subject, more).await.expect(200));
    part(&pair.access, 1)["sub"].as_str().expect("a text").to_owned()
}

fn verified(email: &str) -> Value {
    json!({ "email": email, "email_verified": true })
}

#[tokio::test]
async fn who_has_no_account_gets_one_only_if_the_configuration_says_so() {
    let world = world("client_secret: s", "").await;
    for more in [json!({}), verified("ada@mail.test")] {
        assert_eq!(code(&world.log_in("ada", more).await.expect(403)), "no_account");
    }
    assert_eq!((world.events("signup").await, world.events("login_failed").await), (0.0, 2.0));
    assert_eq!(world.counted("no_account").await, 2.0);
}

#[tokio::test]
async fn an_account_is_found_by_a_verified_address_where_that_is_wanted() {
    let world = changed_world("client_secret: s, link: verified_email", "", closed).await;
    let ada = world.operator(Method::POST, "name=ada@mail.test&roles=editor").await;
    for other in [
        json!({ "email": "ada@mail.test" }),
        json!({ "email": "ada@mail.test", "email_verified": false }),
        verified("eve@mail.test"),
        json!({ "preferred_username": "ada@mail.test", "email_verified": true }),
    ] {
        assert_eq!(code(&world.log_in("ada", other).await.expect(403)), "no_account");
    }
    assert_eq!(account(&world, "ada", verified("Ada@Mail.test")).await, ada["id"]);
    // Once linked, it is the subject that counts.
    assert_eq!(account(&world, "ada", json!({})).await, ada["id"]);
    assert_eq!(account(&world, "ada", verified("renamed@mail.test")).await, ada["id"]);
    let kept = world.operator(Method::GET, "name=ada@mail.test").await;
    assert_eq!((&kept["roles"], &kept["email"]), (&json!(["editor"]), &Value::Null), "it stays the operator's");
}

#[tokio::test]
async fn an_address_is_nothing_where_that_is_not_wanted() {
    let world = changed_world(OPEN, "", closed).await;
    let ada = world.operator(Method::POST, "name=ada@mail.test").await;
    assert_ne!(account(&world, "ada", verified("ada@mail.test")).await, ada["id"]);
    assert_eq!(world.events("signup").await, 1.0);
}

#[tokio::test]
async fn who_is_disabled_here_stays_out_whatever_the_provider_says() {
    let world = world(OPEN, "").await;
    let pair = pair(&world.log_in("ada", json!({})).await.expect(200));
    let request =
        world.gateway.request(Method::GET, "/auth/me").header("authorization", format!("Bearer {}", pair.access));
    let name = request.send().await.expect(200).json()["name"].as_str().expect("a name").to_owned();
    world.operator(Method::PUT, &format!("name={name}&disabled=true")).await;
    assert_eq!(status(&world.gateway, &pair.access).await, 401);
    let answer = world.log_in("ada", json!({})).await.expect(403);
    assert_eq!(code(&answer), "account_disabled");
    assert_eq!(world.events("login_failed").await, 1.0);
    world.operator(Method::PUT, &format!("name={name}&disabled=false")).await;
    world.log_in("ada", json!({})).await.expect(200);
}

#[tokio::test]
async fn roles_follow_the_claim_and_who_loses_one_loses_the_tokens_that_say_it() {
    let from = "roles_from: { claim: realm.groups, map: { bosses: admin, staff: editor } }";
    let world = world(&format!("{OPEN}, {from}"), "").await;
    let groups = |groups: Value| json!({ "realm": { "groups": groups } });
    let roles = |pair: &crate::issuing::site::Pair| part(&pair.access, 1)["roles"].clone();
    let boss = pair(&world.log_in("ada", groups(json!(["bosses", "staff", "others"]))).await.expect(200));
    assert_eq!(roles(&boss), json!(["user", "admin", "editor"]));
    world.clock.advance(std::time::Duration::from_secs(5));
    let less = pair(&world.log_in("ada", groups(json!(["staff"]))).await.expect(200));
    assert_eq!(roles(&less), json!(["user", "editor"]));
    assert_eq!(status(&world.gateway, &boss.access).await, 401, "it says that ada is an admin");
    world.clock.advance(std::time::Duration::from_secs(5));
    assert_eq!(status(&world.gateway, &less.access).await, 200);
    let more = pair(&world.log_in("ada", groups(json!(["staff", "bosses"]))).await.expect(200));
    assert_eq!(roles(&more), json!(["user", "editor", "admin"]));
    assert_eq!(status(&world.gateway, &less.access).await, 200, "nothing was lost");
}

#[tokio::test]
async fn roles_that_an_operator_gave_stay_where_no_claim_says_otherwise() {
    let world = world(OPEN, "").await;
    let first = pair(&world.log_in("ada", json!({})).await.expect(200));
    let request =
        world.gateway.request(Method::GET, "/auth/me").header("authorization", format!("Bearer {}", first.access));
    let name = request.send().await.expect(200).json()["name"].as_str().expect("a name").to_owned();
    world.operator(Method::PUT, &format!("name={name}&roles=admin")).await;
    world.clock.advance(std::time::Duration::from_secs(5));
    let next = pair(&world.log_in("ada", json!({ "name": "Ada" })).await.expect(200));
    assert_eq!(part(&next.access, 1)["roles"], json!(["admin"]));
}
