//! Routes that send the client elsewhere.

use http::{HeaderValue, StatusCode};
use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_core::{ConfigError, Cx, Endpoint, Reply, Result, Scheme, async_trait};

use crate::config::SchemeName;
use crate::host::HostPattern;
use crate::status::Status;
use crate::url::{Part, Source, UrlTemplate};

/// Sends the client elsewhere: to a URL of its own (`to`), or to the same one with another scheme, host, port or path.
///
/// ```yaml
/// redirect: { scheme: https, status: 308 }
/// ```
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RedirectConfig {
    /// Where to: a path, or a URL whose host is written out or `{host}`. Stands alone.
    pub to: Option<UrlTemplate>,
    /// The same URL with this scheme; alone, it serves only requests of the other scheme. The port is dropped.
    pub scheme: Option<SchemeName>,
    /// The same URL with this host. The port is dropped.
    pub host: Option<HostPattern>,
    /// The same URL with this port.
    pub port: Option<u16>,
    /// The same URL with this path.
    pub path: Option<UrlTemplate>,
    /// What becomes of the query of the request. Default: it is kept, unless `to` or `path` has one of its own.
    pub query: Option<QueryFate>,
    /// 301, 302, 303, 307 or 308. Default 307: not remembered by browsers, and the method stays. 308 is the same for
    /// good; 301 and 302 let browsers make a GET of a POST; 303 makes them.
    pub status: Option<Status>,
}

/// What becomes of the query of a redirected request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum QueryFate {
    /// It is appended as it came.
    Keep,
    /// It is dropped.
    Drop,
}

/// A redirect, ready to be sent.
#[derive(Debug, Clone)]
pub(crate) struct Redirect {
    status: StatusCode,
    to: UrlTemplate,
    keep_query: bool,
}

impl Redirect {
    /// Errors carry paths relative to the `redirect` section.
    pub(crate) fn new(config: &RedirectConfig) -> Result<Self, ConfigError> {
        let status = config.status.map_or(StatusCode::TEMPORARY_REDIRECT, Status::get);
        if !matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308) {
            return Err(ConfigError::at("status", "a redirect has status 301, 302, 303, 307 or 308"));
        }
        let pieces = config.scheme.is_some() || config.host.is_some() || config.port.is_some() || config.path.is_some();
        let to = match (&config.to, pieces) {
            (Some(to), false) => {
                check_target(to)?;
                to.clone()
            }
            (None, true) => UrlTemplate::of_parts(assembled(config)?),
            (Some(_), true) => {
                return Err(ConfigError::at("to", "`to` says it all: leave out scheme, host, port and path"));
            }
            (None, false) => {
                return Err(ConfigError::at("", "a redirect needs `to`, or one of scheme, host, port and path"));
            }
        };
        let own_query = to.parts().iter().any(|part| matches!(part, Part::Text(text) if text.contains(['?', '#'])));
        let keep_query = config.query.map_or(!own_query, |fate| fate == QueryFate::Keep);
        match own_query && keep_query {
            true => Err(ConfigError::at("query", "the target has a query or fragment of its own; use {query} in it")),
            false => Ok(Self { status, to, keep_query }),
        }
    }

    /// The scheme that requests must have for a redirect to change anything.
    pub(crate) fn needs_scheme(config: &RedirectConfig) -> Option<Scheme> {
        let scheme_alone = config.host.is_none() && config.port.is_none() && config.path.is_none();
        match config.scheme?.get() {
            Scheme::Https if scheme_alone => Some(Scheme::Http),
            Scheme::Http if scheme_alone => Some(Scheme::Https),
            _ => None,
        }
    }

    pub(crate) fn template(&self) -> &UrlTemplate {
        &self.to
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    fn location(&self, source: &impl Source) -> Option<HeaderValue> {
        let mut location = String::with_capacity(128);
        self.to.render(source, &mut location)?;
        if let (true, Some(query)) = (self.keep_query, source.head().query) {
            location.push('?');
            location.push_str(query);
        }
        // A browser reads `//host` as another site.
        let another_site = location.starts_with("//");
        HeaderValue::try_from(location).ok().filter(|_| !another_site)
    }
}

#[async_trait]
impl Endpoint for Redirect {
    async fn serve(&self, cx: &mut Cx<'_>) -> Result<Reply> {
        Ok(match self.location(&*cx) {
            Some(location) => Reply::redirect(self.status, location),
            None => Reply::bad_request("bad_redirect", "the request lacks what it would be redirected by"),
        })
    }
}

/// The URL of the request with some of its parts replaced.
fn assembled(config: &RedirectConfig) -> Result<Vec<Part>, ConfigError> {
    let mut parts = Vec::new();
    if config.scheme.is_some() || config.host.is_some() || config.port.is_some() {
        parts.push(config.scheme.map_or(Part::Scheme, |scheme| Part::Text(scheme.get().as_str().into())));
        parts.push(Part::Text("://".into()));
        parts.push(match &config.host {
            None => Part::Host,
            Some(HostPattern::Exact(host)) => Part::Text(host.clone()),
            Some(_) => return Err(ConfigError::at("host", "a client can only be sent to one host, not to a wildcard")),
        });
        parts.extend(config.port.map(|port| Part::Text(format!(":{port}").into())));
    }
    match &config.path {
        None => parts.push(Part::Path),
        Some(path) => {
            let rooted = match path.parts().first() {
                Some(Part::Text(text)) => text.starts_with('/') && !text.starts_with("//"),
                first => first == Some(&Part::Path),
            };
            if !rooted {
                return Err(ConfigError::at("path", "a path begins with one `/`"));
            }
            parts.extend_from_slice(path.parts());
        }
    }
    Ok(parts)
}

