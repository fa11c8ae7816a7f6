//! The head of a request, as a router and a plugin read it.

use std::net::IpAddr;

use http::{HeaderMap, HeaderName, Method};

/// How the client reached the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Plain.
    Http,
    /// TLS.
    Https,
}

impl Scheme {
    /// `http` or `https`.
    pub fn as_str(self) -> &'static str {
        match self {
            Scheme::Http => "http",
            Scheme::Https => "https",
        }
    }
}

/// A request without its body. Borrowed: making one allocates nothing.
#[derive(Debug, Clone, Copy)]
pub struct RequestHead<'a> {
    /// The method.
    pub method: &'a Method,
    /// `Host` or `:authority` as sent, port included; empty when there is none (HTTP/1.0).
    pub authority: &'a str,
    /// The path as sent, or as the router normalised it once a route is found. Always begins with `/`,
    /// or is `*` for `OPTIONS *`.
    pub path: &'a str,
    /// What follows the `?`, without it.
    pub query: Option<&'a str>,
    /// The header fields.
    pub headers: &'a HeaderMap,
    /// The real client, seen through trusted proxies only.
    pub client: IpAddr,
    /// Whether the client used TLS.
    pub scheme: Scheme,
    /// The name of the listener it came in by.
    pub listener: &'a str,
}

impl<'a> RequestHead<'a> {
    /// The first value of a header field, if it is visible ASCII.
    pub fn header(&self, name: &HeaderName) -> Option<&'a str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The value of a cookie (RFC 6265 section 4.2), the first of that name.
    pub fn cookie(&self, name: &str) -> Option<&'a str> {
        self.headers
            .get_all(http::header::COOKIE)
            .iter()
            .filter_map(|line| line.to_str().ok())
            .flat_map(|line| line.split(';'))
            .filter_map(|pair| pair.split_once('='))
            .find(|(key, _)| key.trim() == name)
            .map(|(_, value)| value.trim())
    }

    /// The raw (still percent-encoded) value of a query parameter, the first of that name.
    pub fn query_param(&self, name: &str) -> Option<&'a str> {
        self.query?
            .split('&')
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value)
    }

    /// The authority without its port; brackets of an IPv6 address stay.
    pub fn host(&self) -> &'a str {
        let after_bracket = self.authority.rfind(']').map_or(0, |end| end + 1);
        match self.authority[after_bracket..].rfind(':') {
            Some(colon) => &self.authority[..after_bracket + colon],
            None => self.authority,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head<'a>(authority: &'a str, query: Option<&'a str>, headers: &'a HeaderMap) -> RequestHead<'a> {
        RequestHead {
            method: &Method::GET,
            authority,
            path: "/",
            query,
            headers,
            client: IpAddr::from([127, 0, 0, 1]),
            scheme: Scheme::Http,
            listener: "main",
        }
    }

    #[test]
    fn host_drops_the_port_and_keeps_brackets() {
        let none = HeaderMap::new();
        for (authority, host) in
            [("a.test:80", "a.test"), ("a.test", "a.test"), ("[::1]:8080", "[::1]"), ("[::1]", "[::1]"), ("", "")]
        {
            assert_eq!(head(authority, None, &none).host(), host);
        }
    }

    #[test]
    fn cookies_and_query_parameters_are_found_by_exact_name() {
        let mut headers = HeaderMap::new();
        headers.append("cookie", "a=1; bb=2".parse().expect("valid"));
        headers.append("cookie", "c=3".parse().expect("valid"));
        let head = head("a.test", Some("x=1&yy=2&flag"), &headers);
        assert_eq!((head.cookie("b"), head.cookie("bb"), head.cookie("c")), (None, Some("2"), Some("3")));
        assert_eq!((head.query_param("y"), head.query_param("yy")), (None, Some("2")));
        assert_eq!(head.query_param("flag"), Some(""));
    }
}
