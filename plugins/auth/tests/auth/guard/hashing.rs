//! Logins delay nobody else.

use tidegate_testkit::wait_until_async;

use super::kit::{HERE, OPEN, kit};
use crate::issuing::site::PASSWORD;

/// One thread hashes and two passwords may wait, of two hundred. Meanwhile others are served: were a password hashed
/// where requests are served, they would wait for it.
#[tokio::test]
async fn two_hundred_logins_at_once_are_answered_or_sent_away_and_others_go_on() {
    let limits =
        "attempts: { client: 1000, account: 1000, account_total: 1000 }, password: { cost: 12, workers: 1, queue: 2 }";
    let kit = kit(&format!("{OPEN}, {limits}")).await;
    kit.sign_up("jane").await;
    let logins = futures_util::future::join_all((0..200).map(|_| kit.login(HERE, "jane", PASSWORD)));
    let others = async {
        let full = async || kit.gateway.metric("tidegate_auth_hash_refused_total", &[]).await > 0.0;
        wait_until_async("the queue is full", full).await;
        let mut served = 0;
        while kit.gateway.metric("tidegate_auth_hash_queue", &[]).await > 0.0 && served < 50 {
            kit.gateway.get("/open/page").await.expect(200);
            served += 1;
        }
        served
    };
    let (answers, served) = futures_util::future::join(logins, others).await;
    assert!(served > 0, "somebody was served while passwords waited");
    let busy: Vec<_> = answers.iter().filter(|answer| answer.status == 503).collect();
    let let_in = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!(busy.len() + let_in, 200, "nothing else");
    assert!(let_in >= 3, "one at work and two that wait: {let_in}");
    assert!(busy.iter().all(|answer| answer.header("retry-after").is_some()));
    assert_eq!(kit.gateway.metric("tidegate_auth_hash_refused_total", &[]).await, busy.len() as f64);
}

#[tokio::test]
async fn what_can_not_work_is_refused() {
    let kit = kit(OPEN).await;
    for (limits, place) in [
        ("password: { cost: 9 }", "auth.service.password.cost"),
        ("password: { cost: 17 }", "auth.service.password.cost"),
        ("password: { workers: 0 }", "auth.service.password.workers"),
        ("password: { max: 73 }", "auth.service.password.max"),
        ("password: { min: 40, max: 30 }", "auth.service.password.min"),
        ("password: { breached: { file: /nowhere } }", "auth.service.password.breached.file"),
        ("signup: { enabled: true, per_hour: 0 }", "auth.service.signup.per_hour"),
        ("totp: { window: 3 }", "auth.service.totp.window"),
        ("attempts: { client: 0 }", "auth.service.attempts.client"),
        ("lockout: { duration: 0s }", "auth.service.lockout.duration"),
        ("challenge: { difficulty: 40 }", "auth.service.challenge.difficulty"),
        ("challenge: { kind: hcaptcha }", "auth.service.challenge.secret"),
        ("events: { webhook: { url: x, secret: \"0123456789012345678901234\" } }", "auth.service.events.webhook.url"),
        ("events: { webhook: { url: \"http://x\", secret: short } }", "auth.service.events.webhook.secret"),
    ] {
        let yaml = super::kit::config(&kit.upstream, &kit.dir, limits);
        let error = kit.gateway.reload(&yaml).await.expect_err(limits);
        assert!(error.contains(place), "{limits}: {error}");
    }
}
