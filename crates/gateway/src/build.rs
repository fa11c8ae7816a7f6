//! From a document to a [`Generation`]: everything that can be wrong is found here, all at once.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use tidegate_core::config::{ConfigErrors, ConfigPath, RawConfig, Value};
use tidegate_core::{
    BuildCx, Clock, ConfigError, EndpointOffer, HeaderName, MetricError, Metrics, Retained, Route, RouteId, RouteSpec,
    RouteTable, Serve, Stores, Task,
};
use tidegate_listener::{Listener, ListenerConfig};
use tidegate_upstream::{Client, Pool, Upstreams};
use tokio::sync::watch;

use crate::access_log::AccessLog;
use crate::chain::{Chain, Failures, Step, Watcher};
use crate::client::TrustedProxies;
use crate::generation::{BuiltRoute, Generation, Limits, ListenerRule, Service};
use crate::kinds::{BuiltPlugin, PluginKind, RouterKind, mount};
use crate::mirror::Mirrors;
use crate::outbound::{Outbound, OutboundOn};
use crate::problem::ErrorPages;
use crate::red::Red;
use crate::request_id::RequestIds;
use crate::settings::{SECTIONS, Settings, raw_section};

/// The name of what serves requests for which there is no route, in metrics and logs.
pub(crate) const UNROUTED: &str = "none";

/// What a gateway can do, before it has a configuration.
pub(crate) struct Parts {
    pub router: Option<Box<dyn RouterKind>>,
    pub plugins: Vec<Box<dyn PluginKind>>,
    pub clock: Clock,
    pub metrics: Metrics,
    pub outbound: Outbound,
}

/// What a configuration is built for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To serve requests.
    Serve,
    /// To see whether it is good: no file is made, nobody is contacted.
    Check,
}

/// A built configuration, and the work that begins when it becomes the current one.
pub(crate) struct Built {
    pub generation: Generation,
    pub tasks: Vec<Task>,
}

/// A plugin of this configuration, with what routes that don't name it get.
struct Section {
    name: &'static str,
    plugin: Box<dyn BuiltPlugin>,
    default: Option<RawConfig>,
    failures: Arc<Failures>,
}

impl Section {
    /// What of it hears of unsafe requests on whatever route.
    fn watcher(&self) -> Option<Watcher> {
        let hears = self.plugin.invalidates()?;
        Some(Watcher { plugin: self.name, hears, failures: self.failures.clone() })
    }
}

struct Builder<'a> {
    settings: &'a Settings,
    sections: &'a [Section],
    offers: Vec<EndpointOffer>,
    upstreams: &'a Upstreams,
    red: Red,
    router: &'static str,
    router_failures: Arc<Failures>,
}

