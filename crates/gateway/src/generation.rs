//! One configuration, built: what a request keeps from its beginning to its end.

use std::sync::Arc;
use std::time::Duration;

use tidegate_core::config::ConfigErrors;
use tidegate_core::{Admin, Endpoint, HeaderName, RawConfig, Retained, Route, RouteLimits, Split, StatusCode, Stores};
use tidegate_listener::ListenerConfig;
use tidegate_upstream::{Client, Pool, Upstreams};
use tokio::sync::watch;

use crate::access_log::AccessLog;
use crate::chain::{Chain, Watcher};
use crate::client::TrustedProxies;
use crate::kinds::BuiltRouter;
use crate::mirror::Mirrors;
use crate::problem::ErrorPages;
use crate::red::Series;
use crate::request_id::RequestIds;
use crate::settings::Settings;

/// One configuration, built. Never changes; a reload makes another.
pub(crate) struct Generation {
    /// Counts up with each reload.
    pub number: u64,
    pub settings: Settings,
    pub router: Box<dyn BuiltRouter>,
    pub routes: Box<[BuiltRoute]>,
    /// Whether any of them has a cache.
    pub caches: bool,
    /// What hears of unsafe requests, whatever their routes.
    pub invalidates: Box<[Watcher]>,
    /// Serves requests for which there is no route: it has every plugin's `default:` policy.
    pub unrouted: BuiltRoute,
    pub upstreams: Upstreams,
    /// Where copies of requests go.
    pub mirrors: Mirrors,
    pub trusted: TrustedProxies,
    /// In which a trusted proxy says what country the client is in.
    pub country_header: Option<HeaderName>,
    pub request_ids: RequestIds,
    pub error_pages: ErrorPages,
    pub listeners: Box<[ListenerRule]>,
    pub access_log: Option<AccessLog>,
    pub retained: Retained,
    pub stores: Stores,
    /// What the gateway itself sends requests with: copies, and those of which a second one may be sent.
    pub client: Option<Client>,
    /// What plugins answer on the admin listener, by their names.
    pub admins: Vec<(&'static str, Arc<dyn Admin>)>,
    /// What plugins warn of, with whole paths.
    pub warnings: ConfigErrors,
    /// Tells this configuration's background tasks to stop.
    pub stop: watch::Sender<bool>,
}

/// What a listener's configuration says about its requests.
pub(crate) struct ListenerRule {
    name: Box<str>,
    pub redirect_https: Option<StatusCode>,
    pub max_fields: usize,
}

impl ListenerRule {
    pub(crate) fn new(config: &ListenerConfig) -> Self {
        let status = config.redirect_https.and_then(|status| StatusCode::from_u16(status.code()).ok());
        Self { name: config.name().into(), redirect_https: status, max_fields: config.max_headers.into() }
    }
}

impl Generation {
    /// There are few listeners, so a walk is cheaper than a hash.
    pub(crate) fn listener(&self, name: &str) -> Option<&ListenerRule> {
        self.listeners.iter().find(|rule| &*rule.name == name)
    }
}

/// One route with everything it needs, so that a request looks nothing up.
pub(crate) struct BuiltRoute {
    pub route: Route,
    pub chain: Chain,
    pub serve: Service,
    pub limits: Limits,
    pub series: Series,
    /// What each plugin was asked, for `explain`.
    pub policies: Vec<(&'static str, RawConfig)>,
}

/// What serves a route.
pub(crate) enum Service {
    Pool(Arc<Pool>),
    Split(Split, Box<[Arc<Pool>]>),
    Endpoint(Arc<dyn Endpoint>),
    /// The route is there for its chain only: what the router said is the answer.
    Nothing,
}

/// What a route allows, defaults filled in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub body: u64,
    pub request: Option<Duration>,
    pub connect: Option<Duration>,
    pub read: Option<Duration>,
    pub write: Option<Duration>,
}

impl Limits {
    pub(crate) fn of(route: &RouteLimits, defaults: &crate::settings::LimitsConfig) -> Self {
        let get = |duration: Option<tidegate_core::config::Duration>| duration.map(|duration| duration.get());
        Self {
            body: route.body.unwrap_or(defaults.body).bytes(),
            request: get(route.request.or(defaults.request)),
            connect: get(route.connect),
            read: get(route.read),
            write: get(route.write),
        }
    }
}
