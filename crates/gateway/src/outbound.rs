//! Requests that plugins make on their own account.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use bytes::Bytes;
use tidegate_core::{Clock, ConfigError, Fetch, FetchError, FetchLimits, Http, MakeHttp};
use tidegate_upstream::{ClientError, ResolveConfig, Trust, Web};

/// Makes clients for plugins. All share one, made for the first that asks: it reads the system's certificates.
#[derive(Debug, Default)]
pub(crate) struct Outbound {
    web: OnceLock<Arc<Web>>,
    /// The gateway's own listeners, once it serves.
    doors: Arc<OnceLock<Vec<Door>>>,
}

/// Where the gateway itself can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Door {
    pub(crate) tls: bool,
    pub(crate) address: SocketAddr,
}

impl Outbound {
    /// The gateway serves, at these.
    pub(crate) fn opened(&self, doors: Vec<Door>) {
        let _ = self.doors.set(doors);
    }

    fn web(&self, clock: &Clock) -> Arc<Web> {
        self.web.get_or_init(|| Arc::new(Web::new(&ResolveConfig::default(), clock))).clone()
    }
}

/// An [`Outbound`] on the gateway's clock.
pub(crate) struct OutboundOn<'a>(pub(crate) &'a Outbound, pub(crate) &'a Clock);

impl MakeHttp for OutboundOn<'_> {
    fn make(&self, ca: Option<&Path>) -> Result<Http, ConfigError> {
        let trust = ca.map(Trust::load).transpose()?;
        Ok(Http::new(Fetcher { web: self.0.web(self.1), trust }))
    }

    fn own(&self) -> Http {
        Http::new(Own { web: self.0.web(self.1), doors: self.0.doors.clone() })
    }
}

/// Asks the gateway itself.
struct Own {
    web: Arc<Web>,
    doors: Arc<OnceLock<Vec<Door>>>,
}

#[async_trait]
impl Fetch for Own {
    async fn fetch(
        &self,
        request: http::Request<Bytes>,
        limits: FetchLimits,
    ) -> Result<http::Response<Bytes>, FetchError> {
        let tls = request.uri().scheme_str() == Some("https");
        let doors = self.doors.get().map(Vec::as_slice).unwrap_or_default();
        let Some(door) = doors.iter().find(|door| door.tls == tls) else {
            let with = if tls { "with" } else { "without" };
            return Err(FetchError::Connect(format!("the gateway has no TCP listener {with} TLS")));
        };
        let answer = self.web.ask_at(door.address, request, limits.within, limits.largest).await;
        answer.map_err(|error| failed(error, limits))
    }
}

struct Fetcher {
    web: Arc<Web>,
    trust: Option<Trust>,
}

#[async_trait]
impl Fetch for Fetcher {
    async fn fetch(
        &self,
        request: http::Request<Bytes>,
        limits: FetchLimits,
    ) -> Result<http::Response<Bytes>, FetchError> {
        let answer = self.web.ask(request, self.trust.as_ref(), limits.within, limits.largest).await;
        answer.map_err(|error| failed(error, limits))
    }
}

fn failed(error: ClientError, limits: FetchLimits) -> FetchError {
    match error {
        ClientError::Connect(why) => FetchError::Connect(why.into_owned()),
        ClientError::Timeout(_) => FetchError::TimedOut(limits.within),
        ClientError::TooLarge(_) => FetchError::TooLarge(limits.largest),
        other => FetchError::Broken(other.to_string()),
    }
}
