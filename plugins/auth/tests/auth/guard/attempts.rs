//! How often one may try.

use std::time::Duration;

use serde_json::json;
use sha2::{Digest, Sha256};
use tidegate_testkit::{Answer, upstream};

use super::kit::{ELSEWHERE, HERE, OPEN, kit};
use crate::issuing::site::{PASSWORD, code};

fn retry_after(answer: &Answer) -> u64 {
    answer.header("retry-after").expect("a time").parse().expect("seconds")
}

#[tokio::test]
async fn the_sixth_attempt_in_a_quarter_of_an_hour_is_told_when_to_come_back_even_with_the_right_password() {
    let kit = kit(OPEN).await;
    kit.sign_up("jane").await;
    for _ in 0..5 {
        kit.fail(HERE, "jane").await;
        kit.clock.advance(Duration::from_secs(60));
    }
    let refused = kit.login(HERE, "jane", PASSWORD).await.expect(429);
    assert_eq!((code(&refused).as_str(), retry_after(&refused)), ("too_many_requests", 600));
    kit.login(HERE, "john", PASSWORD).await.expect(429);
    kit.login(ELSEWHERE, "jane", PASSWORD).await.expect(200);
    kit.clock.advance(Duration::from_secs(600));
    kit.login(HERE, "jane", PASSWORD).await.expect(200);
    let attempts = async |result| kit.gateway.metric("tidegate_auth_attempts_total", &[("result", result)]).await;
    assert_eq!((attempts("limited").await, attempts("passed").await), (2.0, 8.0), "sign-up among them");
}

/// All are sent before the first is answered: what counts them has to do so before it looks at them.
#[tokio::test]
async fn of_many_attempts_at_once_no_more_get_through_than_one_after_another() {
    let kit = kit(&format!("{OPEN}, password: {{ cost: 10, queue: 1000 }}")).await;
    kit.sign_up("jane").await;
    let all = (0..40).map(|_| kit.login(HERE, "jane", "wrong password that is long"));
    let answers = futures_util::future::join_all(all).await;
    let with = |status| answers.iter().filter(|answer| answer.status == status).count();
    assert_eq!((with(401), with(429)), (5, 35));
}

const LOCKOUT: &str = "attempts: { client: 1000, account: 1000, account_total: 1000 }, lockout: { failures: 3 }";

#[tokio::test]
async fn an_account_is_locked_for_who_failed_alone_and_unlocks_on_time() {
    let kit = kit(&format!("{OPEN}, {LOCKOUT}")).await;
    kit.sign_up("jane").await;
    for minutes in [15, 30] {
        for _ in 0..3 {
            kit.fail(ELSEWHERE, "jane").await;
        }
        let locked = kit.login(ELSEWHERE, "jane", PASSWORD).await.expect(429);
        assert_eq!((code(&locked).as_str(), retry_after(&locked)), ("account_locked", minutes * 60));
        kit.login(HERE, "jane", PASSWORD).await.expect(200);
        kit.clock.advance(Duration::from_secs(minutes * 60 - 1));
        kit.login(ELSEWHERE, "jane", PASSWORD).await.expect(429);
        kit.clock.advance(Duration::from_secs(1));
    }
    kit.login(ELSEWHERE, "jane", PASSWORD).await.expect(200);
    let events = async |event| kit.gateway.metric("tidegate_auth_events_total", &[("event", event)]).await;
    assert_eq!((events("lockout").await, events("login_failed").await), (2.0, 6.0));
}

#[tokio::test]
async fn who_fails_less_often_than_that_is_not_locked() {
    let kit = kit(&format!("{OPEN}, {LOCKOUT}")).await;
    kit.sign_up("jane").await;
    for _ in 0..3 {
        kit.fail(HERE, "jane").await;
        kit.fail(HERE, "jane").await;
        kit.login(HERE, "jane", PASSWORD).await.expect(200);
    }
}

#[tokio::test]
async fn an_account_that_nobody_has_is_limited_and_locked_as_one_that_somebody_has() {
    let kit = kit(&format!("{OPEN}, {LOCKOUT}")).await;
    kit.sign_up("jane").await;
    let mut seen = Vec::new();
    for name in ["jane", "nobody"] {
        let mut answers = Vec::new();
        for _ in 0..5 {
            let answer = kit.login(HERE, name, "wrong password that is long").await;
            let mut body = answer.json();
            body["request_id"].take();
            answers.push((answer.status, answer.headers.names(), body));
        }
        seen.push(answers);
    }
    assert_eq!(seen[0], seen[1]);
    assert_eq!(seen[0].iter().map(|answer| answer.0).collect::<Vec<_>>(), [401, 401, 401, 429, 429]);
}

