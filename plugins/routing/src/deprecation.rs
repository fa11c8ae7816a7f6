//! Telling clients that a route will go: `Deprecation` (RFC 9745), `Sunset` (RFC 8594) and `Link`.

use http::HeaderValue;
use http::header::{HeaderName, LINK};
use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_core::{ConfigError, ResponseHeader, Result};

use crate::date::Date;

/// Tells clients that a route will go.
///
/// ```yaml
/// deprecation: { since: 2026-01-31, sunset: 2026-12-31, link: "https://example.com/docs/v2" }
/// ```
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeprecationConfig {
    /// Since when it is not to be used any more, or from when on: `Deprecation: @1769817600`.
    pub since: Option<Date>,
    /// When it is to go: `Sunset: Thu, 31 Dec 2026 00:00:00 GMT`. Nothing happens at that time by itself.
    pub sunset: Option<Date>,
    /// Where people can read about it: `Link: <…>; rel="deprecation"`.
    pub link: Option<String>,
    /// What to use instead: `Link: <…>; rel="successor-version"`.
    pub successor: Option<String>,
}

/// The header fields, ready to be sent.
#[derive(Debug, Clone)]
pub(crate) struct Deprecation {
    fields: Vec<(HeaderName, HeaderValue)>,
    links: Vec<HeaderValue>,
}

const DEPRECATION: HeaderName = HeaderName::from_static("deprecation");
const SUNSET: HeaderName = HeaderName::from_static("sunset");

impl Deprecation {
    pub(crate) fn new(config: &DeprecationConfig) -> Result<Self, ConfigError> {
        let (since, sunset) = (config.since, config.sunset);
        if since.zip(sunset).is_some_and(|(since, sunset)| sunset < since) {
            // RFC 9745 section 4
            return Err(ConfigError::at("sunset", "a route can't go before it is deprecated (`since`)"));
        }
        let mut fields = Vec::new();
        if let Some(since) = since {
            fields.push((DEPRECATION, text(&format!("@{}", since.unix_seconds()))));
        }
        if let Some(sunset) = sunset {
            fields.push((SUNSET, text(&httpdate::fmt_http_date(sunset.system_time()))));
        }
        let links = [("link", &config.link, "deprecation"), ("successor", &config.successor, "successor-version")];
        let links = links.into_iter().filter_map(|(key, target, rel)| Some((key, target.as_ref()?, rel)));
        let links = links.map(|(key, target, rel)| link(key, target, rel)).collect::<Result<Vec<_>, _>>()?;
        match fields.is_empty() && links.is_empty() {
            true => Err(ConfigError::at("", "a deprecation says at least one of since, sunset, link and successor")),
            false => Ok(Self { fields, links }),
        }
    }

    /// Adds the fields. What the upstream says of its own deprecation gives way; its links stay.
    pub(crate) fn apply(&self, head: &mut ResponseHeader) -> Result<()> {
        for (name, value) in &self.fields {
            head.insert_header(name, value)?;
        }
        for link in &self.links {
            head.append_header(LINK, link)?;
        }
        Ok(())
    }
}

fn text(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).expect("digits and HTTP dates are visible ASCII")
}

fn link(key: &str, target: &str, rel: &str) -> Result<HeaderValue, ConfigError> {
    let bad =
        || ConfigError::at(key, format!("`{target}` is not a URL")).help("write one such as https://example.com/docs");
    let is_url = target.parse::<http::Uri>().is_ok() && !target.contains(['<', '>', '"', ' ']);
    HeaderValue::from_str(&format!("<{target}>; rel=\"{rel}\"")).ok().filter(|_| is_url).ok_or_else(bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(since: &str, sunset: &str, link: &str) -> DeprecationConfig {
        let date = |text: &str| (!text.is_empty()).then(|| text.parse().expect("a date"));
        let link = (!link.is_empty()).then(|| link.to_owned());
        DeprecationConfig { since: date(since), sunset: date(sunset), link, successor: None }
    }

    #[test]
    fn the_fields_are_those_of_the_rfcs() {
        let mut head = ResponseHeader::build(200, None).expect("valid");
        head.append_header("link", "</x>; rel=\"next\"").expect("valid");
        head.append_header("sunset", "whenever").expect("valid");
        let config = DeprecationConfig {
            successor: Some("https://a.test/v2".into()),
            ..config("2023-06-30T23:59:59Z", "2026-12-31", "https://a.test/docs")
        };
        Deprecation::new(&config).expect("valid").apply(&mut head).expect("applies");
        assert_eq!(head.headers["deprecation"], "@1688169599");
        assert_eq!(head.headers.get_all("sunset").iter().collect::<Vec<_>>(), ["Thu, 31 Dec 2026 00:00:00 GMT"]);
        assert_eq!(
            head.headers.get_all("link").iter().collect::<Vec<_>>(),
            [
                "</x>; rel=\"next\"",
                "<https://a.test/docs>; rel=\"deprecation\"",
                "<https://a.test/v2>; rel=\"successor-version\""
            ]
        );
    }

    #[test]
    fn a_deprecation_that_makes_no_sense_is_refused() {
        for config in [
            config("", "", ""),
            config("2026-02-01", "2026-01-01", ""),
            config("", "", "https://a.test/>; rel=\"evil\""),
            config("", "", "a b"),
            config("", "", "https://a.test/\r\nX: y"),
        ] {
            assert!(Deprecation::new(&config).is_err(), "{config:?}");
        }
    }
}
