//! What is said of methods. `GET` speaks for `HEAD` where that isn't named itself (RFC 9110 section 9.3.2: it is `GET`
//! without the body), and no spelling of a method passes by what is said of it: lenient upstreams read `delete` as
//! `DELETE`.

use std::borrow::Cow;
use std::collections::BTreeMap;

use tidegate_core::config::{MethodError, parse_method};
use tidegate_core::{ConfigError, ConfigErrors, ConfigPath, Method};

/// A method's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct MethodName(Box<str>);

impl MethodName {
    /// The error carries no path.
    pub(super) fn parse(text: &str) -> Result<Self, ConfigError> {
        match parse_method(text) {
            Ok(method) => Ok(Self(method.as_str().into())),
            Err(MethodError::Case(upper)) => {
                Err(ConfigError::at("", "methods are case-sensitive").help(format!("write `{upper}`")))
            }
            Err(MethodError::NoMethod(_)) => {
                Err(ConfigError::at("", "this is not a method").help("write one such as `GET` or `DELETE`"))
            }
        }
    }

    pub(super) fn is(&self, method: &Method) -> bool {
        self.0.eq_ignore_ascii_case(method.as_str())
    }
}

impl std::fmt::Display for MethodName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// A set of methods.
#[derive(Debug)]
pub(super) struct Methods(Box<[MethodName]>);

impl Methods {
    /// Errors are relative to the list.
    pub(super) fn parse(names: &[String]) -> Result<Self, ConfigErrors> {
        let mut errors = ConfigErrors::new();
        if names.is_empty() {
            errors.push(ConfigError::at("", "a rule for no method is never asked").help("name methods: [DELETE]"));
        }
        let parse = |(index, name): (usize, &String)| {
            let name = MethodName::parse(name).map_err(|error| error.under(&ConfigPath::root().index(index)));
            errors.collect(name)
        };
        let names = names.iter().enumerate().filter_map(parse).collect();
        errors.into_result(Self(names))
    }

    pub(super) fn contain(&self, method: &Method) -> bool {
        let named = |method: &Method| self.0.iter().any(|name| name.is(method));
        named(method) || (is_head(method) && named(&Method::GET))
    }
}

impl std::fmt::Display for Methods {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (at, name) in self.0.iter().enumerate() {
            write!(f, "{}{name}", if at > 0 { ", " } else { "" })?;
        }
        Ok(())
    }
}

/// A word for each method.
#[derive(Debug, Default)]
pub(super) struct Words(Box<[(MethodName, Box<str>)]>);

impl Words {
    /// Errors are relative to the map.
    pub(super) fn parse(words: &BTreeMap<String, String>) -> Result<Self, ConfigErrors> {
        let mut errors = ConfigErrors::new();
        let mut all = Vec::new();
        for (method, word) in words {
            let at = ConfigPath::root().key(method);
            let name = errors.collect(MethodName::parse(method).map_err(|error| error.under(&at).about_key()));
            if word.is_empty() {
                errors.push(ConfigError::at(at, "an empty word").help("leave it out for the default"));
            }
            all.extend(name.map(|name| (name, word.as_str().into())));
        }
        errors.into_result(Self(all.into()))
    }

    /// The word for a method; `None` where only a default can say.
    fn named(&self, method: &Method) -> Option<&str> {
        let find = |method: &Method| self.0.iter().find(|(name, _)| name.is(method)).map(|(_, word)| &**word);
        find(method).or_else(|| find(&Method::GET).filter(|_| is_head(method)))
    }

    /// What the action of a method is called: its own name in lower case, where nothing else is said.
    pub(super) fn action(&self, method: &Method) -> Cow<'_, str> {
        match self.named(method) {
            Some(word) => Cow::Borrowed(word),
            None if is_head(method) => Cow::Borrowed("get"),
            None => lower(method),
        }
    }

    /// Which verb a method is: it reads or writes, where nothing else is said.
    pub(super) fn verb(&self, method: &Method) -> &str {
        let reads = || [Method::GET, Method::HEAD, Method::OPTIONS].contains(method);
        self.named(method).unwrap_or_else(|| if reads() { "read" } else { "write" })
    }

    /// All words that are named.
    pub(super) fn words(&self) -> impl Iterator<Item = (&MethodName, &str)> {
        self.0.iter().map(|(method, word)| (method, &**word))
    }
}

fn is_head(method: &Method) -> bool {
    method.as_str().eq_ignore_ascii_case("HEAD")
}

/// The usual ones without an allocation.
fn lower(method: &Method) -> Cow<'static, str> {
    const LOWER: [&str; 7] = ["get", "post", "put", "patch", "delete", "options", "trace"];
    match LOWER.iter().find(|lower| method.as_str().eq_ignore_ascii_case(lower)) {
        Some(lower) => Cow::Borrowed(lower),
        None => Cow::Owned(method.as_str().to_ascii_lowercase()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn method(name: &str) -> Method {
        name.parse().expect("a method")
    }

    fn words(pairs: &[(&str, &str)]) -> Words {
        let pairs = pairs.iter().map(|(method, word)| ((*method).to_owned(), (*word).to_owned()));
        Words::parse(&pairs.collect()).expect("words")
    }

    #[test]
    fn get_speaks_for_head_unless_head_is_named() {
        let get = words(&[("GET", "users:read")]);
        assert_eq!(get.action(&method("HEAD")), "users:read");
        assert_eq!(get.verb(&method("HEAD")), "users:read");
        assert_eq!(words(&[("GET", "a"), ("HEAD", "b")]).action(&method("HEAD")), "b");
        assert_eq!(words(&[]).action(&method("HEAD")), "get");
        let rule = Methods::parse(&["GET".to_owned()]).expect("methods");
        assert!(rule.contain(&method("HEAD")) && rule.contain(&method("GET")) && !rule.contain(&method("POST")));
        let head = Methods::parse(&["HEAD".to_owned()]).expect("methods");
        assert!(!head.contain(&method("GET")));
    }

    #[test]
    fn no_spelling_of_a_method_passes_by() {
        let rule = Methods::parse(&["DELETE".to_owned()]).expect("methods");
        assert!(rule.contain(&method("delete")) && rule.contain(&method("Delete")));
        assert_eq!(words(&[("DELETE", "remove")]).action(&method("delete")), "remove");
        assert_eq!(words(&[]).action(&method("PURGE")), "purge");
    }

    #[test]
    fn a_method_reads_or_writes() {
        let default = words(&[]);
        for (name, verb) in [("GET", "read"), ("HEAD", "read"), ("OPTIONS", "read"), ("PUT", "write"), ("X", "write")] {
            assert_eq!(default.verb(&method(name)), verb, "{name}");
        }
        // Who spells a method so that it might be something else writes.
        assert_eq!(default.verb(&method("get")), "write");
    }

    #[test]
    fn what_is_no_method_is_refused() {
        assert!(Methods::parse(&[]).is_err());
        let errors = Methods::parse(&["get".to_owned(), "G T".to_owned()]).expect_err("bad").to_string();
        assert!(errors.contains("[0]: methods are case-sensitive\nhelp: write `GET`"), "{errors}");
        assert!(errors.contains("[1]: this is not a method"), "{errors}");
    }
}
