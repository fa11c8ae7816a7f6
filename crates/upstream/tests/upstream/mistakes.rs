//! What a well-formed upstream can get wrong: each mistake has its place, and a remedy.

use tidegate_core::config::ConfigErrors;

use crate::support::{build, config};

/// An upstream that is fine but for `rest`.
fn upstream(rest: &str) -> String {
    format!("app: {{ targets: [\"a:80\", \"b:80\"], {rest} }}")
}

/// `path: message` of each error, without the upstream's name.
fn found(errors: &ConfigErrors) -> Vec<String> {
    assert!(errors.iter().all(|error| error.help.is_some() || error.message.contains("at least")), "{errors}");
    let place =
        |path: String| path.strip_prefix("app").map_or(path.clone(), |rest| rest.trim_start_matches('.').into());
    errors.iter().map(|error| format!("{}: {}", place(error.path.to_string()), error.message)).collect()
}

fn faults(rest: &str) -> Vec<String> {
    found(&build(&upstream(rest)).expect_err(rest))
}

fn fine(rest: &str) {
    if let Err(errors) = build(&upstream(rest)) {
        panic!("{rest}: {errors}");
    }
}

fn each(cases: &[(&str, &str)]) {
    for (rest, fault) in cases {
        assert_eq!(faults(rest), [*fault], "{rest}");
    }
}

#[test]
fn mistakes_about_targets_are_refused() {
    for (target, fault) in [
        ("priority: 16", "targets[0].priority: there is no tier 16"),
        ("max_in_flight: 0", "targets[0].max_in_flight: must be at least 1"),
        ("zone: \"\"", "targets[0].zone: a zone has a name"),
    ] {
        let errors = build(&format!("app: {{ targets: [{{ address: \"a:80\", {target} }}] }}")).expect_err(target);
        assert_eq!(found(&errors), [fault], "{target}");
    }
    fine("discovery: [{ type: file, path: users.yaml }]");
    let alone = "app: { discovery: [{ type: file, path: users.yaml }] }";
    assert!(build(alone).is_ok(), "a source needs no target beside it");
}

#[test]
fn mistakes_about_balancing_are_refused() {
    each(&[
        ("lb: { algorithm: least_request, choices: 1 }", "lb.choices: 1 choices are not possible"),
        ("lb: { algorithm: least_request, choices: 9 }", "lb.choices: 9 choices are not possible"),
        ("lb: { choices: 3 }", "lb.choices: has no use with `round_robin`"),
        ("lb: { algorithm: least_request, decay: 1s }", "lb.decay: has no use with `least_request`"),
        ("lb: { algorithm: random, default_rtt: 1s }", "lb.default_rtt: has no use with `random`"),
        ("lb: { algorithm: peak_ewma, decay: 0s }", "lb.decay: must be longer than zero"),
        ("lb: { algorithm: peak_ewma, default_rtt: 0s }", "lb.default_rtt: must be longer than zero"),
        ("lb: { hash_on: [path] }", "lb.hash_on: has no use with `round_robin`"),
        ("lb: { bound: 2 }", "lb.bound: has no use with `round_robin`"),
        ("lb: { algorithm: consistent_hash, hash_on: [] }", "lb.hash_on: nothing to hash"),
        ("lb: { algorithm: consistent_hash, hash_on: [path, path] }", "lb.hash_on[1]: `path` is listed twice"),
        ("lb: { algorithm: consistent_hash, bound: 0.5 }", "lb.bound: 0.5 is not possible"),
        ("lb: { algorithm: consistent_hash, bound: -1 }", "lb.bound: -1 is not possible"),
        ("lb: { algorithm: consistent_hash, bound: 11 }", "lb.bound: 11 is not possible"),
        ("lb: { algorithm: consistent_hash, bound: .nan }", "lb.bound: NaN is not possible"),
        ("lb: { zone_aware: { local: eu-1 } }", "lb.zone_aware.local: no target is in zone `eu-1`"),
        ("slow_start: 0s", "slow_start: must be longer than zero"),
    ]);
    for on in ["clients", "header", "header.", "cookie.a b", "header.a b", ""] {
        let faults = faults(&format!("lb: {{ algorithm: consistent_hash, hash_on: [client, \"{on}\"] }}"));
        assert!(matches!(&faults[..], [fault] if fault.starts_with("lb.hash_on[1]: ")), "{on}: {faults:?}");
    }
    fine("lb: { algorithm: consistent_hash, hash_on: [header.X-User, cookie.sid, identity, path, client], bound: 0 }");
    fine("lb: { algorithm: peak_ewma, choices: 8, decay: 1s, default_rtt: 1ms }");
    fine("lb: { zone_aware: { local: eu-1 } }, discovery: [{ type: http, url: \"http://r/x\" }]");
}

