//! Limits as requests meet them, built from the configuration with everything that is wrong with it.

mod ban;
mod limit;
mod names;
mod recipe;
mod rules;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use tidegate_core::{ConfigError, ConfigErrors, ConfigPath, Route};

pub(crate) use ban::Bans;
pub(crate) use limit::{Limit, Phase};
pub(crate) use rules::Chosen;

use crate::config::{self, ClientPrefix, Config, Consistency, FieldStyle, Network, OnStoreError, Policy, StoreName};
use crate::fields::Fields;
use names::Names;

/// More limits on one route are a slip, and would make every request dear.
const MOST_LIMITS: usize = 16;

/// What all routes share, built from the section.
#[derive(Debug)]
pub(crate) struct Shared {
    limits: BTreeMap<String, (config::Limit, Arc<Limit>)>,
    prefix: ClientPrefix,
    exempt: Box<[Network]>,
    store: StoreName,
    on_store_error: OnStoreError,
    fields: FieldStyle,
    /// When clients are shut out, if ever.
    pub bans: Option<Arc<Bans>>,
}

/// The limits of one route.
#[derive(Debug)]
pub(crate) struct Limits {
    /// Those asked before authentication come first.
    limits: Box<[Arc<Limit>]>,
    early: usize,
    exempt: Box<[Network]>,
    pub store: StoreName,
    pub on_store_error: OnStoreError,
    /// How clients are told what is left.
    pub fields: Fields,
}

impl Shared {
    /// Errors have paths relative to the section.
    pub(crate) fn build(config: &Config) -> Result<Self, ConfigErrors> {
        let mut errors = ConfigErrors::new();
        errors.extend(wrong_prefixes(config));
        errors.extend(wrong_store(config));
        let mut limits = BTreeMap::new();
        for (name, limit) in &config.limits {
            let path = ConfigPath::from("limits").key(name);
            let built = shared_limit(name, limit, config.client).map_err(|error| error.under(&path));
            if let Some(built) = errors.collect(built) {
                limits.insert(name.clone(), (limit.clone(), Arc::new(built)));
            }
        }
        let bans = config.ban.as_ref().map(|ban| Bans::build(ban, config));
        let bans = errors.collect(bans.transpose().map_err(|errors| errors.under(&ConfigPath::from("ban"))));
        errors.into_result(Self {
            limits,
            prefix: config.client,
            exempt: config.exempt.clone().into(),
            store: config.store.clone(),
            on_store_error: config.on_store_error,
            fields: config.fields,
            bans: bans.flatten().map(Arc::new),
        })
    }
}

impl Limits {
    /// Errors have paths relative to the policy.
    pub(crate) fn build(policy: &Policy, shared: &Shared, route: &Route) -> Result<Self, ConfigErrors> {
        let mut errors = ConfigErrors::new();
        let mut names = Names::default();
        let mut limits = Vec::new();
        for (index, name) in policy.shared.iter().enumerate() {
            let path = ConfigPath::from("use").index(index);
            let used = used(name, shared, route, &mut names).map_err(|error| error.under(&path));
            limits.extend(errors.collect(used));
        }
        for (index, limit) in policy.limits.iter().enumerate() {
            let path = ConfigPath::from("limits").index(index);
            let name = errors.collect(names.of(limit).map_err(|error| error.under(&path)));
            let name: Arc<str> = name.unwrap_or_default().into();
            let id = names::id(&["route", route.name(), &name]);
            let builder = limit::Builder::new(limit, shared.prefix, Some(route.params()));
            let built = builder.build(name, id).map_err(|error| error.under(&path));
            limits.extend(errors.collect(built).map(Arc::new));
        }
        if policy.shared.len() + policy.limits.len() > MOST_LIMITS {
            let message = format!("{} limits on one route", policy.shared.len() + policy.limits.len());
            errors.push(ConfigError::at("limits", message).help(format!("write at most {MOST_LIMITS}")));
        }
        errors.extend(split_store(policy, shared));
        limits.sort_by_key(|limit| limit.phase == Phase::Identified);
        let early = limits.iter().filter(|limit| limit.phase == Phase::Early).count();
        let fields = Fields::new(policy.fields.unwrap_or(shared.fields), &limits);
        errors.into_result(Self {
            limits: limits.into(),
            early,
            exempt: shared.exempt.iter().chain(&policy.exempt).copied().collect(),
            store: policy.store.clone().unwrap_or_else(|| shared.store.clone()),
            on_store_error: policy.on_store_error.unwrap_or(shared.on_store_error),
            fields,
        })
    }

    /// All of them, those asked before authentication first.
    pub(crate) fn all(&self) -> &[Arc<Limit>] {
        &self.limits
    }

