//! What a Tidegate plugin author sees.
//!
//! A plugin is one crate that depends on this one. It implements [`Plugin`] (one per configuration) and
//! [`Handler`] (one per route that uses it), and reads and answers requests through [`Cx`]. Everything of
//! Pingora that a plugin needs is re-exported here, so a new Pingora is a change to Tidegate and not to plugins.
//!
//! ```
//! use tidegate_core::{BuildCx, ConfigErrors, Cx, Flow, Handler, Plugin, Reply, Result, Route};
//!
//! /// Answers 451 to everyone.
//! struct Censor;
//!
//! #[derive(serde::Deserialize, schemars::JsonSchema)]
//! #[serde(deny_unknown_fields)]
//! struct Policy {
//!     /// What the client is told.
//!     because: String,
//! }
//!
//! struct Censored(String);
//!
//! impl Plugin for Censor {
//!     const NAME: &'static str = "censor";
//!     type Config = tidegate_core::NoConfig;
//!     type Policy = Policy;
//!     type Handler = Censored;
//!
//!     fn build(_: Self::Config, _: &mut BuildCx<'_>) -> Result<Self, ConfigErrors> {
//!         Ok(Censor)
//!     }
//!     fn handler(&self, policy: Policy, _: &Route) -> Result<Censored, ConfigErrors> {
//!         Ok(Censored(policy.because))
//!     }
//! }
//!
//! impl Handler for Censored {
//!     async fn request(&self, _: &mut Cx<'_>) -> Result<Flow> {
//!         let status = http::StatusCode::UNAVAILABLE_FOR_LEGAL_REASONS;
//!         Ok(Flow::Respond(Reply::problem(status, "censored", self.0.clone())))
//!     }
//! }
//! ```

mod admin;
mod build;
pub mod cache;
mod clock;
pub mod config;
mod connection;
mod cx;
mod endpoint;
#[doc(hidden)]
pub mod erased;
mod error;
pub mod facts;
mod fetch;
pub mod fields;
mod flow;
mod folders;
mod head;
mod metrics;
mod params;
mod plugin;
mod reply;
mod request;
mod retain;
mod route;
mod router;
mod split;
mod store;
mod task;
mod template;

pub use admin::{Admin, AdminRequest};
pub use build::BuildCx;
pub use cache::CachePolicy;
pub use clock::{Clock, SystemTimeSource, TimeSource};
pub use config::{ConfigError, ConfigErrors, ConfigPath, RawConfig};
pub use connection::{Connection, TlsInfo};
pub use cx::Cx;
pub use endpoint::{Endpoint, EndpointOffer};
pub use error::{Error, Result, Side};
#[doc(hidden)]
pub use fetch::MakeHttp;
pub use fetch::{Fetch, FetchError, FetchLimits, Http};
pub use flow::{AnsweredBy, Flow, Outcome};
#[doc(hidden)]
pub use folders::folders_of;
pub use head::{RequestHead, Scheme};
pub use metrics::{MetricError, Metrics};
pub use params::Params;
pub use plugin::{Asked, Handler, NoConfig, Plugin};
pub use reply::{Body, BodyStream, ProblemKind, Reply};
pub use request::Request;
pub use retain::Retained;
pub use route::{Route, RouteId};
pub use router::{
    Explanation, Match, RouteLimits, RouteSpec, RouteTable, Routed, Router, Serve, Split, SplitArm, StickBy,
};
pub use store::{Redis, Script, SentinelConfig, StoreConfig, StoreError, Stores};
pub use task::{Stop, Task};
pub use template::{Fact, Template, TemplateError};

// What a plugin needs of others, at the version that Tidegate uses.
pub use async_trait::async_trait;
pub use bytes::Bytes;
pub use deadpool_redis::redis;
pub use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
pub use pingora_http::{RequestHeader, ResponseHeader};
pub use prometheus;
