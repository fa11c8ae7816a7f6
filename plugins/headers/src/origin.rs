//! Origins (RFC 6454), and sets of them.

use regex::Regex;
use tidegate_core::{ConfigError, ConfigErrors, ConfigPath};

use crate::config;

/// Browsers' origins are short; longer ones are not worth a regular expression's time.
const LONGEST: usize = 512;

/// The origins whose pages may read the answers.
#[derive(Debug)]
pub(crate) enum Origins {
    /// All.
    Any,
    /// Those that are listed.
    Listed(Listed),
}

/// Origins by name and by pattern.
#[derive(Debug, Default)]
pub(crate) struct Listed {
    /// Sorted. May hold `null`.
    exact: Vec<Box<str>>,
    patterns: Vec<Wildcard>,
    regexes: Vec<Regex>,
}

impl Origins {
    /// Errors have paths relative to the list's parent.
    pub(crate) fn build(entries: &[config::Origin]) -> Result<Self, ConfigErrors> {
        let mut errors = ConfigErrors::new();
        let path = ConfigPath::from("origins");
        let any = entries.iter().any(|entry| matches!(entry, config::Origin::Word(word) if word == "*"));
        if entries.is_empty() {
            errors.push(ConfigError::at(&path, "no origin may read the answers").help("list one, or leave cors out"));
        } else if any && entries.len() > 1 {
            errors.push(ConfigError::at(&path, "`*` allows all origins, so the others say nothing").help("keep one"));
        }
        let mut listed = Listed::default();
        for (index, entry) in entries.iter().enumerate().filter(|_| !any) {
            let added = listed.add(entry).map_err(|error| error.under(&path.index(index)));
            errors.collect(added);
        }
        listed.exact.sort();
        errors.into_result(if any { Origins::Any } else { Origins::Listed(listed) })
    }

    /// Whether pages of this origin may read the answers.
    pub(crate) fn has(&self, origin: &[u8]) -> bool {
        match self {
            Origins::Any => true,
            Origins::Listed(listed) => std::str::from_utf8(origin).is_ok_and(|origin| listed.has(origin)),
        }
    }

    /// Whether a page that hides where it is from is let in: any page can, by a sandboxed frame.
    pub(crate) fn has_anybody(&self) -> bool {
        self.has(b"null")
    }
}

impl Listed {
    fn has(&self, origin: &str) -> bool {
        origin.len() <= LONGEST
            && (self.exact.binary_search_by(|known| (**known).cmp(origin)).is_ok()
                || self.patterns.iter().any(|pattern| pattern.matches(origin))
                || self.regexes.iter().any(|regex| regex.is_match(origin)))
    }

    fn add(&mut self, entry: &config::Origin) -> Result<(), ConfigError> {
        match entry {
            config::Origin::Word(text) if text == "null" => self.exact.push("null".into()),
            config::Origin::Word(text) if text.contains('*') => self.patterns.push(Wildcard::parse(text)?),
            config::Origin::Word(text) => {
                Parts::parse(text)?;
                self.exact.push(text.as_str().into());
            }
            config::Origin::Map(pattern) => self.regexes.push(whole(&pattern.regex)?),
        }
        Ok(())
    }
}

/// A regular expression that must match all of an origin.
fn whole(regex: &str) -> Result<Regex, ConfigError> {
    let invalid = |error: regex::Error| {
        // The last line says what; those before it show where, which a message on one line can't.
        let error = error.to_string();
        let what = error.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
        ConfigError::at("regex", format!("not a regular expression: {what}"))
    };
    // First by itself: parentheses that don't match must not join with ours.
    Regex::new(regex).and_then(|_| Regex::new(&format!("^(?:{regex})$"))).map_err(invalid)
}

/// `scheme://host[:port]`, as browsers send it: lower case, no default port, nothing after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Parts<'a> {
    scheme: &'a str,
    host: &'a str,
    port: Option<&'a str>,
}

impl<'a> Parts<'a> {
    /// Anything of that form.
    fn split(text: &'a str) -> Option<Self> {
        let (scheme, authority) = text.split_once("://")?;
        let after_bracket = authority.rfind(']').map_or(0, |end| end + 1);
        let (host, port) = match authority[after_bracket..].split_once(':') {
            Some((rest, port)) => (&authority[..after_bracket + rest.len()], Some(port)),
            None => (authority, None),
        };
        Some(Self { scheme, host, port })
    }

