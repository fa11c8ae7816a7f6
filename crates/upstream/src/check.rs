//! What a well-formed upstream can still get wrong.

use http::uri::Authority;
use tidegate_core::config::{ConfigError, ConfigErrors, ConfigPath, Duration};

use crate::config::{HostHeader, UpstreamConfig, Verify};

const LARGEST_WEIGHT: u32 = 256;
const MOST_TARGETS: usize = 10_000;
const SHORTEST_REFRESH: Duration = Duration::from_millis(10);
const SECOND: Duration = Duration::from_secs(1);

/// Everything that is wrong with `config`, but for what is only found by reading its addresses and files.
pub(crate) fn check(config: &UpstreamConfig) -> ConfigErrors {
    [targets(config), tls(config), host_header(config).into_iter().collect(), numbers(config)]
        .into_iter()
        .flatten()
        .collect()
}

fn targets(config: &UpstreamConfig) -> Vec<ConfigError> {
    let at = ConfigPath::root().key("targets");
    if config.targets.is_empty() {
        return vec![ConfigError::at(at, "no targets").help("list at least one, such as \"10.0.0.1:3000\"")];
    }
    if config.targets.len() > MOST_TARGETS {
        return vec![ConfigError::at(at, format!("more than {MOST_TARGETS} targets"))];
    }
    let odd = |weight| !(1..=LARGEST_WEIGHT).contains(&weight);
    let places = config.targets.iter().enumerate().filter(|(_, target)| odd(target.weight));
    places
        .map(|(index, target)| {
            ConfigError::at(at.index(index).key("weight"), format!("a weight of {} is not possible", target.weight))
                .help(format!("write a weight from 1 to {LARGEST_WEIGHT}, or take the target out"))
        })
        .collect()
}

fn tls(config: &UpstreamConfig) -> Vec<ConfigError> {
    let Some(tls) = &config.tls else { return Vec::new() };
    let mut errors = Vec::new();
    if tls.verify == Verify::None && tls.ca.is_some() {
        errors.push(
            ConfigError::at("tls.ca", "a CA has no use while nothing is verified")
                .help("take out `verify: none`, or the CA"),
        );
    }
    let sockets = config.targets.iter().enumerate().filter(|(_, target)| target.address.starts_with("unix:"));
    if tls.sni.is_none() {
        errors.extend(sockets.map(|(index, _)| {
            ConfigError::at(ConfigPath::root().key("targets").index(index), "a unix socket has no name to verify")
                .help("set `tls.sni` to the name on the target's certificate")
        }));
    }
    errors
}

fn host_header(config: &UpstreamConfig) -> Option<ConfigError> {
    let HostHeader::Literal(name) = &config.host_header else { return None };
    let fits = name.parse::<Authority>().is_ok_and(|authority| !authority.as_str().contains('@'));
    (!fits).then(|| {
        ConfigError::at("host_header.literal", format!("`{}` is not a host", name.escape_debug()))
            .help("write a name, such as app.example.com, with or without a port")
    })
}

fn numbers(config: &UpstreamConfig) -> Vec<ConfigError> {
    let (timeouts, resolve, h2) = (&config.timeouts, &config.resolve, &config.h2);
    let keepalive = config.tcp_keepalive.as_ref();
    let instant = Duration::from(std::time::Duration::from_nanos(1));
    let durations = [
        ("timeouts.connect", Some(timeouts.connect), instant),
        ("timeouts.read", Some(timeouts.read), instant),
        ("timeouts.write", Some(timeouts.write), instant),
        ("timeouts.idle", Some(timeouts.idle), instant),
        ("resolve.timeout", Some(resolve.timeout), instant),
        ("resolve.min", Some(resolve.min), SHORTEST_REFRESH),
        ("resolve.max", Some(resolve.max), resolve.min),
        ("h2.ping_interval", h2.ping_interval, SECOND),
        ("tcp_keepalive.idle", keepalive.map(|k| k.idle), SECOND),
        ("tcp_keepalive.interval", keepalive.map(|k| k.interval), SECOND),
    ];
    let short = durations.into_iter().filter_map(|(at, value, least)| too_short(at, value?, least));
    let counts = [("h2.max_streams", h2.max_streams), ("tcp_keepalive.count", keepalive.map_or(1, |k| k.count))];
    let none = counts.into_iter().filter(|(_, count)| *count == 0);
    short.chain(none.map(|(at, _)| ConfigError::at(at, "must be at least 1"))).collect()
}

fn too_short(at: &str, value: Duration, least: Duration) -> Option<ConfigError> {
    (value < least).then(|| match value.is_zero() {
        true => ConfigError::at(at, "must be longer than zero").help("leave it out for the default"),
        false => ConfigError::at(at, format!("must be at least {least}")),
    })
}
