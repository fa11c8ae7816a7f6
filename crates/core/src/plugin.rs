//! The two traits of a plugin.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::SystemTime;

use bytes::Bytes;
use pingora_http::{RequestHeader, ResponseHeader};
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::cache::Invalidates;
use crate::facts::Identity;
use crate::{
    Admin, BuildCx, CachePolicy, ConfigErrors, Cx, EndpointOffer, Flow, Outcome, Params, RequestHead, Result, Route,
};

/// One crate, one section of the configuration.
///
/// The order in which plugins are given to the gateway is the order in which they see a request; they see its
/// response in reverse.
pub trait Plugin: Send + Sync + Sized + 'static {
    /// The section's key; also the name in logs, metrics and docs.
    const NAME: &'static str;
    /// The plugin's section of the file: what all routes share. Absent, it is read from an empty map.
    type Config: DeserializeOwned + JsonSchema + Send;
    /// What one route asks of this plugin: `plugins: { <name>: … }` in a route, or `default:` in the section.
    type Policy: DeserializeOwned + JsonSchema + Send;
    /// One route's share of the plugin.
    type Handler: Handler;

    /// Called once per configuration; blocking here delays nothing but the reload. Errors carry paths
    /// relative to the section.
    fn build(config: Self::Config, cx: &mut BuildCx<'_>) -> Result<Self, ConfigErrors>;

    /// Called once per route that has a policy. A route without one has no link in its chain, and pays nothing.
    /// Errors carry paths relative to the policy.
    fn handler(&self, policy: Self::Policy, route: &Route) -> Result<Self::Handler, ConfigErrors>;

    /// What is asked of this plugin for routes that have no policy and for which the section has no `default:`. A
    /// plugin whose section alone has something to do on every route (a ban of clients) returns a policy here; a
    /// route that says `off` is left alone, but for [`always`](Plugin::always). Default: nothing, and such a route has no link in its chain.
    fn everywhere(&self) -> Option<Self::Policy> {
        None
    }

    /// What is asked of this plugin even for routes that say `off`: what one that guards others by what it removes must
    /// not leave out anywhere. Default: nothing.
    fn always(&self) -> Option<Self::Policy> {
        None
    }

    /// What of this plugin has to know of unsafe requests, on whatever route: a cache that others write past. Asked for when
    /// every route has its handler. Default: nothing, and no request is looked at for it.
    fn invalidates(&self) -> Option<Arc<dyn Invalidates>> {
        None
    }

    /// What is allowed in the configuration, and yet likely a mistake: logged at load, refused by `check --strict`.
    /// Asked for when every route has its handler. Paths are relative to the section.
    fn warnings(&self) -> ConfigErrors {
        ConfigErrors::new()
    }

    /// What operators can see and do on the admin listener, under `/<name>/`.
    fn admin(&self) -> Option<Arc<dyn Admin>> {
        None
    }

    /// What routes can be served by instead of an upstream.
    fn endpoints(&self) -> Vec<EndpointOffer> {
        Vec::new()
    }
}

/// One route's share of a plugin. Every hook has a default that does nothing and allocates nothing.
///
/// An error in a request hook answers 503 and never lets the request through; a panic in any hook costs that
/// request a 500. Both are logged and counted with the plugin's name.
pub trait Handler: Send + Sync + 'static {
    /// Before anybody knows who is asking: floods, attacks, limits on the client, CORS preflight, and the
    /// authentication itself.
    fn early_request(&self, _cx: &mut Cx<'_>) -> impl Future<Output = Result<Flow>> + Send {
        Passes
    }

    /// With the identity known: authorization, limits on the identity.
    fn request(&self, _cx: &mut Cx<'_>) -> impl Future<Output = Result<Flow>> + Send {
        Passes
    }

    /// Each piece of the request's body on its way to the upstream; `end` with the last, which may be empty.
    /// What is left in `body` goes on. Each piece is seen once: when the request is tried again, what was made of it
    /// is sent again.
    fn request_body(
        &self,
        _cx: &mut Cx<'_>,
        _body: &mut Bytes,
        _end: bool,
    ) -> impl Future<Output = Result<Flow>> + Send {
        Passes
    }

    /// What the upstream is to see. Runs again for each try, on a fresh copy of the head.
    fn upstream_request(&self, _cx: &mut Cx<'_>, _head: &mut RequestHeader) -> Result<()> {
        Ok(())
    }

    /// The upstream's answer, before a cache stores it: nothing that belongs to one client may be added here.
    fn upstream_response(&self, _cx: &mut Cx<'_>, _head: &mut ResponseHeader) -> Result<()> {
        Ok(())
    }

    /// Each piece of the upstream's body, before a cache stores it; `end` with the last, which may be empty. What is
    /// left in `body` goes on, and is what the cache has. A handler that changes the length removes `Content-Length`
    /// in `upstream_response`.
    fn upstream_response_body(&self, _cx: &mut Cx<'_>, _body: &mut Bytes, _end: bool) -> Result<()> {
        Ok(())
    }

    /// Every answer on its way to the client: proxied, cached, or made by the gateway. In reverse order.
    fn response(&self, _cx: &mut Cx<'_>, _head: &mut ResponseHeader) -> impl Future<Output = Result<()>> + Send {
        Ends
    }

    /// Each piece of the answer's body; `end` with the last, which may be empty. In reverse order. A handler
    /// that changes the length removes `Content-Length` in `response`.
    fn response_body(&self, _cx: &mut Cx<'_>, _body: &mut Bytes, _end: bool) -> Result<()> {
        Ok(())
    }

    /// What this route wants cached; at most one plugin of a route may have a policy.
    fn cache(&self) -> Option<&dyn CachePolicy> {
        None
    }

    /// The request is over, however it ended. In reverse order.
    fn finished(&self, _cx: &Cx<'_>, _outcome: &Outcome) {}

    /// What this handler would do with a request and why, in lines for a person: `tidegate explain` prints them.
    /// Nobody is to be contacted and nothing to be counted.
    fn explain(&self, _asked: &Asked<'_>) -> Vec<String> {
        Vec::new()
    }
}

/// A request that somebody only asks about.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// Its head, the path normalised.
    pub head: RequestHead<'a>,
    /// The route that would serve it.
    pub route: &'a Route,
    /// What the route's template captured.
    pub params: &'a Params,
    /// Who would be asking, as the person who asks about it says; `None` for nobody.
    pub identity: Option<&'a Identity>,
    /// What time it would be.
    pub at: SystemTime,
}

impl<'a> Asked<'a> {
    /// A path parameter of the route (`{user}`), still percent-encoded.
    pub fn param(&self, name: &str) -> Option<&'a str> {
        let index = self.route.params().iter().position(|param| &**param == name)?;
        self.params.slice(index, self.head.path)
    }
}

/// The section or policy of a plugin that has nothing to say in it: an empty map.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoConfig {}

/// A default hook's future. It has no size, so boxing it allocates nothing: an `async` block would have one byte.
struct Passes;

impl Future for Passes {
    type Output = Result<Flow>;
    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(Ok(Flow::Continue))
    }
}

/// The same, for hooks that decide nothing.
struct Ends;

impl Future for Ends {
    type Output = Result<()>;
    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn futures_of_default_hooks_have_no_size() {
        assert_eq!((size_of::<Passes>(), size_of::<Ends>()), (0, 0));
    }
}
