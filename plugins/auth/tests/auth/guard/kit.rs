//! A gateway with a token service whose limits a test chooses, and clients at addresses that a test chooses.

use serde_json::{Value, json};
use tempfile::TempDir;
use tidegate_testkit::{Answer, ManualClock, Request, TestGateway, Upstream, manual_clock, upstream};

use crate::issuing::site::{LENIENT, PASSWORD, file_store, post, yaml};
use crate::support::with_auth;

/// Sign-up is open in all of these.
pub(super) const OPEN: &str = "signup: { enabled: true, roles: [user], per_hour: 1000 }";
pub(super) const HERE: &str = "192.0.2.1";
pub(super) const ELSEWHERE: &str = "203.0.113.9";

pub(super) struct Kit {
    pub(super) gateway: TestGateway,
    pub(super) upstream: Upstream,
    pub(super) clock: ManualClock,
    pub(super) dir: TempDir,
}

/// `limits` is what the service's section has beside the issuer, the store and the cost.
pub(super) async fn kit(limits: &str) -> Kit {
    let dir = tempfile::tempdir().expect("a directory");
    let (upstream, clock) = (upstream().reply("/*", "let through").start().await, manual_clock());
    let yaml = config(&upstream, &dir, limits);
    let gateway = with_auth().clock(&clock).start(&yaml).await;
    Kit { gateway, upstream, clock, dir }
}

/// The clients' addresses and countries are what they say: the test is a proxy in front.
pub(super) fn config(upstream: &Upstream, dir: &TempDir, limits: &str) -> String {
    // The section says its own cost and limits.
    let cost = if limits.contains("password:") { "" } else { ", password: { cost: 10 }" };
    let yaml = yaml(upstream, &file_store(dir.path()), "password: {}", "");
    let yaml = yaml.replace(&format!("{LENIENT}, password: {{}}"), &format!("{limits}{cost}"));
    assert!(yaml.contains(limits), "{yaml}");
    format!("trusted_proxies: [127.0.0.0/8]\ncountry_header: X-Country\n{yaml}")
}

impl Kit {
    pub(super) fn post(&self, client: &str, path: &str, body: &Value) -> Request<'_> {
        post(&self.gateway, path, body).header("x-forwarded-for", client)
    }

    /// Signs up from an address of its own.
    pub(super) async fn sign_up(&self, name: &str) {
        let body = json!({ "name": name, "password": PASSWORD });
        self.post("198.51.100.77", "/auth/signup", &body).send().await.expect(201);
    }

    pub(super) async fn login(&self, client: &str, name: &str, password: &str) -> Answer {
        self.post(client, "/auth/login", &json!({ "name": name, "password": password })).send().await
    }

    /// A login with a wrong password that is told so.
    pub(super) async fn fail(&self, client: &str, name: &str) {
        self.login(client, name, "wrong password that is long").await.expect(401);
    }
}
