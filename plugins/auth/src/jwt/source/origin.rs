//! Whom keys are fetched from, and what an answer must be like.

use std::sync::Arc;
use std::time::Duration;

use http::header::{ACCEPT, CACHE_CONTROL};
use http::{HeaderMap, StatusCode, Uri};
use serde_json::{Map, Value};
use tidegate_core::{Bytes, ConfigError, FetchLimits, Http};

use crate::jwt::json;
use crate::jwt::jwk::{self, LeftOut};
use crate::jwt::keys::Keys;

/// The longest answer, in bytes.
const LARGEST: usize = 1024 * 1024;
/// The longest URL, in bytes.
const LONGEST_URL: usize = 2048;

/// Whom keys are fetched from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::jwt) enum Origin {
    /// The set itself.
    Set(Uri),
    /// An issuer that says where its set is.
    Issuer { name: Box<str>, metadata: Uri },
}

/// What was fetched.
pub(super) struct Fetched {
    pub(super) keys: Keys,
    pub(super) left_out: Vec<LeftOut>,
    pub(super) max_age: Option<Duration>,
    /// What an issuer says of itself.
    pub(super) metadata: Option<Arc<Map<String, Value>>>,
}

impl Origin {
    /// An issuer (OpenID Connect Discovery 1.0 section 4).
    pub(in crate::jwt) fn issuer(name: &str) -> Result<Self, ConfigError> {
        let issuer = url(name)?;
        if issuer.query().is_some() {
            return Err(ConfigError::at("", "the name of an issuer has no query"));
        }
        let metadata = url(&format!("{}/.well-known/openid-configuration", name.trim_end_matches('/')))?;
        Ok(Self::Issuer { name: name.into(), metadata })
    }

    /// Another text for another origin.
    pub(in crate::jwt) fn key(&self) -> String {
        match self {
            Origin::Set(url) => format!("keys at {url}"),
            Origin::Issuer { name, .. } => format!("keys of {name}"),
        }
    }

    /// Its host, which is all of a URL that operators are told.
    pub(super) fn host(&self) -> &str {
        let (Origin::Set(url) | Origin::Issuer { metadata: url, .. }) = self;
        url.host().unwrap_or_default()
    }

    /// How many requests it takes.
    pub(super) fn steps(&self) -> u32 {
        match self {
            Origin::Set(_) => 1,
            Origin::Issuer { .. } => 2,
        }
    }

    pub(super) async fn fetch(&self, http: &Http, within: Duration) -> Result<Fetched, String> {
        let (answer, metadata) = match self {
            Origin::Set(set) => (get(http, set, within).await?, None),
            Origin::Issuer { name, metadata } => {
                let answer = get(http, metadata, within).await.map_err(|error| format!("metadata: {error}"))?;
                let read = set_of(name, metadata, answer.body()).map_err(|error| format!("metadata: {error}"));
                let (set, metadata) = read?;
                (get(http, &set, within).await?, Some(Arc::new(metadata)))
            }
        };
        let (keys, left_out) = Keys::of_set(answer.body(), jwk::Origin::Public)?;
        Ok(Fetched { keys, left_out, max_age: max_age(answer.headers()), metadata })
    }
}

async fn get(http: &Http, from: &Uri, within: Duration) -> Result<http::Response<Bytes>, String> {
    let request = http::Request::get(from.clone()).header(ACCEPT, "application/jwk-set+json, application/json");
    let request = request.body(Bytes::new()).map_err(|error| error.to_string())?;
    let limits = FetchLimits { within, largest: LARGEST };
    let answer = http.fetch(request, limits).await.map_err(|error| error.to_string())?;
    match answer.status() {
        StatusCode::OK => Ok(answer),
        // A redirect, too: where keys are is for the configuration to say.
        status => Err(format!("answered with {}", status.as_u16())),
    }
}

/// Where an issuer's set is, and all that it says of itself. Its metadata must be its own (section 4.3): one that answers for another could give it its
/// keys.
fn set_of(issuer: &str, metadata: &Uri, answer: &[u8]) -> Result<(Uri, Map<String, Value>), String> {
    let answer = json::object(answer)?;
    let text = |name: &str| answer.get(name).and_then(Value::as_str);
    if text("issuer") != Some(issuer) {
        return Err("its `issuer` is another than the configured one".to_owned());
    }
    let set = url(text("jwks_uri").ok_or("it has no `jwks_uri`")?).map_err(|error| format!("`jwks_uri`: {error}"))?;
    if is_https(metadata) && !is_https(&set) {
        return Err("its `jwks_uri` is without TLS, and the issuer is not".to_owned());
    }
    Ok((set, answer))
}

fn is_https(url: &Uri) -> bool {
    url.scheme() == Some(&http::uri::Scheme::HTTPS)
}

