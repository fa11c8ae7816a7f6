//! URLs with parts of the request in them: `https://www.example.com/users/{param.id}`.

use std::fmt;
use std::str::FromStr;

use tidegate_core::{Cx, RequestHead};

use crate::text::text_type;

/// A path or URL with parts of the request in braces.
///
/// Only parts that are safe in a URL: they were part of one, and have been normalised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UrlTemplate {
    text: Box<str>,
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    Text(Box<str>),
    Scheme,
    Host,
    Path,
    Query,
    Param(Box<str>),
}

/// A text that is no template of a URL.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum UrlTemplateError {
    #[error("`{{{0}}}` can't be used in a URL; scheme, host, path, query and param.<name> can")]
    Unknown(Box<str>),
    #[error("`{{` and `}}` don't pair up; write a brace as %7B or %7D")]
    Brace,
    #[error("`{0}` can't be part of a URL; write it percent-encoded")]
    Character(char),
}

/// What a template takes its parts from.
pub(crate) trait Source {
    /// The request's head.
    fn head(&self) -> RequestHead<'_>;
    /// What the route's path captured.
    fn param(&self, name: &str) -> Option<&str>;
}

impl Source for Cx<'_> {
    fn head(&self) -> RequestHead<'_> {
        Cx::head(self)
    }

    fn param(&self, name: &str) -> Option<&str> {
        Cx::param(self, name)
    }
}

impl UrlTemplate {
    pub(crate) fn of_parts(parts: Vec<Part>) -> Self {
        Self { text: parts.iter().map(ToString::to_string).collect(), parts }
    }

    pub(crate) fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// The parameters it takes from the path.
    pub(crate) fn params(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Param(name) => Some(&**name),
            _ => None,
        })
    }

    /// Adds the text for this request to `out`; `None`, with a part of it written, when something is missing.
    pub(crate) fn render(&self, source: &impl Source, out: &mut String) -> Option<()> {
        let head = source.head();
        for part in &self.parts {
            out.push_str(match part {
                Part::Text(text) => text,
                Part::Scheme => head.scheme.as_str(),
                Part::Host => Some(head.host()).filter(|host| !host.is_empty())?,
                Part::Path => head.path,
                Part::Query => head.query?,
                Part::Param(name) => source.param(name)?,
            });
        }
        Some(())
    }
}

impl FromStr for UrlTemplate {
    type Err = UrlTemplateError;

    fn from_str(text: &str) -> Result<Self, UrlTemplateError> {
        if let Some(bad) =
            text.chars().find(|c| !c.is_ascii_graphic() || matches!(c, '"' | '<' | '>' | '\\' | '^' | '`' | '|'))
        {
            return Err(UrlTemplateError::Character(bad));
        }
        let (mut parts, mut rest) = (Vec::new(), text);
        while let Some((plain, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}').ok_or(UrlTemplateError::Brace)?;
            push_text(plain, &mut parts)?;
            parts.push(Part::named(name)?);
            rest = after;
        }
        push_text(rest, &mut parts)?;
        Ok(Self { text: text.into(), parts })
    }
}

fn push_text(text: &str, parts: &mut Vec<Part>) -> Result<(), UrlTemplateError> {
    if text.contains('}') {
        return Err(UrlTemplateError::Brace);
    }
    if !text.is_empty() {
        parts.push(Part::Text(text.into()));
    }
    Ok(())
}

impl Part {
    fn named(name: &str) -> Result<Self, UrlTemplateError> {
        match name {
            "scheme" => Ok(Part::Scheme),
            "host" => Ok(Part::Host),
            "path" => Ok(Part::Path),
            "query" => Ok(Part::Query),
            _ => match name.strip_prefix("param.") {
                Some(param) if !param.is_empty() => Ok(Part::Param(param.into())),
                _ => Err(UrlTemplateError::Unknown(name.into())),
            },
        }
    }
}

text_type!(
    UrlTemplate,
    "UrlTemplate",
    "A path or URL with parts of the request in braces: `{scheme}`, `{host}` (without port), `{path}`, `{query}`, `{param.<name>}`."
);

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Part::Text(text) => f.write_str(text),
            Part::Scheme => f.write_str("{scheme}"),
            Part::Host => f.write_str("{host}"),
            Part::Path => f.write_str("{path}"),
            Part::Query => f.write_str("{query}"),
            Part::Param(name) => write!(f, "{{param.{name}}}"),
        }
    }
}

impl fmt::Display for UrlTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::net::IpAddr;

    use http::{HeaderMap, Method};
    use tidegate_core::Scheme;

    use super::*;

    /// A request of which only the URL matters.
    pub(crate) struct Asked {
        pub(crate) authority: &'static str,
        pub(crate) path: &'static str,
        pub(crate) query: Option<&'static str>,
        pub(crate) params: &'static [(&'static str, &'static str)],
        pub(crate) headers: HeaderMap,
    }

    pub(crate) fn asked(authority: &'static str, path: &'static str) -> Asked {
        Asked { authority, path, query: None, params: &[], headers: HeaderMap::new() }
    }

    impl Source for Asked {
        fn head(&self) -> RequestHead<'_> {
            RequestHead {
                method: &Method::GET,
                authority: self.authority,
                path: self.path,
                query: self.query,
                headers: &self.headers,
                client: IpAddr::from([127, 0, 0, 1]),
                scheme: Scheme::Http,
                listener: "main",
            }
        }

        fn param(&self, name: &str) -> Option<&str> {
            self.params.iter().find(|(key, _)| *key == name).map(|(_, value)| *value)
        }
    }

    fn rendered(template: &str, source: &Asked) -> Option<String> {
        let mut out = String::new();
        template.parse::<UrlTemplate>().expect(template).render(source, &mut out)?;
        Some(out)
    }

    #[test]
    fn parts_of_the_request_are_filled_in() {
        let source = Asked { query: Some("a=1"), params: &[("id", "7")], ..asked("a.test:8080", "/u/7") };
        assert_eq!(
            rendered("{scheme}://{host}/x/{param.id}{path}?{query}", &source).as_deref(),
            Some("http://a.test/x/7/u/7?a=1")
        );
        assert_eq!(rendered("/{param.other}", &source), None);
        assert_eq!(rendered("/?{query}", &asked("", "/")), None);
        assert_eq!(rendered("https://{host}/", &asked("", "/")), None);
    }

    #[test]
    fn what_is_unsafe_in_a_url_is_refused() {
        for (text, error) in [
            ("{header.x}", UrlTemplateError::Unknown("header.x".into())),
            ("{param.}", UrlTemplateError::Unknown("param.".into())),
            ("{path", UrlTemplateError::Brace),
            ("path}", UrlTemplateError::Brace),
            ("{path}}", UrlTemplateError::Brace),
            ("/a b", UrlTemplateError::Character(' ')),
            ("/a\\b", UrlTemplateError::Character('\\')),
            ("/ü", UrlTemplateError::Character('ü')),
        ] {
            assert_eq!(text.parse::<UrlTemplate>(), Err(error), "{text}");
        }
    }
}
