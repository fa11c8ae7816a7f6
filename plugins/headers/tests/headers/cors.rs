//! CORS, as a browser meets it.

use tidegate_core::Method;
use tidegate_testkit::{Answer, Http, Script, TestGateway, refusing, upstream};

use crate::{before, builder, route_to};

const APP: &str = "https://app.example.com";
const POLICY: &str = "cors:\n  origins: [\"https://app.example.com\", \"https://*.preview.example.com\"]\n  \
                      methods: [GET, PUT]\n  expose: [X-Request-ID]\n  credentials: allow\n  max_age: 10m";

async fn preflight(gateway: &TestGateway, http: Http, origin: &str) -> Answer {
    let request = gateway.request(Method::OPTIONS, "/users").by(http).header("origin", origin);
    let request = request.header("access-control-request-method", "PUT");
    request.header("access-control-request-headers", "authorization,content-type").send().await
}

/// The answer's fields of the protocol, sorted.
fn told(answer: &Answer) -> Vec<(String, String)> {
    let ours =
        |name: &str| name.to_ascii_lowercase().starts_with("access-control-") || name.eq_ignore_ascii_case("vary");
    let fields = answer.headers.iter().filter(|(name, _)| ours(name));
    let mut fields: Vec<_> = fields.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
    fields.sort();
    fields
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
}

#[tokio::test]
async fn a_preflight_is_answered_without_login_and_without_the_upstream() {
    let app = upstream().reply("/*", "hello").start().await;
    let yaml = route_to(&app.target(), POLICY).replace("login: {}", "login: { allow: known }");
    let gateway = builder().start(&yaml).await;
    for http in Http::BOTH {
        for origin in [APP, "https://pr-7.preview.example.com"] {
            let answer = preflight(&gateway, http, origin).await.expect(204);
            let expected = pairs(&[
                ("access-control-allow-credentials", "true"),
                ("access-control-allow-headers", "authorization,content-type"),
                ("access-control-allow-methods", "GET, PUT"),
                ("access-control-allow-origin", origin),
                ("access-control-max-age", "600"),
                ("vary", "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"),
            ]);
            assert_eq!(told(&answer), expected);
            assert!(answer.body.is_empty());
        }
        for origin in ["https://evil.com", "null", "http://app.example.com", "https://preview.example.com"] {
            let answer = preflight(&gateway, http, origin).await.expect(403);
            assert!(told(&answer).iter().all(|(name, _)| name == "vary"), "{answer:?}");
            assert_eq!(answer.json()["code"], "origin_refused");
        }
    }
    assert!(app.requests().is_empty());
    let count = async |outcome| {
        gateway.metric("tidegate_headers_preflights_total", &[("route", "app"), ("outcome", outcome)]).await
    };
    assert_eq!((count("allowed").await, count("refused").await), (4.0, 8.0));
}

#[tokio::test]
async fn the_upstreams_own_answer_is_replaced_and_there_are_never_two() {
    let loose = Script::reply("hello").header("Access-Control-Allow-Origin", "*").header("Vary", "Accept");
    let app = upstream().route("/*", loose.header("Access-Control-Allow-Origin", "https://evil.com")).start().await;
    let gateway = before(&app, POLICY).await;

    let answer = gateway.request(Method::GET, "/").header("Origin", APP).send().await.expect(200);
    assert_eq!(answer.headers.all("access-control-allow-origin").collect::<Vec<_>>(), [APP]);
    assert_eq!(answer.header("access-control-expose-headers"), Some("X-Request-ID"));
    assert_eq!(answer.headers.all("vary").collect::<Vec<_>>(), ["Accept", "Origin"]);

    for origin in ["https://evil.com", "null"] {
        let answer = gateway.request(Method::GET, "/").header("Origin", origin).send().await.expect(200);
        assert_eq!(told(&answer), pairs(&[("vary", "Accept"), ("vary", "Origin")]));
    }
    let answer = gateway.get("/").await.expect(200);
    assert_eq!(told(&answer), pairs(&[("vary", "Accept"), ("vary", "Origin")]));
}

#[tokio::test]
async fn pages_can_read_the_gateways_own_errors() {
    let nobody = refusing();
    let yaml = route_to(&nobody.addr().to_string(), POLICY);
    let gateway = builder().start(&yaml).await;
    let down = gateway.request(Method::GET, "/").header("Origin", APP).send().await.expect(502);
    assert_eq!(down.header("access-control-allow-origin"), Some(APP));
    let gateway = builder().start(&yaml.replace("login: {}", "login: { allow: known }")).await;
    let refused = gateway.request(Method::GET, "/").header("Origin", APP).send().await.expect(401);
    assert_eq!(refused.header("access-control-allow-origin"), Some(APP));
}

#[tokio::test]
async fn options_that_is_no_preflight_is_the_upstreams() {
    let app = upstream().route("/*", Script::status(204).header("Allow", "GET")).start().await;
    let gateway = before(&app, POLICY).await;
    let options = gateway.request(Method::OPTIONS, "/").header("Origin", APP).send().await.expect(204);
    assert_eq!((options.header("allow"), options.header("access-control-allow-origin")), (Some("GET"), Some(APP)));
    gateway.request(Method::OPTIONS, "/").header("Access-Control-Request-Method", "PUT").send().await.expect(204);
    assert_eq!(app.wait_for(2).await.len(), 2);
}

#[tokio::test]
async fn without_the_policy_the_upstream_decides() {
    let app = upstream().route("/*", Script::status(204).header("Access-Control-Allow-Origin", "*")).start().await;
    let gateway = before(&app, "{}").await;
    let answer = preflight(&gateway, Http::One, "https://evil.com").await.expect(204);
    assert_eq!(told(&answer), pairs(&[("access-control-allow-origin", "*")]));
    assert_eq!(app.request().method, "OPTIONS");
}

#[tokio::test]
async fn any_origin_is_a_star_without_credentials() {
    let app = upstream().reply("/*", "hello").start().await;
    let gateway = before(&app, "cors: { origins: [\"*\"] }").await;
    for origin in ["https://evil.com", "null"] {
        let answer = gateway.request(Method::GET, "/").header("Origin", origin).send().await.expect(200);
        assert_eq!(told(&answer), pairs(&[("access-control-allow-origin", "*"), ("vary", "Origin")]));
        let answer = preflight(&gateway, Http::One, origin).await.expect(204);
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
        assert_eq!(answer.header("access-control-allow-credentials"), None);
    }
}
