//! What the benchmark of checks needs. Not an interface.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tidegate_core::facts::Identity;
use tidegate_core::{
    BuildCx, Clock, Connection, HeaderMap, HeaderValue, Method, Metrics, Plugin, RequestHead, RequestHeader, Retained,
    Scheme, Stores, header,
};

use crate::Auth;
use crate::cache::{ProviderId, TokenCache};
use crate::config::Config;
use crate::plugin::Shared;
use crate::providers::{Selected, Walk};
use crate::revoke::{Revocations, Standing};
use crate::verdict::{Asking, Mark, Name, Proved, Verdict};

/// A section, and all that a route with it does before a request is let through.
pub struct Checks {
    shared: Arc<Shared>,
    providers: Selected,
    revocations: Revocations,
    connection: Connection,
    clock: Clock,
}

/// Tokens that are remembered, and nothing around them.
pub struct Cached {
    cache: TokenCache,
    revocations: Revocations,
}

impl Cached {
    /// With so many other tokens remembered, and so many revoked.
    pub fn new(token: &str, others: usize, revoked: usize) -> Self {
        let cache = TokenCache::new(2 * others + 100, Duration::from_secs(3600));
        let now = Clock::system().wall();
        let put = |token: &str| {
            let (id, subject) = (Name::of_jti(Some("bench"), token), Name::of_subject(Some("bench"), "u1"));
            let (issued, expires) = (1, now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() + 3600);
            let mark = Some(Mark { token: id, subject, session: None, issued, expires });
            let identity = Identity::new("u1", "bench", serde_json::Map::new());
            cache.put(&ProviderId(1), token, &Proved { identity, mark }, now);
        };
        put(token);
        (0..others).for_each(|n| put(&n.to_string()));
        Self { cache, revocations: Revocations::for_bench(revoked) }
    }

    /// What is measured: whether the token is remembered and wasn't revoked.
    pub fn check(&self, token: &str, now: SystemTime) -> bool {
        let proved = self.cache.get(&ProviderId(1), token, now);
        proved.and_then(|proved| proved.mark).is_some_and(|mark| self.revocations.check(&mark) == Standing::Good)
    }
}

/// A request, as far as it is looked at.
pub struct Request(HeaderMap);

impl Request {
    /// With this token, and the fields of a small request.
    pub fn bearer(token: &str) -> Self {
        let mut headers = HeaderMap::new();
        for (name, value) in [("host", "api.example.com"), ("user-agent", "bench/1.0"), ("accept", "*/*")] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        let value = HeaderValue::try_from(format!("Bearer {token}")).expect("a token is a field's value");
        headers.insert(header::AUTHORIZATION, value);
        Self(headers)
    }
}

impl Checks {
    /// Of a section in YAML, with so many tokens revoked, none of which is ever asked for.
    pub fn new(section: &str, revoked: usize) -> Self {
        let config: Config = serde_yaml::from_str(section).expect("a section");
        let (clock, metrics, stores) = (Clock::system(), Metrics::new(), Stores::default());
        let (kept, mut tasks) = (Retained::new(), Vec::new());
        let mut cx = BuildCx::new(Auth::NAME, &clock, &metrics, &stores, (&kept, None), &mut tasks);
        let auth = Auth::build(config, &mut cx).unwrap_or_else(|errors| panic!("{errors}"));
        let shared = auth.shared();
        let providers = shared.providers.select(&[]).expect("all of them");
        let connection = Connection { listener: "main".into(), peer: None, local: None, tls: None };
        Self { shared, providers, revocations: Revocations::for_bench(revoked), connection, clock }
    }

    /// What is measured: whether the request proves somebody who wasn't revoked, without waiting for anybody.
    pub fn check(&self, request: &Request) -> bool {
        self.proved(request).is_some()
    }

    /// The same with what the upstream is told; the fields that it gets.
    pub fn forward(&self, request: &Request, head: &mut RequestHeader) -> bool {
        let proved = self.proved(request);
        let identity = proved.as_ref().map(|proved| &proved.identity);
        self.shared.forwarder.apply(identity, head).is_ok() && proved.is_some()
    }

    fn proved(&self, request: &Request) -> Option<Proved> {
        let head = RequestHead {
            method: &Method::GET,
            authority: "api.example.com",
            path: "/v1/users/1",
            query: None,
            headers: &request.0,
            client: IpAddr::from([192, 0, 2, 1]),
            scheme: Scheme::Https,
            listener: "main",
        };
        let asking = Asking { head, connection: &self.connection, now: self.clock.wall() };
        let Walk::Found(found) = self.providers.at_once(&asking) else { return None };
        self.providers.count(&found);
        let Verdict::Proved(proved) = found.verdict else { return None };
        let mark = proved.mark.as_ref()?;
        (self.revocations.check(mark) == Standing::Good).then_some(proved)
    }
}
