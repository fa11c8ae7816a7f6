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
async fn an_address_is_verified_by_the_one_who_says_it() {
    let world = changed_world("client_secret: s, link: verified_email, userinfo: true", "", closed).await;
    let ada = world.operator(Method::POST, "name=ada@mail.test").await;
    // The ID token says an address that nobody has verified, and userinfo has verified another.
    for (signed, said) in [
        (json!({ "email": "ada@mail.test" }), verified("eve@mail.test")),
        (json!({ "email": "ada@mail.test" }), json!({ "email_verified": true })),
        (json!({ "email_verified": true }), json!({ "email": "ada@mail.test" })),
        (json!({ "email": "ada@mail.test", "email_verified": false }), verified("ada@mail.test")),
    ] {
        world.says_of("eve", said.clone());
        let answer = world.log_in("eve", signed.clone()).await;
        assert_eq!(answer.status, 403, "{signed} {said}: {answer:#?}");
    }
    world.says_of("ada", verified("ada@mail.test"));
    assert_eq!(account(&world, "ada", json!({ "email": "ada@mail.test" })).await, ada["id"]);
}

#[tokio::test]
async fn an_address_that_only_looks_the_same_is_another() {
    let world = changed_world("client_secret: s, link: verified_email", "", closed).await;
    world.operator(Method::POST, "name=kim@mail.test").await;
    // KELVIN SIGN, whose lower case is `k`; a full-width letter; LATIN SMALL LETTER LONG S, whose upper case is `S`.
    for other in ["\u{212a}im@mail.test", "\u{ff4b}im@mail.test", "kim@mail.te\u{17f}t"] {
        assert_eq!(code(&world.log_in("eve", verified(other)).await.expect(403)), "no_account", "{other}");
    }
}

#[tokio::test]
async fn an_address_that_is_theirs_no_longer_is_forgotten() {
    let world = world(OPEN, "access: { claims: [email] }").await;
    let address = async |more: Value| {
        world.clock.advance(std::time::Duration::from_secs(1));
        part(&pair(&world.log_in("ada", more).await.expect(200)).access, 1)["email"].clone()
    };
    assert_eq!(address(verified("ada@mail.test")).await, "ada@mail.test");
    assert_eq!(address(json!({})).await, "ada@mail.test", "nothing is said of it");
    assert_eq!(address(json!({ "email": "new@mail.test", "email_verified": false })).await, Value::Null);
    assert_eq!(address(verified("new@mail.test")).await, "new@mail.test");
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
