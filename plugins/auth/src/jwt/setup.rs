//! From the configuration to a provider. What is wrong is said all at once.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;
use tidegate_core::{BuildCx, ConfigError, ConfigErrors, ConfigPath};

use super::algorithm::Algorithms;
use super::checks::{Audience, Checks};
use super::jwk::Origin as SetOrigin;
use super::key::VerifyKey;
use super::keys::{Keys, MOST_KEYS, MOST_TRIED};
use super::provider::JwtProvider;
use super::source::{First, Fixed, KeySource, Origin, Remote, SourceMetrics, url};
use crate::config::{self, Jwks, Jwt};
use crate::credential::Sources;
use crate::id::Id;
use crate::plugin::Parts;
use crate::verdict::Authenticator;

mod listed;
mod own;

pub(crate) use own::own;

/// A larger leeway would be a second life.
const MOST_LEEWAY: std::time::Duration = std::time::Duration::from_secs(300);
/// The largest set of keys, in bytes.
const LARGEST_SET: u64 = 1024 * 1024;

/// A provider for the tokens of others. Errors are relative to its section.
pub(crate) fn build(
    config: &Jwt,
    name: &str,
    parts: &Parts,
    cx: &mut BuildCx<'_>,
) -> Result<Arc<dyn Authenticator>, ConfigErrors> {
    let mut errors = ConfigErrors::new();
    let checks = errors.collect(checks(config, name));
    let sources = errors.collect(Sources::build(&config.sources, cx).map_err(|e| e.under(&"sources".into())));
    let keys = errors.collect(source(config, name, cx));
    let (Some(checks), Some(sources), Some(keys)) = (checks, sources, keys) else { return Err(errors) };
    let id = provider_id(name, &format!("{config:?}"));
    let strip = config.strip;
    errors.into_result(Arc::new(JwtProvider { checks, keys, sources, strip, cache: parts.cache.clone(), id }))
}

/// Names a provider with everything that its configuration says. Secrets are not in `config`; keys have prints.
fn provider_id(name: &str, config: &str) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = Id::hash(&[b"jwt", name.as_bytes(), config.as_bytes()]).0;
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

fn checks(config: &Jwt, name: &str) -> Result<Checks, ConfigErrors> {
    let mut errors = ConfigErrors::new();
    let mut wrong = |path: &str, message: &str, help: &str| errors.push(ConfigError::at(path, message).help(help));
    if config.leeway.get() > MOST_LEEWAY {
        wrong("leeway", "clocks that differ by more than 5m", "set the clocks; `leeway` is at most `5m`");
    }
    if config.max_lifetime.is_some_and(|most| most.get().is_zero()) {
        wrong("max_lifetime", "no token could be good", "write how long one may be, such as `1h`");
    }
    if config.any_audience && !config.audience.is_empty() {
        wrong("any_audience", "any audience, and some", "leave `any_audience` or `audience` out");
    }
    if config.subject.is_empty() {
        wrong("subject", "no claim", "leave it out for `sub`");
    }
    if config.issuer.as_deref() == Some("") {
        wrong("issuer", "no name", "leave it out where any issuer will do");
    }
    let lists = [
        ("audience", &config.audience),
        ("typ", &config.typ),
        ("require", &config.require),
        ("roles", &config.roles),
        ("scopes", &config.scopes),
    ];
    for (list, words) in lists {
        if let Some(index) = words.iter().position(String::is_empty) {
            errors.push(ConfigError::at(ConfigPath::from(list).index(index), "an empty word"));
        }
    }
    let discovered = config.discovery.as_ref().map(|discovery| discovery.issuer.as_str());
    let issuer = config.issuer.as_deref().or(discovered).map(Box::from);
    let audience = match (config.any_audience, &*config.audience) {
        (true, _) => Audience::Any,
        (false, []) => Audience::Nobody,
        (false, some) => Audience::OneOf(boxed(some)),
    };
    let leeway = millis(config.leeway.get());
    errors.into_result(Checks {
        provider: name.into(),
        algorithms: allowed(config),
        issuer,
        audience,
        typ: types(&config.typ),
        require: boxed(&config.require),
        equal: config
            .claims
            .iter()
            .map(|(name, value)| (Box::from(&**name), value.clone()))
            .collect::<Vec<(_, Value)>>()
            .into(),
        late: leeway,
        early: leeway,
        max_lifetime: config.max_lifetime.map(|most| millis(most.get())),
        subject: config.subject.as_str().into(),
        roles: boxed(&config.roles),
        scopes: boxed(&config.scopes),
        sessions: false,
    })
}

fn boxed(words: &[String]) -> Box<[Box<str>]> {
    words.iter().map(|word| word.as_str().into()).collect()
}