/// Reads a URL that can be asked.
pub(in crate::jwt) fn url(text: &str) -> Result<Uri, ConfigError> {
    let help = "such as https://issuer.example/jwks.json";
    let error = |message: &str| Err(ConfigError::at("", message).help(help));
    if text.len() > LONGEST_URL || text.contains('#') {
        return error("no URL that can be asked: it is too long, or has a fragment");
    }
    let Ok(url) = text.parse::<Uri>() else { return error("no URL") };
    let asked = matches!(url.scheme_str(), Some("http" | "https"));
    match url.authority() {
        Some(authority) if asked && authority.as_str().contains('@') => error("a URL with a name and a password in it"),
        Some(authority) if asked && !authority.host().is_empty() => Ok(url),
        _ => error("no whole URL of `https` or `http`"),
    }
}

/// How long an answer says that it is good (RFC 9111 section 5.2.2): `Duration::ZERO` for one that isn't to be kept.
fn max_age(headers: &HeaderMap) -> Option<Duration> {
    let lines = headers.get_all(CACHE_CONTROL).iter().filter_map(|line| line.to_str().ok());
    lines
        .flat_map(|line| line.split(','))
        .filter_map(|directive| {
            let directive = directive.trim().to_ascii_lowercase();
            match directive.as_str() {
                "no-cache" | "no-store" => Some(0),
                other => other.strip_prefix("max-age=")?.trim_matches('"').parse::<u64>().ok(),
            }
        })
        .min()
        .map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_urls_are_asked() {
        for good in ["https://a.test/jwks", "http://127.0.0.1:8080/", "https://[::1]/x?y=1", "https://a.test"] {
            assert!(url(good).is_ok(), "{good}");
        }
        let long = format!("https://a.test/{}", "a".repeat(LONGEST_URL));
        for bad in [
            "",
            "a.test",
            "/jwks",
            "ftp://a.test/",
            "file:///etc/passwd",
            "https://u:p@a.test/",
            "https://a.test/#k",
            "https://",
            &long,
        ] {
            assert!(url(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_issuer_names_itself_and_does_not_drop_tls() {
        const HTTPS: &str = "https://a.test";
        let metadata = |issuer: &str| url(&format!("{issuer}/.well-known/openid-configuration")).expect("a URL");
        let set = |issuer: &str, answer: &str| set_of(issuer, &metadata(issuer), answer.as_bytes());
        let good = r#"{"issuer":"https://a.test","jwks_uri":"https://keys.test/k"}"#;
        assert_eq!(set(HTTPS, good).map(|(url, _)| url.to_string()), Ok("https://keys.test/k".to_owned()));
        for bad in [
            r#"{"issuer":"https://a.test/","jwks_uri":"https://keys.test/k"}"#,
            r#"{"issuer":"https://evil.test","jwks_uri":"https://keys.test/k"}"#,
            r#"{"jwks_uri":"https://keys.test/k"}"#,
            r#"{"issuer":"https://a.test"}"#,
            r#"{"issuer":"https://a.test","jwks_uri":"http://keys.test/k"}"#,
            r#"{"issuer":"https://a.test","jwks_uri":"/k"}"#,
            r#"{"issuer":"https://a.test","issuer":"https://b.test","jwks_uri":"https://keys.test/k"}"#,
            "<html>",
        ] {
            assert!(set(HTTPS, bad).is_err(), "{bad}");
        }
        let plain = r#"{"issuer":"http://a.test","jwks_uri":"http://keys.test/k"}"#;
        assert!(set("http://a.test", plain).is_ok());
    }

    #[test]
    fn the_metadata_of_an_issuer_are_below_its_path() {
        for (name, at) in [
            ("https://a.test", "https://a.test/.well-known/openid-configuration"),
            ("https://a.test/", "https://a.test/.well-known/openid-configuration"),
            ("https://a.test/pool/1", "https://a.test/pool/1/.well-known/openid-configuration"),
        ] {
            let Ok(Origin::Issuer { metadata, .. }) = Origin::issuer(name) else { panic!("{name}") };
            assert_eq!(metadata.to_string(), at);
        }
        assert!(Origin::issuer("https://a.test?x=1").is_err());
    }

    #[test]
    fn the_shortest_time_that_an_answer_names_counts() {
        let age = |lines: &[&str]| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(CACHE_CONTROL, line.parse().expect("a value"));
            }
            max_age(&headers).map(|age| age.as_secs())
        };
        assert_eq!(age(&["public, Max-Age=60, must-revalidate"]), Some(60));
        assert_eq!(age(&["max-age=60", "max-age=\"30\""]), Some(30));
        assert_eq!(age(&["no-store"]), Some(0));
        assert_eq!(age(&["public"]), None);
        assert_eq!(age(&["max-age=-1", "max-age=x"]), None);
        assert_eq!(age(&[]), None);
    }
}
