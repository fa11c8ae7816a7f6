//! Attributes of the cookies that go out (RFC 6265).

use tidegate_core::{ConfigError, ConfigErrors, ConfigPath, HeaderValue, Result};

use crate::config::{self, CookieAttribute};
use crate::field::{FieldName, Fields};
use crate::hosts::{HostPattern, Hosts, is_domain};

/// What a cookie's domain becomes when it is to have none, in the words of the configuration. No browser takes a cookie
/// for a domain of that name.
const HOST_ONLY: &str = "host_only";

/// What one route does to cookies.
#[derive(Debug)]
pub(crate) struct Cookies {
    set_cookie: FieldName,
    secure: bool,
    http_only: bool,
    same_site: Option<SameSite>,
    except: Box<[Box<[u8]>]>,
    /// The nearest first.
    domains: Box<[(HostPattern, Domain)]>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SameSite {
    Strict,
    Lax,
    None,
}

impl SameSite {
    fn attribute(self) -> &'static [u8] {
        match self {
            SameSite::Strict => b"; SameSite=Strict",
            SameSite::Lax => b"; SameSite=Lax",
            SameSite::None => b"; SameSite=None",
        }
    }

    /// Browsers take a value they don't know for none given.
    fn read(value: &[u8]) -> Option<Self> {
        let known = [(&b"strict"[..], SameSite::Strict), (b"lax", SameSite::Lax), (b"none", SameSite::None)];
        known.into_iter().find(|(name, _)| value.eq_ignore_ascii_case(name)).map(|(_, same_site)| same_site)
    }
}

/// What becomes of a `Domain`.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Domain {
    HostOnly,
    Is(Box<str>),
}

impl Cookies {
    /// Errors have paths relative to `cookies`.
    pub(crate) fn build(config: &config::Cookies) -> Result<Self, ConfigErrors> {
        let mut errors = ConfigErrors::new();
        let has = |attribute| config.force.contains(&attribute);
        let same_site = errors.collect(same_site(&config.force)).flatten();
        let mut domains = Vec::new();
        for (from, to) in &config.domain {
            let path = ConfigPath::from("domain").key(from);
            domains.extend(errors.collect(domain(from, to).map_err(|error| error.under(&path))));
        }
        domains.sort_by_key(|(pattern, _)| std::cmp::Reverse(pattern.nearness()));
        errors.into_result(Self {
            set_cookie: FieldName::parse("Set-Cookie").expect("a name"),
            secure: has(CookieAttribute::Secure),
            http_only: has(CookieAttribute::HttpOnly),
            same_site,
            except: config.except.iter().map(|name| name.as_bytes().into()).collect(),
            domains: domains.into(),
        })
    }

    /// Does it to every cookie of a response. A cookie that is as it should be stays as it is, byte for byte.
    pub(crate) fn apply(&self, internal: &Hosts, head: &mut impl Fields) -> Result<()> {
        head.edit(&self.set_cookie, |cookie| self.rewrite(internal, cookie))
    }

    fn rewrite(&self, internal: &Hosts, cookie: &HeaderValue) -> Option<HeaderValue> {
        let cookie = cookie.as_bytes();
        let change = self.change(internal, cookie);
        change.is_needed().then(|| HeaderValue::from_bytes(&change.written(cookie)).ok()).flatten()
    }

    fn change<'s>(&'s self, internal: &Hosts, cookie: &[u8]) -> Change<'s> {
        let mut seen = Seen::default();
        let mut change = Change::default();
        for (name, value) in attributes(cookie).map(split) {
            match name {
                name if name.eq_ignore_ascii_case(b"secure") => seen.secure = true,
                name if name.eq_ignore_ascii_case(b"httponly") => seen.http_only = true,
                name if name.eq_ignore_ascii_case(b"samesite") => seen.same_site = SameSite::read(value),
                // Of several browsers take the last; but none that is internal may leave.
                name if is_domain_attribute(name) => change.domain = self.domain(internal, value).or(change.domain),
                _ => {}
            }
        }
        if !self.except.iter().any(|name| **name == *cookie_name(cookie)) {
            change.secure = self.secure && !seen.secure;
            change.http_only = self.http_only && !seen.http_only;
            // A stricter cookie is not made laxer by asking for lax ones.
            let fits = |wanted| {
                seen.same_site == Some(wanted) || (wanted == SameSite::Lax && seen.same_site == Some(SameSite::Strict))
            };
            change.same_site = self.same_site.filter(|wanted| !fits(*wanted));
        }
        change
    }

    fn domain(&self, internal: &Hosts, value: &[u8]) -> Option<&Domain> {
        // A leading dot means nothing (RFC 6265 section 5.2.3).
        let domain = std::str::from_utf8(value.strip_prefix(b".").unwrap_or(value)).ok()?;
        let named = self.domains.iter().find(|(pattern, _)| pattern.matches(domain)).map(|(_, to)| to);
        named.or_else(|| internal.has(domain).then_some(&Domain::HostOnly))
    }
}

