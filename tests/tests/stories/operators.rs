//! What a plugin can offer beside requests: paths on the admin listener, a policy for every route, last words.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http::Method;
use tidegate_core::{
    Admin, AdminRequest, BuildCx, ConfigErrors, Cx, Flow, Handler, NoConfig, Outcome, Plugin, Reply, Result, Route,
    async_trait,
};
use tidegate_routing::Routing;
use tidegate_testkit::{Client, GatewayBuilder, call, gateway};

/// Counts requests on every route, says so to operators, and remembers in a file when the gateway ends.
struct Census(Arc<Counts>);

#[derive(Default)]
struct Counts {
    requests: AtomicU64,
    countries: parking_lot::Mutex<Vec<String>>,
    codes: parking_lot::Mutex<Vec<Option<&'static str>>>,
}

#[derive(serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct CensusConfig {
    /// Where the count is written at the end.
    file: Option<std::path::PathBuf>,
}

impl Plugin for Census {
    const NAME: &'static str = "census";
    type Config = CensusConfig;
    type Policy = NoConfig;
    type Handler = Counted;

    fn build(config: CensusConfig, cx: &mut BuildCx<'_>) -> Result<Self, ConfigErrors> {
        let counts = cx.retain("counts", Counts::default);
        if let Some(file) = config.file {
            let counts = counts.clone();
            cx.spawn("write", async move |mut stop| {
                stop.stopped().await;
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                std::fs::write(file, counts.requests.load(Ordering::Relaxed).to_string()).expect("written");
            });
        }
        Ok(Self(counts))
    }
    fn handler(&self, _: NoConfig, _: &Route) -> Result<Counted, ConfigErrors> {
        Ok(Counted(self.0.clone()))
    }
    fn everywhere(&self) -> Option<NoConfig> {
        Some(NoConfig::default())
    }
    fn admin(&self) -> Option<Arc<dyn Admin>> {
        Some(self.0.clone())
    }
}

struct Counted(Arc<Counts>);

impl Handler for Counted {
    async fn early_request(&self, cx: &mut Cx<'_>) -> Result<Flow> {
        self.0.requests.fetch_add(1, Ordering::Relaxed);
        self.0.countries.lock().extend(cx.facts().country.map(|country| country.as_str().to_owned()));
        Ok(Flow::Continue)
    }
    fn finished(&self, _: &Cx<'_>, outcome: &Outcome) {
        self.0.codes.lock().push(outcome.code);
    }
}

#[async_trait]
impl Admin for Counts {
    fn paths(&self) -> &'static [&'static str] {
        &["count"]
    }
    async fn answer(&self, request: &AdminRequest<'_>) -> Option<Reply> {
        match (request.method, request.path) {
            (&Method::GET, "count") => Some(Reply::text(self.requests.load(Ordering::Relaxed).to_string())),
            (&Method::GET, "countries") => Some(Reply::text(self.countries.lock().join(" "))),
            (&Method::GET, "codes") => Some(Reply::text(format!("{:?}", self.codes.lock()))),
            (&Method::DELETE, "count") => {
                self.requests.store(0, Ordering::Relaxed);
                Some(Reply::text("gone"))
            }
            (_, "count") => Some(Reply::bad_request("bad", "GET or DELETE")),
            _ => None,
        }
    }
}

fn census() -> GatewayBuilder {
    gateway().router::<Routing>().plugin::<Census>()
}

const ROUTES: &str = "routing: { routes: [{ name: a, match: { path: /a }, reply: { body: hi } }, { name: b, match: { \
                      path: /b }, reply: { body: hi }, plugins: { census: off } }] }\n";

#[tokio::test]
async fn a_plugin_answers_on_the_admin_listener_under_its_name() {
    let gateway = census().start(ROUTES).await;
    gateway.get("/a").await.expect(200);
    assert_eq!(gateway.admin("/census/count").await.expect(200).text(), "1");
    assert_eq!(gateway.admin("/census/nothing").await.expect(404).text(), gateway.admin("/nothing").await.text());
    let list = gateway.admin("/").await.expect(404).text();
    assert_eq!(list, "there are: /metrics /healthz /readyz /upstreams /census/count\n");
    let mut admin = Client::connect(gateway.admin_addr()).await;
    assert_eq!(admin.send(call(Method::POST, "/census/count")).await.expect(400).text(), "GET or DELETE\n");
    assert_eq!(admin.send(call(Method::DELETE, "/census/count")).await.expect(200).text(), "gone");
    assert_eq!(gateway.admin("/census/count").await.text(), "0");
}

#[tokio::test]
async fn a_web_page_can_not_reach_a_plugin_on_the_admin_listener() {
    let gateway = census().start(ROUTES).await;
    gateway.get("/a").await.expect(200);
    let mut admin = Client::connect(gateway.admin_addr()).await;
    for (method, field, value) in [
        (Method::DELETE, "origin", "https://evil.example"),
        (Method::DELETE, "sec-fetch-site", "cross-site"),
        (Method::GET, "sec-fetch-site", "same-site"),
    ] {
        admin.send(call(method, "/census/count").header(field, value)).await.expect(403);
    }
    assert_eq!(gateway.admin("/census/count").await.text(), "1");
}

#[tokio::test]
async fn a_plugin_can_be_on_every_route_that_does_not_say_off() {
    let gateway = census().start(ROUTES).await;
    for (path, status) in [("/a", 200), ("/b", 200), ("/none", 404)] {
        gateway.get(path).await.expect(status);
    }
    assert_eq!(gateway.admin("/census/count").await.text(), "2", "/a and what has no route");
    assert_eq!(gateway.admin("/census/codes").await.text(), "[None, Some(\"not_found\")]");
}

#[tokio::test]
async fn the_country_is_known_from_trusted_proxies_only() {
    for (trusted, seen) in [("127.0.0.0/8", "DE"), ("10.0.0.0/8", "")] {
        let gateway =
            census().start(&format!("{ROUTES}country_header: CF-IPCountry\ntrusted_proxies: [{trusted}]")).await;
        for said in ["de", "XXL", ""] {
            gateway.request(Method::GET, "/a").header("cf-ipcountry", said).send().await.expect(200);
        }
        assert_eq!(gateway.admin("/census/countries").await.text(), seen, "{trusted}");
    }
    let error = census().check(&format!("{ROUTES}country_header: CF-IPCountry")).expect_err("refused");
    assert!(error.contains("trusted_proxies: [10.0.0.0/8]"), "{error}");
}

#[tokio::test]
async fn a_shutdown_waits_for_what_plugins_have_to_write_down() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("count");
    let gateway = census().start(&format!("{ROUTES}census: {{ file: {file:?} }}")).await;
    gateway.get("/a").await.expect(200);
    assert!(gateway.running().shutdown().await);
    assert_eq!(std::fs::read_to_string(file).expect("written before shutdown returned"), "1");
}