/// Builds `root`; `before` is the configuration it is to replace, whose state it takes over.
pub(crate) fn build(
    parts: &Parts,
    root: &RawConfig,
    before: Option<&Generation>,
    purpose: Purpose,
) -> Result<Built, ConfigErrors> {
    let mut errors = ConfigErrors::default();
    let router_kind = parts.router.as_deref().ok_or_else(no_router)?;
    unknown_sections(parts, router_kind, root, &mut errors);
    let settings = Settings::read(root, &mut errors);
    let stores = match &settings {
        Some(settings) => {
            let before = before.map(|before| &before.stores);
            let stores = Stores::open(&settings.stores, &parts.metrics, before);
            errors.collect(stores.map_err(|e| e.under(&"stores".into())))
        }
        None => None,
    };
    let stores = stores.unwrap_or_default();
    let retained = Retained::new();
    let mut tasks = Vec::new();
    let kept = (&retained, before.map(|before| &before.retained));
    let listeners = settings.as_ref().map(|settings| settings.listeners.iter().map(ListenerConfig::name).collect());
    let listeners: Vec<String> = listeners.unwrap_or_default();

    let http = OutboundOn(&parts.outbound, &parts.clock);
    let dry = purpose == Purpose::Check;
    let mut table = RouteTable::new();
    let router = {
        let cx = BuildCx::new(router_kind.name(), &parts.clock, &parts.metrics, &stores, kept, &mut tasks);
        let mut cx = cx.with_listeners(&listeners).with_http(&http).dry(dry);
        let section = raw_section(root, router_kind.name());
        errors.collect(router_kind.build(&section, &mut table, &mut cx))
    };
    let mut sections = Vec::new();
    let mut redacted = Vec::new();
    for kind in &parts.plugins {
        let cx = BuildCx::new(kind.name(), &parts.clock, &parts.metrics, &stores, kept, &mut tasks);
        let mut cx = cx.with_listeners(&listeners).with_http(&http).with_redacted(&mut redacted).dry(dry);
        sections.extend(errors.collect(build_section(kind.as_ref(), root, &mut cx)));
    }
    let Some(mut settings) = settings else { return Err(errors) };
    settings.access_log.redact(redacted);
    let previous = before.map(|before| &before.upstreams);
    let upstreams = Upstreams::build(&settings.upstreams, previous, &parts.metrics, &parts.clock);
    let upstreams = errors.collect(upstreams.map_err(|e| e.under(&"upstreams".into())));
    for (index, listener) in settings.listeners.iter().enumerate() {
        let path = ConfigPath::root().key("listeners").index(index);
        errors.collect(Listener::check(listener).map_err(|e| e.under(&path)));
    }
    let extras = read_extras(&settings, &parts.metrics, before, purpose, &mut errors);
    let red = Red::new(&parts.metrics).map_err(metric)?;
    let router_failures = Failures::new(router_kind.name(), &parts.metrics).map_err(metric)?;
    let all_plugins_built = sections.len() == parts.plugins.len();
    let (Some(router), Some(upstreams), Some(extras), true) = (router, upstreams, extras, all_plugins_built) else {
        return Err(errors);
    };

    let admins = sections.iter().filter_map(|section| Some((section.name, section.plugin.admin()?))).collect();
    let offers = sections.iter().flat_map(|section| section.plugin.endpoints()).collect();
    let builder = Builder {
        settings: &settings,
        sections: &sections,
        offers,
        upstreams: &upstreams,
        red,
        router: router_kind.name(),
        router_failures,
    };
    unique_names(&table, router_kind.name(), &mut errors);
    let (unrouted, routes) = builder.routes(table.into_routes(), &mut errors);
    errors.into_result(())?;
    let warnings = sections.iter().flat_map(|s| s.plugin.warnings().under(&ConfigPath::root().key(s.name))).collect();
    let invalidates = sections.iter().filter_map(Section::watcher).collect();
    let client = client(&upstreams, before);
    let generation = Generation {
        number: before.map_or(1, |before| before.number + 1),
        router,
        caches: routes.iter().any(|route| route.chain.cache().is_some()),
        invalidates,
        routes,
        unrouted: unrouted.ok_or_else(|| ConfigError::at("", "the default policies can't be built"))?,
        mirrors: Mirrors::new(&upstreams, client.as_ref()),
        client,
        upstreams,
        trusted: extras.trusted,
        request_ids: extras.request_ids,
        error_pages: extras.error_pages,
        country_header: extras.country_header,
        access_log: extras.access_log,
        listeners: settings.listeners.iter().map(ListenerRule::new).collect(),
        retained,
        stores,
        admins,
        warnings,
        stop: watch::Sender::new(false),
        settings,
    };
    Ok(Built { generation, tasks })
}

/// Made for those who need it, once: it reads the system's certificates.
fn client(upstreams: &Upstreams, before: Option<&Generation>) -> Option<Client> {
    let needs = |pool: &Arc<Pool>| pool.config().mirror.is_some() || pool.config().hedge.is_some();
    let known = before.and_then(|before| before.client.clone());
    known.or_else(|| upstreams.iter().any(needs).then(Client::new))
}

fn no_router() -> ConfigErrors {
    let error = ConfigError::at("", "this gateway has no router");
    error.help("give it one: Gateway::new().router::<Routing>()").into()
}

fn metric(error: MetricError) -> ConfigError {
    ConfigError::at("", error.to_string())
}

/// What the gateway's own sections become.
struct Extras {
    trusted: TrustedProxies,
    country_header: Option<HeaderName>,
    request_ids: RequestIds,
    error_pages: ErrorPages,
    access_log: Option<AccessLog>,
}

