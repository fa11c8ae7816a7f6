//! People register themselves.

use std::time::Duration;

use serde_json::{Value, json};
use tidegate_testkit::Answer;

use super::kit::{HERE, Kit, OPEN, kit};
use crate::issuing::site::{PASSWORD, code, part};

/// Attempts that no test here runs out of.
const MANY: &str = "attempts: { client: 1000 }";

async fn register(kit: &Kit, body: &Value) -> Answer {
    kit.post(HERE, "/auth/signup", body).send().await
}

/// What is wrong, as `pointer detail`.
fn faults(answer: &Answer) -> Vec<String> {
    let json = answer.json();
    let errors = json["errors"].as_array().unwrap_or_else(|| panic!("no list in {json}")).iter();
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    errors.map(|error| format!("{} {}", text(&error["pointer"]), text(&error["detail"]))).collect()
}

#[tokio::test]
async fn nobody_registers_unless_the_configuration_says_so() {
    let kit = kit("signup: {}").await;
    register(&kit, &json!({ "name": "jane", "password": PASSWORD })).await.expect(404);
}

#[tokio::test]
async fn a_new_user_has_the_configured_roles_and_logs_in() {
    let kit = kit(OPEN).await;
    let answer =
        register(&kit, &json!({ "name": " Jane.Doe ", "email": "jane@example.com", "password": PASSWORD })).await;
    let answer = answer.expect(201).json();
    assert_eq!(answer["name"], "jane.doe");
    assert!(answer.get("access_token").is_none(), "{answer}");
    let login = kit.login(HERE, "JANE.DOE", PASSWORD).await.expect(200).json();
    let claims = part(login["access_token"].as_str().expect("a token"), 1);
    assert_eq!((&claims["sub"], &claims["roles"]), (&answer["id"], &json!(["user"])));
    // Roles are no member of the body: nobody gives them to themselves.
    register(&kit, &json!({ "name": "mallory", "password": PASSWORD, "roles": ["admin"] })).await.expect(400);
}

#[tokio::test]
async fn all_that_is_wrong_is_pointed_at_and_nothing_of_it_is_repeated() {
    let kit = kit(&format!("{OPEN}, {MANY}")).await;
    let taken = |body: &Value| {
        let body = body.clone();
        let kit = &kit;
        async move { register(kit, &body).await.expect(400) }
    };
    let answer = taken(&json!({})).await;
    assert_eq!(
        (code(&answer).as_str(), faults(&answer)),
        ("invalid_input", vec!["/name is required".into(), "/password is required".into()])
    );
    let answer = taken(&json!({ "name": "ab", "email": "secret@", "password": "hunter2", "display": "x\ny" })).await;
    assert_eq!(
        faults(&answer),
        [
            "/name must be 3 to 64 letters, digits or . _ - @ +",
            "/email is no e-mail address",
            "/display must be 1 to 128 characters on one line",
            "/password must have at least 12 characters",
        ]
    );
    for secret in ["secret@", "hunter2"] {
        assert!(!answer.text().contains(secret), "{answer:?}");
    }
    let answer = taken(&json!({ "name": 7, "password": ["a"] })).await;
    assert_eq!(faults(&answer), ["/name must be a string", "/password must be a string"]);
    let answer = taken(&json!({ "name": "jane", "password": "x".repeat(73) })).await;
    assert_eq!(
        (code(&answer).as_str(), faults(&answer)),
        ("weak_password", vec!["/password must have at most 72 bytes".into()])
    );
}

#[tokio::test]
async fn weak_passwords_are_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let list = dir.path().join("list");
    std::fs::write(&list, "5BAA61E4C9B93F3F0682250B6CF8331B7EE68FD8:3\nqwertyuiop123456\n").expect("written");
    let rules = format!("password: {{ cost: 10, classes: 2, min: 8, breached: {{ file: {list:?} }} }}");
    let kit = kit(&format!("{OPEN}, {MANY}, {rules}")).await;
    for (password, fault) in [
        ("Password", "/password is in a list of passwords that everybody knows"),
        ("qwertyuiop123456", "/password is in a list of passwords that everybody knows"),
        ("janedoe-2024", "/password is too similar to the name or the e-mail address"),
        ("eod-enaj-1", "/password is too similar to the name or the e-mail address"),
        (
            "correcthorsebattery",
            "/password must have at least 2 kinds of characters of lower case, upper case, digits, others",
        ),
        ("abc\0defgh1", "/password must not contain a zero character"),
    ] {
        let answer = register(&kit, &json!({ "name": "jane.doe", "password": password })).await.expect(400);
        assert_eq!(faults(&answer), [fault], "{password:?}");
    }
    let longest = format!("{}1", "x".repeat(71));
    register(&kit, &json!({ "name": "jane.doe", "password": longest })).await.expect(201);
    kit.login(HERE, "jane.doe", &longest).await.expect(200);
    kit.login(HERE, "jane.doe", &longest[..71]).await.expect(401);
}

#[tokio::test]
async fn a_name_is_taken_once_however_it_is_written() {
    let kit = kit(&format!("{OPEN}, {MANY}")).await;
    register(&kit, &json!({ "name": "j\u{e4}ne", "password": PASSWORD })).await.expect(201);
    for name in ["J\u{c4}NE", " ja\u{308}ne "] {
        let answer = register(&kit, &json!({ "name": name, "password": PASSWORD })).await.expect(409);
        assert_eq!(code(&answer), "name_taken");
        kit.login(HERE, name, PASSWORD).await.expect(200);
    }
    // The same at once: one of them is the user.
    let all = (0..4).map(|_| async { register(&kit, &json!({ "name": "john", "password": PASSWORD })).await.status });
    let mut statuses = futures_util::future::join_all(all).await;
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409, 409, 409]);
}

#[tokio::test]
async fn one_client_registers_so_many_in_an_hour() {
    let kit = kit(&format!("signup: {{ enabled: true, per_hour: 2 }}, {MANY}")).await;
    let join = |name: &str| {
        let body = json!({ "name": name, "password": PASSWORD });
        let kit = &kit;
        async move { register(kit, &body).await }
    };
    join("jane").await.expect(201);
    join("john").await.expect(201);
    join("john").await.expect(409);
    let refused = join("mary").await.expect(429);
    assert_eq!(refused.header("retry-after"), Some("3600"));
    kit.clock.advance(Duration::from_secs(3600));
    join("mary").await.expect(201);
}
