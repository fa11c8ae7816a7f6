//! Sets of methods.

use std::fmt;
use std::str::FromStr;

use http::Method;
use tidegate_core::config::{METHODS, MethodError, parse_method};

use crate::text::text_type;

/// A method, as it is sent: upper case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MethodName(Method);

impl FromStr for MethodName {
    type Err = MethodError;

    fn from_str(text: &str) -> Result<Self, MethodError> {
        parse_method(text).map(Self)
    }
}

text_type!(MethodName, "Method", "A method in upper case: `GET`, `POST`, or an extension such as `PROPFIND`.");

/// A set of methods.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct Methods {
    known: u16,
    other: Vec<Method>,
}

impl Methods {
    /// The methods of a route. `GET` brings `HEAD` with it (RFC 9110 section 9.1: every server has both).
    pub(crate) fn of_route(names: &[MethodName]) -> Self {
        let mut methods = Self::default();
        names.iter().for_each(|name| methods.insert(&name.0));
        if methods.contains(&Method::GET) {
            methods.insert(&Method::HEAD);
        }
        methods
    }

    fn insert(&mut self, method: &Method) {
        match bit(method) {
            Some(bit) => self.known |= bit,
            None if self.other.contains(method) => {}
            None => {
                self.other.push(method.clone());
                self.other.sort_by(|a, b| a.as_str().cmp(b.as_str()));
            }
        }
    }

    /// Adds those of another set.
    pub(crate) fn extend(&mut self, others: &Methods) {
        self.known |= others.known;
        others.other.iter().for_each(|method| self.insert(method));
    }

    pub(crate) fn contains(&self, method: &Method) -> bool {
        match bit(method) {
            Some(bit) => self.known & bit != 0,
            None => self.other.contains(method),
        }
    }

    pub(crate) fn includes(&self, others: &Methods) -> bool {
        self.known & others.known == others.known && others.other.iter().all(|method| self.other.contains(method))
    }

    pub(crate) fn len(&self) -> usize {
        self.known.count_ones() as usize + self.other.len()
    }

    fn iter(&self) -> impl Iterator<Item = &Method> {
        let known = METHODS.iter().enumerate().filter(|(at, _)| self.known >> at & 1 == 1);
        known.map(|(_, method)| method).chain(&self.other)
    }
}

fn bit(method: &Method) -> Option<u16> {
    METHODS.iter().position(|known| known == method).map(|at| 1 << at)
}

/// As in `Allow`: `GET, HEAD`.
impl fmt::Display for Methods {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, method) in self.iter().enumerate() {
            f.write_str(if at > 0 { ", " } else { "" })?;
            f.write_str(method.as_str())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn methods(names: &[&str]) -> Methods {
        Methods::of_route(&names.iter().map(|name| name.parse().expect(name)).collect::<Vec<_>>())
    }

    #[test]
    fn get_brings_head_and_nothing_else_does() {
        assert_eq!(methods(&["POST", "GET"]).to_string(), "GET, HEAD, POST");
        assert_eq!(methods(&["GET", "HEAD"]), methods(&["GET"]));
        assert!(!methods(&["HEAD"]).contains(&Method::GET));
        assert!(!methods(&["POST"]).contains(&Method::HEAD));
    }

    #[test]
    fn extension_methods_are_methods() {
        let mut set = methods(&["PROPFIND", "MKCOL", "PROPFIND"]);
        assert_eq!((set.to_string().as_str(), set.len()), ("MKCOL, PROPFIND", 2));
        assert!(set.includes(&methods(&["MKCOL"])) && !methods(&["MKCOL"]).includes(&set));
        set.extend(&methods(&["PUT"]));
        assert_eq!(set.to_string(), "PUT, MKCOL, PROPFIND");
    }

    #[test]
    fn lower_case_is_refused_with_its_remedy() {
        let refused = |text: &str| text.parse::<MethodName>().expect_err(text).to_string();
        assert_eq!(refused("get"), "methods are case-sensitive; write `GET`");
        assert_eq!(refused("G T"), "`G T` is not a method");
        assert!("purge".parse::<MethodName>().is_ok(), "unknown methods may be of any case");
    }
}
