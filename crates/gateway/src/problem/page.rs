//! An error page: a text with places for what is known of the error.

use std::fs;
use std::io::Read;
use std::path::Path;

use bytes::Bytes;
use http::HeaderValue;
use tidegate_core::ConfigError;

use super::Problem;

/// Pages are sent often and from memory.
const LONGEST: u64 = 256 * 1024;

const BUILT_IN: &str = "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
    <meta name=\"viewport\" content=\"width=device-width\">\n<title>{status} {title}</title>\n\
    <h1>{status} {title}</h1>\n<p>{detail}</p>\n<p>Request id: <code>{request_id}</code></p>\n</html>\n";

/// A page, cut at the places that are filled in.
#[derive(Debug)]
pub(super) struct Page {
    kind: Kind,
    parts: Box<[Part]>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Html,
    Json,
    Text,
}

#[derive(Debug, PartialEq, Eq)]
enum Part {
    Text(Box<str>),
    Status,
    Title,
    Detail,
    Code,
    RequestId,
}

impl Page {
    /// The page for those who want HTML but have none of their own.
    pub(super) fn built_in() -> Self {
        Self { kind: Kind::Html, parts: parse(BUILT_IN) }
    }

    /// Reads a page from a file.
    pub(super) fn read(file: &Path) -> Result<Self, ConfigError> {
        let kind = Kind::of(file).ok_or_else(|| {
            let message = format!("the kind of {} is not known", file.display());
            ConfigError::at("", message).help("name it .html, .json or .txt")
        })?;
        let text = read_text(file)?;
        let page = Self { kind, parts: parse(&text) };
        match kind {
            Kind::Json => page.proven(file),
            _ => Ok(page),
        }
    }

    /// What claims to be JSON is, with the places filled in.
    fn proven(self, file: &Path) -> Result<Self, ConfigError> {
        let sample =
            Problem { kind: "", title: "\"", status: 500, detail: "\"", code: "\"", request_id: "\"", members: None };
        let (_, body) = self.render(&sample);
        match serde_json::from_slice::<serde::de::IgnoredAny>(&body) {
            Ok(_) => Ok(self),
            Err(error) => Err(ConfigError::at("", format!("{} is no JSON: {error}", file.display()))
                .help("texts go in quotes: \"detail\": \"{detail}\"")),
        }
    }

    /// The `Content-Type` and the body.
    pub(super) fn render(&self, problem: &Problem<'_>) -> (HeaderValue, Bytes) {
        let mut body = String::with_capacity(1024);
        for part in &self.parts {
            match part {
                Part::Text(text) => body.push_str(text),
                // A number of three digits.
                Part::Status => body.extend(digits(problem.status)),
                Part::Title => self.kind.escape(problem.title, &mut body),
                Part::Detail => self.kind.escape(problem.detail, &mut body),
                Part::Code => self.kind.escape(problem.code, &mut body),
                Part::RequestId => self.kind.escape(problem.request_id, &mut body),
            }
        }
        (self.kind.content_type(), Bytes::from(body))
    }
}

fn digits(status: u16) -> [char; 3] {
    [status / 100, status / 10, status].map(|n| char::from(b'0' + (n % 10) as u8))
}

fn read_text(file: &Path) -> Result<String, ConfigError> {
    let refused = |why: &dyn std::fmt::Display| ConfigError::at("", format!("cannot read {}: {why}", file.display()));
    let mut text = String::new();
    let opened = fs::File::open(file).map_err(|error| refused(&error))?;
    opened.take(LONGEST + 1).read_to_string(&mut text).map_err(|error| refused(&error))?;
    if text.len() as u64 > LONGEST {
        return Err(refused(&"it is longer than 256 KiB").help("link to large things instead"));
    }
    Ok(text)
}

/// Cuts a text at the names that are known. Anything else in braces is style or script.
fn parse(text: &str) -> Box<[Part]> {
    let mut parts = Vec::new();
    let mut begun = 0;
    for (brace, _) in text.match_indices('{') {
        if let Some((name, part)) = place_at(&text[brace..]) {
            parts.push(Part::Text(text[begun..brace].into()));
            parts.push(part);
            begun = brace + name.len();
        }
    }
    parts.push(Part::Text(text[begun..].into()));
    parts.into()
}

