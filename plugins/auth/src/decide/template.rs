//! Texts with `{parameters}` of the path in them: `doc:{id}`.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use tidegate_core::{Asked, ConfigError, Route};

use super::claims::{has_param, unknown_param};
use super::decode;

/// A text with parameters of one route's path. `{{` and `}}` stand for braces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Template(Box<[Part]>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(Box<str>),
    Param(Box<str>),
}

impl Template {
    /// The error carries no path.
    pub(super) fn parse(text: &str, route: &Route) -> Result<Self, ConfigError> {
        let parts = parts(text)?;
        let unknown = parts.iter().find_map(|part| match part {
            Part::Param(name) if !has_param(route, name) => Some(name),
            _ => None,
        });
        if let Some(name) = unknown {
            return Err(unknown_param(name, route));
        }
        let adjacent = |pair: &[Part]| matches!(pair, [Part::Param(_), Part::Param(_)]);
        if parts.windows(2).any(adjacent) {
            // `{a}{b}` is the same for `x`, `yz` and for `xy`, `z`.
            let error = ConfigError::at("", "two parameters with nothing between can be read in several ways");
            return Err(error.help("put something between them: `{a}:{b}`"));
        }
        Ok(Self(parts))
    }

    /// The text for a request. `None` where a parameter has more than one reading, or none: then nobody may.
    pub(super) fn render(&self, asked: &Asked<'_>) -> Option<String> {
        let mut out = String::new();
        for (index, part) in self.0.iter().enumerate() {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Param(name) => {
                    let value = decode::param(asked, name)?;
                    // In `{a}:{b}`, a colon in the first would make two resources one; in `{a}::{b}`, one at its end.
                    if self.separator_after(index).is_some_and(|separator| !ends_first(&value, separator)) {
                        return None;
                    }
                    out.push_str(&value);
                }
            }
        }
        Some(out)
    }

    /// The same where the text is a URL: parameters are encoded, so that they are nothing but data in it.
    pub(super) fn render_url(&self, asked: &Asked<'_>) -> Option<String> {
        let mut out = String::new();
        for part in &self.0 {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Param(name) => {
                    // Encoded dots are dot segments all the same (RFC 3986 section 6.2.2.2).
                    let value = decode::param(asked, name).filter(|value| !matches!(&**value, "." | ".."))?;
                    out.extend(utf8_percent_encode(&value, DATA));
                }
            }
        }
        Some(out)
    }

    /// What comes between this parameter and the next, if another follows.
    fn separator_after(&self, index: usize) -> Option<&str> {
        match self.0.get(index + 1..)? {
            [Part::Text(text), Part::Param(_), ..] => Some(text),
            _ => None,
        }
    }

    /// The text before the first parameter.
    pub(super) fn start(&self) -> &str {
        match self.0.first() {
            Some(Part::Text(text)) => text,
            _ => "",
        }
    }

    /// The names of its parameters.
    pub(super) fn params(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|part| match part {
            Part::Param(name) => Some(&**name),
            Part::Text(_) => None,
        })
    }
}

/// Whether the separator after this value is the first in both together.
fn ends_first(value: &str, separator: &str) -> bool {
    let overlaps = (1..separator.len()).any(|at| match (separator.get(..at), separator.get(at..)) {
        // The separator begins in the value, and the rest of it is what the separator itself begins with.
        (Some(begin), Some(rest)) => value.ends_with(begin) && separator.starts_with(rest),
        _ => false,
    });
    !overlaps && !value.contains(separator)
}

/// RFC 3986 section 2.3: everything but unreserved characters.
const DATA: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

fn parts(text: &str) -> Result<Box<[Part]>, ConfigError> {
    let unbalanced = |brace: &str| {
        let error = ConfigError::at("", format!("`{brace}` without the other"));
        error.help("write `{name}` for a path parameter, `{{` and `}}` for braces")
    };
    let (mut parts, mut plain, mut rest) = (Vec::new(), String::new(), text);
    while let Some(at) = rest.find(['{', '}']) {
        let (before, after) = rest.split_at(at);
        plain.push_str(before);
        rest = if let Some(after) = after.strip_prefix("{{") {
            plain.push('{');
            after
        } else if let Some(after) = after.strip_prefix("}}") {
            plain.push('}');
            after
        } else {
            let inside = after.strip_prefix('{').ok_or_else(|| unbalanced("}"))?;
            let (name, after) = inside.split_once('}').ok_or_else(|| unbalanced("{"))?;
            flush(&mut plain, &mut parts);
            parts.push(Part::Param(name.trim().into()));
            after
        };
    }
    plain.push_str(rest);
    flush(&mut plain, &mut parts);
    Ok(parts.into())
}

fn flush(plain: &mut String, parts: &mut Vec<Part>) {
    if !plain.is_empty() {
        parts.push(Part::Text(std::mem::take(plain).into()));
    }
}

impl std::fmt::Display for Template {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|part| match part {
            Part::Text(text) => f.write_str(text),
            Part::Param(name) => write!(f, "{{{name}}}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::tests::{ask, route};

    fn parse(text: &str) -> Result<Template, String> {
        Template::parse(text, &route(&["a", "b"])).map_err(|error| error.to_string())
    }

    #[test]
    fn parameters_are_decoded() {
        let template = parse("doc:{a}{{}}").expect("a template");
        assert_eq!(ask("/jos%C3%A9", &[("a", 1..10)], |asked| template.render(asked)).as_deref(), Some("doc:josé{}"));
        assert_eq!(ask("/a%00", &[("a", 1..5)], |asked| template.render(asked)), None, "a NUL");
        assert_eq!(ask("/a;b", &[("a", 1..4)], |asked| template.render(asked)), None, "two readings");
        assert_eq!(ask("/x", &[], |asked| template.render(asked)), None, "no such parameter");
    }

    #[test]
    fn two_resources_never_have_one_name() {
        let template = parse("{a}:{b}").expect("a template");
        let render = |path, a, b| ask(path, &[("a", a), ("b", b)], |asked| template.render(asked));
        assert_eq!(render("/x/y:z", 1..2, 3..6).as_deref(), Some("x:y:z"));
        assert_eq!(render("/x:y/z", 1..4, 5..6), None);
        let template = parse("{a}::{b}").expect("a template");
        let render = |path, a, b| ask(path, &[("a", a), ("b", b)], |asked| template.render(asked));
        assert_eq!(render("/x/:y", 1..2, 3..5).as_deref(), Some("x:::y"));
        assert_eq!(render("/x:/y", 1..3, 4..5), None, "the same, read otherwise");
        assert!(parse("{a}{b}").expect_err("ambiguous").contains("several ways"));
    }

    #[test]
    fn in_a_url_parameters_are_data() {
        let template = parse("http://x/{a}?b={b}").expect("a template");
        let render = |path, a, b| ask(path, &[("a", a), ("b", b)], |asked| template.render_url(asked));
        assert_eq!(render("/p%2Fq/r&s=%231", 1..6, 7..15).as_deref(), Some("http://x/p%2Fq?b=r%26s%3D%231"));
        assert_eq!(render("/../r", 1..3, 4..5), None);
        assert_eq!(render("/%2E%2E/r", 1..7, 8..9), None);
    }

    #[test]
    fn what_is_no_template_is_refused_with_its_remedy() {
        for (text, message) in [("{a", "`{` without"), ("a}", "`}` without"), ("{c}", "this route's path has: a, b")] {
            let error = parse(text).expect_err(text);
            assert!(error.contains(message), "{text}: {error}");
        }
    }
}
