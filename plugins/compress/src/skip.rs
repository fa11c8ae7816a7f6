//! Answers that had better not be compressed: what is said about them beside secrets can be chosen by somebody else, and
//! their length tells which of it the secrets have (BREACH, 2013).

use tidegate_core::{ConfigError, ConfigErrors, ConfigPath, Cx, HeaderMap, HeaderName, RequestHead, header};

use crate::config::SkipWhen;

/// The rules of one route.
#[derive(Debug)]
pub(crate) struct Skip(Box<[Rule]>);

#[derive(Debug)]
enum Rule {
    CrossSite,
    SetCookie,
    Authorized,
    RequestHeader(HeaderName),
}

/// Who asks, as far as the rules want to know.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asker<'a> {
    pub(crate) head: RequestHead<'a>,
    /// Whether it is known who it is.
    pub(crate) identified: bool,
    /// Whether the connection has a certificate of the client's.
    pub(crate) certified: bool,
}

impl<'a> Asker<'a> {
    pub(crate) fn of(cx: &'a Cx<'_>) -> Self {
        let tls = cx.connection().tls.as_ref();
        let certified = tls.is_some_and(|tls| tls.client_certificate.is_some());
        Self { head: cx.head(), identified: cx.identity().is_some(), certified }
    }
}

impl Skip {
    /// Errors are relative to the list.
    pub(crate) fn build(rules: &[SkipWhen]) -> Result<Self, ConfigErrors> {
        let mut errors = ConfigErrors::new();
        let mut built = Vec::with_capacity(rules.len());
        for (index, rule) in rules.iter().enumerate() {
            built.push(match rule {
                SkipWhen::CrossSite => Rule::CrossSite,
                SkipWhen::SetCookie => Rule::SetCookie,
                SkipWhen::Authorized => Rule::Authorized,
                SkipWhen::RequestHeader(name) => match name.parse() {
                    Ok(name) => Rule::RequestHeader(name),
                    Err(_) => {
                        let place = ConfigPath::root().index(index).key("request_header");
                        errors.push(ConfigError::at(place, "not the name of a header field"));
                        continue;
                    }
                },
            });
        }
        errors.into_result(Self(built.into()))
    }

    /// Why this one's answer goes out as it is, whatever the answer is.
    pub(crate) fn of_request(&self, asker: &Asker<'_>) -> Option<&'static str> {
        self.0.iter().find_map(|rule| match rule {
            Rule::CrossSite => asked_across(asker).then_some("another site has the browser ask, with its credentials"),
            Rule::Authorized if asker.identified => Some("it is known who asks"),
            Rule::Authorized => {
                asker.head.headers.contains_key(header::AUTHORIZATION).then_some("it has Authorization")
            }
            Rule::RequestHeader(name) => {
                asker.head.headers.contains_key(name).then_some("it has a header field that the policy names")
            }
            Rule::SetCookie => None,
        })
    }

    /// Whether this answer goes out as it is, whoever asks.
    pub(crate) fn of_answer(&self, headers: &HeaderMap) -> bool {
        headers.contains_key(header::SET_COOKIE) && self.0.iter().any(|rule| matches!(rule, Rule::SetCookie))
    }
}

fn asked_across(asker: &Asker<'_>) -> bool {
    let headers = asker.head.headers;
    (asker.certified || has_ambient(headers)) && is_cross_site(&asker.head)
}

/// Credentials that a browser adds whoever has it ask. A bearer token is none: a script adds it that has it anyway.
fn has_ambient(headers: &HeaderMap) -> bool {
    let password = |value: &[u8]| !value.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"bearer "));
    let authorization = headers.get(header::AUTHORIZATION);
    headers.contains_key(header::COOKIE) || authorization.is_some_and(|value| password(value.as_bytes()))
}

/// A browser says it by `Sec-Fetch-Site` (Fetch Metadata). One that doesn't is taken at its `Origin` or `Referer`, which
/// tell hosts and not sites: there another host is another site.
fn is_cross_site(head: &RequestHead<'_>) -> bool {
    if let Some(site) = head.headers.get("sec-fetch-site") {
        return !matches!(site.as_bytes(), b"same-origin" | b"same-site" | b"none");
    }
    let from = head.headers.get(header::ORIGIN).or_else(|| head.headers.get(header::REFERER));
    from.is_some_and(|from| from.to_str().map_or(true, |from| !host_of(from).eq_ignore_ascii_case(head.host())))
}