fn read_extras(
    settings: &Settings,
    metrics: &Metrics,
    before: Option<&Generation>,
    purpose: Purpose,
    errors: &mut ConfigErrors,
) -> Option<Extras> {
    let request_ids = RequestIds::new(&settings.request_id).map_err(|e| e.under(&"request_id".into()));
    let pages = ErrorPages::load(&settings.errors).map_err(|e| e.under(&"errors".into()));
    let log = match purpose {
        Purpose::Serve => AccessLog::open(&settings.access_log, metrics, before.and_then(|b| b.access_log.as_ref())),
        // Opening the file would make it, perhaps as somebody the gateway doesn't run as.
        Purpose::Check => Ok(None),
    };
    let country_header = errors.collect(country_header(settings));
    let log = log.map_err(|e| e.under(&"access_log".into()));
    let (request_ids, pages, log) = (errors.collect(request_ids), errors.collect(pages), errors.collect(log));
    Some(Extras {
        trusted: TrustedProxies::new(settings.trusted_proxies.clone()),
        country_header: country_header?,
        request_ids: request_ids?,
        error_pages: pages?,
        access_log: log?,
    })
}

/// A field that nobody in front of the gateway vouches for would be the client's own word.
fn country_header(settings: &Settings) -> Result<Option<HeaderName>, ConfigError> {
    let Some(name) = &settings.country_header else { return Ok(None) };
    if settings.trusted_proxies.is_empty() {
        let error = ConfigError::at("country_header", "without trusted_proxies nobody's word on it would be taken");
        return Err(error.help("list the proxies that set it: trusted_proxies: [10.0.0.0/8]"));
    }
    let parsed = name.parse();
    parsed.map(Some).map_err(|_| ConfigError::at("country_header", format!("`{name}` is not a field name")))
}

fn build_section(kind: &dyn PluginKind, root: &RawConfig, cx: &mut BuildCx<'_>) -> Result<Section, ConfigErrors> {
    let raw = raw_section(root, kind.name());
    let default = raw.get("default").filter(|policy| !is_off(policy));
    let failures = Failures::new(kind.name(), cx.metrics()).map_err(|e| ConfigError::at(raw.path(), e.to_string()))?;
    let plugin = kind.build(&raw.without("default"), cx)?;
    Ok(Section { name: kind.name(), plugin, default, failures })
}

/// `off`, or nothing at all, as a policy: the route does without the plugin's default.
fn is_off(policy: &RawConfig) -> bool {
    // YAML 1.1 readers take a bare `off` for false.
    policy.is_null() || policy.value().as_str() == Some("off") || matches!(policy.value(), Value::Bool(false))
}

fn unknown_sections(parts: &Parts, router: &dyn RouterKind, root: &RawConfig, errors: &mut ConfigErrors) {
    let plugins = parts.plugins.iter().map(|plugin| plugin.name());
    let known: Vec<&str> = SECTIONS.into_iter().chain([router.name()]).chain(plugins).collect();
    for (key, _) in root.entries().filter(|(key, _)| !known.contains(key)) {
        errors.push(ConfigError::unknown(root.path().key(key), "section", key, &known).about_key());
    }
}

fn unique_names(table: &RouteTable, router: &str, errors: &mut ConfigErrors) {
    let mut seen: HashMap<&str, &ConfigPath> = HashMap::new();
    for route in table.routes() {
        if let Some(first) = seen.insert(&route.name, &route.path) {
            let error = ConfigError::at(&route.path, format!("a route is already called `{}`", route.name));
            let help = format!("the first is {router}.{first}; names are labels in metrics and logs: choose another");
            errors.push(error.help(help).under(&ConfigPath::root().key(router)));
        }
    }
}

