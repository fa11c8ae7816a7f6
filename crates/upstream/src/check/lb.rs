//! `lb:`, `sticky:` and `slow_start:`.

use std::collections::BTreeSet;

use tidegate_core::config::ConfigError;

use super::SECOND;
use super::faults::Faults;
use crate::balance::hash_on;
use crate::config::{Algorithm, DiscoveryKind, LbFields, SameSite, Sticky, UpstreamConfig};

const SHORTEST_SECRET: usize = 16;

pub(super) fn check(config: &UpstreamConfig) -> Vec<ConfigError> {
    let mut faults = Faults::of("lb");
    by_load(&config.lb, &mut faults);
    by_hash(&config.lb, &mut faults);
    zones(config, &mut faults);
    let mut found = faults.found();
    found.extend(config.sticky.as_ref().into_iter().flat_map(sticky));
    found.extend(slow_start(config));
    found
}

fn by_load(lb: &LbFields, faults: &mut Faults) {
    let usual = LbFields::default();
    let drawn = matches!(lb.algorithm, Algorithm::LeastRequest | Algorithm::PeakEwma);
    let beside = format!("with {}", name(lb.algorithm));
    let help = "take it out, or choose `peak_ewma`";
    faults.fault(
        !(2..=8).contains(&lb.choices),
        "choices",
        format_args!("{} choices are not possible", lb.choices),
        "write a number from 2 to 8",
    );
    let idle = !drawn && lb.choices != usual.choices;
    faults.idle(idle, "choices", &beside, "take it out, or choose `least_request` or `peak_ewma`");
    let timed = lb.algorithm == Algorithm::PeakEwma;
    faults.idle(!timed && lb.default_rtt != usual.default_rtt, "default_rtt", &beside, help);
    faults.idle(!timed && lb.decay != usual.decay, "decay", &beside, help);
    faults.longer_than_zero("default_rtt", lb.default_rtt);
    faults.longer_than_zero("decay", lb.decay);
}

fn by_hash(lb: &LbFields, faults: &mut Faults) {
    let usual = LbFields::default();
    let hashed = lb.algorithm == Algorithm::ConsistentHash;
    let beside = format!("with {}", name(lb.algorithm));
    let help = "take it out, or choose `consistent_hash`";
    faults.idle(!hashed && lb.hash_on != usual.hash_on, "hash_on", &beside, help);
    // Said bit by bit: the default is a fraction that has no rounding.
    faults.idle(!hashed && lb.bound.to_bits() != usual.bound.to_bits(), "bound", &beside, help);
    let fine = lb.bound == 0.0 || (1.0..=10.0).contains(&lb.bound);
    faults.within("bound", fine, lb.bound, "write a number from 1 to 10, or 0 for no bound");
    faults.fault(lb.hash_on.is_empty(), "hash_on", "nothing to hash", "name at least one, such as `client`");
    let mut seen = BTreeSet::new();
    for (index, on) in lb.hash_on.iter().enumerate() {
        let at = faults.place("hash_on").index(index);
        match hash_on::parse(on) {
            Err(why) => {
                let help = "write client, path, identity, header.<name> or cookie.<name>";
                faults.fault_at(at, why, help);
            }
            Ok(_) if !seen.insert(on) => faults.fault_at(at, format_args!("`{on}` is listed twice"), "list it once"),
            Ok(_) => {}
        }
    }
}

fn zones(config: &UpstreamConfig, faults: &mut Faults) {
    let Some(aware) = &config.lb.zone_aware else { return };
    let listed = |kind| matches!(kind, DiscoveryKind::File | DiscoveryKind::Http);
    // Their lists say it.
    if config.discovery.iter().any(|source| listed(source.kind)) {
        return;
    }
    let zones: BTreeSet<&str> = config.targets.iter().filter_map(|target| target.zone.as_deref()).collect();
    let help = match zones.is_empty() {
        true => "give each target its zone: { address: ..., zone: ... }".to_owned(),
        false => format!("the targets are in: {}", Vec::from_iter(zones.iter().copied()).join(", ")),
    };
    let unknown = !zones.contains(aware.local.as_str());
    let message = format_args!("no target is in zone `{}`", aware.local.escape_debug());
    faults.fault(unknown, "zone_aware.local", message, help);
}

fn sticky(sticky: &Sticky) -> Vec<ConfigError> {
    let mut faults = Faults::of("sticky");
    faults.fault(
        sticky.secret.expose().len() < SHORTEST_SECRET,
        "secret",
        format_args!("shorter than {SHORTEST_SECRET} bytes"),
        "make one with `openssl rand -base64 24`, and take it from the environment or a file",
    );
    faults.fault(
        !hash_on::is_token(&sticky.cookie),
        "cookie",
        format_args!("`{}` is not a cookie's name", sticky.cookie.escape_debug()),
        "write letters, digits, `_` and `-`",
    );
    let prefixed = ["__host-", "__secure-"].iter().any(|prefix| sticky.cookie.to_ascii_lowercase().starts_with(prefix));
    faults.fault(
        prefixed && !sticky.secure,
        "secure",
        "browsers take a cookie of this name over TLS only",
        "take out `secure: false`, or choose a name without the prefix",
    );
    faults.fault(
        sticky.same_site == SameSite::None && !sticky.secure,
        "same_site",
        "browsers refuse `same_site: none` without `secure`",
        "take out `secure: false`, or write `lax`",
    );
    if let Some(ttl) = sticky.ttl {
        // `Max-Age` counts whole seconds.
        faults.at_least("ttl", ttl, SECOND);
    }
    faults.found()
}

fn slow_start(config: &UpstreamConfig) -> Vec<ConfigError> {
    let mut faults = Faults::of("");
    if let Some(time) = config.slow_start {
        faults.longer_than_zero("slow_start", time);
    }
    faults.found()
}

/// As it is written.
fn name(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::RoundRobin => "`round_robin`",
        Algorithm::Random => "`random`",
        Algorithm::LeastRequest => "`least_request`",
        Algorithm::PeakEwma => "`peak_ewma`",
        Algorithm::ConsistentHash => "`consistent_hash`",
    }
}