fn place_at(text: &str) -> Option<(&'static str, Part)> {
    let places = [
        ("{status}", Part::Status),
        ("{title}", Part::Title),
        ("{detail}", Part::Detail),
        ("{code}", Part::Code),
        ("{request_id}", Part::RequestId),
    ];
    places.into_iter().find(|(name, _)| text.starts_with(name))
}

impl Kind {
    fn of(file: &Path) -> Option<Self> {
        match file.extension()?.to_str()? {
            "html" | "htm" => Some(Self::Html),
            "json" => Some(Self::Json),
            "txt" => Some(Self::Text),
            _ => None,
        }
    }

    fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Html => "text/html; charset=utf-8",
            Self::Json => "application/json",
            Self::Text => "text/plain; charset=utf-8",
        })
    }

    fn escape(self, text: &str, out: &mut String) {
        match self {
            Self::Html => text.chars().for_each(|c| push_html(c, out)),
            Self::Json => push_json(text, out),
            Self::Text => out.push_str(text),
        }
    }
}

/// Safe in text and in quoted attributes.
fn push_html(c: char, out: &mut String) {
    match c {
        '&' => out.push_str("&amp;"),
        '<' => out.push_str("&lt;"),
        '>' => out.push_str("&gt;"),
        '"' => out.push_str("&quot;"),
        '\'' => out.push_str("&#39;"),
        c => out.push(c),
    }
}

/// What stands between the quotes.
fn push_json(text: &str, out: &mut String) {
    let quoted = serde_json::Value::from(text).to_string();
    out.push_str(quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROBLEM: Problem<'static> = Problem {
        kind: "about:blank",
        title: "Bad Gateway",
        status: 502,
        detail: "<script>\"'&\n",
        code: "upstream_refused",
        request_id: "id-1",
        members: None,
    };

    fn page(kind: Kind, text: &str) -> String {
        let (_, body) = Page { kind, parts: parse(text) }.render(&PROBLEM);
        String::from_utf8(body.to_vec()).expect("text")
    }

    #[test]
    fn places_are_filled_in_and_other_braces_stay() {
        let text = "{status} {title} {code} {request_id}{status}{ body { color: {red} } }{}{detai{code}";
        assert_eq!(
            page(Kind::Text, text),
            "502 Bad Gateway upstream_refused id-1502{ body { color: {red} } }{}{detaiupstream_refused"
        );
    }

    #[test]
    fn what_is_filled_in_is_escaped_for_the_kind_of_page() {
        assert_eq!(page(Kind::Html, "<b>{detail}</b>"), "<b>&lt;script&gt;&quot;&#39;&amp;\n</b>");
        assert_eq!(page(Kind::Json, r#"{"d": "{detail}"}"#), r#"{"d": "<script>\"'&\n"}"#);
        assert_eq!(page(Kind::Text, "{detail}"), PROBLEM.detail);
    }

    fn refused(name: &str, content: &[u8]) -> String {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join(name);
        fs::write(&file, content).expect("written");
        Page::read(&file).expect_err(name).to_string().replace(&*folder.path().to_string_lossy(), "")
    }

    #[test]
    fn a_file_that_makes_no_page_is_refused() {
        assert_eq!(refused("a.php", b"x"), "the kind of /a.php is not known\nhelp: name it .html, .json or .txt");
        assert!(refused("a.html", &vec![b'x'; LONGEST as usize + 1]).contains("longer than 256 KiB"));
        assert!(refused("a.html", b"\xff").contains("cannot read /a.html: "));
        assert!(refused("a.json", br#"{"detail": {detail}}"#).contains("/a.json is no JSON: "));
        assert!(Page::read(Path::new("/nowhere/at/all.html")).is_err());
    }

    #[test]
    fn a_file_of_the_full_length_is_a_page() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("a.html");
        fs::write(&file, vec![b'x'; LONGEST as usize]).expect("written");
        assert_eq!(Page::read(&file).expect("a page").render(&PROBLEM).1.len() as u64, LONGEST);
    }
}
