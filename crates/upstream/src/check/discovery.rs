//! `discovery:`.

use std::path::Path;

use http::Uri;
use http::uri::Authority;
use tidegate_core::config::{ConfigError, ConfigPath};

use super::SHORTEST;
use super::faults::Faults;
use crate::config::{Discovery, DiscoveryKind};

const MOST_SOURCES: usize = 32;
/// RFC 1035, section 2.3.4.
const LONGEST_NAME: usize = 253;
const LONGEST_LABEL: usize = 63;

pub(super) fn check(sources: &[Discovery]) -> Vec<ConfigError> {
    let at = ConfigPath::root().key("discovery");
    if sources.len() > MOST_SOURCES {
        let error = ConfigError::at(at, format!("more than {MOST_SOURCES} sources"));
        return vec![error.help("make several upstreams, or one list of several")];
    }
    let mut found = Vec::new();
    for (index, source) in sources.iter().enumerate() {
        let mut faults = Faults::of(at.index(index));
        let twice = sources.iter().take(index).any(|before| before == source);
        faults.fault(twice, "", "this source is listed twice", "list it once");
        out_of_place(source, &mut faults);
        match source.kind {
            DiscoveryKind::DnsSrv => name(source, &mut faults),
            DiscoveryKind::File => file(source, &mut faults),
            DiscoveryKind::Http => url(source, &mut faults),
            DiscoveryKind::Docker => docker(source, &mut faults),
        }
        times(source, &mut faults);
        found.extend(faults.found());
    }
    found
}

/// Each key belongs to one kind of source, or to two.
fn out_of_place(source: &Discovery, faults: &mut Faults) {
    use DiscoveryKind::{DnsSrv, Docker, File, Http};
    for (key, set, kinds) in [
        ("name", source.name.is_some(), &[DnsSrv][..]),
        ("path", source.path.is_some(), &[File]),
        ("url", source.url.is_some(), &[Http]),
        ("socket", source.socket.is_some(), &[Docker]),
        ("label", source.label.is_some(), &[Docker]),
        ("port", source.port.is_some(), &[Docker]),
        ("network", source.network.is_some(), &[Docker]),
        ("interval", source.interval.is_some(), &[Http, Docker]),
        ("timeout", source.timeout.is_some(), &[Http, Docker]),
    ] {
        let owners: Vec<_> = kinds.iter().map(|kind| word(*kind)).collect();
        let beside = format_args!("with `type: {}`", word(source.kind));
        let help = format_args!("take it out; it is for {}", owners.join(" and "));
        faults.idle(set && !kinds.contains(&source.kind), key, beside, help);
    }
}

fn name(source: &Discovery, faults: &mut Faults) {
    let Some(name) = &source.name else { return missing("name", "_http._tcp.users.internal", faults) };
    faults.fault(
        !is_dns_name(name),
        "name",
        format_args!("`{}` is not a name of SRV records", name.escape_debug()),
        "write a name alone, such as _http._tcp.users.internal: its records have the ports",
    );
}

/// Consul and others have SRV records under names without underscores too.
fn is_dns_name(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    let known = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let label = |label: &str| (1..=LONGEST_LABEL).contains(&label.len()) && label.bytes().all(known);
    name.len() <= LONGEST_NAME && name.split('.').all(label)
}

fn file(source: &Discovery, faults: &mut Faults) {
    match &source.path {
        None => missing("path", "/etc/tidegate/users.yaml", faults),
        Some(path) => named(path, "path", faults),
    }
}

fn url(source: &Discovery, faults: &mut Faults) {
    let Some(url) = &source.url else { return missing("url", "http://registry.internal/users", faults) };
    let why = url_fault(url);
    let help = "write one such as http://registry.internal/users";
    faults.fault(why.is_some(), "url", why.unwrap_or_default(), help);
}

fn url_fault(url: &str) -> Option<&'static str> {
    if !url.starts_with("http://") && !url.starts_with("https://") {
        return Some("begins with neither http:// nor https://");
    }
    let Ok(uri) = url.parse::<Uri>() else { return Some("is not a URL") };
    let authority = uri.authority().map(Authority::as_str).unwrap_or_default();
    if authority.contains('@') {
        // It would stand in logs.
        return Some("has a user's name or a password");
    }
    let host = uri.host().unwrap_or_default();
    let port = authority.strip_prefix(host).and_then(|rest| rest.strip_prefix(':'));
    if host.is_empty() {
        return Some("has no host");
    }
    port.is_some_and(|port| !port.parse::<u16>().is_ok_and(|port| port > 0)).then_some("has no port after its colon")
}

fn docker(source: &Discovery, faults: &mut Faults) {
    let example = "tidegate.upstream=users";
    match source.label.as_deref() {
        None => missing("label", example, faults),
        Some(label) => {
            let nameless = label.is_empty() || label.starts_with('=');
            faults.fault(nameless, "label", "has no name", format_args!("write one such as {example}"));
        }
    }
    if let Some(socket) = &source.socket {
        named(socket, "socket", faults);
    }
    faults.fault(source.port == Some(0), "port", "there is no port 0", "write a port from 1 to 65535");
    let nowhere = source.network.as_deref().is_some_and(str::is_empty);
    faults.fault(nowhere, "network", "has no name", "leave it out for the first network of each container");
}

fn times(source: &Discovery, faults: &mut Faults) {
    if let Some(interval) = source.interval {
        faults.at_least("interval", interval, SHORTEST);
    }
    if let Some(timeout) = source.timeout {
        faults.longer_than_zero("timeout", timeout);
    }
}

/// Said of the whole source: there is no such key to point at.
fn missing(key: &str, example: &str, faults: &mut Faults) {
    faults.fault(true, "", format_args!("`{key}` is missing"), format_args!("add it: {key}: {example}"));
}

fn named(path: &Path, key: &str, faults: &mut Faults) {
    faults.fault(path.as_os_str().is_empty(), key, "is empty", "write where it is");
}

/// As it is written.
fn word(kind: DiscoveryKind) -> &'static str {
    match kind {
        DiscoveryKind::DnsSrv => "dns_srv",
        DiscoveryKind::File => "file",
        DiscoveryKind::Http => "http",
        DiscoveryKind::Docker => "docker",
    }
}