    /// Only what a browser could send; `*` may stand in the host and for the port.
    fn parse(text: &'a str) -> Result<Self, ConfigError> {
        let refuse = |why: &str, help: &str| Err(ConfigError::at("", format!("{text:?} {why}")).help(help));
        let Some(parts @ Parts { scheme, host, port }) = Self::split(text) else {
            return refuse("is not an origin", "write scheme and host: https://app.example.com");
        };
        if host.contains(['/', '?', '#', '@']) || port.is_some_and(|port| port.contains(['/', '?', '#'])) {
            return refuse("has more than an origin has", "write scheme, host and port only: https://app.example.com");
        }
        if text.chars().any(|c| c.is_ascii_uppercase() || !c.is_ascii_graphic()) {
            let help = "write it as browsers send it: lower case, names beyond ASCII as xn--…";
            return refuse("would match no origin: browsers send lower-case ASCII", help);
        }
        if let ("https", Some("443")) | ("http", Some("80")) = (scheme, port) {
            return refuse("would match no origin: browsers leave the usual port out", "leave the port out");
        }
        let known_port = port.is_none_or(|port| port == "*" || port.parse::<u16>().is_ok());
        let well_formed = !scheme.is_empty() && is_host(host) && known_port;
        match well_formed && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b)) {
            true => Ok(parts),
            false => refuse("is not an origin", "write scheme and host: https://app.example.com"),
        }
    }
}

/// Characters of a host name, an address, or a host name with `*`.
fn is_host(host: &str) -> bool {
    !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._*[]:".contains(&b))
}

/// `https://*.example.com`, `http://localhost:*`.
#[derive(Debug, PartialEq, Eq)]
struct Wildcard {
    scheme: Box<str>,
    host: Host,
    port: Port,
}

#[derive(Debug, PartialEq, Eq)]
enum Host {
    Exact(Box<str>),
    /// All hosts whose name ends so; begins with a dot.
    Below(Box<str>),
}

#[derive(Debug, PartialEq, Eq)]
enum Port {
    Exact(Option<Box<str>>),
    Any,
}

impl Wildcard {
    fn parse(text: &str) -> Result<Self, ConfigError> {
        let Parts { scheme, host, port } = Parts::parse(text)?;
        let host = match host.strip_prefix('*') {
            Some(below) if below.starts_with('.') && below.len() > 1 && !below.contains('*') => {
                Host::Below(below.into())
            }
            None if !host.contains('*') => Host::Exact(host.into()),
            _ => {
                let message = format!("in {text:?} the `*` stands for part of a name");
                let help = "write https://*.example.com, or { regex: … } for more";
                return Err(ConfigError::at("", message).help(help));
            }
        };
        let port = if port == Some("*") { Port::Any } else { Port::Exact(port.map(Into::into)) };
        Ok(Self { scheme: scheme.into(), host, port })
    }

    fn matches(&self, origin: &str) -> bool {
        let Some(Parts { scheme, host, port }) = Parts::split(origin) else { return false };
        let same_port = match &self.port {
            Port::Any => port.is_none_or(|port| port.parse::<u16>().is_ok()),
            Port::Exact(exact) => exact.as_deref() == port,
        };
        scheme == &*self.scheme && same_port && self.host.matches(host)
    }
}

impl Host {
    fn matches(&self, host: &str) -> bool {
        match self {
            Host::Exact(exact) => host == &**exact,
            // The part before must be a name of its own: `https://evil.com?.example.com` is no host below.
            Host::Below(suffix) => host.strip_suffix(&**suffix).is_some_and(is_name),
        }
    }
}

