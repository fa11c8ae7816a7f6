//! The plugin: from the section to what routes share.

use std::sync::Arc;

use tidegate_core::{Admin, BuildCx, Clock, ConfigError, ConfigErrors, EndpointOffer, Plugin, Route};

use crate::admin::Pages;
use crate::answer::Answers;
use crate::cache::TokenCache;
use crate::complaint::Complaints;
use crate::config::service::{Mount, Service};
use crate::config::{Config, Mode, Policy};
use crate::decide::Decider;
use crate::events::Events;
use crate::guard::Guard;
use crate::handler::RouteAuth;
use crate::hashing::Hashing;
use crate::identity::Forwarder;
use crate::keys::KeyRing;
use crate::metrics::AuthMetrics;
use crate::providers::Providers;
use crate::revoke::Revocations;
use crate::service::{Deps, TokenService};
use crate::store::Store;

/// The plugin; its section is `auth`. See the crate's own page for what it does.
pub struct Auth {
    shared: Arc<Shared>,
    decider: Arc<Decider>,
    service: Option<Arc<TokenService>>,
    metrics: AuthMetrics,
    pages: Arc<Pages>,
    /// Warnings about providers.
    doubtful: ConfigErrors,
}

/// What providers are built with.
pub(crate) struct Parts {
    pub(crate) clock: Clock,
    pub(crate) cache: Arc<TokenCache>,
    pub(crate) hashing: Arc<Hashing>,
    /// Of the token service, if there is one.
    pub(crate) keys: Option<Arc<KeyRing>>,
    pub(crate) store: Option<Arc<dyn Store>>,
}

/// What handlers share.
pub(crate) struct Shared {
    pub(crate) providers: Providers,
    pub(crate) revocations: Arc<Revocations>,
    pub(crate) forwarder: Forwarder,
    pub(crate) answers: Answers,
    pub(crate) complaints: Complaints,
    pub(crate) clock: Clock,
}

impl Plugin for Auth {
    const NAME: &'static str = "auth";
    type Config = Config;
    type Policy = Policy;
    type Handler = RouteAuth;

    fn build(config: Config, cx: &mut BuildCx<'_>) -> Result<Self, ConfigErrors> {
        let mut errors = ConfigErrors::new();
        let metrics = AuthMetrics::new(cx.metrics())?;
        let parts = parts(&config, &metrics, &mut errors, cx);
        let decider = errors.collect(Decider::build(&config, cx));
        let (Some(parts), Some(decider)) = (parts, decider) else { return Err(errors) };
        let shared = shared(&config, &parts, &metrics, &mut errors, cx);
        let service = config.service.as_ref().zip(shared.as_ref());
        let service = service.and_then(|(service, shared)| errors.collect(token_service(service, &parts, shared, cx)));
        let Some(shared) = shared else { return Err(errors) };
        let service = service.flatten();
        let pages = Arc::new(Pages::new(shared.clone(), &parts, service.clone()));
        let doubtful = crate::providers::warnings(&config);
        errors.into_result(Self { shared, decider, service, metrics, pages, doubtful })
    }

    fn handler(&self, policy: Policy, route: &Route) -> Result<RouteAuth, ConfigErrors> {
        let mut errors = ConfigErrors::new();
        let providers = errors.collect(self.shared.providers.select(&policy.providers));
        if matches!(policy.mode, Mode::Require | Mode::Optional) && self.shared.providers.is_empty() {
            errors.push(nobody_could());
        }
        let rules = self.decider.rules(&policy.require, route).map_err(|e| e.under(&"require".into()));
        let rules = errors.collect(rules);
        let (Some(providers), Some(rules)) = (providers, rules) else { return Err(errors) };
        let refused = self.metrics.refused(route.name());
        let (mode, shared) = (policy.mode, self.shared.clone());
        errors.into_result(RouteAuth { mode, rules, providers, refused, shared })
    }

    /// What clients say of themselves is removed on routes without a policy, too. Where nobody can be known there is
    /// nothing to be said, and nothing to be removed.
    fn everywhere(&self) -> Option<Policy> {
        (!self.shared.providers.is_empty()).then(Policy::public)
    }

    /// A route that says `off` is as open as one without a policy, and as closed to fields that say who is asking.
    fn always(&self) -> Option<Policy> {
        self.everywhere()
    }

    fn warnings(&self) -> ConfigErrors {
        let mut found = self.doubtful.clone();
        found.extend(self.decider.warnings());
        found
    }

    fn admin(&self) -> Option<Arc<dyn Admin>> {
        Some(self.pages.clone())
    }

    fn endpoints(&self) -> Vec<EndpointOffer> {
        let service = self.service.clone();
        service
            .map(|service| EndpointOffer::new("auth", move |mount: Mount, route| service.mount(&mount, route)))
            .into_iter()
            .collect()
    }
}

