//! From the configuration to rules, with all that is wrong on the way.

use std::sync::Arc;

use tidegate_core::config::Duration;
use tidegate_core::{ConfigError, ConfigErrors, ConfigPath, HeaderValue};

use super::{Bypass, Matcher, Rule, Rules, Times, Types};
use crate::config::{self, ClaimsKey, Mode, Policy};
use crate::key::{KeyRule, Sharing};

/// Longer than this nobody keeps anything (RFC 9111 section 1.2.2 has 68 years).
const LONGEST: Duration = Duration::from_secs(10 * 366 * 86_400);

impl Rules {
    /// Errors have paths from the policy.
    pub(crate) fn build(policy: &Policy, route: &Arc<str>) -> Result<Self, ConfigErrors> {
        let mut errors = ConfigErrors::new();
        let under = |key: &'static str| move |all: ConfigErrors| all.under(&ConfigPath::from(key));
        let key = errors.collect(KeyRule::build(&policy.key, route).map_err(under("key")));
        let bypass = errors.collect(Bypass::build(&policy.bypass).map_err(under("bypass")));
        let status = errors.collect(policy.status.as_deref().map(statuses).transpose());
        let types = errors.collect(policy.content_types.as_deref().map(Types::build).transpose());
        let negative = errors.collect(negative(policy));
        let rules = errors.collect(rules(policy));
        errors.collect(check_mode(policy));
        errors.collect(check_times(policy));
        let (Some(key), Some(bypass), Some(status), Some(types), Some(negative), Some(rules)) =
            (key, bypass, status, types, negative, rules)
        else {
            return Err(errors);
        };
        errors.into_result(Self {
            key,
            sharing: Sharing::new(policy),
            bypass,
            status,
            types,
            times: times(policy),
            negative,
            heuristic: policy.heuristic,
            set_cookie: policy.set_cookie,
            respect_client: policy.respect_client,
            rules,
        })
    }
}

fn times(policy: &Policy) -> Times {
    Times {
        default: policy.default_ttl.get(),
        fixed: policy.override_ttl.map(Duration::get),
        most: policy.max_ttl.map(Duration::get),
        least: policy.min_ttl.map(Duration::get),
        while_revalidate: policy.stale_while_revalidate.get(),
        if_error: policy.stale_if_error.get(),
    }
}

fn statuses(list: &[u16]) -> Result<Box<[u16]>, ConfigErrors> {
    let mut errors = ConfigErrors::new();
    if list.is_empty() {
        errors
            .push(ConfigError::at("status", "without any status nothing is ever stored").help("leave it out for all"));
    }
    for (index, status) in list.iter().enumerate().filter(|(_, status)| !may_be_stored(**status)) {
        let at = ConfigPath::from("status").index(index);
        errors.push(ConfigError::at(at, format!("{status} is no status that can be stored")).help(CAN_BE));
    }
    errors.into_result(list.into())
}

const CAN_BE: &str = "those from 200 to 599 can, but 206, 304 and 416: a part of something is not stored";

/// Whether an answer of this status can be stored at all.
pub(crate) fn may_be_stored(status: u16) -> bool {
    (200..600).contains(&status) && !matches!(status, 206 | 304 | 416)
}

fn negative(policy: &Policy) -> Result<Box<[(u16, std::time::Duration)]>, ConfigErrors> {
    let mut errors = ConfigErrors::new();
    let mut list = Vec::with_capacity(policy.negative.len());
    let given = policy.negative != Policy::default().negative;
    for (key, ttl) in &policy.negative {
        let at = ConfigPath::from("negative").key(key);
        let status = key.parse::<u16>().ok().filter(|status| (300..600).contains(status) && may_be_stored(*status));
        match status {
            None => {
                let error = ConfigError::at(at, format!("`{key}` is no status of an error")).about_key();
                errors.push(error.help("the keys are statuses from 300 to 599, but 304 and 416: `\"404\": 10s`"));
            }
            Some(status) if given && policy.status.as_ref().is_some_and(|list| !list.contains(&status)) => {
                let error = ConfigError::at(at, format!("{status} is not one of `status`, so it is never stored"));
                errors.push(error.about_key().help("add it there, or remove it here"));
            }
            Some(_) if *ttl > LONGEST => errors.push(too_long(at)),
            Some(status) => list.push((status, ttl.get())),
        }
    }
    errors.into_result(list.into())
}

fn too_long(at: ConfigPath) -> ConfigError {
    ConfigError::at(at, "longer than ten years").help("`365d` is as good as for ever")
}