#[tokio::test]
async fn a_device_that_has_logged_in_gets_through_when_many_others_guess() {
    let kit = kit(&format!("{OPEN}, attempts: {{ account_total: 4 }}")).await;
    kit.sign_up("jane").await;
    let login = kit.login(HERE, "jane", PASSWORD).await.expect(200);
    let cookie = login.headers.all("set-cookie").find(|cookie| cookie.starts_with("__Host-device=")).expect("a cookie");
    let cookie = cookie.split(';').next().expect("a value").to_owned();
    for host in 1..=3 {
        kit.fail(&format!("203.0.113.{host}"), "jane").await;
    }
    kit.login("192.0.2.9", "jane", PASSWORD).await.expect(429);
    let body = json!({ "name": "jane", "password": PASSWORD });
    let known = || kit.post("192.0.2.9", "/auth/login", &body);
    known().header("cookie", &cookie).send().await.expect(200);
    known().header("cookie", format!("{cookie}x")).send().await.expect(429);
}

fn solution(answer: &Answer) -> String {
    let challenge = &answer.json()["challenge"];
    assert_eq!((&challenge["kind"], &challenge["algorithm"]), (&"work".into(), &"sha256".into()));
    let (puzzle, difficulty) = (challenge["puzzle"].as_str().expect("a text"), challenge["difficulty"].as_u64());
    assert_eq!(difficulty, Some(8));
    let tries = (0..).map(|number: u64| format!("{puzzle}:{number}"));
    tries.into_iter().find(|solution| Sha256::digest(solution)[0] == 0).expect("there is always one")
}

#[tokio::test]
async fn after_three_failures_a_puzzle_is_to_be_solved_and_its_solution_is_good_once() {
    let kit = kit(&format!("{OPEN}, challenge: {{ difficulty: 8 }}, attempts: {{ client: 100, account: 100 }}")).await;
    kit.sign_up("jane").await;
    for _ in 0..3 {
        kit.fail(HERE, "jane").await;
    }
    let asked = kit.login(HERE, "jane", PASSWORD).await.expect(401);
    assert_eq!(code(&asked), "challenge_required");
    let body = json!({ "name": "jane", "password": PASSWORD, "challenge": solution(&asked) });
    kit.post(HERE, "/auth/login", &body).send().await.expect(200);
    let again = kit.post(HERE, "/auth/login", &body).send().await.expect(401);
    assert_eq!(code(&again), "challenge_required");
    let elsewhere = kit.post(ELSEWHERE, "/auth/login", &body).send().await.expect(401);
    assert_eq!(code(&elsewhere), "challenge_required");
    kit.clock.advance(Duration::from_secs(15 * 60));
    kit.login(HERE, "jane", PASSWORD).await.expect(200);
}

#[tokio::test]
async fn a_service_verifies_solutions_and_without_its_answer_nobody_gets_through() {
    let service = upstream().reply("/verify", r#"{"success":true}"#).start().await;
    let challenge = format!(
        "{OPEN}, attempts: {{ client: 100, account: 100 }}, challenge: {{ kind: turnstile, after: 1, site_key: site, \
         secret: hush, url: \"http://{}/verify\" }}",
        service.addr()
    );
    let kit = kit(&challenge).await;
    kit.sign_up("jane").await;
    kit.fail(HERE, "jane").await;
    let asked = kit.login(HERE, "jane", PASSWORD).await.expect(401);
    assert_eq!(asked.json()["challenge"], json!({ "kind": "turnstile", "site_key": "site" }));
    let login = |solution: &str| json!({ "name": "jane", "password": PASSWORD, "challenge": solution });
    kit.post(HERE, "/auth/login", &login("solved/1")).send().await.expect(200);
    assert_eq!(service.request().text(), "secret=hush&response=solved%2F1");
    service.set("/verify", tidegate_testkit::Script::reply(r#"{"success":false}"#));
    kit.post(HERE, "/auth/login", &login("solved 2")).send().await.expect(401);
    service.stop().await;
    let busy = kit.post(HERE, "/auth/login", &login("solved 3")).send().await.expect(503);
    assert!(busy.header("retry-after").is_some(), "{busy:?}");
}

/// A changed password is guessed at its endpoint, too.
#[tokio::test]
async fn guesses_at_the_old_password_are_limited_as_logins_are() {
    let kit = kit(OPEN).await;
    kit.sign_up("jane").await;
    let login = kit.login(ELSEWHERE, "jane", PASSWORD).await.expect(200).json();
    let token = format!("Bearer {}", login["access_token"].as_str().expect("a token"));
    let body = json!({ "old_password": "wrong password that is long", "new_password": "another long password" });
    for _ in 0..5 {
        kit.post(HERE, "/auth/password", &body).header("authorization", &token).send().await.expect(403);
    }
    kit.post(HERE, "/auth/password", &body).header("authorization", &token).send().await.expect(429);
}
