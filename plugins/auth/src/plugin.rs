//! The plugin: from the section to what routes share.

use std::sync::Arc;

use tidegate_core::{BuildCx, Clock, ConfigErrors, EndpointOffer, Plugin, Route};

use crate::cache::TokenCache;
use crate::config::service::Mount;
use crate::config::{Config, Policy};
use crate::decide::Decider;
use crate::events::Events;
use crate::guard::Guard;
use crate::handler::RouteAuth;
use crate::hashing::Hashing;
use crate::identity::Forwarder;
use crate::keys::KeyRing;
use crate::providers::Providers;
use crate::revoke::Revocations;
use crate::service::{Deps, TokenService};
use crate::store::Store;

/// The plugin; its section is `auth`. See the crate's own page for what it does.
pub struct Auth {
    shared: Arc<Shared>,
    decider: Arc<Decider>,
    service: Option<Arc<TokenService>>,
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
    pub(crate) clock: Clock,
}

impl Plugin for Auth {
    const NAME: &'static str = "auth";
    type Config = Config;
    type Policy = Policy;
    type Handler = RouteAuth;

    fn build(config: Config, cx: &mut BuildCx<'_>) -> Result<Self, ConfigErrors> {
        let mut errors = ConfigErrors::new();
        let service = config.service.as_ref();
        let at = "service".into();
        let store =
            service.map(|service| crate::store::open(&service.store, cx).map_err(|e| e.under(&"service.store".into())));
        let store = errors.collect(store.transpose()).flatten();
        let keys = service.zip(store.as_ref()).map(|(service, store)| KeyRing::open(service, store, cx));
        let keys = errors.collect(keys.transpose().map_err(|e| e.under(&at))).flatten();
        let revocations = Revocations::build(&config.revocation, store.clone(), cx);
        let revocations = errors.collect(revocations.map_err(|e| e.under(&"revocation".into())));
        let password = service.map(|service| service.password.clone()).unwrap_or_default();
        let hashing = Arc::new(Hashing::new(password.workers.unwrap_or(1) as usize, password.queue as usize));
        let parts = Parts {
            clock: cx.clock().clone(),
            cache: Arc::new(TokenCache::new(config.cache.entries, config.cache.max_age.get())),
            hashing: hashing.clone(),
            keys: keys.clone(),
            store: store.clone(),
        };
        let providers = errors.collect(Providers::build(&config, &parts, cx));
        let decider = errors.collect(Decider::build(&config, cx));
        let forwarder = Forwarder::build(&config.identity, Vec::new(), keys.clone(), cx.clock());
        let forwarder = errors.collect(forwarder.map_err(|e| e.under(&"identity".into())));
        let (Some(revocations), Some(providers), Some(decider), Some(forwarder)) =
            (revocations, providers, decider, forwarder)
        else {
            return Err(errors);
        };
        let service = match (service, store, keys) {
            (Some(config), Some(store), Some(keys)) => {
                let guard = errors.collect(Guard::build(config, &store, &keys, cx).map_err(|e| e.under(&at)));
                let events = Events::build(&config.events, cx);
                let events = errors.collect(events.map_err(|e| e.under(&"service.events".into())));
                let (Some(guard), Some(events)) = (guard, events) else { return Err(errors) };
                let deps = Deps { store, keys, revocations: revocations.clone(), hashing, guard, events };
                errors.collect(TokenService::build(config, deps, cx).map_err(|e| e.under(&at)))
            }
            _ => None,
        };
        let clock = cx.clock().clone();
        let shared = Arc::new(Shared { providers, revocations, forwarder, clock });
        errors.into_result(Self { shared, decider, service })
    }

    fn handler(&self, policy: Policy, route: &Route) -> Result<RouteAuth, ConfigErrors> {
        let rules = self.decider.rules(&policy.require, route).map_err(|e| e.under(&"require".into()))?;
        Ok(RouteAuth { mode: policy.mode, rules, shared: self.shared.clone() })
    }

    /// What clients say of themselves is removed on routes without a policy, too.
    fn everywhere(&self) -> Option<Policy> {
        Some(Policy::public())
    }

    fn warnings(&self) -> ConfigErrors {
        self.decider.warnings()
    }

    fn endpoints(&self) -> Vec<EndpointOffer> {
        let service = self.service.clone();
        service
            .map(|service| EndpointOffer::new("auth", move |mount: Mount, route| service.mount(&mount, route)))
            .into_iter()
            .collect()
    }
}

impl std::fmt::Debug for Auth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Auth")
    }
}