fn check_mode(policy: &Policy) -> Result<(), ConfigErrors> {
    let contradiction = match (policy.mode, policy.anonymous) {
        (Mode::Public, Some(_)) => Some(("anonymous", "with `mode: public` it makes no difference who asks")),
        (Mode::PrivatePerIdentity, _) if policy.key.identity => {
            Some(("key.identity", "with `mode: private_per_identity` it is in the key anyway"))
        }
        (Mode::Public, _) if !policy.key.identity && policy.key.claims != ClaimsKey::All => {
            Some(("key.claims", "without `key.identity` nobody has answers of their own"))
        }
        _ => None,
    };
    contradiction.map_or(Ok(()), |(at, why)| {
        let at = at.split('.').fold(ConfigPath::root(), |path, key| path.key(key));
        Err(ConfigError::at(at, why).help("leave it out").into())
    })
}

fn check_times(policy: &Policy) -> Result<(), ConfigErrors> {
    let mut errors = ConfigErrors::new();
    let all = [
        ("default_ttl", Some(policy.default_ttl)),
        ("override_ttl", policy.override_ttl),
        ("max_ttl", policy.max_ttl),
        ("min_ttl", policy.min_ttl),
        ("stale_while_revalidate", Some(policy.stale_while_revalidate)),
        ("stale_if_error", Some(policy.stale_if_error)),
    ];
    let long = all.iter().filter(|(_, ttl)| ttl.is_some_and(|ttl| ttl > LONGEST));
    long.for_each(|(key, _)| errors.push(too_long(ConfigPath::from(*key))));
    if let (Some(least), Some(most)) = (policy.min_ttl, policy.max_ttl)
        && least > most
    {
        errors.push(ConfigError::at("min_ttl", format!("more than `max_ttl`, which is {most}")));
    }
    let fixed = policy.override_ttl.is_some();
    for (key, _) in
        [("max_ttl", policy.max_ttl), ("min_ttl", policy.min_ttl)].iter().filter(|(_, ttl)| fixed && ttl.is_some())
    {
        let error = ConfigError::at(*key, "with `override_ttl` there is nothing to be limited");
        errors.push(error.help("keep one of them"));
    }
    errors.into_result(())
}

fn rules(policy: &Policy) -> Result<Box<[Rule]>, ConfigErrors> {
    let mut errors = ConfigErrors::new();
    let mut rules = Vec::with_capacity(policy.rules.len());
    for (index, config) in policy.rules.iter().enumerate() {
        let at = ConfigPath::from("rules").index(index);
        rules.extend(errors.collect(rule(config, times(policy)).map_err(|errors| errors.under(&at))));
    }
    errors.into_result(rules.into())
}

fn rule(config: &config::Rule, base: Times) -> Result<Rule, ConfigErrors> {
    let mut errors = ConfigErrors::new();
    let matcher = Matcher::build(&config.matches).map_err(|errors| errors.under(&ConfigPath::from("match")));
    let matcher = errors.collect(matcher);
    let cache_control = errors.collect(config.cache_control.as_deref().map(client_directives).transpose());
    let all = [
        ("default_ttl", config.default_ttl),
        ("override_ttl", config.override_ttl),
        ("max_ttl", config.max_ttl),
        ("stale_while_revalidate", config.stale_while_revalidate),
        ("stale_if_error", config.stale_if_error),
    ];
    for (key, _) in all.iter().filter(|(_, ttl)| ttl.is_some_and(|ttl| ttl > LONGEST)) {
        errors.push(too_long(ConfigPath::from(*key)));
    }
    if config.override_ttl.is_some() && config.max_ttl.is_some() {
        let error = ConfigError::at("max_ttl", "with `override_ttl` there is nothing to be limited");
        errors.push(error.help("keep one of them"));
    }
    if cache_control.as_ref().is_some_and(Option::is_none) && all.iter().all(|(_, ttl)| ttl.is_none()) {
        errors.push(ConfigError::at("", "the rule changes nothing").help("give it a `cache_control` or a time"));
    }
    let (Some(matcher), Some(cache_control)) = (matcher, cache_control) else { return Err(errors) };
    let get = |given: Option<Duration>, base: std::time::Duration| given.map_or(base, Duration::get);
    let times = Times {
        default: get(config.default_ttl, base.default),
        fixed: config.override_ttl.map(Duration::get).or(base.fixed),
        most: config.max_ttl.map(Duration::get).or(base.most),
        least: base.least,
        while_revalidate: get(config.stale_while_revalidate, base.while_revalidate),
        if_error: get(config.stale_if_error, base.if_error),
    };
    errors.into_result(Rule { matcher, times, cache_control })
}

fn client_directives(text: &str) -> Result<HeaderValue, ConfigErrors> {
    let refused = |why: &str| {
        let error = ConfigError::at("cache_control", why.to_owned());
        ConfigErrors::from(error.help("such as `public, max-age=31536000, immutable` or `no-cache`"))
    };
    if text.trim().is_empty() {
        return Err(refused("says nothing"));
    }
    HeaderValue::from_str(text.trim()).map_err(|_| refused("is not the value of a header field"))
}
