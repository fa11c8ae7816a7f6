//! What is refused at load, where, and with which remedy; and what is the default.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::support::{build, config, pick, read};
use pingora_core::protocols::ALPN;
use tidegate_core::{Clock, Metrics};
use tidegate_upstream::{Algorithm, HostHeader, Protocol, TargetConfig, UpstreamConfig, Upstreams, Verify};

/// `path: message` of each error, without the help.
fn faults(upstream: &str) -> Vec<String> {
    let errors = build(&format!("app: {upstream}")).expect_err(upstream);
    assert!(errors.iter().all(|error| error.help.is_some() || error.message.contains("at least")), "{errors}");
    errors.iter().map(|error| format!("{}: {}", error.path, error.message)).collect()
}

#[test]
fn a_target_alone_is_a_whole_upstream() {
    let app = config("app: { targets: [\"10.0.0.1:80\"] }").remove("app").unwrap();
    assert_eq!(app.targets, [TargetConfig { address: "10.0.0.1:80".into(), weight: 1, ..TargetConfig::default() }]);
    assert_eq!((app.tls, app.protocol, app.lb.algorithm), (None, Protocol::Http1, Algorithm::RoundRobin));
    assert_eq!(app.host_header, HostHeader::Preserve);
    assert_eq!(*app.timeouts.connect, Duration::from_secs(5));
    assert_eq!(*app.timeouts.read, Duration::from_secs(60));
    assert_eq!((*app.resolve.min, *app.resolve.max), (Duration::from_secs(5), Duration::from_secs(300)));
}

#[test]
fn tls_verifies_unless_told_otherwise_in_so_many_words() {
    let verify =
        |tls: &str| config(&format!("app: {{ targets: [\"a:443\"], tls: {tls} }}"))["app"].tls.clone().unwrap();
    assert_eq!(verify("{}").verify, Verify::Full);
    assert_eq!(verify("{ verify: none }").verify, Verify::None);
}

#[test]
fn each_fault_of_a_target_has_its_place_and_remedy() {
    assert_eq!(faults("{ targets: [] }"), ["app.targets: no targets"]);
    assert_eq!(
        faults("{ targets: [\"a:80\", \"http://b:80/x\", { address: \"c\" }, \"10.0.0.300:80\"] }"),
        [
            "app.targets[1]: a target is host:port, without a scheme",
            "app.targets[2]: the port is missing",
            "app.targets[3]: `10.0.0.300` is neither an IP address nor a host name",
        ]
    );
    assert_eq!(
        faults("{ targets: [{ address: \"a:80\", weight: 0 }, { address: \"b:80\", weight: 257 }] }"),
        [
            "app.targets[0].weight: a weight of 0 is not possible",
            "app.targets[1].weight: a weight of 257 is not possible",
        ]
    );
    assert_eq!(faults("{ targets: [\"a:80\", \"A:80\"] }"), ["app.targets[1]: target `a:80` is listed twice"]);
}

#[test]
fn what_cannot_work_is_refused() {
    for (upstream, fault) in [
        ("{ targets: [\"a:80\"], timeouts: { connect: 0s } }", "app.timeouts.connect: must be longer than zero"),
        ("{ targets: [\"a:80\"], timeouts: { idle: 0s } }", "app.timeouts.idle: must be longer than zero"),
        ("{ targets: [\"a:80\"], resolve: { min: 1ms } }", "app.resolve.min: must be at least 10ms"),
        ("{ targets: [\"a:80\"], resolve: { max: 1s } }", "app.resolve.max: must be at least 5s"),
        ("{ targets: [\"a:80\"], h2: { max_streams: 0 } }", "app.h2.max_streams: must be at least 1"),
        ("{ targets: [\"a:80\"], tcp_keepalive: { count: 0 } }", "app.tcp_keepalive.count: must be at least 1"),
        ("{ targets: [\"a:80\"], host_header: { literal: \"a b\" } }", "app.host_header.literal: `a b` is not a host"),
        ("{ targets: [\"a:443\"], tls: { sni: \"a b\" } }", "app.tls.sni: `a b` is not a server name"),
        ("{ targets: [\"unix:/x\"], tls: {} }", "app.targets[0]: a unix socket has no name to verify"),
        (
            "{ targets: [\"a:443\"], tls: { ca: /no/such } }",
            "app.tls.ca: /no/such: No such file or directory (os error 2)",
        ),
    ] {
        assert_eq!(faults(upstream), [fault], "{upstream}");
    }
}

