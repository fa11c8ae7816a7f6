//! What is refused, what is warned about, and what a check does.

use tidegate_testkit::{gateway, upstream};
use tidegate_upstream_oauth::UpstreamOauth;

use crate::world::{token, yaml};

fn refused(section: &str, policy: &str) -> String {
    let yaml = format!(
        "upstream_oauth: {{ clients: {{ crm: {{ {section} }} }} }}\n\
         routing: {{ routes: [{{ name: crm, reply: {{ body: x }}, plugins: {{ upstream_oauth: {policy} }} }}] }}\n"
    );
    gateway().plugin::<UpstreamOauth>().check(&yaml).expect_err("it is refused")
}

const GOOD: &str = "token_url: \"https://login.test/token\", client_id: a, client_secret: hunter2";

#[test]
fn what_can_not_work_is_refused_with_its_place() {
    for (section, policy, expected) in [
        ("client_id: a, client_secret: hunter2", "{ client: crm }", "token_url"),
        ("token_url: \"https://login.test/token\", client_id: a", "{ client: crm }", "client_secret"),
        (
            "token_url: nonsense, client_id: a, client_secret: hunter2",
            "{ client: crm }",
            "upstream_oauth.clients.crm.token_url",
        ),
        (GOOD, "{ client: crn }", "did you mean `crm`?"),
        (GOOD, "{ client: crm, header: \"a b\" }", "no name of a header field"),
        (GOOD, "{ client: crm, header: Host }", "this field means something else"),
        (GOOD, "{ client: crm, prefix: \"a\\nb\" }", "can't stand in a header field"),
        (GOOD, "{}", "client"),
    ] {
        let error = refused(section, policy);
        assert!(error.contains(expected) && !error.contains("hunter2"), "{error}");
    }
    for (terms, expected) in [
        ("timeout: 61s", "must be more than 0s and at most 1m"),
        ("timeout: 0s", "must be more than 0s and at most 1m"),
        ("refetch: 10ms", "must be at least 1s"),
        ("lifetime: 0s", "must be at least 1s"),
        ("max_backoff: 0s", "must be at least 1s"),
        ("scopes: [\"a b\"]", "these are several"),
        ("resource: [crm]", "not an absolute URI"),
        ("ca: does-not-exist.pem", "does-not-exist.pem"),
        ("auth: jwt", "auth"),
    ] {
        let error = refused(&format!("{GOOD}, {terms}"), "{ client: crm }");
        assert!(error.contains(expected), "{error}");
    }
}

#[tokio::test]
async fn a_check_asks_nobody() {
    let server = upstream().route("/token", token("t-1", 3600)).start().await;
    let upstream = upstream().reply("/*", "let through").start().await;
    let yaml = yaml(&server.addr().to_string(), &upstream, "", "client: crm");
    let checked = tokio::task::spawn_blocking(move || gateway().plugin::<UpstreamOauth>().check(&yaml));
    checked.await.expect("checked").expect("good");
    assert_eq!(server.connections(), 0);
}
