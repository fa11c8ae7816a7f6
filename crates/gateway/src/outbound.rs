//! Requests that plugins make on their own account.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use bytes::Bytes;
use tidegate_core::{Clock, ConfigError, Fetch, FetchError, FetchLimits, Http, MakeHttp};
use tidegate_upstream::{ClientError, ResolveConfig, Trust, Web};

/// Makes clients for plugins. All share one, made for the first that asks: it reads the system's certificates.
#[derive(Debug, Default)]
pub(crate) struct Outbound(OnceLock<Arc<Web>>);

/// An [`Outbound`] on the gateway's clock.
pub(crate) struct OutboundOn<'a>(pub(crate) &'a Outbound, pub(crate) &'a Clock);

impl MakeHttp for OutboundOn<'_> {
    fn make(&self, ca: Option<&Path>) -> Result<Http, ConfigError> {
        let trust = ca.map(Trust::load).transpose()?;
        let web = self.0.0.get_or_init(|| Arc::new(Web::new(&ResolveConfig::default(), self.1)));
        Ok(Http::new(Fetcher { web: web.clone(), trust }))
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
        answer.map_err(|error| match error {
            ClientError::Connect(why) => FetchError::Connect(why.into_owned()),
            ClientError::Timeout(_) => FetchError::TimedOut(limits.within),
            ClientError::TooLarge(_) => FetchError::TooLarge(limits.largest),
            other => FetchError::Broken(other.to_string()),
        })
    }
}
