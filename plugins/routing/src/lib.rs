#![doc = include_str!("../README.md")]

mod config;
mod conflict;
mod date;
mod deprecation;
mod draft;
mod escape;
mod explain;
mod fields;
mod hooks;
mod host;
mod hosts;
mod methods;
mod networks;
mod normalise;
mod path;
mod pattern;
mod predicate;
mod redirect;
mod reply;
mod respond;
mod rewrite;
mod serve;
mod status;
mod table;
#[cfg(test)]
mod tests;
mod text;
mod trie;
mod url;
mod version;

pub use config::{
    LimitsConfig, MatchConfig, RouteConfig, RoutingConfig, SchemeName, SplitArmConfig, StickyConfig, TimeoutsConfig,
};
pub use date::Date;
pub use deprecation::DeprecationConfig;
pub use fields::{FieldMatch, Presence};
pub use host::{HostPattern, HostPatternError};
pub use methods::MethodName;
pub use networks::Network;
pub use normalise::{BadPath, EscapedSlashes, Normal, PathParameters, PathRules, RepeatedSlashes, normalise};
pub use path::{PathPattern, PathPatternError};
pub use pattern::Pattern;
pub use redirect::{QueryFate, RedirectConfig};
pub use reply::ReplyConfig;
pub use rewrite::{ReplaceConfig, RewriteConfig};
pub use status::Status;
pub use text::OneOrMany;
pub use url::{UrlTemplate, UrlTemplateError};
pub use version::{VersionConfig, VersionSource, VersioningConfig};

use host::BadHost;
use http::header::HOST;
use table::Table;
use tidegate_core::{
    BuildCx, ConfigError, ConfigErrors, ConfigPath, Explanation, Match, RequestHead, RouteId, RouteTable, Routed,
    Router,
};
use version::Versions;

/// The router: hosts, paths, methods, headers and more, the most specific route first.
#[derive(Debug)]
pub struct Routing {
    rules: PathRules,
    versions: Option<Versions>,
    table: Table,
}

impl Routing {
    /// The router and the routes of a configuration. Errors carry paths relative to the section.
    pub fn from_config(config: &RoutingConfig, specs: &mut RouteTable) -> Result<Self, ConfigErrors> {
        let rules = config.path_rules();
        let versions = config.versioning.as_ref().map(Versions::new).transpose();
        let versions = versions.map_err(|errors| errors.under(&"versioning".into()))?;
        let shared = draft::Shared { rules, versions: versions.as_ref() };
        let table = Table::build(config, shared, specs)?;
        Ok(Self { rules, versions, table })
    }
}

impl Router for Routing {
    const NAME: &'static str = "routing";
    type Config = RoutingConfig;

    fn build(config: RoutingConfig, specs: &mut RouteTable, cx: &mut BuildCx<'_>) -> Result<Self, ConfigErrors> {
        known_listeners(&config, cx.listeners())?;
        Self::from_config(&config, specs)
    }

    fn route(&self, sent: &RequestHead<'_>) -> Routed {
        if sent.path == "*" {
            return respond::asterisk(sent.method);
        }
        let mut buffer = [0; host::LONGEST];
        let Ok(host) = clean_host(sent, &mut buffer) else {
            return respond::bad_host();
        };
        let path = match normalise(sent.path, self.rules) {
            Ok(Normal::Same) => None,
            Ok(Normal::Changed(path)) => Some(path),
            Ok(Normal::Redirect(path)) => return respond::other_path(&path, sent.query),
            Err(why) => return respond::bad_path(why),
        };
        let head = RequestHead { path: path.as_deref().unwrap_or(sent.path), ..*sent };
        if self.table.hosts.is_elsewhere(host, head.listener) {
            return respond::misdirected();
        }
        match self.table.find(host, &head) {
            None => self.no_route(host, &head),
            Some(found) if self.depends_on_parameters(found.route, host, &head) => {
                respond::bad_path(BadPath::Parameters)
            }
            Some(found) => Routed::Found(Match { route: RouteId(found.route), params: found.params, path }),
        }
    }

    fn explain(&self, head: &RequestHead<'_>) -> Explanation {
        self.explained(head)
    }
}

impl Routing {
    fn no_route(&self, host: &str, head: &RequestHead<'_>) -> Routed {
        if let Some(allowed) = self.table.allowed_methods(host, head) {
            return respond::method_not_allowed(&allowed);
        }
        match self.versions.as_ref().and_then(|versions| versions.unknown(head)) {
            Some(reply) => Routed::Respond(reply),
            None => Routed::None,
        }
    }

    /// Whether an upstream that leaves `;x=y` out of paths would read the path as one of another route: with routes
    /// `/admin/**` and `/**`, `/admin;x/users` must not pass by the first.
    fn depends_on_parameters(&self, route: u32, host: &str, head: &RequestHead<'_>) -> bool {
        if self.rules.path_parameters != PathParameters::Check || !head.path.contains(';') {
            return false;
        }
        let Ok(path) = normalise::without_parameters(head.path) else {
            return true;
        };
        let found = self.table.find(host, &RequestHead { path: &path, ..*head });
        found.is_some_and(|found| found.route != route)
    }
}

/// The host that the request is for, as routes are looked up by it.
fn clean_host<'a>(head: &RequestHead<'a>, buffer: &'a mut [u8; host::LONGEST]) -> Result<&'a str, BadHost> {
    // A `Host` that is no text is shown as none at all.
    let illegible = head.authority.is_empty() && head.headers.get(HOST).is_some_and(|host| !host.is_empty());
    if illegible { Err(BadHost) } else { host::clean(head.authority, buffer) }
}

/// A route on a listener that isn't there would never be taken.
fn known_listeners(config: &RoutingConfig, known: &[String]) -> Result<(), ConfigErrors> {
    let mut errors = ConfigErrors::new();
    // Listeners that could not be read are reported by whoever reads them.
    let routes = config.routes.iter().enumerate().filter(|_| !known.is_empty());
    for (index, route) in routes {
        for name in route.matches.listener.iter().filter(|name| !known.contains(name)) {
            let path = ConfigPath::root().key("routes").index(index).key("match").key("listener");
            let error = ConfigError::at(path, format!("no listener is called `{name}`"));
            errors.push(error.help(format!("there are: {}", known.join(", "))));
        }
    }
    errors.into_result(())
}
