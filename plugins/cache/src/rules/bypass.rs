//! Requests that have nothing to do with the cache.

use tidegate_core::{ConfigError, ConfigErrors, ConfigPath, HeaderName, HeaderValue, RequestHead, header};

use super::paths::Globs;
use crate::config;
use crate::key::Names;

/// Which requests bypass the cache.
#[derive(Debug, Default)]
pub(crate) struct Bypass {
    cookies: Names,
    headers: Box<[(HeaderName, Option<HeaderValue>)]>,
    query: Names,
    paths: Globs,
}

impl Bypass {
    /// Errors have paths from `bypass`.
    pub(super) fn build(config: &config::Bypass) -> Result<Self, ConfigErrors> {
        let mut errors = ConfigErrors::new();
        let under = |key: &'static str| move |all: ConfigErrors| all.under(&ConfigPath::from(key));
        let cookies = errors.collect(Names::build(&config.cookies).map_err(under("cookies")));
        let query = errors.collect(Names::build(&config.query).map_err(under("query")));
        let paths = errors.collect(Globs::build(&config.paths).map_err(under("paths")));
        let mut headers = Vec::with_capacity(config.headers.len());
        for (name, value) in &config.headers {
            headers.extend(errors.collect(field(name, value)));
        }
        errors.into_result(Self {
            cookies: cookies.unwrap_or_default(),
            headers: headers.into(),
            query: query.unwrap_or_default(),
            paths: paths.unwrap_or_default(),
        })
    }

    pub(crate) fn fits(&self, head: &RequestHead<'_>) -> bool {
        let has = |name: &HeaderName, value: &Option<HeaderValue>| match value {
            None => head.headers.contains_key(name),
            Some(value) => head.headers.get_all(name).iter().any(|given| given == value),
        };
        let cookies = || {
            let lines = head.headers.get_all(header::COOKIE).iter();
            !self.cookies.is_empty() && lines.map(HeaderValue::as_bytes).any(|line| self.cookies.meet_cookies(line))
        };
        self.headers.iter().any(|(name, value)| has(name, value))
            || cookies()
            || self.query.meet_query(head.query)
            || self.paths.have(head.path)
    }
}

fn field(name: &str, value: &str) -> Result<(HeaderName, Option<HeaderValue>), ConfigError> {
    let at = ConfigPath::from("headers").key(name);
    let wrong = |what: &str| ConfigError::at(at.clone(), format!("not {what} of a header field"));
    let parsed = name.parse().map_err(|_| wrong("the name").about_key())?;
    match value {
        "*" => Ok((parsed, None)),
        value => Ok((parsed, Some(value.parse().map_err(|_| wrong("the value"))?))),
    }
}