#[derive(Default)]
struct Seen {
    secure: bool,
    http_only: bool,
    same_site: Option<SameSite>,
}

/// What is to be different in one cookie.
#[derive(Default)]
struct Change<'a> {
    domain: Option<&'a Domain>,
    secure: bool,
    http_only: bool,
    same_site: Option<SameSite>,
}

impl Change<'_> {
    fn is_needed(&self) -> bool {
        self.domain.is_some() || self.secure || self.http_only || self.same_site.is_some()
    }

    fn written(&self, cookie: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(cookie.len() + 48);
        out.extend_from_slice(cookie.split(|b| *b == b';').next().unwrap_or_default());
        for attribute in attributes(cookie) {
            let (name, _) = split(attribute);
            let replaced = (self.domain.is_some() && is_domain_attribute(name))
                || (self.same_site.is_some() && name.eq_ignore_ascii_case(b"samesite"));
            if !replaced {
                out.push(b';');
                out.extend_from_slice(attribute);
            }
        }
        if let Some(Domain::Is(domain)) = self.domain {
            out.extend_from_slice(b"; Domain=");
            out.extend_from_slice(domain.as_bytes());
        }
        out.extend_from_slice(if self.secure { b"; Secure" } else { b"" });
        out.extend_from_slice(if self.http_only { b"; HttpOnly" } else { b"" });
        out.extend_from_slice(self.same_site.map_or(b"", SameSite::attribute));
        out
    }
}

/// What follows the first `;`, with the spaces around it.
fn attributes(cookie: &[u8]) -> impl Iterator<Item = &[u8]> {
    cookie.split(|b| *b == b';').skip(1)
}

fn split(attribute: &[u8]) -> (&[u8], &[u8]) {
    match attribute.iter().position(|b| *b == b'=') {
        Some(equals) => (attribute[..equals].trim_ascii(), attribute[equals + 1..].trim_ascii()),
        None => (attribute.trim_ascii(), b""),
    }
}

fn cookie_name(cookie: &[u8]) -> &[u8] {
    split(cookie.split(|b| *b == b';').next().unwrap_or_default()).0
}

fn is_domain_attribute(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"domain")
}

fn same_site(force: &[CookieAttribute]) -> Result<Option<SameSite>, ConfigError> {
    let wanted = force.iter().filter_map(|attribute| match attribute {
        CookieAttribute::SameSiteLax => Some(SameSite::Lax),
        CookieAttribute::SameSiteStrict => Some(SameSite::Strict),
        CookieAttribute::SameSiteNone => Some(SameSite::None),
        CookieAttribute::Secure | CookieAttribute::HttpOnly => None,
    });
    let wanted: Vec<_> = wanted.collect();
    match wanted.as_slice() {
        [] => Ok(None),
        [SameSite::None] if !force.contains(&CookieAttribute::Secure) => {
            Err(ConfigError::at("force", "browsers refuse samesite=none without secure").help("add secure"))
        }
        [one] => Ok(Some(*one)),
        _ => Err(ConfigError::at("force", "a cookie has one samesite").help("keep one of them")),
    }
}

fn domain(from: &str, to: &str) -> Result<(HostPattern, Domain), ConfigError> {
    let Some(pattern) = HostPattern::parse(from) else {
        return Err(ConfigError::at("", format!("{from:?} is not a domain"))
            .help("write app.internal, or *.internal for all below it"));
    };
    match to {
        HOST_ONLY => Ok((pattern, Domain::HostOnly)),
        to if is_domain(to) => Ok((pattern, Domain::Is(to.into()))),
        _ => Err(ConfigError::at("", format!("{to:?} is not a domain")).help("write a domain, or host_only")),
    }
}

#[cfg(test)]
#[path = "cookie_tests.rs"]
mod tests;
