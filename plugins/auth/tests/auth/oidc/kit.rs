//! A provider, a gateway that people log in to with it, and a browser between them.

use std::collections::BTreeMap;
use std::time::UNIX_EPOCH;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Method;
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tidegate_core::TimeSource as _;
use tidegate_testkit::{Answer, ManualClock, Script, TestGateway, Upstream, manual_clock, upstream};

use crate::issuing::site::{file_store, yaml};
use crate::support::{ES256, Issuer, jwks, with_auth};

/// What signs the provider's ID tokens.
pub(super) static KEY: &std::sync::LazyLock<Issuer> = &ES256;

pub(super) const METADATA: &str = "/.well-known/openid-configuration";

/// Everybody there is.
pub(super) struct World {
    pub(super) op: Upstream,
    pub(super) upstream: Upstream,
    pub(super) gateway: TestGateway,
    pub(super) clock: ManualClock,
    _dir: tempfile::TempDir,
}

/// A browser that was sent to the provider.
pub(super) struct Sent {
    pub(super) url: String,
    pub(super) asked: BTreeMap<String, String>,
    /// `name=value` of the attempt's cookie.
    pub(super) cookie: String,
}

/// A provider that says who it is, and has a key.
pub(super) async fn provider() -> Upstream {
    let op = upstream().reply("/jwks", jwks(&[KEY])).start().await;
    says(&op, json!({}));
    op
}

/// What the provider says of itself: the usual, and `more`, which wins.
pub(super) fn says(op: &Upstream, more: Value) {
    let issuer = issuer(op);
    let mut all = json!({
        "issuer": issuer,
        "jwks_uri": format!("{issuer}/jwks"),
        "authorization_endpoint": format!("{issuer}/authorize?theme=dark"),
        "token_endpoint": format!("{issuer}/token"),
        "userinfo_endpoint": format!("{issuer}/me"),
    });
    if let (Value::Object(all), Value::Object(more)) = (&mut all, more) {
        all.extend(more);
    }
    op.set(METADATA, Script::reply(all.to_string()));
}

pub(super) fn issuer(op: &Upstream) -> String {
    format!("http://{}", op.addr())
}

/// The service's section for a login with `op`; `more` is more of it, `service` more of the service.
pub(super) fn section(op: &Upstream, more: &str, service: &str) -> String {
    let comma = if service.is_empty() { "" } else { ", " };
    format!("login_with: {{ op: {{ issuer: \"{}\", client_id: us, {more} }} }}{comma}{service}", issuer(op))
}

/// With a secret, and accounts for everybody.
pub(super) const OPEN: &str = "client_secret: \"s3:cret\", signup: true, roles: [user]";

pub(super) async fn world(more: &str, service: &str) -> World {
    changed_world(more, service, |yaml| yaml).await
}

/// The same, the configuration changed before the start.
pub(super) async fn changed_world(more: &str, service: &str, change: impl Fn(String) -> String) -> World {
    let (op, upstream) = (provider().await, upstream().reply("/*", "let through").start().await);
    let (dir, clock) = (tempfile::tempdir().expect("a directory"), manual_clock());
    let yaml = change(yaml(&upstream, &file_store(dir.path()), &section(&op, more, service), ""));
    let gateway = with_auth().clock(&clock).start(&yaml).await;
    World { op, upstream, gateway, clock, _dir: dir }
}

/// Nobody can register here, so that accounts may be linked.
pub(super) fn closed(yaml: String) -> String {
    yaml.replace("signup: { enabled: true, roles: [user], per_hour: 100000 }, ", "")
}

impl World {
    pub(super) fn now(&self) -> u64 {
        self.clock.wall().duration_since(UNIX_EPOCH).expect("later").as_secs()
    }

    /// Claims of an ID token for `subject`, for who was `sent`.
    pub(super) fn claims(&self, subject: &str, sent: &Sent) -> Value {
        let now = self.now();
        json!({
            "iss": issuer(&self.op), "aud": "us", "sub": subject, "iat": now, "exp": now + 300,
            "nonce": sent.asked["nonce"],
        })
    }