#[test]
fn a_zone_is_one_that_a_target_is_in() {
    let errors = build(
        "app:
           targets: [{ address: \"a:80\", zone: eu-1 }, { address: \"b:80\", zone: eu-2 }]
           lb: { zone_aware: { local: us-1 } }",
    )
    .unwrap_err();
    assert_eq!(errors.iter().next().unwrap().help.as_deref(), Some("the targets are in: eu-1, eu-2"));
}

#[test]
fn mistakes_about_sticky_cookies_are_refused() {
    let secret = "secret: \"0123456789abcdef\"";
    for (rest, fault) in [
        ("cookie: \"a b\"", "sticky.cookie: `a b` is not a cookie's name"),
        ("cookie: \"\"", "sticky.cookie: `` is not a cookie's name"),
        ("cookie: __Host-t, secure: false", "sticky.secure: browsers take a cookie of this name over TLS only"),
        ("same_site: none, secure: false", "sticky.same_site: browsers refuse `same_site: none` without `secure`"),
        ("ttl: 0s", "sticky.ttl: must be longer than zero"),
        ("ttl: 10ms", "sticky.ttl: must be at least 1s"),
    ] {
        assert_eq!(faults(&format!("sticky: {{ {secret}, {rest} }}")), [fault], "{rest}");
    }
    fine("sticky: { secret: 0123456789hunter }");
}

#[test]
fn a_short_secret_is_refused_without_being_shown() {
    let errors = build(&upstream("sticky: { secret: hunter2 }")).unwrap_err();
    assert_eq!(found(&errors), ["sticky.secret: shorter than 16 bytes"]);
    assert!(!errors.to_string().contains("hunter2"));
}

#[test]
fn mistakes_about_health_checks_are_refused() {
    each(&[
        ("health: { path: health }", "health.path: `health` is not a path"),
        ("health: { path: \"/a b\" }", "health.path: `/a b` is not a path"),
        ("health: { path: \"/a#b\" }", "health.path: `/a#b` is not a path"),
        ("health: { path: \"/\u{e4}\" }", "health.path: `/\u{e4}` is not a path"),
        ("health: { host: \"a b\" }", "health.host: `a b` is not a host"),
        ("health: { service: users.Users }", "health.service: has no use without `type: grpc`"),
        ("health: { type: tcp, path: /up }", "health.path: has no use with `type: tcp`"),
        ("health: { type: tcp, method: HEAD }", "health.method: has no use with `type: tcp`"),
        ("health: { type: grpc, host: a }", "health.host: has no use with `type: grpc`"),
        ("health: { type: grpc, expect: { status: [200] } }", "health.expect: has no use with `type: grpc`"),
        ("health: { port: 0 }", "health.port: there is no port 0"),
        ("health: { interval: 1ms }", "health.interval: must be at least 10ms"),
        ("health: { timeout: 0s }", "health.timeout: must be longer than zero"),
        ("health: { jitter: 51% }", "health.jitter: more than 50%"),
        ("health: { healthy: 0 }", "health.healthy: must be at least 1"),
        ("health: { unhealthy: 0 }", "health.unhealthy: must be at least 1"),
        ("health: { expect: { status: [200, 101] } }", "health.expect.status[1]: no answer ends with status 101"),
        ("health: { expect: { status: [600] } }", "health.expect.status[0]: no answer ends with status 600"),
        (
            "health: { expect: { headers: { \"a b\": c } } }",
            "health.expect.headers.\"a b\": `a b` is not a field's name",
        ),
        ("health: { expect: { headers: { a: \"b\\n\" } } }", "health.expect.headers.a: no field has such a value"),
        ("health: { expect: { body: \"\" } }", "health.expect.body: stands in every body"),
        ("health: { expect: { json: { status: ok } } }", "health.expect.json.status: `status` is not a JSON Pointer"),
        ("health: { expect: { json: { /a~2: ok } } }", "health.expect.json.\"/a~2\": `/a~2` is not a JSON Pointer"),
        (
            "health: { method: HEAD, expect: { body: ok } }",
            "health.expect.body: has no use with `method: HEAD`, which has no body",
        ),
        (
            "health: { method: HEAD, expect: { json: { /a: 1 } } }",
            "health.expect.json: has no use with `method: HEAD`, which has no body",
        ),
    ]);
    let long = "x".repeat(64 * 1024 + 1);
    let fault = faults(&format!("health: {{ expect: {{ body: {long} }} }}"));
    assert_eq!(fault, ["health.expect.body: longer than the 64 KiB that are looked at"]);
    let socket = build("app: { targets: [\"unix:/x\"], health: { port: 80 } }").unwrap_err();
    assert_eq!(found(&socket), ["health.port: a unix socket has no port"]);
    fine("health: { path: \"/up?deep=1\", port: 8080, host: \"a.test:80\", expect: { json: { \"\": 1, /a~01: ~ } } }");
    fine("health: { type: grpc, service: users.Users }");
}

#[test]
fn mistakes_about_outliers_are_refused() {
    each(&[
        ("outlier: { consecutive_5xx: 0, consecutive_connect: 0 }", "outlier: nothing would ever be left out"),
        ("outlier: { interval: 1s }", "outlier.interval: has no use without `success_rate` or `latency`"),
        ("outlier: { interval: 1ms, latency: {} }", "outlier.interval: must be at least 10ms"),
        ("outlier: { base_ejection: 0s }", "outlier.base_ejection: must be longer than zero"),
        ("outlier: { max_ejection: 1s }", "outlier.max_ejection: shorter than `base_ejection`, 30s"),
        ("outlier: { success_rate: { deviations: 0 } }", "outlier.success_rate.deviations: 0 is not possible"),
        ("outlier: { success_rate: { deviations: .inf } }", "outlier.success_rate.deviations: inf is not possible"),
        ("outlier: { success_rate: { min_targets: 1 } }", "outlier.success_rate.min_targets: must be at least 2"),
        ("outlier: { success_rate: { min_requests: 0 } }", "outlier.success_rate.min_requests: must be at least 1"),
        ("outlier: { latency: { factor: 1 } }", "outlier.latency.factor: 1 is not possible"),
        ("outlier: { latency: { factor: .nan } }", "outlier.latency.factor: NaN is not possible"),
        ("outlier: { latency: { min_requests: 0 } }", "outlier.latency.min_requests: must be at least 1"),
    ]);
    fine("outlier: { consecutive_5xx: 0, consecutive_connect: 0, latency: {} }");
}

#[test]
fn a_success_rate_that_no_target_can_miss_is_refused() {
    let upstream = |targets: usize, rate: &str| {
        let list: Vec<_> = (1..=targets).map(|n| format!("\"10.0.0.{n}:80\"")).collect();
        format!("app: {{ targets: [{}], outlier: {{ success_rate: {rate} }} }}", list.join(", "))
    };
    for (targets, rate, fault) in [
        (2, "{}", "min_targets: of 2 targets none would ever be judged"),
        (4, "{ min_targets: 3 }", "deviations: of 4 targets none can be 1.9 deviations below the mean"),
        (2, "{ min_targets: 2, deviations: 1 }", "deviations: of 2 targets none can be 1 deviations below the mean"),
    ] {
        let errors = build(&upstream(targets, rate)).expect_err(rate);
        assert_eq!(found(&errors), [format!("outlier.success_rate.{fault}")], "{targets} {rate}");
    }
    for (targets, rate) in
        [(5, "{}"), (3, "{ min_targets: 3, deviations: 1.4 }"), (2, "{ min_targets: 2, deviations: 0.9 }")]
    {
        assert!(build(&upstream(targets, rate)).is_ok(), "{targets} {rate}");
    }
    fine("outlier: { success_rate: {} }");
}

#[test]
fn mistakes_about_retries_are_refused() {
    each(&[
        ("retry: { attempts: 11 }", "retry.attempts: 11 attempts are too many"),
        ("retry: { attempts: 0, on: [503] }", "retry.on: has no use with `attempts: 0`"),
        ("retry: { attempts: 0, idempotent_only: false }", "retry.idempotent_only: has no use with `attempts: 0`"),
        ("retry: { attempts: 0, backoff: { base: 1ms } }", "retry.backoff: has no use with `attempts: 0`"),
        ("retry: { attempts: 0, budget: { min: 1 } }", "retry.budget: has no use with `attempts: 0`"),
        ("retry: { attempts: 0, per_try_timeout: 1s }", "retry.per_try_timeout: has no use with `attempts: 0`"),
        ("retry: { on: [] }", "retry.on: no reason to try again"),
        ("retry: { on: [502, connect, 502] }", "retry.on[2]: is listed twice"),
        ("retry: { on: [timeout], per_try_timeout: 0s }", "retry.per_try_timeout: must be longer than zero"),
        ("retry: { per_try_timeout: 1s }", "retry.per_try_timeout: has no use while `timeout` is not in `on`"),
        ("retry: { on: [reset, grpc.aborted] }", "retry.on[1]: gRPC is always POST, which is not idempotent"),
        ("retry: { backoff: { max: 1ms } }", "retry.backoff.max: shorter than `base`, 25ms"),
        ("retry: { budget: { share: 0%, min: 0 } }", "retry.budget: no retry would ever be allowed"),
    ]);
    fine("retry: { attempts: 0 }");
    fine("retry: { on: [grpc.unavailable], idempotent_only: false }");
    fine("retry: { attempts: 10, on: [timeout, \"503\"], per_try_timeout: 1s, backoff: { base: 0s } }");
}

#[test]
fn mistakes_about_hedging_and_mirrors_are_refused() {
    each(&[
        ("hedge: { percentile: 0% }", "hedge.percentile: every request would be sent twice"),
        ("hedge: { min_delay: 2s }", "hedge.max_delay: shorter than `min_delay`, 2s"),
        ("hedge: { min_delay: 0s, max_delay: 0s }", "hedge.max_delay: must be longer than zero"),
        ("hedge: { max_share: 0% }", "hedge.max_share: nothing would be sent twice"),
        ("mirror: { upstream: app }", "mirror.upstream: an upstream can't be its own mirror"),
        ("mirror: { upstream: ap }", "mirror.upstream: there is no upstream `ap`"),
    ]);
    for (rest, fault) in [
        ("share: 0%", "mirror.share: nothing would be copied"),
        ("max_in_flight: 0", "mirror.max_in_flight: must be at least 1"),
        ("timeout: 0s", "mirror.timeout: must be longer than zero"),
    ] {
        let yaml = format!(
            "{}\nother: {{ targets: [\"c:80\"] }}",
            upstream(&format!("mirror: {{ upstream: other, {rest} }}"))
        );
        assert_eq!(found(&build(&yaml).unwrap_err()), [fault], "{rest}");
    }
}

#[test]
fn mistakes_about_limits_are_refused() {
    each(&[
        ("limits: { in_flight: 0 }", "limits.in_flight: must be at least 1"),
        ("limits: { connections: 0 }", "limits.connections: must be at least 1"),
        ("limits: { per_target: 0 }", "limits.per_target: must be at least 1"),
        ("limits: { in_flight: 1, queue: 100001 }", "limits.queue: 100001 requests are too many to wait"),
        ("limits: { per_target: 5, queue: 1 }", "limits.queue: has no use without a limit of the upstream"),
        ("limits: { in_flight: 5, queue_timeout: 2s }", "limits.queue_timeout: has no use without a queue"),
        ("limits: { in_flight: 5, queue: 1, queue_timeout: 0s }", "limits.queue_timeout: must be longer than zero"),
    ]);
    fine("limits: { queue: 5, queue_timeout: 2s }, adaptive: {}");
    fine("limits: { connections: 5, queue: 100000 }");
}

#[test]
fn mistakes_about_breakers_and_adaptive_limits_are_refused() {
    each(&[
        ("breaker: { error_ratio: 0% }", "breaker.error_ratio: would be open from the first request on"),
        ("breaker: { slow: 1s, slow_ratio: 0% }", "breaker.slow_ratio: would be open from the first request on"),
        ("breaker: { slow_ratio: 10% }", "breaker.slow_ratio: has no use without `slow`"),
        ("breaker: { slow: 0s }", "breaker.slow: must be longer than zero"),
        ("breaker: { window: 1ms }", "breaker.window: must be at least 10ms"),
        ("breaker: { open: 0s }", "breaker.open: must be longer than zero"),
        ("breaker: { min_requests: 0 }", "breaker.min_requests: must be at least 1"),
        ("breaker: { probes: 0 }", "breaker.probes: must be at least 1"),
        ("adaptive: { min: 0 }", "adaptive.min: must be at least 1"),
        ("adaptive: { max: 4 }", "adaptive.max: less than `min`, 5"),
        ("adaptive: { initial: 4 }", "adaptive.initial: 4 is not between `min` and `max`"),
        ("adaptive: { max: 19 }", "adaptive.initial: 20 is not between `min` and `max`"),
        ("adaptive: { tolerance: 0.9 }", "adaptive.tolerance: 0.9 is not possible"),
        ("adaptive: { tolerance: .nan }", "adaptive.tolerance: NaN is not possible"),
    ]);
}

#[test]
fn mistakes_about_discovery_are_refused() {
    for (source, fault) in [
        ("type: dns_srv", ": `name` is missing"),
        ("type: dns_srv, name: \"_http._tcp.users:80\"", ".name: `_http._tcp.users:80` is not a name of SRV records"),
        ("type: dns_srv, name: a..b", ".name: `a..b` is not a name of SRV records"),
        ("type: dns_srv, name: a, interval: 1s", ".interval: has no use with `type: dns_srv`"),
        ("type: file", ": `path` is missing"),
        ("type: file, path: \"\"", ".path: is empty"),
        ("type: file, path: a, url: \"http://a\"", ".url: has no use with `type: file`"),
        ("type: http", ": `url` is missing"),
        ("type: http, url: \"\"", ".url: begins with neither http:// nor https://"),
        ("type: http, url: \"http://\"", ".url: is not a URL"),
        ("type: http, url: \"http:///users\"", ".url: is not a URL"),
        ("type: http, url: \"http://a b\"", ".url: is not a URL"),
        ("type: http, url: \"http://a:/users\"", ".url: has no port after its colon"),
        ("type: http, url: \"http://a:0\"", ".url: has no port after its colon"),
        ("type: http, url: users", ".url: begins with neither http:// nor https://"),
        ("type: http, url: \"ftp://a/b\"", ".url: begins with neither http:// nor https://"),
        ("type: http, url: \"http://a:b@c/d\"", ".url: has a user's name or a password"),
        ("type: http, url: \"http://a\", interval: 9ms", ".interval: must be at least 10ms"),
        ("type: http, url: \"http://a\", timeout: 0s", ".timeout: must be longer than zero"),
        ("type: http, url: \"http://a\", label: b", ".label: has no use with `type: http`"),
        ("type: docker", ": `label` is missing"),
        ("type: docker, label: \"=x\"", ".label: has no name"),
        ("type: docker, label: x, port: 0", ".port: there is no port 0"),
        ("type: docker, label: x, network: \"\"", ".network: has no name"),
        ("type: docker, label: x, socket: \"\"", ".socket: is empty"),
        ("type: docker, label: x, name: y", ".name: has no use with `type: docker`"),
    ] {
        assert_eq!(faults(&format!("discovery: [{{ {source} }}]")), [format!("discovery[0]{fault}")], "{source}");
    }
    let file = "{ type: file, path: users.yaml }";
    assert_eq!(faults(&format!("discovery: [{file}, {file}]")), ["discovery[1]: this source is listed twice"]);
    let many: Vec<_> = (0..33).map(|n| format!("{{ type: file, path: \"{n}\" }}")).collect();
    assert_eq!(faults(&format!("discovery: [{}]", many.join(", "))), ["discovery: more than 32 sources"]);
    for source in [
        "type: dns_srv, name: _http._tcp.users.internal.",
        "type: dns_srv, name: users.service.consul",
        "type: http, url: \"https://registry.internal:8443/users?x=1\", interval: 10ms, timeout: 1s",
        "type: docker, label: tidegate.upstream=users, port: 80, network: front, socket: docker.sock",
    ] {
        fine(&format!("discovery: [{{ {source} }}]"));
    }
}

#[test]
fn all_mistakes_are_reported_at_once() {
    let found = faults("lb: { choices: 0 }, health: { healthy: 0 }, retry: { attempts: 99 }, adaptive: { min: 0 }");
    assert_eq!(found.len(), 5, "{found:?}");
}

#[test]
fn several_targets_of_which_nobody_hears_are_warned_about() {
    let warnings = |upstream: &str| {
        let warnings = config(&format!("app: {upstream}"))["app"].warnings();
        assert!(warnings.iter().all(|warning| warning.help.is_some()));
        warnings.iter().map(|warning| warning.path.to_string()).collect::<Vec<_>>()
    };
    let none: [&str; 0] = [];
    assert_eq!(warnings("{ targets: [\"a:80\", \"b:80\"] }"), ["targets"]);
    assert_eq!(warnings("{ discovery: [{ type: file, path: x }] }"), ["discovery"]);
    assert_eq!(warnings("{ targets: [\"a:80\"] }"), none);
    assert_eq!(warnings("{ targets: [\"a:80\", \"b:80\"], health: {} }"), none);
    assert_eq!(warnings("{ targets: [\"a:80\", \"b:80\"], outlier: {} }"), none);
}