fn is_name(text: &str) -> bool {
    text.split('.')
        .all(|label| !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(text: &str) -> config::Origin {
        config::Origin::Word(text.to_owned())
    }

    fn origins(entries: &[&str]) -> Origins {
        let entries: Vec<_> = entries.iter().map(|text| word(text)).collect();
        Origins::build(&entries).expect("valid")
    }

    fn regex(text: &str) -> config::Origin {
        config::Origin::Map(config::OriginPattern { regex: text.to_owned() })
    }

    #[test]
    fn an_origin_by_name_is_that_one_alone() {
        let origins = origins(&["https://app.example.com", "http://localhost:3000", "capacitor://localhost"]);
        for yes in ["https://app.example.com", "http://localhost:3000", "capacitor://localhost"] {
            assert!(origins.has(yes.as_bytes()), "{yes}");
        }
        for no in [
            "http://app.example.com",
            "https://app.example.com:8443",
            "https://app.example.com.evil.com",
            "https://evil.com/https://app.example.com",
            "https://app.example.com/",
            "https://APP.example.com",
            "https://app.example.co",
            "http://localhost",
            "null",
            "",
            "*",
        ] {
            assert!(!origins.has(no.as_bytes()), "{no}");
        }
        assert!(!origins.has(b"https://\xff"));
    }

    #[test]
    fn a_star_is_one_or_more_whole_labels() {
        let origins = origins(&["https://*.example.com"]);
        for yes in ["https://a.example.com", "https://a.b-c.example.com"] {
            assert!(origins.has(yes.as_bytes()), "{yes}");
        }
        for no in [
            "https://example.com",
            "https://.example.com",
            "https://a..example.com",
            "https://evilexample.com",
            "https://evil.com?.example.com",
            "https://evil.com#.example.com",
            "https://evil.com/.example.com",
            "https://evil.com\\.example.com",
            "https://evil.com:80.example.com",
            "https://user@evil.example.com",
            "https://a.example.com.evil.com",
            "https://a.example.com:8443",
            "http://a.example.com",
            "https://a.example.com ",
        ] {
            assert!(!origins.has(no.as_bytes()), "{no}");
        }
    }

    #[test]
    fn a_star_for_a_port_is_any_number_or_none() {
        let origins = origins(&["http://localhost:*", "http://[::1]:*"]);
        for yes in ["http://localhost", "http://localhost:1", "http://localhost:65535", "http://[::1]:8080"] {
            assert!(origins.has(yes.as_bytes()), "{yes}");
        }
        for no in ["http://localhost:", "http://localhost:99999", "http://localhost:80@evil.com", "https://localhost:1"]
        {
            assert!(!origins.has(no.as_bytes()), "{no}");
        }
    }

    #[test]
    fn a_regular_expression_must_match_the_whole_origin() {
        let origins = Origins::build(&[regex("https://pr-[0-9]+\\.example\\.com|https://x")]).expect("valid");
        assert!(origins.has(b"https://pr-12.example.com") && origins.has(b"https://x"));
        for no in ["https://pr-12.example.com.evil.com", "https://evil.com/https://x", "https://x\n"] {
            assert!(!origins.has(no.as_bytes()), "{no}");
        }
    }

    #[test]
    fn null_is_let_in_only_by_name_or_by_any() {
        assert!(!origins(&["https://a"]).has_anybody());
        assert!(origins(&["https://a", "null"]).has_anybody() && origins(&["*"]).has_anybody());
    }

    #[test]
    fn what_no_browser_sends_is_refused_with_its_remedy() {
        for (entry, start) in [
            (word("app.example.com"), "origins[0]: \"app.example.com\" is not an origin"),
            (word("https://"), "origins[0]: \"https://\" is not an origin"),
            (word("https://a.com/"), "origins[0]: \"https://a.com/\" has more than an origin has"),
            (word("https://u@a.com"), "origins[0]: \"https://u@a.com\" has more than an origin has"),
            (word("https://A.com"), "origins[0]: \"https://A.com\" would match no origin"),
            (word("https://ü.com"), "origins[0]: \"https://ü.com\" would match no origin"),
            (word("https://a.com:443"), "origins[0]: \"https://a.com:443\" would match no origin"),
            (word("https://a.com:99999"), "origins[0]: \"https://a.com:99999\" is not an origin"),
            (word("https://app*.a.com"), "origins[0]: in \"https://app*.a.com\" the `*` stands for part of a name"),
            (word("https://*"), "origins[0]: in \"https://*\" the `*` stands for part of a name"),
            (regex("a)("), "origins[0].regex: not a regular expression: unopened group"),
        ] {
            let message = Origins::build(&[entry]).expect_err("wrong").to_string();
            assert!(message.starts_with(start), "{message}");
        }
        let message = |entries: &[config::Origin]| Origins::build(entries).expect_err("wrong").to_string();
        assert!(message(&[]).starts_with("origins: no origin may read the answers"));
        assert!(message(&[word("*"), word("https://a")]).starts_with("origins: `*` allows all origins"));
    }
}
