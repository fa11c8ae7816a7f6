//! What is refused, and what the reference promises.

use crate::{builder, route_to};

fn check(policy: &str) -> Result<(), String> {
    builder().check(&route_to("127.0.0.1:1", policy))
}

#[track_caller]
fn assert_refused(policy: &str, path: &str, message: &str) {
    let error = check(policy).expect_err(policy);
    assert!(error.contains(&format!("routing.routes[0].plugins.headers.{path}")), "no {path} in: {error}");
    assert!(error.contains(message), "no {message:?} in: {error}");
}

#[test]
fn what_can_not_work_is_refused_at_its_place() {
    assert_refused("request: { set: { Connection: close } }", "request.set.Connection", "belongs to one connection");
    assert_refused(
        "request: { add: { Content-Length: \"0\" } }",
        "request.add.Content-Length",
        "belongs to one connection",
    );
    assert_refused("request: { rename: { X-Host: Host } }", "request.rename.X-Host", "host_header");
    assert_refused("response: { remove: [\"*\"] }", "response.remove[0]", "would also match");
    assert_refused("response: { remove: [Date] }", "response.remove[0]", "exactly once");
    assert_refused("request: { set: { X-A: \"{clinet}\" } }", "request.set.X-A", "unknown fact `{clinet}`");
    assert_refused("request: { set: { X-A: \"a\\nb\" } }", "request.set.X-A", "control character");
    assert_refused("request: { set: { \"X A\": b } }", "request.set.\"X A\"", "is not a header name");
    assert_refused("request: { set: { X-A: \"{param.id}\" } }", "request.set.X-A", "no path parameter `id`");
    assert_refused("security: helmt", "security", "did you mean `helmet`?");
    assert_refused("security: { frame_options: SAMORIGIN }", "security.frame_options", "did you mean `SAMEORIGIN`?");
    assert_refused("security: { hsts: { max_age: 31536000 } }", "security.hsts.max_age", "write a unit: 31536000s");
    assert_refused("security: { hsts: { preload: request, max_age: 1d } }", "security.hsts.preload", "preload list");
    assert_refused("cors: { origins: [\"*\"], credentials: allow }", "cors.credentials", "any web page at all");
    assert_refused("cors: { origins: [\"null\"], credentials: allow }", "cors.credentials", "any web page at all");
    assert_refused("cors: { origins: [app.example.com] }", "cors.origins[0]", "is not an origin");
    assert_refused("cors: {}", "cors", "missing key `origins`");
    assert_refused("cors: { origins: [{ regexp: a }] }", "cors.origins[0].regexp", "did you mean `regex`?");
    assert_refused(
        "{ cors: { origins: [\"*\"] }, response: { set: { Access-Control-Allow-Origin: a } } }",
        "response.set.Access-Control-Allow-Origin",
        "is for `cors` to set",
    );
    assert_refused("privacy: { internal_hosts: [\"http://a\"] }", "privacy.internal_hosts[0]", "is not a host");
    assert_refused("cookies: { force: [samesite=none] }", "cookies.force", "without secure");
    assert_refused("privcy: {}", "privcy", "did you mean `privacy`?");
}

#[test]
fn every_word_of_the_security_headers_is_read() {
    for policy in [
        "security: off",
        "security: {}",
        "security: { preset: off, hsts: omit, dns_prefetch_control: off, xss_protection: \"0\" }",
        "security: { origin_agent_cluster: \"?0\", permitted_cross_domain_policies: by-content-type }",
        "security: { cross_origin_embedder_policy: require-corp, cross_origin_opener_policy: unsafe-none }",
        "security: { hsts: { max_age: 0s, subdomains: exclude } }",
    ] {
        check(policy).unwrap_or_else(|error| panic!("{policy}\n{error}"));
    }
}

#[test]
fn all_that_is_wrong_is_said_at_once() {
    let policy = "{ request: { set: { Host: a } }, privacy: { server: { set: \"\" } }, cors: { origins: [] } }";
    let error = check(policy).expect_err("wrong");
    for path in ["request.set.Host", "privacy.server.set", "cors.origins"] {
        assert!(error.contains(path), "no {path} in: {error}");
    }
}

/// The blocks of a text that are marked as YAML.
fn blocks(text: &str) -> Vec<String> {
    text.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()).map(str::to_owned).collect()
}

/// A policy as the reference shows it: under its name, or a part of it.
fn accepted(block: &str) -> Result<(), String> {
    match block.strip_prefix("headers:\n") {
        Some(policy) => check(&policy.lines().map(|line| format!("{}\n", &line[2..])).collect::<String>()),
        None => check(block),
    }
}

#[test]
fn every_example_of_the_reference_is_accepted() {
    let sources = [
        include_str!("../../src/config.rs"),
        include_str!("../../src/config/cors.rs"),
        include_str!("../../src/config/security.rs"),
    ];
    let text = sources.map(|source| source.replace("/// ", "").replace("///", "")).concat();
    let blocks = blocks(&text);
    assert_eq!(blocks.len(), 6);
    for block in blocks {
        accepted(&block).unwrap_or_else(|error| panic!("{block}\n{error}"));
    }
}