    /// Those asked in this phase, and the place of the first of them in [`Limits::all`].
    pub(crate) fn of(&self, phase: Phase) -> (usize, &[Arc<Limit>]) {
        let (early, identified) = self.limits.split_at(self.early.min(self.limits.len()));
        match phase {
            Phase::Early => (0, early),
            Phase::Identified => (early.len(), identified),
        }
    }

    /// Whether no limit holds for this client.
    pub(crate) fn is_exempt(&self, client: IpAddr) -> bool {
        self.exempt.iter().any(|network| network.has(client))
    }
}

fn shared_limit(name: &str, limit: &config::Limit, prefix: ClientPrefix) -> Result<Limit, ConfigErrors> {
    let mut errors = ConfigErrors::new();
    errors.collect(names::check(name).map_err(|error| error.about_key()));
    if limit.name.is_some() {
        let message = format!("the limit's name is `{name}` already");
        errors.push(ConfigError::at("name", message).help("leave it out"));
    }
    let builder = limit::Builder::new(limit, prefix, None);
    let built = errors.collect(builder.build(name.into(), names::id(&["shared", name])));
    match built {
        Some(limit) => errors.into_result(limit),
        None => Err(errors),
    }
}

/// A limit of the section, for this route.
fn used(name: &str, shared: &Shared, route: &Route, names: &mut Names) -> Result<Arc<Limit>, ConfigErrors> {
    let Some((config, limit)) = shared.limits.get(name) else {
        let known: Vec<_> = shared.limits.keys().map(String::as_str).collect();
        let help = match known.is_empty() {
            true => format!("add it: ratelimit: {{ limits: {{ {name}: {{ rate: 100/15m, per: client }} }} }}"),
            false => format!("ratelimit.limits has: {}", known.join(", ")),
        };
        return Err(ConfigError::at("", format!("the section has no limit `{name}`")).help(help).into());
    };
    if !names.add(name) {
        return Err(ConfigError::at("", format!("`{name}` is used twice")).help("keep one of the two").into());
    }
    let mut errors = ConfigErrors::new();
    for mut unknown in limit::unknown_params(config, route.params()) {
        // The key stands in the section, and is right there for other routes.
        unknown.path = ConfigPath::root();
        errors.push(unknown);
    }
    errors.into_result(limit.clone())
}

/// All limits of a request are taken in one step, which two stores can't do together.
fn split_store(policy: &Policy, shared: &Shared) -> Option<ConfigError> {
    let name = policy.shared.first()?;
    let store = policy.store.as_ref().filter(|store| **store != shared.store)?;
    let message =
        format!("`{name}` is counted in `{}` with the other routes that use it, not in `{store}`", shared.store);
    Some(ConfigError::at("store", message).help("leave `store` out, or give the route a limit of its own"))
}

fn wrong_prefixes(config: &Config) -> Vec<ConfigError> {
    let bits = [("ipv4", config.client.ipv4, 32), ("ipv6", config.client.ipv6, 128)];
    let wrong = bits.into_iter().filter(|(_, bits, most)| !(1..=*most).contains(bits));
    let path = ConfigPath::from("client");
    wrong
        .map(|(key, bits, most)| {
            let message = format!("{bits} bits of an address can't be counted by");
            ConfigError::at(path.key(key), message).help(format!("write 1 to {most}"))
        })
        .collect()
}

fn wrong_store(config: &Config) -> Vec<ConfigError> {
    let mut errors = Vec::new();
    let mut refuse = |path: &str, message: &str, help: &str| errors.push(ConfigError::at(path, message).help(help));
    // Braces say which part of a name decides on the node of a Redis Cluster; the plugin sets its own.
    let clean = config.prefix.bytes().all(|b| b.is_ascii_graphic() && b != b'{' && b != b'}');
    if !clean || config.prefix.is_empty() || config.prefix.len() > 64 {
        let help = "write 1 to 64 letters, digits and signs, without spaces and braces: rl:";
        refuse("prefix", "the prefix can't be the beginning of a key", help);
    }
    if config.memory.size.bytes() < 64 * 1024 {
        refuse("memory.size", "too small to count in", "write at least 64KiB");
    }
    if config.memory.every.as_secs() == 0 {
        refuse("memory.every", "too often to write a file", "write at least 1s");
    }
    if let Consistency::Leased(lease) = config.consistency {
        let path = "consistency.leased";
        if config.store == StoreName::Memory {
            refuse(path, "the memory store counts exactly as it is", "leave it out, or name a shared `store`");
        }
        if lease.batch.basis_points() == 0 {
            refuse("consistency.leased.batch", "a batch of nothing", "write a share such as 1%");
        }
        if !(100..=60_000).contains(&lease.length.as_millis()) {
            refuse("consistency.leased.for", "a lease of this length", "write 100ms to 1m");
        }
    }
    errors
}

#[cfg(test)]
mod tests;