#[test]
fn every_upstream_is_checked_at_once() {
    let errors = build("a: { targets: [] }\n\"b.c\": { targets: [\"x\"] }").unwrap_err();
    let places: Vec<_> = errors.iter().map(|error| error.path.to_string()).collect();
    assert_eq!(places, ["a.targets", "\"b.c\".targets[0]"]);
}

/// Where `read` finds fault with one upstream.
fn misread(upstream: &str) -> Vec<String> {
    let errors = read::<UpstreamConfig>(upstream).expect_err(upstream);
    errors.iter().map(|error| error.path.to_string()).collect()
}

#[test]
fn an_empty_tls_section_is_not_plain_text() {
    assert_eq!(misread("{ targets: [\"a:443\"], tls: }"), ["tls"]);
    assert_eq!(misread("{ targets: [\"a:443\"], tls: ~ }"), ["tls"]);
}

#[test]
fn unknown_keys_and_wrong_kinds_are_refused_in_their_place() {
    for (upstream, place) in [
        ("{ targets: [\"a:80\"], target: 1 }", "target"),
        ("{ targets: [\"a:80\", { address: \"b:80\", wieght: 1 }] }", "targets[1].wieght"),
        ("{ targets: [80] }", "targets[0]"),
        ("{ targets: [~] }", "targets[0]"),
        ("{ targets: [[\"a:80\"]] }", "targets[0]"),
        ("{ targets: [{ weight: 1 }] }", "targets[0]"),
        ("{ targets: [{ address: \"a:80\", weight: -1 }] }", "targets[0].weight"),
        ("{ targets: \"a:80\" }", "targets"),
        ("{ targets: [\"a:80\"], lb: least_requests }", "lb"),
        ("{ targets: [\"a:80\"], lb: { algorithm: fastest } }", "lb.algorithm"),
        ("{ targets: [\"a:80\"], lb: { choice: 2 } }", "lb.choice"),
        ("{ targets: [\"a:80\"], sticky: {} }", "sticky"),
        ("{ targets: [\"a:80\"], sticky: }", "sticky"),
        ("{ targets: [\"a:80\"], health: ~ }", "health"),
        ("{ targets: [\"a:80\"], health: { type: udp } }", "health.type"),
        ("{ targets: [\"a:80\"], health: { interval: 30 } }", "health.interval"),
        ("{ targets: [\"a:80\"], health: { port: 70000 } }", "health.port"),
        ("{ targets: [\"a:80\"], outlier: { max_ejected: 50 } }", "outlier.max_ejected"),
        ("{ targets: [\"a:80\"], outlier: { latency: } }", "outlier.latency"),
        ("{ targets: [\"a:80\"], retry: { on: [tea] } }", "retry.on[0]"),
        ("{ targets: [\"a:80\"], retry: { on: [connect, 302] } }", "retry.on[1]"),
        ("{ targets: [\"a:80\"], retry: { on: [grpc.ok] } }", "retry.on[0]"),
        ("{ targets: [\"a:80\"], retry: { attempts: -1 } }", "retry.attempts"),
        ("{ targets: [\"a:80\"], limits: { queue: -1 } }", "limits.queue"),
        ("{ targets: [\"a:80\"], mirror: {} }", "mirror"),
        ("{ discovery: [{ type: consul }] }", "discovery[0].type"),
        ("{ discovery: [{ path: x }] }", "discovery[0]"),
        ("{ targets: [\"a:80\"], host_header: other }", "host_header"),
        ("{ targets: [\"a:80\"], timeouts: { connect: 5 } }", "timeouts.connect"),
        ("{ targets: [\"a:80\"], resolve: { nameserver: dns.test } }", "resolve.nameserver"),
        ("{ targets: [\"a:443\"], tls: { verify: off } }", "tls.verify"),
        ("{ targets: [\"a:443\"], tls: { min_version: \"1.1\" } }", "tls.min_version"),
    ] {
        assert_eq!(misread(upstream), [place], "{upstream}");
    }
}

#[test]
fn every_fault_is_found_at_once() {
    let faults = misread("{ targets: [~, { address: \"a:80\", wieght: 3 }], tls: ~, protocol: spdy }");
    assert_eq!(faults.len(), 4, "{faults:?}");
}

#[test]
fn every_field_is_documented_in_the_schema() {
    let schema = schemars::schema_for!(UpstreamConfig).to_value();
    let mut undocumented = Vec::new();
    collect_undocumented("UpstreamConfig", &schema, &mut undocumented);
    for (name, part) in schema["$defs"].as_object().unwrap() {
        collect_undocumented(name, part, &mut undocumented);
    }
    assert!(undocumented.is_empty(), "{undocumented:?}");
}