/// The host of an origin or a URL; of anything else, something that is no host.
fn host_of(url: &str) -> &str {
    let after = url.split_once("://").map_or("", |(_, after)| after);
    let authority = after.split(['/', '?', '#']).next().unwrap_or_default();
    let bracket = authority.rfind(']').map_or(0, |end| end + 1);
    let port = authority.get(bracket..).and_then(|rest| rest.rfind(':'));
    port.and_then(|port| authority.get(..bracket + port)).unwrap_or(authority)
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use tidegate_core::{HeaderValue, Method, Scheme};

    use super::*;

    fn skips(rules: &[SkipWhen], fields: &[(&'static str, &'static str)]) -> bool {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_static(value));
        }
        let head = RequestHead {
            method: &Method::GET,
            authority: "shop.test:8443",
            path: "/",
            query: None,
            headers: &headers,
            client: IpAddr::from([127, 0, 0, 1]),
            scheme: Scheme::Https,
            listener: "main",
        };
        let asker = Asker { head, identified: false, certified: false };
        Skip::build(rules).expect("rules").of_request(&asker).is_some()
    }

    #[test]
    fn a_page_of_another_site_that_brings_credentials_is_what_breach_needs() {
        let skips = |fields: &[(&'static str, &'static str)]| skips(&[SkipWhen::CrossSite], fields);
        let cookie = ("cookie", "session=1");
        for site in ["cross-site", "somewhere-new", ""] {
            assert!(skips(&[cookie, ("sec-fetch-site", site)]), "{site}");
        }
        for site in ["same-origin", "same-site", "none"] {
            assert!(!skips(&[cookie, ("sec-fetch-site", site), ("origin", "https://evil.test")]), "{site}");
        }
        assert!(skips(&[("authorization", "Basic YTpi"), ("sec-fetch-site", "cross-site")]));
        assert!(!skips(&[("authorization", "bearer abc"), ("sec-fetch-site", "cross-site")]));
        assert!(!skips(&[("sec-fetch-site", "cross-site")]), "nobody's secret");
    }

    #[test]
    fn older_browsers_are_taken_at_their_origin_or_referer() {
        let skips = |fields: &[(&'static str, &'static str)]| skips(&[SkipWhen::CrossSite], fields);
        let cookie = ("cookie", "session=1");
        for (name, value) in [
            ("origin", "https://evil.test"),
            ("origin", "null"),
            ("referer", "https://evil.test/?https://shop.test/"),
            ("referer", "https://shop.test.evil.test/"),
            ("referer", "nonsense"),
        ] {
            assert!(skips(&[cookie, (name, value)]), "{name}: {value}");
        }
        for (name, value) in [
            ("origin", "https://shop.test"),
            ("referer", "https://SHOP.test:8443/a?b"),
            ("origin", "https://shop.test:1"),
        ] {
            assert!(!skips(&[cookie, (name, value)]), "{name}: {value}");
        }
        assert!(!skips(&[cookie]), "no browser, or a typed address");
    }

    #[test]
    fn other_rules_look_at_what_they_say() {
        let named = [SkipWhen::RequestHeader("X-Preview".into())];
        assert!(skips(&named, &[("x-preview", "1")]) && !skips(&named, &[]));
        let authorized = [SkipWhen::Authorized];
        assert!(skips(&authorized, &[("authorization", "Bearer abc")]) && !skips(&authorized, &[("cookie", "a=b")]));
        assert!(!skips(&[], &[("cookie", "a=b"), ("sec-fetch-site", "cross-site")]));
        let errors = Skip::build(&[SkipWhen::SetCookie, SkipWhen::RequestHeader("a b".into())]).expect_err("refused");
        assert_eq!(errors.iter().map(|error| error.path.to_string()).collect::<Vec<_>>(), ["[1].request_header"]);
    }

    #[test]
    fn a_cookie_in_the_answer_counts_where_the_rule_says_so() {
        let mut headers = HeaderMap::new();
        headers.insert(header::SET_COOKIE, HeaderValue::from_static("a=b"));
        let of_answer = |rules: &[SkipWhen], headers| Skip::build(rules).expect("rules").of_answer(headers);
        assert!(of_answer(&[SkipWhen::SetCookie], &headers));
        assert!(!of_answer(&[SkipWhen::CrossSite], &headers) && !of_answer(&[SkipWhen::SetCookie], &HeaderMap::new()));
    }
}
