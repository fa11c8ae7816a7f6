//! The headers by which browsers guard a page.

use tidegate_core::Method;
use tidegate_testkit::{Answer, Script, certs, refusing, upstream};

use crate::{before, builder, route_to};

/// What Helmet 8.3.0 for Express was recorded to send.
const RECORDED: &str = include_str!("../helmet-8.3.0.txt");

/// The fields of an answer that Helmet knows of.
fn guards(answer: &Answer) -> Vec<String> {
    let known = RECORDED.lines().filter_map(|line| line.split_once(':')).map(|(name, _)| name).collect::<Vec<_>>();
    let ours = answer.headers.iter().filter(|(name, _)| known.iter().any(|known| known.eq_ignore_ascii_case(name)));
    let mut lines: Vec<_> = ours.map(|(name, value)| format!("{}: {value}", name.to_ascii_lowercase())).collect();
    lines.sort();
    lines
}

fn recorded(keep: impl Fn(&str) -> bool) -> Vec<String> {
    let lines = RECORDED.lines().filter(|line| keep(line)).filter_map(|line| line.split_once(": "));
    let mut lines: Vec<_> = lines.map(|(name, value)| format!("{}: {value}", name.to_ascii_lowercase())).collect();
    lines.sort();
    lines
}

fn is_hsts(line: &str) -> bool {
    line.starts_with("Strict-Transport-Security")
}

#[tokio::test]
async fn helmet_over_tls_is_what_helmet_for_express_sends_and_over_plain_http_that_without_hsts() {
    let express =
        Script::reply("hello").header("X-Powered-By", "Express").header("Strict-Transport-Security", "max-age=1");
    let app = upstream().route("/*", express).start().await;
    let certs = certs();
    let leaf = certs.leaf(&["api.test"]);
    let yaml = format!(
        "{}listeners:\n  - {{ name: main, bind: \"127.0.0.1:0\" }}\n  \
         - {{ name: tls, bind: \"127.0.0.1:0\", tls: {{ certificates: [{}] }} }}\n",
        route_to(&app.target(), "security: { preset: helmet, mode: always }"),
        leaf.yaml()
    );
    let gateway = builder().start(&yaml).await;

    let plain = gateway.get("/").await.expect(200);
    assert_eq!(guards(&plain), recorded(|line| !is_hsts(line)));
    let secure = gateway.request(Method::GET, "/").to(gateway.addr_of("tls")).tls(&certs, "api.test");
    let secure = secure.send().await.expect(200);
    assert_eq!(guards(&secure), recorded(|_| true));
    assert_eq!((plain.header("x-powered-by"), secure.header("x-powered-by")), (None, None));
}

#[tokio::test]
async fn the_gateways_own_errors_are_guarded_too() {
    let nobody = refusing();
    let yaml = route_to(&nobody.addr().to_string(), "security: helmet");
    let gateway = builder().start(&yaml).await;
    let down = gateway.get("/").await.expect(502);
    assert_eq!(guards(&down), recorded(|line| !is_hsts(line)));

    let gateway = builder().start(&yaml.replace("login: {}", "login: { allow: known }")).await;
    let refused = gateway.get("/").await.expect(401);
    assert_eq!(guards(&refused), recorded(|line| !is_hsts(line)));
}

#[tokio::test]
async fn the_applications_own_policy_stays_unless_ours_is_to_win() {
    let app = upstream().route("/*", Script::reply("hi").header("X-Frame-Options", "DENY")).start().await;
    for (mode, expected) in [("if_absent", "DENY"), ("always", "SAMEORIGIN")] {
        let gateway = before(&app, &format!("security: {{ mode: {mode} }}")).await;
        let answer = gateway.get("/").await;
        assert_eq!(answer.headers.all("x-frame-options").collect::<Vec<_>>(), [expected]);
    }
}

#[tokio::test]
async fn each_header_can_be_given_or_omitted() {
    let app = upstream().reply("/*", "hello").start().await;
    let policy = "security:\n  content_security_policy: \"default-src 'none'\"\n  frame_options: omit\n  \
                  referrer_policy: same-origin\n  permissions_policy: camera=()";
    let gateway = before(&app, policy).await;
    let answer = gateway.get("/").await.expect(200);
    assert_eq!(answer.header("content-security-policy"), Some("default-src 'none'"));
    assert_eq!(answer.header("x-frame-options"), None);
    assert_eq!(answer.header("referrer-policy"), Some("same-origin"));
    assert_eq!(answer.header("permissions-policy"), Some("camera=()"));
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
}
