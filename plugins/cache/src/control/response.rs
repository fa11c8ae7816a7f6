//! What an answer says about being stored.

use std::time::SystemTime;

use tidegate_core::fields::date;
use tidegate_core::{HeaderMap, HeaderName, HeaderValue, header};

use super::dictionary::{Bare, Dictionary};
use super::list::{Directive, Directives};

const CDN_CACHE_CONTROL: HeaderName = HeaderName::from_static("cdn-cache-control");

/// What an answer says about being stored. Where it contradicts itself, what allows less counts (RFC 9111 section 4.2.1).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Says {
    pub(crate) no_store: bool,
    /// With or without the names of fields: either way it is not for others.
    pub(crate) private: bool,
    /// With or without the names of fields: either way it is asked for anew.
    pub(crate) no_cache: bool,
    pub(crate) must_revalidate: bool,
    pub(crate) proxy_revalidate: bool,
    pub(crate) must_understand: bool,
    pub(crate) public: bool,
    pub(crate) s_maxage: Option<u32>,
    pub(crate) max_age: Option<u32>,
    pub(crate) stale_while_revalidate: Option<u32>,
    pub(crate) stale_if_error: Option<u32>,
    pub(crate) expires: Expires,
}

/// The `Expires` field.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Expires {
    /// There is none, or it doesn't count.
    #[default]
    Silent,
    /// It is no date: in the past (RFC 9111 section 5.3).
    Past,
    At(SystemTime),
}

impl Says {
    /// What counts for a gateway's cache: `CDN-Cache-Control` alone, where it is there and can be read (RFC 9213 section
    /// 2.2); else `Cache-Control` and `Expires`.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        targeted(headers).unwrap_or_else(|| Self::plain(headers))
    }

    /// What a client reads: no client reads a field that is meant for gateways.
    pub(crate) fn of_client(headers: &HeaderMap) -> Self {
        Self::plain(headers)
    }

    fn plain(headers: &HeaderMap) -> Self {
        let mut says = Self { expires: expires(headers), ..Self::default() };
        for line in headers.get_all(header::CACHE_CONTROL) {
            Directives::of(line.as_bytes()).for_each(|directive| says.add(&directive));
        }
        // RFC 9111 section 5.4 leaves open what it means in an answer; who sends it does not want to be stored.
        if !headers.contains_key(header::CACHE_CONTROL) && pragma_says_no_cache(headers) {
            says.no_cache = true;
        }
        says
    }

    fn add(&mut self, directive: &Directive<'_>) {
        let prohibitions = [
            ("no-store", &mut self.no_store),
            ("private", &mut self.private),
            ("no-cache", &mut self.no_cache),
            ("must-revalidate", &mut self.must_revalidate),
            ("proxy-revalidate", &mut self.proxy_revalidate),
        ];
        for (name, said) in prohibitions {
            *said |= directive.is(name);
        }
        // Permissions only as they are defined.
        self.public |= directive.is_bare("public");
        self.must_understand |= directive.is_bare("must-understand");
        let times = [
            ("s-maxage", &mut self.s_maxage),
            ("max-age", &mut self.max_age),
            ("stale-while-revalidate", &mut self.stale_while_revalidate),
            ("stale-if-error", &mut self.stale_if_error),
        ];
        for (name, said) in times {
            if directive.is(name) {
                *said = least(*said, directive.seconds());
            }
        }
    }

    /// The same for one member of a targeted field.
    fn add_member(&mut self, name: &str, value: &Bare<'_>) {
        let number;
        let value: Option<&[u8]> = match value {
            Bare::True => None,
            // `private=?0` is no prohibition that anybody meant, and no other directive either.
            Bare::False => return,
            Bare::Integer(text) => {
                number = *text;
                Some(number)
            }
            // Of another type than the directive wants: a name that forbids still forbids, a time is none.
            Bare::Other => Some(b"?"),
        };
        self.add(&Directive { name: name.as_bytes(), value });
    }

    /// Whether it may never be used stale (RFC 9111 section 4.2.4): not for a client that would take it, not while the
    /// upstream is down.
    pub(crate) fn forbids_stale(&self, shared: bool) -> bool {
        self.no_cache || self.must_revalidate || (shared && (self.proxy_revalidate || self.s_maxage.is_some()))
    }

    /// Whether an answer to somebody who has proved who they are is meant for everybody (RFC 9111 section 3.5).
    pub(crate) fn is_for_everybody(&self) -> bool {
        self.public || self.s_maxage.is_some() || self.must_revalidate
    }
}

fn least(said: Option<u32>, seconds: u32) -> Option<u32> {
    Some(said.map_or(seconds, |said| said.min(seconds)))
}

/// `None` where the field is not there, empty, or can't be read: then it is as if it weren't there (RFC 9213 section 2.1).
fn targeted(headers: &HeaderMap) -> Option<Says> {
    if !headers.contains_key(CDN_CACHE_CONTROL) {
        return None;
    }
    let lines: Vec<&[u8]> = headers.get_all(CDN_CACHE_CONTROL).iter().map(HeaderValue::as_bytes).collect();
    let whole = lines.join(&b", "[..]);
    let dictionary = Dictionary::parse(&whole)?;
    let mut says = Says::default();
    for (name, value) in dictionary.members() {
        says.add_member(name, value);
    }
    (!dictionary.is_empty()).then_some(says)
}

/// More than one line, and what is no date, are in the past: whoever sends that can't mean to be stored for long.
fn expires(headers: &HeaderMap) -> Expires {
    let mut lines = headers.get_all(header::EXPIRES).iter();
    let Some(first) = lines.next() else { return Expires::Silent };
    match (date(first), lines.next()) {
        (Some(at), None) => Expires::At(at),
        _ => Expires::Past,
    }
}

pub(super) fn pragma_says_no_cache(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(header::PRAGMA).iter();
    lines.flat_map(|line| Directives::of(line.as_bytes())).any(|directive| directive.is("no-cache"))
}