impl Auth {
    /// For the benchmark.
    pub(crate) fn shared(&self) -> Arc<Shared> {
        self.shared.clone()
    }
}

/// What everything else is built with: the store, the keys, the threads that hash, the cache.
fn parts(config: &Config, metrics: &AuthMetrics, errors: &mut ConfigErrors, cx: &mut BuildCx<'_>) -> Option<Parts> {
    let service = config.service.as_ref();
    errors.collect(service.map(crate::service::check).transpose().map_err(|e| e.under(&"service".into())));
    let store = service.map(|service| {
        let store = crate::store::open(&service.store, cx).map_err(|e| e.under(&"service.store".into()))?;
        let sweeper = crate::store::spawn_sweeper(&store, &service.sweep, cx);
        sweeper.map_err(|e| e.under(&"service.sweep".into())).map(|()| store)
    });
    let store = errors.collect(store.transpose()).flatten();
    let keys = service.zip(store.as_ref()).map(|(service, store)| KeyRing::open(service, store, cx));
    let keys = errors.collect(keys.transpose().map_err(|e| e.under(&"service".into()))).flatten();
    let password = service.map(|service| service.password.clone()).unwrap_or_default();
    let place = service.map(|service| crate::store::place(&service.store, cx)).unwrap_or_default();
    let hashing = Hashing::build(&password, &place, cx).map_err(|e| e.under(&"service.password".into()));
    let hashing = errors.collect(hashing);
    let (entries, max_age) = (config.cache.entries, config.cache.max_age.get());
    let cache = || TokenCache::new(entries, max_age).counted(metrics.cache.clone());
    let cache = cx.retain(&format!("tokens/{entries}/{max_age:?}"), cache);
    Some(Parts { clock: cx.clock().clone(), cache, hashing: hashing?, keys, store })
}

/// What routes share.
fn shared(
    config: &Config,
    parts: &Parts,
    metrics: &AuthMetrics,
    errors: &mut ConfigErrors,
    cx: &mut BuildCx<'_>,
) -> Option<Arc<Shared>> {
    let service = config.service.as_ref();
    let store = service.map(|service| &service.store).zip(parts.store.clone());
    let revocations = Revocations::build(&config.revocation, store, cx);
    let revocations = errors.collect(revocations.map_err(|e| e.under(&"revocation".into())));
    let providers = errors.collect(Providers::build(config, parts, metrics, cx));
    let spoofable = providers.as_ref().map(Providers::spoofable).unwrap_or_default();
    let keys = parts.keys.clone().zip(service.map(|service| &*service.issuer));
    let forwarder = Forwarder::build(&config.identity, spoofable, keys, cx.clock());
    let forwarder = errors.collect(forwarder.map_err(|e| e.under(&"identity".into())));
    let answers = errors.collect(Answers::build(config.realm.as_deref()));
    Some(Arc::new(Shared {
        providers: providers?,
        revocations: revocations?,
        forwarder: forwarder?,
        answers: answers?,
        complaints: Complaints::new(cx.clock()),
        clock: cx.clock().clone(),
    }))
}

/// The token service; `None` where its store or keys are missing, which is reported already.
fn token_service(
    config: &Service,
    parts: &Parts,
    shared: &Shared,
    cx: &mut BuildCx<'_>,
) -> Result<Option<Arc<TokenService>>, ConfigErrors> {
    let (Some(store), Some(keys)) = (parts.store.clone(), parts.keys.clone()) else { return Ok(None) };
    let at = "service".into();
    let mut errors = ConfigErrors::new();
    let guard = errors.collect(Guard::build(config, &store, &keys, cx).map_err(|e| e.under(&at)));
    let events = errors.collect(Events::build(&config.events, cx).map_err(|e| e.under(&"service.events".into())));
    let own = errors.collect(crate::service::provider("service", config, parts, cx).map_err(|e| e.under(&at)));
    let (Some(guard), Some(events), Some(own)) = (guard, events, own) else { return Err(errors) };
    let (hashing, revocations) = (parts.hashing.clone(), shared.revocations.clone());
    let clock = parts.clock.clone();
    let deps = Deps { store, keys, revocations, hashing, guard, events, own, clock };
    errors
        .collect(TokenService::build(config, deps, cx).map_err(|e| e.under(&at)))
        .map_or(Err(errors), |it| Ok(Some(it)))
}

fn nobody_could() -> ConfigError {
    let error = ConfigError::at("", "nobody could prove who they are: the section `auth` has no provider");
    error.help("add one: auth: { providers: [{ jwt: { … } }] }")
}

impl std::fmt::Debug for Auth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Auth")
    }
}
