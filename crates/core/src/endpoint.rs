//! What a route can be served by instead of an upstream.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::DeserializeOwned;

use crate::{Asked, ConfigErrors, Cx, RawConfig, Reply, Result, Route};

/// Answers requests by itself: files, redirects, a token service. A plugin offers endpoints by name
/// ([`Plugin::endpoints`](crate::Plugin::endpoints)); a route mounts one.
#[async_trait]
pub trait Endpoint: Send + Sync {
    /// The answer. An error is a 500 with the cause in the log.
    async fn serve(&self, cx: &mut Cx<'_>) -> Result<Reply>;

    /// What it would answer and why, in lines for a person: `tidegate explain` prints them. Nobody is to be contacted and
    /// nothing to be counted.
    fn explain(&self, _asked: &Asked<'_>) -> Vec<String> {
        Vec::new()
    }
}

type Make<'a> = dyn Fn(&RawConfig, &Route) -> Result<Arc<dyn Endpoint>, ConfigErrors> + Send + Sync + 'a;

/// An endpoint that a plugin offers: `endpoint: { <name>: <config> }` in a route.
pub struct EndpointOffer {
    name: &'static str,
    make: Box<Make<'static>>,
    schema: fn(&mut SchemaGenerator) -> Schema,
}

impl EndpointOffer {
    /// An endpoint called `name`, made from a `C` by `make`, once for each route that mounts it.
    pub fn new<C, E, F>(name: &'static str, make: F) -> Self
    where
        C: DeserializeOwned + JsonSchema,
        E: Endpoint + 'static,
        F: Fn(C, &Route) -> Result<E, ConfigErrors> + Send + Sync + 'static,
    {
        let make = move |raw: &RawConfig, route: &Route| {
            let made = make(raw.read::<C>()?, route).map_err(|errors| errors.under(raw.path()))?;
            Ok(Arc::new(made) as Arc<dyn Endpoint>)
        };
        Self { name, make: Box::new(make), schema: |generator| generator.subschema_for::<C>() }
    }

    /// What a route calls it.
    pub fn name(&self) -> &'static str {
        self.name
    }

    #[doc(hidden)]
    pub fn make(&self, raw: &RawConfig, route: &Route) -> Result<Arc<dyn Endpoint>, ConfigErrors> {
        (self.make)(raw, route)
    }

    #[doc(hidden)]
    pub fn schema(&self, generator: &mut SchemaGenerator) -> Schema {
        (self.schema)(generator)
    }
}

impl fmt::Debug for EndpointOffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("EndpointOffer").field(&self.name).finish()
    }
}