/// Refuses targets whose host the client could choose (CWE-601).
fn check_target(to: &UrlTemplate) -> Result<(), ConfigError> {
    let bad = |message: &str| Err(ConfigError::at("to", message));
    let text = to.to_string();
    let after_scheme = ["https://", "http://", "{scheme}://"].iter().find_map(|scheme| text.strip_prefix(scheme));
    let Some(url) = after_scheme else {
        let rooted = text == "/" || (text.starts_with('/') && !text.starts_with("//")) || text.starts_with("{path}");
        return if rooted {
            Ok(())
        } else {
            bad("a target begins with `/`, `{path}`, `http://`, `https://` or `{scheme}://`")
        };
    };
    let mut rest = url;
    loop {
        let end = rest.find(['/', '?', '#', '{']).unwrap_or(rest.len());
        let (plain, after) = rest.split_at(end);
        if plain.contains('@') || (url.len() == rest.len() && plain.is_empty() && !after.starts_with("{host}")) {
            return bad("a target needs a host, and no user");
        }
        match after.strip_prefix("{host}") {
            Some(after) => rest = after,
            None if after.starts_with('{') && !after.starts_with("{path}") => {
                return bad("the client must not choose the host it is sent to: write it out, or use {host}");
            }
            None => return Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::url::tests::{Asked, asked};

    fn config() -> RedirectConfig {
        RedirectConfig { to: None, scheme: None, host: None, port: None, path: None, query: None, status: None }
    }

    fn to(target: &str) -> RedirectConfig {
        RedirectConfig { to: Some(target.parse().expect(target)), ..config() }
    }

    fn location(config: &RedirectConfig, source: &Asked) -> Option<String> {
        let location = Redirect::new(config).expect("valid").location(source)?;
        Some(location.to_str().expect("text").to_owned())
    }

    #[test]
    fn another_scheme_keeps_host_path_and_query() {
        let config = RedirectConfig { scheme: Some(SchemeName::Https), ..config() };
        let source = Asked { query: Some("a=%20b&c"), ..asked("A.test:8080", "/x%20y/") };
        assert_eq!(location(&config, &source).as_deref(), Some("https://A.test/x%20y/?a=%20b&c"));
        assert_eq!(Redirect::needs_scheme(&config), Some(Scheme::Http));
        let config = RedirectConfig { port: Some(8443), ..config };
        assert_eq!(location(&config, &source).as_deref(), Some("https://A.test:8443/x%20y/?a=%20b&c"));
    }

    #[test]
    fn a_target_is_filled_in() {
        let source = Asked { query: Some("q=1"), params: &[("id", "7")], ..asked("a.test", "/u/7") };
        for (target, expected) in [
            ("https://www.a.test{path}", "https://www.a.test/u/7?q=1"),
            ("/users/{param.id}", "/users/7?q=1"),
            ("/users?id={param.id}&{query}", "/users?id=7&q=1"),
            ("{path}/", "/u/7/?q=1"),
            ("{scheme}://{host}:8080/", "http://a.test:8080/?q=1"),
            ("https://old.{host}/", "https://old.a.test/?q=1"),
        ] {
            assert_eq!(location(&to(target), &source).as_deref(), Some(expected), "{target}");
        }
        let dropped = RedirectConfig { query: Some(QueryFate::Drop), ..to("/x") };
        assert_eq!(location(&dropped, &source).as_deref(), Some("/x"));
    }

    #[test]
    fn nobody_is_sent_to_a_site_the_client_chose() {
        for target in [
            "//evil.test/",
            "https://{param.site}/",
            "https://{path}",
            "https://a.test{param.x}",
            "https://a.test@evil.test/",
            "https://{host}{query}",
            "https://{query}/",
            "{param.x}",
            "{host}/",
            "javascript:alert(1)",
            "users/7",
            "https:///x",
        ] {
            assert!(Redirect::new(&to(target)).is_err(), "{target}");
        }
        // Where two slashes are kept, a path can look like a host.
        assert_eq!(location(&to("{path}"), &asked("a.test", "//evil.test/")), None);
        let rest = Asked { params: &[("rest", "/evil.test")], ..asked("a.test", "/r//evil.test") };
        assert_eq!(location(&to("/{param.rest}"), &rest), None);
    }

    #[test]
    fn a_redirect_that_makes_no_sense_is_refused() {
        let status = |code: u16| Some(Status::new(code).expect("a status"));
        for config in [
            config(),
            RedirectConfig { status: status(200), ..to("/x") },
            RedirectConfig { port: Some(1), ..to("/x") },
            RedirectConfig { query: Some(QueryFate::Keep), ..to("/x?y=1") },
            RedirectConfig { host: Some("*.a.test".parse().expect("valid")), ..config() },
            RedirectConfig { path: Some("x".parse().expect("valid")), ..config() },
            RedirectConfig { path: Some("//x".parse().expect("valid")), ..config() },
        ] {
            assert!(Redirect::new(&config).is_err(), "{config:?}");
        }
    }
}
