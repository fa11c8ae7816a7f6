//! Which types of content are worth the work.

use tidegate_core::ConfigError;

/// The patterns of one route.
#[derive(Debug, Clone)]
pub(crate) struct Types(Box<[Pattern]>);

/// A media type, or one with a `*` somewhere after its slash.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Pattern {
    prefix: Box<str>,
    /// What follows the `*`; `None` where there is none.
    suffix: Option<Box<str>>,
}

/// What `default` stands for: texts, and those few others that are not compressed by themselves.
pub(crate) const DEFAULT: [&str; 20] = [
    "text/*",
    "application/json",
    "application/javascript",
    "application/*+json",
    "application/xml",
    "application/*+xml",
    "application/wasm",
    "image/svg+xml",
    "application/x-javascript",
    "application/x-ndjson",
    "application/graphql",
    "application/yaml",
    "application/rtf",
    "application/vnd.ms-fontobject",
    "font/ttf",
    "font/otf",
    "font/collection",
    "image/bmp",
    "image/x-icon",
    "image/vnd.microsoft.icon",
];

/// Events, each of which somebody waits for.
const EVENTS: &str = "text/event-stream";

impl Types {
    /// Reads patterns; `default` stands for the built-in list. The error has no path.
    pub(crate) fn parse(patterns: &[String]) -> Result<Self, (usize, ConfigError)> {
        let mut types = Vec::with_capacity(patterns.len());
        for (index, pattern) in patterns.iter().enumerate() {
            match pattern.as_str() {
                "default" => types.extend(DEFAULT.iter().filter_map(|pattern| Pattern::parse(pattern))),
                text => types.push(Pattern::parse(text).ok_or_else(|| (index, refused(text)))?),
            }
        }
        Ok(Self(types.into()))
    }

    /// Whether a `Content-Type` is one of them. `text/event-stream` is one only where it is named, and gRPC never is: its
    /// messages have a coding of their own, and its trailers must follow.
    pub(crate) fn has(&self, content_type: &[u8]) -> bool {
        let essence = essence(content_type);
        if starts_with(essence, "application/grpc") {
            return false;
        }
        let events = essence.eq_ignore_ascii_case(EVENTS.as_bytes());
        self.0.iter().any(|pattern| pattern.fits(essence) && (!events || pattern.suffix.is_none()))
    }
}

/// Whether a `Content-Type` is that of server-sent events.
pub(crate) fn is_events(content_type: &[u8]) -> bool {
    essence(content_type).eq_ignore_ascii_case(EVENTS.as_bytes())
}

impl Pattern {
    fn parse(text: &str) -> Option<Self> {
        let (kind, subtype) = text.split_once('/')?;
        let plain = |part: &str| part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte));
        let (kind, any) = if kind == "*" { ("", subtype == "*") } else { (kind, !kind.is_empty()) };
        let (before, after) = subtype.split_once('*').map_or((subtype, None), |(before, after)| (before, Some(after)));
        if !any || subtype.is_empty() || ![kind, before, after.unwrap_or_default()].into_iter().all(plain) {
            return None;
        }
        let prefix = if kind.is_empty() { String::new() } else { [kind, "/", before].concat() };
        Some(Self { prefix: prefix.into(), suffix: after.map(Box::from) })
    }

    fn fits(&self, essence: &[u8]) -> bool {
        match &self.suffix {
            None => essence.eq_ignore_ascii_case(self.prefix.as_bytes()),
            Some(suffix) => {
                let long = essence.len() > self.prefix.len() + suffix.len();
                long && starts_with(essence, &self.prefix) && ends_with(essence, suffix)
            }
        }
    }
}

/// The type without its parameters.
fn essence(content_type: &[u8]) -> &[u8] {
    content_type.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii()
}

fn starts_with(text: &[u8], prefix: &str) -> bool {
    text.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix.as_bytes()))
}

fn ends_with(text: &[u8], suffix: &str) -> bool {
    let start = text.len().checked_sub(suffix.len());
    start.and_then(|start| text.get(start..)).is_some_and(|end| end.eq_ignore_ascii_case(suffix.as_bytes()))
}

fn refused(pattern: &str) -> ConfigError {
    let message = format!("`{}` is not a media type", pattern.escape_debug());
    ConfigError::at("", message)
        .help("write one as `application/json`, `text/*` or `application/*+json`; `default` is the built-in list")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn types(patterns: &[&str]) -> Types {
        let patterns: Vec<String> = patterns.iter().map(|pattern| (*pattern).to_owned()).collect();
        Types::parse(&patterns).unwrap_or_else(|(index, error)| panic!("{index}: {error:?}"))
    }

    #[test]
    fn the_default_is_what_gets_smaller() {
        let types = types(&["default"]);
        for good in [
            "text/html",
            "TEXT/HTML; charset=utf-8",
            "application/json",
            "application/problem+json",
            "application/vnd.api+json;v=1",
            "image/svg+xml",
            "application/atom+xml",
            "application/wasm",
            "text/javascript",
        ] {
            assert!(types.has(good.as_bytes()), "{good}");
        }
        for bad in [
            "",
            "text/",
            "image/png",
            "video/mp4",
            "application/octet-stream",
            "application/zip",
            "font/woff2",
            "text/event-stream",
            "application/grpc",
            "application/grpc-web+json",
            "application/grpc+proto",
            "jpeg; text/html",
        ] {
            assert!(!types.has(bad.as_bytes()), "{bad}");
        }
    }

    #[test]
    fn patterns_have_one_star_after_the_slash() {
        assert!(types(&["*/*"]).has(b"image/png") && !types(&["*/*"]).has(b"application/grpc"));
        assert!(types(&["application/vnd.*+json"]).has(b"application/VND.x+JSON"));
        assert!(!types(&["application/*+json"]).has(b"application/+json"), "a star is something");
        assert!(
            types(&["text/event-stream"]).has(b"text/event-stream;x") && !types(&["text/*"]).has(b"text/event-stream")
        );
        for bad in ["", "json", "text/", "/html", "*/html", "text/*a*b", "te xt/html", "text/html;q=1", "Default"] {
            assert!(Types::parse(&[bad.to_owned()]).is_err(), "{bad}");
        }
    }

    #[test]
    fn every_default_is_a_pattern() {
        assert_eq!(types(&["default"]).0.len(), DEFAULT.len());
    }
}