/// `application/` is left out where tokens are compared, too.
fn types(list: &[String]) -> Option<Box<[Box<str>]>> {
    let short = |typ: &String| typ.strip_prefix("application/").unwrap_or(typ).into();
    (!list.is_empty()).then(|| list.iter().map(short).collect())
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Shared secrets are only used for what they are said to be for, so that nothing needs to be left out here.
fn allowed(config: &Jwt) -> Algorithms {
    match &*config.algorithms {
        [] => Algorithms::ALL,
        some => some.iter().copied().collect(),
    }
}

/// Exactly one place for keys.
fn source(config: &Jwt, name: &str, cx: &mut BuildCx<'_>) -> Result<Arc<dyn KeySource>, ConfigErrors> {
    let help = "write one of `keys`, `jwks` and `discovery`";
    match (&*config.keys, &config.jwks, &config.discovery) {
        ([], None, None) => Err(ConfigError::at("", "no keys: no token could be checked").help(help).into()),
        ([], Some(Jwks { url: Some(text), file: None, fetch }), None) => {
            let origin = url(text).map(Origin::Set).map_err(|e| e.under(&"url".into()));
            no_secrets(config, fetched(origin, fetch, name, cx).map_err(|e| e.under(&"jwks".into())))
        }
        ([], Some(jwks), None) => filed(jwks, config, name, cx).map_err(|e| e.under(&"jwks".into())),
        ([], None, Some(discovery)) => {
            let issuer = Origin::issuer(&discovery.issuer).map_err(|e| e.under(&"issuer".into()));
            let found = fetched(issuer, &discovery.fetch, name, cx).map_err(|e| e.under(&"discovery".into()));
            no_secrets(config, found)
        }
        (keys @ [_, ..], None, None) => {
            let keys = listed::keys(keys, allowed(config))?;
            fixed(keys, name, cx)
        }
        _ => Err(ConfigError::at("", "keys from more than one place").help(help).into()),
    }
}

/// Keys of somebody else. Errors are relative to what names the origin.
fn fetched(
    origin: Result<Origin, ConfigError>,
    fetch: &config::KeySource,
    name: &str,
    cx: &mut BuildCx<'_>,
) -> Result<Arc<dyn KeySource>, ConfigErrors> {
    let mut errors = ConfigErrors::new();
    let origin = errors.collect(origin);
    let keys = Remote::open(name, origin, (fetch, First::AtOnce), cx).map_err(|e| e.under(&"fetch".into()));
    match errors.collect(keys).flatten() {
        Some(keys) => errors.into_result(keys),
        None => Err(errors),
    }
}

/// Keys that everybody can fetch are no secrets.
fn no_secrets(
    config: &Jwt,
    keys: Result<Arc<dyn KeySource>, ConfigErrors>,
) -> Result<Arc<dyn KeySource>, ConfigErrors> {
    let mut errors = ConfigErrors::new();
    let keys = errors.collect(keys);
    let at = ConfigPath::from("algorithms");
    for (index, algorithm) in config.algorithms.iter().enumerate().filter(|(_, one)| one.secret_length().is_some()) {
        let message = format!("{} needs a shared secret, and keys that are fetched are none", algorithm.as_str());
        errors.push(ConfigError::at(at.index(index), message).help("write the secret under `keys`, or take this off"));
    }
    match keys {
        Some(keys) => errors.into_result(keys),
        None => Err(errors),
    }
}

fn filed(jwks: &Jwks, config: &Jwt, name: &str, cx: &BuildCx<'_>) -> Result<Arc<dyn KeySource>, ConfigErrors> {
    let (None, Some(file)) = (&jwks.url, &jwks.file) else {
        return Err(ConfigError::at("", "a set is in one place").help("write one of `url` and `file`").into());
    };
    let mut errors = ConfigErrors::new();
    if jwks.fetch != config::KeySource::default() {
        errors.push(ConfigError::at("fetch", "a file is not fetched").help("leave `fetch` out"));
    }
    let keys = read_set(file, allowed(config), name).map_err(|e| e.under(&"file".into()));
    match errors.collect(keys) {
        Some(keys) if errors.is_empty() => fixed(keys, name, cx),
        _ => Err(errors),
    }
}

fn fixed(keys: Keys, name: &str, cx: &BuildCx<'_>) -> Result<Arc<dyn KeySource>, ConfigErrors> {
    let metrics = SourceMetrics::new(cx.metrics(), name).map_err(|error| ConfigError::at("", error.to_string()))?;
    metrics.have(keys.len());
    Ok(Arc::new(Fixed(Arc::new(keys))))
}

/// The keys of a file, of which at least one must be usable with what is allowed.
fn read_set(file: &Path, allowed: Algorithms, name: &str) -> Result<Keys, ConfigError> {
    let text = read_bounded(file, LARGEST_SET)?;
    let shown = file.display();
    let set = Keys::of_set(&text, SetOrigin::File);
    let (keys, left_out) = set.map_err(|why| ConfigError::at("", format!("{shown}: {why}")))?;
    for left in &left_out {
        match left.why.is_alarming() {
            true => log::warn!(provider = name, index = left.index, why:% = left.why; "a key of the file is not used"),
            false => {
                log::debug!(provider = name, index = left.index, why:% = left.why; "a key of the file is not used")
            }
        }
    }
    if !keys.any_for(allowed) {
        let error = ConfigError::at("", format!("{shown}: no key that could be used"));
        return Err(match left_out.first() {
            Some(left) => error.help(format!("key {}: {}", left.index, left.why)),
            None => error.help("its keys are for other `algorithms` than are taken, or it has none"),
        });
    }
    Ok(keys)
}

/// A file that is no larger than it may be.
fn read_bounded(file: &Path, largest: u64) -> Result<Vec<u8>, ConfigError> {
    let shown = file.display();
    let unreadable = |error: &std::io::Error| ConfigError::at("", format!("can't read {shown}: {error}"));
    // Looked at before it is opened: a pipe would not open before somebody writes to it.
    let metadata = file.metadata().map_err(|error| unreadable(&error))?;
    let open = || std::fs::File::open(file).map_err(|error| unreadable(&error));
    if !metadata.is_file() {
        return Err(ConfigError::at("", format!("{shown} is no file")));
    }
    let mut text = Vec::new();
    open()?.take(largest + 1).read_to_end(&mut text).map_err(|error| unreadable(&error))?;
    match text.len() as u64 > largest {
        true => Err(ConfigError::at("", format!("{shown} is larger than {} KiB", largest / 1024))),
        false => Ok(text),
    }
}

/// Whether a key would ever be tried.
fn is_tried(keys: &[VerifyKey], id: Option<&str>) -> bool {
    keys.iter().filter(|key| key.id.as_deref() == id).count() < MOST_TRIED && keys.len() < MOST_KEYS
}
