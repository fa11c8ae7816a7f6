//! Which route is this request's: the trait, and what a router tells the gateway of its routes.

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use crate::config::{ByteSize, Duration};
use crate::erased::Link;
use crate::{BuildCx, ConfigErrors, ConfigPath, Endpoint, Handler, Params, RawConfig, Reply, RequestHead, RouteId};

pub use crate::split::{Split, SplitArm, StickBy};

/// Chooses the route. One per gateway; the `routing` plugin is the one we ship.
pub trait Router: Send + Sync + Sized + 'static {
    /// The section's key.
    const NAME: &'static str;
    /// The section.
    type Config: DeserializeOwned + JsonSchema + Send;

    /// Called once per configuration: says by `table` which routes there are. Errors carry paths relative to
    /// the section.
    fn build(config: Self::Config, table: &mut RouteTable, cx: &mut BuildCx<'_>) -> Result<Self, ConfigErrors>;

    /// The route of a request. On the path of every request: allocates nothing for a path that is already normal.
    fn route(&self, head: &RequestHead<'_>) -> Routed;

    /// Why [`Router::route`] decides as it does, in lines for a person.
    fn explain(&self, _head: &RequestHead<'_>) -> Explanation {
        Explanation::default()
    }
}

/// What a router decided.
#[derive(Debug)]
pub enum Routed {
    /// This route.
    Found(Match),
    /// No route: 404, 405 with `Allow`, 421, 400 for a path that can't be trusted, a redirect to a normal path.
    Respond(Reply),
    /// No route, and nothing more to say: 404.
    None,
}

/// A route found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Match {
    /// Which.
    pub route: RouteId,
    /// What its template captured, as places in the normalised path.
    pub params: Params,
    /// The normalised path, where it differs from the one sent. What was matched is what goes upstream.
    pub path: Option<Box<str>>,
}

/// Why a route was chosen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Explanation {
    /// One step of the decision a line, in order.
    pub steps: Vec<String>,
}

/// The routes a router has, with what each is served by and what each asks of plugins.
#[derive(Debug, Default)]
pub struct RouteTable {
    routes: Vec<RouteSpec>,
}

impl RouteTable {
    /// An empty table.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a route. Ids count up from 0 in the order of calls.
    pub fn add(&mut self, route: RouteSpec) -> RouteId {
        let id = RouteId(u32::try_from(self.routes.len()).unwrap_or(u32::MAX));
        self.routes.push(route);
        id
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.routes.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.routes.is_empty()
    }

    /// The routes, in order of their ids.
    pub fn routes(&self) -> &[RouteSpec] {
        &self.routes
    }

    #[doc(hidden)]
    pub fn into_routes(self) -> Vec<RouteSpec> {
        self.routes
    }
}

/// One route, as its router describes it to the gateway.
pub struct RouteSpec {
    /// Its name: unique, and the label in metrics and logs.
    pub name: String,
    /// Where it stands, relative to the router's section (`routes[3]`).
    pub path: ConfigPath,
    /// What it matches, in one line for people.
    pub summary: String,
    /// The names of its path parameters, in the order in which [`Params`] has them.
    pub params: Vec<Box<str>>,
    /// The paths below which it serves everything, without a slash at the end: `/auth` for `/auth/**`.
    pub mounts: Vec<Box<str>>,
    /// What serves it.
    pub serve: Serve,
    /// What it asks of plugins, by plugin name.
    pub policies: BTreeMap<String, RawConfig>,
    /// What it allows.
    pub limits: RouteLimits,
    pub(crate) hooks: Option<Box<dyn Link>>,
}

impl RouteSpec {
    /// A route with no parameters, policies or limits.
    pub fn new(name: impl Into<String>, path: ConfigPath, serve: Serve) -> Self {
        Self {
            name: name.into(),
            path,
            summary: String::new(),
            params: Vec::new(),
            mounts: Vec::new(),
            serve,
            policies: BTreeMap::new(),
            limits: RouteLimits::default(),
            hooks: None,
        }
    }

    /// The router's own share in requests of this route (rewrites, deprecation headers): the first link of its
    /// chain, so that plugins see what it did, and the last to touch the answer.
    #[must_use]
    pub fn hooks(mut self, handler: impl Handler) -> Self {
        self.hooks = Some(Box::new(handler));
        self
    }

    #[doc(hidden)]
    pub fn take_hooks(&mut self) -> Option<Box<dyn Link>> {
        self.hooks.take()
    }
}

impl std::fmt::Debug for RouteSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RouteSpec").field("name", &self.name).field("summary", &self.summary).finish_non_exhaustive()
    }
}

/// What serves a route.
pub enum Serve {
    /// A pool of `upstreams:`, by name.
    Upstream(String),
    /// One of several pools, by weight.
    Split(Split),
    /// An endpoint that a plugin offers, by name, with its configuration.
    Endpoint(String, RawConfig),
    /// An endpoint of the router itself: a redirect, a fixed reply.
    Here(Arc<dyn Endpoint>),
}

/// What a route allows. `None` leaves the gateway's own default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RouteLimits {
    /// Longest request body; more is a 413.
    pub body: Option<ByteSize>,
    /// The whole request, from its head to the last byte of the answer; longer is a 504 while no answer has
    /// begun, and a cut connection after.
    pub request: Option<Duration>,
    /// To connect to the upstream, TLS included.
    pub connect: Option<Duration>,
    /// Between two reads from the upstream, the first byte of the answer included.
    pub read: Option<Duration>,
    /// For one write to the upstream.
    pub write: Option<Duration>,
}