fn collect_undocumented(name: &str, schema: &serde_json::Value, into: &mut Vec<String>) {
    let Some(properties) = schema["properties"].as_object() else { return };
    assert_eq!(schema["additionalProperties"], false, "{name}");
    let bare = properties.iter().filter(|(_, property)| property["description"].as_str().is_none_or(str::is_empty));
    into.extend(bare.map(|(property, _)| format!("{name}.{property}")));
}

#[test]
fn every_example_of_the_manual_builds() {
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let examples: Vec<_> = readme.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(!examples.is_empty());
    for example in examples {
        let file = read::<BTreeMap<String, BTreeMap<String, UpstreamConfig>>>(example);
        let mut upstreams = file.unwrap_or_else(|error| panic!("{error}\n{example}")).remove("upstreams").unwrap();
        for upstream in upstreams.values_mut() {
            forget_files(upstream);
        }
        Upstreams::build(&upstreams, None, &Metrics::new(), &Clock::system())
            .unwrap_or_else(|error| panic!("{error}\n{example}"));
    }
}

/// The manual's certificates are not on this machine.
fn forget_files(upstream: &mut UpstreamConfig) {
    if let Some(tls) = &mut upstream.tls {
        let missing = |path: &PathBuf| !path.exists();
        tls.ca = tls.ca.take().filter(|path| !missing(path));
        tls.certificate = tls.certificate.take().filter(|files| !missing(&files.cert));
    }
}

#[test]
fn every_option_reaches_the_peer() {
    let upstreams = build(
        "app:
           targets: [\"10.0.0.1:80\"]
           protocol: h2
           timeouts: { connect: 1s, read: 2s, write: 3s, idle: 4s }
           h2: { max_streams: 7, ping_interval: 5s }
           tcp_keepalive: { idle: 6s, interval: 7s, count: 8 }",
    )
    .unwrap();

    let peer = pick(upstreams.get("app").unwrap()).peer();

    let seconds = |n| Some(Duration::from_secs(n));
    let options = &peer.options;
    assert_eq!((options.connection_timeout, options.total_connection_timeout), (seconds(1), seconds(1)));
    assert_eq!(
        (options.read_timeout, options.write_timeout, options.idle_timeout),
        (seconds(2), seconds(3), seconds(4))
    );
    assert_eq!((options.max_h2_streams, options.h2_ping_interval), (7, seconds(5)));
    assert_eq!(options.alpn, ALPN::H2, "HTTP/2 with prior knowledge");
    let probes = options.tcp_keepalive.as_ref().unwrap();
    assert_eq!((Some(probes.idle), Some(probes.interval), probes.count), (seconds(6), seconds(7), 8));
}

#[test]
fn no_wait_for_a_target_is_without_end_by_default() {
    let upstreams = build("app: { targets: [\"10.0.0.1:80\"] }").unwrap();
    let options = pick(upstreams.get("app").unwrap()).peer().options;
    for wait in [
        options.connection_timeout,
        options.total_connection_timeout,
        options.read_timeout,
        options.write_timeout,
        options.idle_timeout,
    ] {
        assert!(wait.is_some_and(|wait| !wait.is_zero()));
    }
    assert_eq!((options.max_h2_streams, options.alpn), (100, ALPN::H1));
}

#[test]
fn the_host_header_is_the_client_s_the_target_s_or_a_given_one() {
    let host = |upstream: &str| {
        let upstreams = build(&format!("app: {upstream}")).unwrap();
        pick(upstreams.get("app").unwrap()).host().map(|host| host.to_str().unwrap().to_owned())
    };
    let is = |host: &str| Some(host.to_owned());
    assert_eq!(host("{ targets: [\"10.0.0.1:80\"] }"), None);
    assert_eq!(host("{ targets: [\"10.0.0.1:80\"], host_header: upstream }"), is("10.0.0.1"));
    assert_eq!(host("{ targets: [\"10.0.0.1:81\"], host_header: upstream }"), is("10.0.0.1:81"));
    assert_eq!(host("{ targets: [\"10.0.0.1:443\"], host_header: upstream, tls: {} }"), is("10.0.0.1"));
    assert_eq!(
        host("{ targets: [\"10.0.0.1:80\"], host_header: { literal: \"app.test:8443\" } }"),
        is("app.test:8443")
    );
    assert_eq!(host("{ targets: [\"[::1]:443\"], host_header: upstream }"), is("[::1]:443"));
    assert_eq!(host("{ targets: [\"unix:/run/x\"], host_header: upstream }"), is("localhost"));
}
