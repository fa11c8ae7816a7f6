//! What is likely a mistake in providers of tokens, though it can be checked.

use http::Uri;
use tidegate_core::{ConfigError, ConfigErrors, ConfigPath};

use crate::config::{Jwks, Jwt};

/// Warnings, relative to the provider's section.
pub(crate) fn warnings(config: &Jwt) -> ConfigErrors {
    let mut found = ConfigErrors::new();
    let says_who = config.issuer.is_some() || config.discovery.is_some();
    if !says_who && config.audience.is_empty() {
        let warning = ConfigError::at("", "neither `issuer` nor `audience` is said: whatever its keys sign is taken");
        let help =
            "a token that the same issuer made for another service is good here, too; name `issuer` and `audience`";
        found.push(warning.help(help));
    }
    let set = config.jwks.as_ref().and_then(|Jwks { url, .. }| url.as_deref()).map(|url| ("jwks.url", url));
    let issuer = config.discovery.as_ref().map(|discovery| ("discovery.issuer", discovery.issuer.as_str()));
    for (at, _) in set.into_iter().chain(issuer).filter(|(_, url)| is_in_the_clear(url)) {
        let warning = ConfigError::at(ConfigPath::from(at), "keys are fetched without TLS");
        found.push(warning.help("whoever is on the way can give the gateway keys of their own: use https"));
    }
    found
}

/// Whether what comes from there may be somebody else's: by `http`, and not from this machine.
pub(crate) fn is_in_the_clear(url: &str) -> bool {
    let Ok(url) = url.parse::<Uri>() else { return false };
    let host = url.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    let is_loopback = match host.parse::<std::net::IpAddr>() {
        Ok(address) => address.to_canonical().is_loopback(),
        // RFC 6761 section 6.3.
        Err(_) => host.eq_ignore_ascii_case("localhost") || host.to_ascii_lowercase().ends_with(".localhost"),
    };
    url.scheme_str() == Some("http") && !is_loopback
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(yaml: &str) -> String {
        warnings(&serde_yaml::from_str(yaml).expect("a provider")).to_string()
    }

    #[test]
    fn a_provider_that_takes_whatever_its_keys_sign_is_told() {
        let jwks = "jwks: { url: 'https://a.example/jwks.json' }";
        for more in ["", ", any_audience: true"] {
            assert!(told(&format!("{{ {jwks}{more} }}")).contains("neither `issuer` nor `audience`"), "{more}");
        }
        for more in ["issuer: a", "audience: [a]", "issuer: a, any_audience: true"] {
            assert_eq!(told(&format!("{{ {jwks}, {more} }}")), "", "{more}");
        }
        assert_eq!(told("{ discovery: { issuer: 'https://a.example' } }"), "");
    }

    #[test]
    fn keys_that_come_in_the_clear_are_told_unless_they_come_from_here() {
        for (url, clear) in [
            ("http://a.example/jwks.json", true),
            ("http://10.0.0.1/jwks.json", true),
            ("http://[2001:db8::1]:80/jwks.json", true),
            ("http://localhost.example/", true),
            ("https://a.example/jwks.json", false),
            ("http://localhost:8080/jwks.json", false),
            ("http://issuer.localhost/", false),
            ("http://127.0.0.1:1/", false),
            ("http://[::1]/", false),
        ] {
            let jwks = told(&format!("{{ issuer: a, jwks: {{ url: '{url}' }} }}"));
            assert_eq!(jwks.contains("jwks.url: keys are fetched without TLS"), clear, "{url}: {jwks}");
            let discovery = told(&format!("{{ discovery: {{ issuer: '{url}' }} }}"));
            assert_eq!(discovery.contains("discovery.issuer: keys are"), clear, "{url}: {discovery}");
        }
    }
}
