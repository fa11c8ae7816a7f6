//! A gateway with a token service below `/auth`, and an upstream for whom it lets through.

use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use tidegate_testkit::{Answer, ManualClock, Request, TestGateway, Upstream, manual_clock, upstream};

use crate::support::{bearer, with_auth};

pub(crate) const PASSWORD: &str = "correct horse battery staple";

/// Limits that no test reaches by accident, and cheap hashes.
pub(crate) const LENIENT: &str = "signup: { enabled: true, roles: [user], per_hour: 100000 }, \
     attempts: { client: 100000, account: 100000, account_total: 100000 }, lockout: { failures: 0 }";

/// A gateway, on a clock turned by hand.
pub(crate) struct Site {
    pub(crate) gateway: TestGateway,
    pub(crate) upstream: Upstream,
    pub(crate) clock: ManualClock,
    pub(crate) dir: TempDir,
}

/// What a login gave.
#[derive(Debug, Clone)]
pub(crate) struct Pair {
    pub(crate) access: String,
    pub(crate) refresh: String,
}

/// With a store in a file; `more` is more of the service's section.
pub(crate) async fn site(more: &str) -> Site {
    let dir = tempfile::tempdir().expect("a directory");
    let (upstream, clock) = (upstream().reply("/*", "let through").start().await, manual_clock());
    let yaml = yaml(&upstream, &file_store(dir.path()), more, "");
    let gateway = with_auth().clock(&clock).start(&yaml).await;
    Site { gateway, upstream, clock, dir }
}

pub(crate) fn file_store(dir: &Path) -> String {
    format!("{{ file: {:?} }}", dir.join("auth.redb"))
}

/// `store` is the service's, `more` more of its section, `auth` more of the plugin's.
pub(crate) fn yaml(upstream: &Upstream, store: &str, more: &str, auth: &str) -> String {
    let comma = if more.is_empty() { "" } else { ", " };
    let password = if more.contains("password:") { "" } else { ", password: { cost: 10 }" };
    format!(
        "auth: {{ service: {{ issuer: \"https://api.test\", store: {store}, {LENIENT}{password}{comma}{more} }}{auth} }}\n\
         upstreams: {{ up: {{ targets: [\"{}\"] }} }}\n\
         routing:\n  routes:\n    - {{ name: auth, match: {{ path: \"/auth/**\" }}, endpoint: {{ auth: {{}} }} }}\n    \
         - {{ name: open, match: {{ path: \"/open/**\" }}, upstream: up, plugins: {{ auth: optional }} }}\n    \
         - {{ name: app, upstream: up, plugins: {{ auth: require }} }}\n",
        upstream.target()
    )
}

impl Site {
    pub(crate) fn folder(&self) -> PathBuf {
        self.dir.path().to_owned()
    }

    /// Starts again with the same files and clock.
    pub(crate) async fn restart(self, more: &str) -> Self {
        let Self { gateway, upstream, clock, dir } = self;
        assert!(gateway.shutdown().await);
        drop(gateway);
        let yaml = yaml(&upstream, &file_store(dir.path()), more, "");
        let gateway = with_auth().clock(&clock).start(&yaml).await;
        Self { gateway, upstream, clock, dir }
    }

    pub(crate) async fn reload(&self, more: &str) {
        let yaml = yaml(&self.upstream, &file_store(self.dir.path()), more, "");
        self.gateway.reload(&yaml).await.expect("a good configuration");
    }

    pub(crate) fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }
}

/// What clients do.
impl Site {
    pub(crate) async fn sign_up(&self, name: &str) {
        sign_up(&self.gateway, name).await;
    }

    pub(crate) async fn log_in(&self, name: &str) -> Pair {
        log_in(&self.gateway, name).await
    }

    /// Signs up and logs in.
    pub(crate) async fn join(&self, name: &str) -> Pair {
        self.sign_up(name).await;
        self.log_in(name).await
    }

    pub(crate) async fn refresh(&self, token: &str) -> Answer {
        refresh(&self.gateway, token).await
    }

    pub(crate) async fn logout(&self, access: &str) -> Answer {
        self.gateway.post("/auth/logout").header("authorization", bearer(access)).send().await
    }

    /// The status that the guarded upstream's route answers.
    pub(crate) async fn status(&self, access: &str) -> u16 {
        status(&self.gateway, access).await
    }

    pub(crate) async fn get(&self, path: &str, access: &str) -> Answer {
        self.gateway.request(Method::GET, path).header("authorization", bearer(access)).send().await
    }
}

pub(crate) async fn sign_up(gateway: &TestGateway, name: &str) {
    let body = json!({ "name": name, "password": PASSWORD, "email": format!("{name}@mail.test") });
    post(gateway, "/auth/signup", &body).send().await.expect(201);
}

pub(crate) async fn log_in(gateway: &TestGateway, name: &str) -> Pair {
    pair(&post(gateway, "/auth/login", &json!({ "name": name, "password": PASSWORD })).send().await.expect(200))
}

pub(crate) async fn refresh(gateway: &TestGateway, token: &str) -> Answer {
    post(gateway, "/auth/refresh", &json!({ "refresh_token": token })).send().await
}

pub(crate) async fn status(gateway: &TestGateway, access: &str) -> u16 {
    gateway.request(Method::GET, "/app").header("authorization", bearer(access)).send().await.status
}

/// A POST with JSON.
pub(crate) fn post<'a>(gateway: &'a TestGateway, path: &str, body: &Value) -> Request<'a> {
    gateway.post(path).header("content-type", "application/json").body(body.to_string())
}

pub(crate) fn pair(answer: &Answer) -> Pair {
    let json = answer.json();
    let text = |name: &str| json[name].as_str().unwrap_or_else(|| panic!("no {name}")).to_owned();
    Pair { access: text("access_token"), refresh: text("refresh_token") }
}

/// The code of a problem.
pub(crate) fn code(answer: &Answer) -> String {
    answer.json()["code"].as_str().expect("a code").to_owned()
}

/// A part of a token, read without any check: 0 is the header, 1 are the claims.
pub(crate) fn part(token: &str, index: usize) -> Value {
    let part = token.split('.').nth(index).expect("three parts");
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).expect("base64url")).expect("JSON")
}
