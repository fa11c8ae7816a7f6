//! HTTP that a plugin speaks on its own account: keys of an issuer, an introspection, a webhook.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use crate::ConfigError;

/// A client for requests that the gateway makes by itself. Cheap to clone; connections are kept between requests.
///
/// Names are resolved by the gateway's resolver, certificates are always verified, redirects are not followed: a
/// server that is asked for keys does not get to say where they are.
#[derive(Clone)]
pub struct Http(Arc<dyn Fetch>);

/// What a request of a plugin's own may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FetchLimits {
    /// From connecting to the last byte of the answer.
    pub within: Duration,
    /// The longest body of the answer, in bytes.
    pub largest: usize,
}

/// Why there is no answer. Says no more of a URL than its host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// The URL can't be asked: it is not absolute, or neither `http` nor `https`.
    #[error("not a URL that can be asked: {0}")]
    Url(String),
    /// No connection: the name is unknown, nobody listens, the certificate is not trusted.
    #[error("can't connect: {0}")]
    Connect(String),
    /// Not within the time given.
    #[error("no whole answer within {0:?}")]
    TimedOut(Duration),
    /// An answer longer than the limit.
    #[error("the answer is longer than {0} bytes")]
    TooLarge(usize),
    /// The connection broke off, or what came is not HTTP.
    #[error("no whole answer: {0}")]
    Broken(String),
}

/// Who does the work of an [`Http`]: the gateway, or a test.
#[async_trait]
pub trait Fetch: Send + Sync + 'static {
    /// Sends a request with an absolute URI and reads the whole answer, whatever its status.
    async fn fetch(
        &self,
        request: http::Request<Bytes>,
        limits: FetchLimits,
    ) -> Result<http::Response<Bytes>, FetchError>;
}

impl Http {
    /// A client that works by `fetch`.
    pub fn new(fetch: impl Fetch) -> Self {
        Self(Arc::new(fetch))
    }

    /// Sends a request with an absolute URI and reads the whole answer, whatever its status.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn fetch(
        &self,
        request: http::Request<Bytes>,
        limits: FetchLimits,
    ) -> Result<http::Response<Bytes>, FetchError> {
        self.0.fetch(request, limits).await
    }
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Http")
    }
}

/// Makes clients for plugins while they are built. For the gateway; not part of the plugin API.
#[doc(hidden)]
pub trait MakeHttp: Send + Sync {
    /// A client that trusts the system's CAs, or those of a PEM file alone. The error carries no path.
    fn make(&self, ca: Option<&Path>) -> Result<Http, ConfigError>;

    /// A client of the gateway itself.
    fn own(&self) -> Http {
        Http::new(Nobody)
    }
}

/// Where there is no gateway to ask.
struct Nobody;

#[async_trait]
impl Fetch for Nobody {
    async fn fetch(&self, _: http::Request<Bytes>, _: FetchLimits) -> Result<http::Response<Bytes>, FetchError> {
        Err(FetchError::Connect("there is no gateway to ask".to_owned()))
    }
}
