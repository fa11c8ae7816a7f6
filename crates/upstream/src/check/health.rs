//! `health:`.

use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue};
use tidegate_core::config::{ConfigError, ConfigPath, Percent};

use super::faults::Faults;
use super::{SHORTEST, is_host};
use crate::config::{Expect, Health, HealthKind, HealthMethod, UpstreamConfig};

/// As much of a body as is read.
const BODY: usize = 64 * 1024;
/// Beyond, a check could follow upon the one before at once.
const MOST_JITTER: Percent = Percent::new(50);

pub(super) fn check(config: &UpstreamConfig) -> Vec<ConfigError> {
    let Some(health) = &config.health else { return Vec::new() };
    let mut faults = Faults::of("health");
    question(health, &mut faults);
    only_http(health, &mut faults);
    port(config, health, &mut faults);
    times(health, &mut faults);
    expect(health, &mut faults);
    faults.found()
}

fn question(health: &Health, faults: &mut Faults) {
    // Without the `#…` that this would leave out.
    let path = health.path.starts_with('/') && !health.path.contains('#');
    faults.fault(
        !path || health.path.parse::<PathAndQuery>().is_err() || !health.path.is_ascii(),
        "path",
        format_args!("`{}` is not a path", health.path.escape_debug()),
        "begin it with `/`, and write what is not visible ASCII as %20 and the like",
    );
    if let Some(host) = &health.host {
        let message = format_args!("`{}` is not a host", host.escape_debug());
        faults.fault(!is_host(host), "host", message, "write a name, with or without a port");
    }
    let idle = health.kind != HealthKind::Grpc && !health.service.is_empty();
    faults.idle(idle, "service", "without `type: grpc`", "take it out, or set the type");
}

/// What the other types of checks don't look at.
fn only_http(health: &Health, faults: &mut Faults) {
    let usual = Health::default();
    let beside = match health.kind {
        HealthKind::Http => return,
        HealthKind::Tcp => "with `type: tcp`",
        HealthKind::Grpc => "with `type: grpc`",
    };
    for (key, set) in [
        ("path", health.path != usual.path),
        ("method", health.method != usual.method),
        ("host", health.host.is_some()),
        ("expect", health.expect != usual.expect),
    ] {
        faults.idle(set, key, beside, "take it out, or ask by `type: http`");
    }
}

fn port(config: &UpstreamConfig, health: &Health, faults: &mut Faults) {
    let Some(port) = health.port else { return };
    faults.fault(port == 0, "port", "there is no port 0", "write a port from 1 to 65535");
    let socket = config.targets.iter().any(|target| target.is_socket());
    faults.fault(socket, "port", "a unix socket has no port", "take it out, or the targets that are sockets");
}

fn times(health: &Health, faults: &mut Faults) {
    faults.at_least("interval", health.interval, SHORTEST);
    faults.longer_than_zero("timeout", health.timeout);
    let wild = health.jitter > MOST_JITTER;
    faults.fault(wild, "jitter", format_args!("more than {MOST_JITTER}"), format_args!("write at most {MOST_JITTER}"));
    faults.at_least_one("healthy", health.healthy);
    faults.at_least_one("unhealthy", health.unhealthy);
}

fn expect(health: &Health, faults: &mut Faults) {
    let Expect { status, headers, body, json } = &health.expect;
    for (index, status) in status.iter().enumerate().filter(|(_, status)| !(200..=599).contains(*status)) {
        let at = faults.place("expect.status").index(index);
        faults.fault_at(at, format_args!("no answer ends with status {status}"), "write one from 200 to 599");
    }
    for (name, value) in headers {
        let at = faults.place("expect.headers").key(name);
        field(at, name, value, faults);
    }
    if let Some(text) = body {
        faults.fault(text.is_empty(), "expect.body", "stands in every body", "write some text, or take it out");
        let help = "choose a shorter text";
        faults.fault(text.len() > BODY, "expect.body", "longer than the 64 KiB that are looked at", help);
    }
    for pointer in json.keys().filter(|pointer| !is_pointer(pointer)) {
        let at = faults.place("expect.json").key(pointer);
        let help = "begin it with `/`, as in /status, and write `~` as ~0";
        faults.fault_at_key(at, format_args!("`{}` is not a JSON Pointer", pointer.escape_debug()), help);
    }
    let blind = health.method == HealthMethod::Head;
    for (key, set) in [("expect.body", body.is_some()), ("expect.json", !json.is_empty())] {
        faults.idle(blind && set, key, "with `method: HEAD`, which has no body", "ask with GET");
    }
}

fn field(at: ConfigPath, name: &str, value: &str, faults: &mut Faults) {
    if name.parse::<HeaderName>().is_err() {
        let message = format!("`{}` is not a field's name", name.escape_debug());
        faults.fault_at_key(at, message, "write letters, digits and `-`");
    } else if HeaderValue::from_str(value).is_err() {
        faults.fault_at(at, "no field has such a value", "take out what can't be seen");
    }
}

/// RFC 6901, section 3.
fn is_pointer(pointer: &str) -> bool {
    let mut escapes = pointer.split('~').skip(1);
    (pointer.is_empty() || pointer.starts_with('/')) && escapes.all(|rest| rest.starts_with(['0', '1']))
}