    /// The provider exchanges any code for this ID token.
    pub(super) fn grants(&self, id_token: &str) {
        let tokens =
            json!({ "id_token": id_token, "access_token": "opaque", "token_type": "Bearer", "expires_in": 60 });
        self.op.set("/token", Script::reply(tokens.to_string()));
    }

    /// Userinfo says this of `subject`.
    pub(super) fn says_of(&self, subject: &str, mut claims: Value) {
        claims["sub"] = subject.into();
        self.op.set("/me", Script::reply(claims.to_string()));
    }

    /// `GET login/op`.
    pub(super) async fn begin(&self, query: &str) -> Sent {
        sent(&self.gateway.get(&format!("/auth/login/op{query}")).await.expect(303))
    }

    /// The provider sends the browser back with this query.
    pub(super) async fn back(&self, cookie: &str, query: &[(&str, &str)]) -> Answer {
        let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let pairs: Vec<_> = query.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
        self.back_raw(cookie, &pairs.join("&")).await
    }

    pub(super) async fn back_raw(&self, cookie: &str, query: &str) -> Answer {
        let path = format!("/auth/login/op/callback?{query}");
        self.gateway.request(Method::GET, &path).header("cookie", cookie).send().await
    }

    /// The answer that belongs to the question, with the code `good`.
    pub(super) async fn back_with_code(&self, sent: &Sent) -> Answer {
        self.back(&sent.cookie, &[("code", "good"), ("state", &sent.asked["state"])]).await
    }

    /// All of a login of `subject`, of whom `more` is said.
    pub(super) async fn log_in(&self, subject: &str, more: Value) -> Answer {
        let sent = self.begin("").await;
        let mut claims = self.claims(subject, &sent);
        if let (Value::Object(claims), Value::Object(more)) = (&mut claims, more) {
            claims.extend(more);
        }
        self.grants(&KEY.token(&claims));
        self.back_with_code(&sent).await
    }

    /// An operator's word about a user.
    pub(super) async fn operator(&self, method: Method, query: &str) -> Value {
        let request = self.gateway.request(method, &format!("/auth/users?{query}")).to(self.gateway.admin_addr());
        request.send().await.expect(200).json()
    }

    pub(super) async fn events(&self, event: &str) -> f64 {
        self.gateway.metric("tidegate_auth_events_total", &[("event", event)]).await
    }

    pub(super) async fn counted(&self, result: &str) -> f64 {
        self.gateway.metric("tidegate_auth_login_with_total", &[("provider", "op"), ("result", result)]).await
    }

    /// How often the provider was asked for this.
    pub(super) fn asked(&self, path: &str) -> usize {
        self.op.requests().iter().filter(|request| request.path() == path).count()
    }
}

pub(super) fn sent(answer: &Answer) -> Sent {
    let url = answer.header("location").expect("somewhere to go").to_owned();
    let asked = form(url.split_once('?').expect("a question").1);
    Sent { url, asked, cookie: cookie(answer, "__Host-login-op").expect("an attempt") }
}

/// `name=value` of a cookie that an answer sets, unless it is taken away.
pub(super) fn cookie(answer: &Answer, name: &str) -> Option<String> {
    let pairs = answer.headers.all("set-cookie").filter_map(|line| line.split(';').next());
    pairs.filter(|pair| !pair.ends_with('=')).find(|pair| pair.split('=').next() == Some(name)).map(str::to_owned)
}

/// Whether an answer takes the attempt's cookie away.
pub(super) fn is_over(answer: &Answer) -> bool {
    let gone = "__Host-login-op=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Lax";
    answer.headers.all("set-cookie").any(|line| line == gone)
}

/// Fields of a form, or of a query.
pub(super) fn form(text: &str) -> BTreeMap<String, String> {
    let decoded = |text: &str| percent_decode_str(text).decode_utf8().expect("UTF-8").into_owned();
    let pairs = text.split('&').map(|pair| pair.split_once('=').expect("a value"));
    pairs.map(|(name, value)| (decoded(name), decoded(value))).collect()
}

/// RFC 7636 section 4.2.
pub(super) fn challenge(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(verifier))
}
