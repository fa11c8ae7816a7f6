use std::path::Path;

use serde_json::{Value, json};
use tidegate_core::{
    BuildCx, Clock, ConfigError, Fetch, FetchError, FetchLimits, Http, MakeHttp, Metrics, Plugin, Retained, Route,
    RouteId, Stores, async_trait,
};

use super::*;

/// Whoever asks it fails the test.
#[derive(Clone)]
struct Nobody;

#[async_trait]
impl Fetch for Nobody {
    async fn fetch(
        &self,
        _: http::Request<tidegate_core::Bytes>,
        _: FetchLimits,
    ) -> Result<http::Response<tidegate_core::Bytes>, FetchError> {
        panic!("nobody is asked while a configuration is built")
    }
}

impl MakeHttp for Nobody {
    fn make(&self, _: Option<&Path>) -> Result<Http, ConfigError> {
        Ok(Http::new(Self))
    }
}

/// The warnings about a client with this token endpoint, and one route if it is used.
fn warnings_about(token_url: &str, used: bool) -> Vec<String> {
    let client = json!({ "token_url": token_url, "client_id": "a", "client_secret": "hunter2" });
    let section: Value = json!({ "clients": { "crm": client } });
    let (clock, metrics, stores, kept, mut tasks) =
        (Clock::system(), Metrics::new(), Stores::default(), Retained::new(), Vec::new());
    let mut cx =
        BuildCx::new("upstream_oauth", &clock, &metrics, &stores, (&kept, None), &mut tasks).with_http(&Nobody);
    let section = serde_json::from_value(section).expect("a section");
    let plugin = UpstreamOauth::build(section, &mut cx).expect("built");
    if used {
        let route = Route::new(RouteId(0), "crm", Vec::new(), ConfigPath::from("routing.routes[0]"), "/**");
        let policy = serde_json::from_value(json!({ "client": "crm" })).expect("a policy");
        plugin.handler(policy, &route).expect("a handler");
    }
    plugin.warnings().iter().map(|warning| warning.to_string()).collect()
}

#[test]
fn a_secret_sent_in_the_clear_and_a_client_that_nobody_uses_are_warned_about() {
    assert!(warnings_about("https://login.test/token", true).is_empty());
    let [clear] = &*warnings_about("http://login.test/token", true) else { panic!("one warning") };
    assert!(clear.starts_with("clients.crm.token_url: the secret and the tokens go over the network"), "{clear}");
    let [unused] = &*warnings_about("https://login.test/token", false) else { panic!("one warning") };
    assert!(unused.starts_with("clients.crm: no route uses this client"), "{unused}");
}
