//! What is wrong with the section whatever else there is: said once, where it stands.

use std::time::Duration;

use tidegate_core::{ConfigError, ConfigErrors};

use super::cookies::Cookies;
use super::tokens::Tokens;
use super::{oidc, session_cookie, totp};
use crate::config::service::Service;

/// Errors are relative to `service`. What is built of it afterwards fails for other reasons alone.
pub(crate) fn check(config: &Service) -> Result<(), ConfigErrors> {
    let mut errors = ConfigErrors::new();
    together(config, &mut errors);
    totp::check(config, &mut errors);
    oidc::check(config, &mut errors);
    errors.collect(Tokens::build(config));
    errors.collect(Cookies::build(config));
    if let Some(session) = &config.session {
        errors.collect(session_cookie::check(session).map_err(|e| e.under(&"session".into())));
    }
    errors.into_result(())
}

/// What can't work together.
fn together(config: &Service, errors: &mut ConfigErrors) {
    let refresh = &config.refresh;
    let (access, ttl) = (config.access.ttl.get(), refresh.ttl.get());
    let url = config.issuer.strip_prefix("https://").or_else(|| config.issuer.strip_prefix("http://"));
    let plain =
        |rest: &str| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'?' | b'#'));
    if !url.is_some_and(plain) {
        let error = ConfigError::at("issuer", "it must be a URL without query and fragment");
        errors.push(error.help("such as `https://api.example.com`"));
    }
    if ttl < access {
        errors.push(ConfigError::at("refresh.ttl", "refresh tokens would expire before access tokens do"));
    }
    if refresh.absolute.get() < ttl {
        errors.push(ConfigError::at("refresh.absolute", "it is shorter than `refresh.ttl`"));
    }
    if refresh.grace.get() > LONGEST_GRACE.min(ttl) {
        errors.push(ConfigError::at("refresh.grace", "it must be at most 5m, and no longer than `refresh.ttl`"));
    }
}

/// For that long a stolen token isn't noticed.
const LONGEST_GRACE: Duration = Duration::from_secs(300);
