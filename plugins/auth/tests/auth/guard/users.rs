//! What an operator does with users.

use http::Method;
use serde_json::{Value, json};
use tidegate_testkit::Answer;

use super::kit::{HERE, Kit, OPEN, kit};
use crate::issuing::site::{PASSWORD, code, part, status};

async fn ask(kit: &Kit, method: Method, query: &str) -> Answer {
    kit.gateway.request(method, &format!("/auth/users?{query}")).to(kit.gateway.admin_addr()).send().await
}

async fn token(kit: &Kit, name: &str, password: &str) -> String {
    let answer = kit.login(HERE, name, password).await.expect(200).json();
    answer["access_token"].as_str().expect("a token").to_owned()
}

fn password(answer: &Value) -> String {
    answer["password"].as_str().expect("a password").to_owned()
}

#[tokio::test]
async fn the_first_user_is_made_by_an_operator_with_a_password_that_is_told_once() {
    let kit = kit("signup: {}").await;
    let made = ask(&kit, Method::POST, "name=Admin&roles=admin,user").await.expect(200).json();
    assert_eq!((&made["name"], &made["roles"]), (&"admin".into(), &json!(["admin", "user"])));
    let access = token(&kit, "admin", &password(&made)).await;
    assert_eq!(part(&access, 1)["roles"], json!(["admin", "user"]));
    assert_eq!(status(&kit.gateway, &access).await, 200);
    let shown = ask(&kit, Method::GET, "name=admin").await.expect(200);
    assert_eq!(shown.json()["id"], made["id"]);
    for secret in ["password", "hash", "$2b$"] {
        assert!(!shown.text().contains(secret), "{shown:?}");
    }
    ask(&kit, Method::POST, "name=admin").await.expect(409);
}

#[tokio::test]
async fn other_roles_are_in_force_at_once_and_the_login_goes_on() {
    let kit = kit(OPEN).await;
    kit.sign_up("jane").await;
    let login = kit.login(HERE, "jane", PASSWORD).await.expect(200).json();
    let access = login["access_token"].as_str().expect("a token");
    ask(&kit, Method::PUT, "name=jane&roles=reader").await.expect(200);
    assert_eq!(status(&kit.gateway, access).await, 401, "it says what is no longer so");
    let refreshed = kit.post(HERE, "/auth/refresh", &json!({ "refresh_token": login["refresh_token"] })).send().await;
    let access = refreshed.expect(200).json()["access_token"].as_str().expect("a token").to_owned();
    assert_eq!(part(&access, 1)["roles"], json!(["reader"]));
}

#[tokio::test]
async fn who_is_disabled_is_out_and_learns_nothing() {
    let kit = kit(OPEN).await;
    kit.sign_up("jane").await;
    let login = kit.login(HERE, "jane", PASSWORD).await.expect(200).json();
    ask(&kit, Method::PUT, "name=jane&disabled=true").await.expect(200);
    assert_eq!(status(&kit.gateway, login["access_token"].as_str().expect("a token")).await, 401);
    let refresh = json!({ "refresh_token": login["refresh_token"] });
    kit.post(HERE, "/auth/refresh", &refresh).send().await.expect(401);
    assert_eq!(code(&kit.login(HERE, "jane", PASSWORD).await.expect(401)), "invalid_credentials");
    ask(&kit, Method::PUT, "name=jane&disabled=false").await.expect(200);
    kit.login(HERE, "jane", PASSWORD).await.expect(200);
}

#[tokio::test]
async fn a_new_password_ends_what_the_old_one_began() {
    let kit = kit(OPEN).await;
    kit.sign_up("jane").await;
    let access = token(&kit, "jane", PASSWORD).await;
    let changed = ask(&kit, Method::PUT, "name=jane&password=new").await.expect(200).json();
    assert_eq!(status(&kit.gateway, &access).await, 401);
    kit.login(HERE, "jane", PASSWORD).await.expect(401);
    token(&kit, "jane", &password(&changed)).await;
}

#[tokio::test]
async fn what_an_operator_mistypes_changes_nothing() {
    let kit = kit(OPEN).await;
    kit.sign_up("jane").await;
    let before = ask(&kit, Method::GET, "name=jane").await.expect(200).text();
    for (method, query, status) in [
        (Method::GET, "name=nobody", 404),
        (Method::GET, "", 400),
        (Method::POST, "name=a", 400),
        (Method::PUT, "name=nobody&roles=x", 404),
        (Method::PUT, "name=jane", 400),
        (Method::PUT, "name=jane&disabled=yes&roles=x", 400),
        (Method::PUT, "name=jane&password=hunter2&roles=x", 400),
        (Method::PUT, "name=jane&totp=on&roles=x", 400),
        (Method::DELETE, "name=jane", 405),
    ] {
        ask(&kit, method, query).await.expect(status);
    }
    assert_eq!(ask(&kit, Method::GET, "name=jane").await.expect(200).text(), before);
}
