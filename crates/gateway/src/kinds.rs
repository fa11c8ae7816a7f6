//! The plugins and the router a gateway was given, with their types forgotten. Private: this is the one place
//! where a typed plugin becomes something the gateway can keep in a list.

use std::marker::PhantomData;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use schemars::{Schema, schema_for};
use tidegate_core::cache::Invalidates;
use tidegate_core::erased::Link;
use tidegate_core::{
    Admin, BuildCx, ConfigError, ConfigErrors, ConfigPath, Endpoint, EndpointOffer, Explanation, Plugin, RawConfig,
    RequestHead, Route, RouteTable, Routed, Router,
};

use crate::chain::panic_text;

/// A plugin that can be built.
pub(crate) trait PluginKind: Send + Sync {
    fn name(&self) -> &'static str;
    fn config_schema(&self) -> Schema;
    fn policy_schema(&self) -> Schema;
    fn build(&self, section: &RawConfig, cx: &mut BuildCx<'_>) -> Result<Box<dyn BuiltPlugin>, ConfigErrors>;
}

/// A plugin of one configuration.
pub(crate) trait BuiltPlugin: Send + Sync {
    fn link(&self, policy: &RawConfig, route: &Route) -> Result<Box<dyn Link>, ConfigErrors>;
    /// Its link for a route that asks nothing of it; `None` where it has nothing to do there.
    fn everywhere(&self, route: &Route) -> Option<Result<Box<dyn Link>, ConfigErrors>>;
    fn always(&self, route: &Route) -> Option<Result<Box<dyn Link>, ConfigErrors>>;
    fn invalidates(&self) -> Option<Arc<dyn Invalidates>>;
    fn endpoints(&self) -> Vec<EndpointOffer>;
    fn admin(&self) -> Option<Arc<dyn Admin>>;
    /// Relative to the plugin's section.
    fn warnings(&self) -> ConfigErrors;
}

/// A router that can be built.
pub(crate) trait RouterKind: Send + Sync {
    fn name(&self) -> &'static str;
    fn config_schema(&self) -> Schema;
    fn build(
        &self,
        section: &RawConfig,
        table: &mut RouteTable,
        cx: &mut BuildCx<'_>,
    ) -> Result<Box<dyn BuiltRouter>, ConfigErrors>;
}

/// A router of one configuration.
pub(crate) trait BuiltRouter: Send + Sync {
    fn route(&self, head: &RequestHead<'_>) -> Routed;
    fn explain(&self, head: &RequestHead<'_>) -> Explanation;
}

/// `P` as a kind. Holds nothing.
pub(crate) struct Kind<P>(PhantomData<fn() -> P>);

impl<P> Kind<P> {
    pub(crate) fn new() -> Self {
        Self(PhantomData)
    }
}

impl<P: Plugin> PluginKind for Kind<P> {
    fn name(&self) -> &'static str {
        P::NAME
    }

    fn config_schema(&self) -> Schema {
        schema_for!(P::Config)
    }

    fn policy_schema(&self) -> Schema {
        schema_for!(P::Policy)
    }

    fn build(&self, section: &RawConfig, cx: &mut BuildCx<'_>) -> Result<Box<dyn BuiltPlugin>, ConfigErrors> {
        let config = section.read::<P::Config>()?;
        let built = contained(section, || P::build(config, cx))?;
        Ok(Box::new(Built(built)))
    }
}

struct Built<P>(P);

impl<P: Plugin> Built<P> {
    /// For a policy that stands nowhere in the configuration.
    fn unsaid(&self, policy: P::Policy, route: &Route) -> Result<Box<dyn Link>, ConfigErrors> {
        let nowhere = RawConfig::empty(ConfigPath::root().key(P::NAME));
        let handler = contained(&nowhere, || self.0.handler(policy, route))?;
        Ok(Box::new(handler))
    }
}

impl<P: Plugin> BuiltPlugin for Built<P> {
    fn link(&self, policy: &RawConfig, route: &Route) -> Result<Box<dyn Link>, ConfigErrors> {
        let typed = policy.read::<P::Policy>()?;
        let handler = contained(policy, || self.0.handler(typed, route))?;
        Ok(Box::new(handler))
    }

    fn everywhere(&self, route: &Route) -> Option<Result<Box<dyn Link>, ConfigErrors>> {
        self.0.everywhere().map(|policy| self.unsaid(policy, route))
    }

    fn always(&self, route: &Route) -> Option<Result<Box<dyn Link>, ConfigErrors>> {
        self.0.always().map(|policy| self.unsaid(policy, route))
    }

    fn invalidates(&self) -> Option<Arc<dyn Invalidates>> {
        self.0.invalidates()
    }

    fn endpoints(&self) -> Vec<EndpointOffer> {
        self.0.endpoints()
    }

    fn admin(&self) -> Option<Arc<dyn Admin>> {
        self.0.admin()
    }

    fn warnings(&self) -> ConfigErrors {
        self.0.warnings()
    }
}

impl<R: Router> RouterKind for Kind<R> {
    fn name(&self) -> &'static str {
        R::NAME
    }

    fn config_schema(&self) -> Schema {
        schema_for!(R::Config)
    }

    fn build(
        &self,
        section: &RawConfig,
        table: &mut RouteTable,
        cx: &mut BuildCx<'_>,
    ) -> Result<Box<dyn BuiltRouter>, ConfigErrors> {
        let config = section.read::<R::Config>()?;
        let router = contained(section, || R::build(config, table, cx))?;
        Ok(Box::new(BuiltRouterOf(router)))
    }
}

struct BuiltRouterOf<R>(R);

impl<R: Router> BuiltRouter for BuiltRouterOf<R> {
    fn route(&self, head: &RequestHead<'_>) -> Routed {
        self.0.route(head)
    }

    fn explain(&self, head: &RequestHead<'_>) -> Explanation {
        self.0.explain(head)
    }
}

/// Runs a plugin's own code: what it reports is placed under its part of the file, and a panic is an error there.
fn contained<T>(place: &RawConfig, work: impl FnOnce() -> Result<T, ConfigErrors>) -> Result<T, ConfigErrors> {
    match std::panic::catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => result.map_err(|errors| errors.under(place.path())),
        Err(panic) => {
            let message = format!("the plugin panicked on this: {}", panic_text(&*panic));
            Err(ConfigError::at(place.path(), message).help("this is a fault of the plugin: report it").into())
        }
    }
}

/// An endpoint offered by a plugin, made for a route.
pub(crate) fn mount(
    offers: &[EndpointOffer],
    name: &str,
    config: &RawConfig,
    route: &Route,
) -> Result<Arc<dyn Endpoint>, ConfigErrors> {
    let Some(offer) = offers.iter().find(|offer| offer.name() == name) else {
        if offers.is_empty() {
            let error = ConfigError::at(config.path(), format!("no endpoint is called `{name}`"));
            return Err(error.help("no plugin of this gateway offers an endpoint").into());
        }
        let known: Vec<_> = offers.iter().map(EndpointOffer::name).collect();
        return Err(ConfigError::unknown(config.path(), "endpoint", name, &known).into());
    };
    offer.make(config, route)
}
