//! What a well-formed upstream can still get wrong. What would silently do nothing is wrong as well: whoever wrote it
//! expects something of it.

mod discovery;
mod faults;
mod health;
mod lb;
mod limits;
mod outlier;
mod retry;
mod targets;
mod warnings;

use http::uri::Authority;
use tidegate_core::config::{ConfigError, ConfigErrors, ConfigPath, Duration};

use self::faults::Faults;
use crate::config::{HostHeader, UpstreamConfig, Verify};

/// Nothing is done more often than this.
const SHORTEST: Duration = Duration::from_millis(10);
const SECOND: Duration = Duration::from_secs(1);

/// Everything that is wrong with `config`, but for what is only found by reading its addresses and files.
pub(crate) fn check(config: &UpstreamConfig) -> ConfigErrors {
    [
        targets::check(config),
        discovery::check(&config.discovery),
        tls(config),
        host_header(config).into_iter().collect(),
        numbers(config),
        lb::check(config),
        health::check(config),
        outlier::check(config),
        retry::check(config),
        limits::check(config),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn tls(config: &UpstreamConfig) -> Vec<ConfigError> {
    let Some(tls) = &config.tls else { return Vec::new() };
    let mut faults = Faults::of("tls");
    let unverified = tls.verify == Verify::None && tls.ca.is_some();
    faults.fault(unverified, "ca", "a CA has no use while nothing is verified", "take out `verify: none`, or the CA");
    let sockets = config.targets.iter().enumerate().filter(|(_, target)| target.is_socket());
    for (index, _) in sockets.filter(|_| tls.sni.is_none()) {
        let at = ConfigPath::root().key("targets").index(index);
        let help = "set `tls.sni` to the name on the target's certificate";
        faults.fault_at(at, "a unix socket has no name to verify", help);
    }
    faults.found()
}

fn host_header(config: &UpstreamConfig) -> Option<ConfigError> {
    let HostHeader::Literal(name) = &config.host_header else { return None };
    (!is_host(name)).then(|| {
        ConfigError::at("host_header.literal", format!("`{}` is not a host", name.escape_debug()))
            .help("write a name, such as app.example.com, with or without a port")
    })
}

/// Whether it can stand in `Host`.
fn is_host(name: &str) -> bool {
    name.parse::<Authority>().is_ok_and(|authority| !authority.as_str().contains('@'))
}

fn numbers(config: &UpstreamConfig) -> Vec<ConfigError> {
    let (timeouts, resolve, h2) = (&config.timeouts, &config.resolve, &config.h2);
    let mut faults = Faults::of(ConfigPath::root());
    faults.longer_than_zero("timeouts.connect", timeouts.connect);
    faults.longer_than_zero("timeouts.read", timeouts.read);
    faults.longer_than_zero("timeouts.write", timeouts.write);
    faults.longer_than_zero("timeouts.idle", timeouts.idle);
    faults.longer_than_zero("resolve.timeout", resolve.timeout);
    faults.at_least("resolve.min", resolve.min, SHORTEST);
    faults.at_least("resolve.max", resolve.max, resolve.min);
    if let Some(interval) = h2.ping_interval {
        faults.at_least("h2.ping_interval", interval, SECOND);
    }
    faults.at_least_one("h2.max_streams", h2.max_streams);
    if let Some(keepalive) = &config.tcp_keepalive {
        faults.at_least("tcp_keepalive.idle", keepalive.idle, SECOND);
        faults.at_least("tcp_keepalive.interval", keepalive.interval, SECOND);
        faults.at_least_one("tcp_keepalive.count", keepalive.count);
    }
    faults.found()
}
