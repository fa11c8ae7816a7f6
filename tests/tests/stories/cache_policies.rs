//! A cache whose policy fails: the plugin of somebody else, perhaps. No connection breaks for it, and nobody gets what
//! isn't for them.

use std::panic;

use http::Method;
use tidegate_cache::config::{Config, Policy};
use tidegate_cache::{Cache, CacheRoute};
use tidegate_core::cache::engine::{CacheMeta, HitHandler};
use tidegate_core::cache::{Admit, AtOnce, CacheKey, CachePolicy, Lookup, Offer, Use, Zone};
use tidegate_core::{
    BuildCx, ConfigErrors, Cx, Handler, HeaderMap, Plugin, RequestHeader, ResponseHeader, Result, Route,
};
use tidegate_routing::Routing;
use tidegate_testkit::{Answer, Script, call, gateway, upstream};

/// The cache, where a client can say in which question it is to panic.
struct Flawed(Cache);

struct FlawedRoute(CacheRoute);

const FLAW: &str = "x-flaw";

fn act(question: &str, request: &HeaderMap) {
    if request.get(FLAW).is_some_and(|flaw| flaw == question) {
        // Without the hook, whose report would fill the test's output.
        panic::resume_unwind(Box::new("canary-cause"));
    }
}

impl Plugin for Flawed {
    const NAME: &'static str = "flawed";
    type Config = Config;
    type Policy = Policy;
    type Handler = FlawedRoute;

    fn build(config: Config, cx: &mut BuildCx<'_>) -> Result<Self, ConfigErrors> {
        Cache::build(config, cx).map(Self)
    }
    fn handler(&self, policy: Policy, route: &Route) -> Result<FlawedRoute, ConfigErrors> {
        self.0.handler(policy, route).map(FlawedRoute)
    }
}

impl Handler for FlawedRoute {
    fn upstream_request(&self, cx: &mut Cx<'_>, head: &mut RequestHeader) -> Result<()> {
        self.0.upstream_request(cx, head)
    }
    async fn response(&self, cx: &mut Cx<'_>, head: &mut ResponseHeader) -> Result<()> {
        self.0.response(cx, head).await
    }
    fn cache(&self) -> Option<&dyn CachePolicy> {
        Some(self)
    }
}

impl CachePolicy for FlawedRoute {
    fn zone(&self) -> Zone {
        self.0.zone()
    }
    fn lookup(&self, cx: &mut Cx<'_>) -> Lookup {
        act("lookup", cx.head().headers);
        self.0.lookup(cx)
    }
    fn at_once(&self, cx: &mut Cx<'_>, key: &CacheKey) -> Option<AtOnce> {
        act("at_once", cx.head().headers);
        self.0.at_once(cx, key)
    }
    fn variance(&self, stored: &HeaderMap, request: &HeaderMap) -> Option<[u8; 16]> {
        act("variance", request);
        self.0.variance(stored, request)
    }
    fn judge(&self, cx: &mut Cx<'_>, meta: &CacheMeta, body: &mut HitHandler) -> Use {
        act("judge", cx.head().headers);
        self.0.judge(cx, meta, body)
    }
    fn admit(&self, offer: Offer<'_>) -> Admit {
        act("admit", offer.request.headers);
        self.0.admit(offer)
    }
}

fn is_hit(answer: &Answer) -> bool {
    answer.headers.all("cache-status").any(|told| told.contains("; hit"))
}

#[tokio::test]
async fn a_policy_that_panics_costs_its_request_no_more_than_it_must() {
    let script = Script::reply("0123456789").header("Cache-Control", "max-age=60").header("Vary", "X-A");
    let app = upstream().route("/*", script).start().await;
    let yaml = format!(
        "upstreams: {{ app: {{ targets: [\"{}\"] }} }}\n\
         routing: {{ routes: [{{ name: app, upstream: app, plugins: {{ flawed: {{}} }} }}] }}\n",
        app.target()
    );
    let gateway = gateway().router::<Routing>().plugin::<Flawed>().start(&yaml).await;
    // One connection for all of them: it stays.
    let mut client = gateway.connect().await;
    let range = ("range", "bytes=0-1");
    let mut panics = 0.0;
    for (flaw, path, more, status, before, after) in [
        ("lookup", "/a", ("x-b", ""), 500, true, true),
        ("at_once", "/a", ("x-b", ""), 500, true, true),
        // The state machine's way: another answer can be had.
        ("judge", "/a", range, 206, true, true),
        // It is stored as a variant that nobody will ask for.
        ("variance", "/a", range, 206, true, false),
        ("admit", "/b", ("x-b", ""), 200, false, false),
    ] {
        if before {
            client.send(call(Method::GET, path)).await.expect(200);
            assert!(is_hit(&client.send(call(Method::GET, path)).await.expect(200)), "{flaw}");
        }
        let request = call(Method::GET, path).header(FLAW, flaw).header(more.0, more.1);
        let answer = client.send(request).await;
        assert_eq!((answer.status, is_hit(&answer)), (status, false), "{flaw}: {answer:?}");
        assert!(!answer.text().contains("canary"), "{flaw}");
        assert_eq!(is_hit(&client.send(call(Method::GET, path)).await.expect(200)), after, "{flaw}");
        let counted = gateway.metric("tidegate_plugin_panics_total", &[("plugin", "flawed")]).await;
        assert!(counted > panics, "{flaw}");
        panics = counted;
    }
}