impl Builder<'_> {
    fn routes(&self, specs: Vec<RouteSpec>, errors: &mut ConfigErrors) -> (Option<BuiltRoute>, Box<[BuiltRoute]>) {
        let mut unrouted = RouteSpec::new(UNROUTED, ConfigPath::root(), Serve::Upstream(String::new()));
        unrouted.summary = "requests for which there is no route".to_owned();
        let unrouted = errors.collect(self.route(RouteId(u32::MAX), unrouted, true));
        let mut built = Vec::with_capacity(specs.len());
        for (index, spec) in specs.into_iter().enumerate() {
            let id = RouteId(u32::try_from(index).unwrap_or(u32::MAX));
            built.extend(errors.collect(self.route(id, spec, false)));
        }
        (unrouted, built.into())
    }

    fn route(&self, id: RouteId, mut spec: RouteSpec, unrouted: bool) -> Result<BuiltRoute, ConfigErrors> {
        let mut errors = ConfigErrors::default();
        let hooks = spec.take_hooks();
        let path = match unrouted {
            true => ConfigPath::root(),
            false => ConfigPath::root().key(self.router).join(&spec.path),
        };
        let route = Route::new(id, &spec.name, std::mem::take(&mut spec.params), path, &spec.summary);
        let here = matches!(spec.serve, Serve::Endpoint(..) | Serve::Here(_));
        let route = route.mounted(std::mem::take(&mut spec.mounts)).by_endpoint(here);
        self.unknown_policies(&spec.policies, &mut errors);
        let mut policies = Vec::new();
        let mut steps = Vec::new();
        if let Some(link) = hooks {
            steps.push(Step { plugin: self.router, link, failures: self.router_failures.clone() });
        }
        for section in self.sections {
            let link = match spec.policies.get(section.name).or(section.default.as_ref()) {
                Some(policy) if is_off(policy) => match section.plugin.always(&route) {
                    Some(link) => link,
                    None => continue,
                },
                Some(policy) => {
                    policies.push((section.name, policy.clone()));
                    section.plugin.link(policy, &route)
                }
                None => match section.plugin.everywhere(&route) {
                    Some(link) => link,
                    None => continue,
                },
            };
            if let Some(link) = errors.collect(link) {
                steps.push(Step { plugin: section.name, link, failures: section.failures.clone() });
            }
        }
        one_cache(&steps, &route, &mut errors);
        let serve = match unrouted {
            true => Some(Service::Nothing),
            false => errors.collect(self.service(spec.serve, &route)),
        };
        let limits = Limits::of(&spec.limits, &self.settings.limits);
        let series = self.red.series(route.name().clone());
        match serve {
            Some(serve) if errors.is_empty() => {
                Ok(BuiltRoute { route, chain: Chain::new(steps), serve, limits, series, policies })
            }
            _ => Err(errors),
        }
    }

    fn unknown_policies(&self, policies: &BTreeMap<String, RawConfig>, errors: &mut ConfigErrors) {
        let known: Vec<&str> = self.sections.iter().map(|section| section.name).collect();
        for (name, policy) in policies.iter().filter(|(name, _)| !known.contains(&name.as_str())) {
            errors.push(ConfigError::unknown(policy.path(), "plugin", name, &known).about_key());
        }
    }

    fn service(&self, serve: Serve, route: &Route) -> Result<Service, ConfigErrors> {
        match serve {
            Serve::Upstream(name) => Ok(Service::Pool(self.pool(&name, &route.path().key("upstream"))?)),
            Serve::Split(split) => {
                let mut errors = ConfigErrors::default();
                let path = route.path().key("split");
                let pools = split.arms.iter().enumerate().filter_map(|(index, arm)| {
                    errors.collect(self.pool(&arm.upstream, &path.index(index).key("upstream")))
                });
                let pools = pools.collect();
                errors.into_result(Service::Split(split, pools))
            }
            Serve::Endpoint(name, config) => Ok(Service::Endpoint(mount(&self.offers, &name, &config, route)?)),
            Serve::Here(endpoint) => Ok(Service::Endpoint(endpoint)),
        }
    }

    fn pool(&self, name: &str, path: &ConfigPath) -> Result<Arc<Pool>, ConfigError> {
        self.upstreams.get(name).cloned().ok_or_else(|| {
            let known: Vec<&str> = self.settings.upstreams.keys().map(String::as_str).collect();
            ConfigError::unknown(path, "upstream", name, &known)
        })
    }
}

fn one_cache(steps: &[Step], route: &Route, errors: &mut ConfigErrors) {
    let caching: Vec<_> = steps.iter().filter(|step| step.link.cache().is_some()).map(|step| step.plugin).collect();
    if caching.len() > 1 {
        let message =
            format!("route `{}` has more than one cache policy, from {}", route.name(), caching.join(" and "));
        errors.push(ConfigError::at(route.path().key("plugins"), message).help("keep one of them"));
    }
}
