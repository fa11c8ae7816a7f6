//! References to hosts that no client should hear of, led to the host that the client asked.

use std::borrow::Cow;

use tidegate_core::{HeaderMap, HeaderName, HeaderValue, Result, Scheme, header};

use crate::field::{FieldName, Fields};
use crate::hosts::Hosts;

/// `Refresh` is not of the standard, but all browsers follow it.
const REFRESH: HeaderName = HeaderName::from_static("refresh");

/// Where the client is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) scheme: Scheme,
    /// Host and port as the client sent them.
    pub(crate) authority: &'a str,
}

/// Rewrites the fields that hold references (RFC 9110 sections 10.2.2 and 8.7, RFC 8288).
#[derive(Debug)]
pub(crate) struct Locations {
    location: FieldName,
    content_location: FieldName,
    refresh: FieldName,
    link: FieldName,
}

impl Locations {
    pub(crate) fn new() -> Self {
        let name = |text| FieldName::parse(text).expect("the names in this file are names");
        Self {
            location: name("Location"),
            content_location: name("Content-Location"),
            refresh: name("Refresh"),
            link: name("Link"),
        }
    }

    /// Whether a response has a field that could need it.
    pub(crate) fn concern(&self, fields: &HeaderMap) -> bool {
        [header::LOCATION, header::CONTENT_LOCATION, REFRESH, header::LINK].iter().any(|name| fields.contains_key(name))
    }

    /// Leads references to `internal` hosts, and to what the upstream was told it is called, to where the client is.
    pub(crate) fn rewrite(
        &self,
        head: &mut impl Fields,
        client: Place<'_>,
        internal: &Hosts,
        upstreams: Option<&str>,
    ) -> Result<()> {
        let scope = Scope { client, internal, upstreams: upstreams.unwrap_or(client.authority) };
        head.edit(&self.location, |value| edited(value, |text| scope.reference(text)))?;
        head.edit(&self.content_location, |value| edited(value, |text| scope.reference(text)))?;
        head.edit(&self.refresh, |value| edited(value, |text| scope.refresh(text)))?;
        head.edit(&self.link, |value| edited(value, |text| scope.link(text)))
    }
}

fn edited(value: &HeaderValue, edit: impl Fn(&str) -> Option<String>) -> Option<HeaderValue> {
    HeaderValue::try_from(edit(value.to_str().ok()?)?).ok()
}

/// An absolute reference, or one without a scheme: `//host/path`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Absolute<'a> {
    scheme: Option<Scheme>,
    host: &'a str,
    port: Option<&'a str>,
    /// Path, query and fragment; may be empty.
    rest: &'a str,
}

impl<'a> Absolute<'a> {
    /// `None` for relative references and for schemes other than HTTP's.
    fn parse(text: &'a str) -> Option<Self> {
        let text = text.trim();
        let after = |prefix: &str| {
            let start = text.get(..prefix.len())?;
            start.eq_ignore_ascii_case(prefix).then(|| &text[prefix.len()..])
        };
        let (scheme, after) = after("http://")
            .map(|after| (Some(Scheme::Http), after))
            .or_else(|| Some((Some(Scheme::Https), after("https://")?)))
            .or_else(|| Some((None, after("//")?)))?;
        let (authority, rest) = after.split_at(after.find(['/', '?', '#', '\\']).unwrap_or(after.len()));
        let authority = authority.rsplit_once('@').map_or(authority, |(_, authority)| authority);
        let (host, port) = host_and_port(authority);
        Some(Self { scheme, host, port, rest })
    }
}

fn host_and_port(authority: &str) -> (&str, Option<&str>) {
    let after_bracket = authority.rfind(']').map_or(0, |end| end + 1);
    match authority[after_bracket..].rfind(':') {
        Some(colon) => {
            let (host, port) = authority.split_at(after_bracket + colon);
            (host, Some(&port[1..]).filter(|port| !port.is_empty()))
        }
        None => (authority, None),
    }
}

/// What the references of one response are held against.
struct Scope<'a> {
    client: Place<'a>,
    internal: &'a Hosts,
    /// The `Host` that the upstream was given.
    upstreams: &'a str,
}

impl Scope<'_> {
    fn reference(&self, text: &str) -> Option<String> {
        let target = Absolute::parse(text)?;
        let led = match same_authority(&target, self.client.authority) {
            true => self.is_downgrade(&target),
            false => same_authority(&target, self.upstreams) || self.internal.has(target.host),
        };
        led.then(|| self.here(target.rest))
    }

    /// An upstream that was given the client's own host, and does not know that the client used TLS, says `http://`.
    /// One that sends a client from plain HTTP to TLS means it.
    fn is_downgrade(&self, target: &Absolute<'_>) -> bool {
        self.client.scheme == Scheme::Https && target.scheme == Some(Scheme::Http)
    }

    fn here(&self, rest: &str) -> String {
        let authority = self.client.authority;
        let slash = if rest.starts_with('/') { "" } else { "/" };
        match is_plain(authority) {
            true => [self.client.scheme.as_str(), "://", authority, slash, rest].concat(),
            // One slash only: `//evil.com` would be another host.
            false => ["/", rest.trim_start_matches(['/', '\\'])].concat(),
        }
    }

    /// `5; url=http://10.0.0.1/x`
    fn refresh(&self, text: &str) -> Option<String> {
        let url = text.to_ascii_lowercase().find("url=")? + "url=".len();
        let (before, quoted) = text.split_at(url);
        let quote = quoted.trim_start().chars().next().filter(|c| ['"', '\''].contains(c));
        let reference = match quote {
            Some(quote) => quoted.trim_start()[1..].split(quote).next()?,
            None => quoted,
        };
        Some([before, &self.reference(reference)?].concat())
    }

    /// `<http://10.0.0.1/x?page=2>; rel="next", <…>`
    fn link(&self, text: &str) -> Option<String> {
        let mut changed = false;
        let mut piece = |piece: &'_ str| -> Option<String> {
            let (target, parameters) = piece.split_once('>')?;
            let target = self.reference(target)?;
            changed = true;
            Some([&target, ">", parameters].concat())
        };
        let pieces = text.split('<').enumerate().map(|(index, text)| match index {
            0 => Cow::Borrowed(text),
            _ => piece(text).map_or(Cow::Borrowed(text), Cow::Owned),
        });
        let pieces: Vec<_> = pieces.collect();
        changed.then(|| pieces.join("<"))
    }
}

/// Host and port the same; no port is the usual one.
fn same_authority(target: &Absolute<'_>, authority: &str) -> bool {
    let (host, port) = host_and_port(authority);
    let same_port = match (target.port, port) {
        (Some(a), Some(b)) => a == b,
        (Some(port), None) | (None, Some(port)) => ["80", "443"].contains(&port),
        (None, None) => true,
    };
    same_port && !host.is_empty() && target.host.eq_ignore_ascii_case(host)
}

/// Whether a client's `Host` can stand in a reference: nothing in it but a host and a port.
fn is_plain(authority: &str) -> bool {
    !authority.is_empty() && authority.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~:[]".contains(&b))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::field::tests::{assert_fields, response};

    struct Case {
        client: Place<'static>,
        upstreams: Option<&'static str>,
    }

    const TLS: Case = Case { client: Place { scheme: Scheme::Https, authority: "api.example.com" }, upstreams: None };
    const PLAIN: Case =
        Case { client: Place { scheme: Scheme::Http, authority: "api.example.com:8080" }, upstreams: None };
    const RENAMED: Case = Case { upstreams: Some("users-svc:3002"), ..TLS };

    impl Case {
        fn field(&self, name: &str, value: &str) -> String {
            let internal = Hosts::build(&["*.internal".into()]).expect("valid");
            let mut head = response(&[(name, value)]);
            Locations::new().rewrite(&mut head, self.client, &internal, self.upstreams).expect("fits");
            head.headers[name].to_str().expect("ASCII").to_owned()
        }

        #[track_caller]
        fn leads(&self, from: &str, to: &str) {
            assert_eq!(self.field("location", from), to);
            assert_eq!(self.field("content-location", from), to);
        }
    }

    #[test]
    fn internal_hosts_become_the_clients_own_with_path_query_and_fragment_kept() {
        TLS.leads("http://10.0.2.45:3000/x?y=1#z", "https://api.example.com/x?y=1#z");
        TLS.leads("HTTPS://A.INTERNAL:8443", "https://api.example.com/");
        TLS.leads("//10.0.2.45//evil.com", "https://api.example.com//evil.com");
        TLS.leads("http://user:password@10.0.2.45?q", "https://api.example.com/?q");
        TLS.leads("http://[fd00::1]:80/x", "https://api.example.com/x");
        PLAIN.leads("https://10.0.2.45/x", "http://api.example.com:8080/x");
    }

    #[test]
    fn other_hosts_schemes_and_relative_references_stay() {
        for kept in [
            "https://login.example.org/?next=http://10.0.0.1/",
            "http://127.0.0.1:51004/callback",
            "/x",
            "x?y=//10.0.0.1/",
            "",
            "myapp://10.0.0.1/x",
            "mailto:a@10.0.0.1",
            "https://10.0.0.1.example.org/",
            "https://10.0.0.1@example.org/",
        ] {
            TLS.leads(kept, kept);
        }
    }

    #[test]
    fn what_the_upstream_was_told_it_is_called_becomes_the_clients_host() {
        RENAMED.leads("http://users-svc:3002/login", "https://api.example.com/login");
        RENAMED.leads("http://users-svc:9999/login", "http://users-svc:9999/login");
        TLS.leads("http://users-svc:3002/login", "http://users-svc:3002/login");
    }

    #[test]
    fn a_redirect_to_tls_is_meant_and_one_away_from_it_is_not() {
        TLS.leads("http://api.example.com/x", "https://api.example.com/x");
        PLAIN.leads("https://api.example.com:8080/x", "https://api.example.com:8080/x");
        PLAIN.leads("https://api.example.com/x", "https://api.example.com/x");
    }

    #[test]
    fn a_client_that_asked_a_private_address_is_led_nowhere() {
        let lan = Case { client: Place { scheme: Scheme::Http, authority: "192.168.1.1:8080" }, upstreams: None };
        lan.leads("http://192.168.1.1:8080/x", "http://192.168.1.1:8080/x");
        lan.leads("https://192.168.1.1:8080/x", "https://192.168.1.1:8080/x");
    }

    #[test]
    fn a_host_that_could_not_stand_in_a_reference_is_left_out() {
        for authority in ["", "a@b", "a/b", "a b", "a<b"] {
            let odd = Case { client: Place { scheme: Scheme::Http, authority }, upstreams: None };
            odd.leads("http://10.0.0.1//evil.com/x", "/evil.com/x");
            odd.leads("http://10.0.0.1\\/evil.com", "/evil.com");
            odd.leads("http://10.0.0.1?q", "/?q");
        }
    }

    #[test]
    fn refresh_and_link_are_references_too() {
        assert_eq!(TLS.field("refresh", "5; URL=http://10.0.0.1/x"), "5; URL=https://api.example.com/x");
        assert_eq!(TLS.field("refresh", "0;url='http://10.0.0.1/x'"), "0;url=https://api.example.com/x");
        for kept in ["5", "5; url=/x", "5; url=https://example.org/"] {
            assert_eq!(TLS.field("refresh", kept), kept);
        }
        assert_eq!(
            TLS.field(
                "link",
                "<http://10.0.0.1/?p=2>; rel=\"next\", <https://example.org/>; rel=x, </y>, <//a.internal>"
            ),
            "<https://api.example.com/?p=2>; rel=\"next\", <https://example.org/>; rel=x, </y>, <https://api.example.com/>"
        );
        assert_eq!(TLS.field("link", "<unclosed"), "<unclosed");
    }

    #[test]
    fn each_of_several_lines_is_rewritten_by_itself() {
        let internal = Hosts::build(&[]).expect("valid");
        let mut head = response(&[("Link", "</a>"), ("Link", "<http://10.0.0.1/b>")]);
        Locations::new().rewrite(&mut head, TLS.client, &internal, None).expect("fits");
        assert_fields(&head, &[("link", "</a>"), ("link", "<https://api.example.com/b>")]);
    }

    proptest! {
        /// Whatever an upstream writes, no internal host is left where a browser would go, and what is done is done.
        #[test]
        fn no_reference_leads_to_an_internal_host(
            scheme in prop::sample::select(vec!["http://", "https://", "HTTP://", "//", "http:/", ""]),
            user in prop::sample::select(vec!["", "u@", "u:p@", "10.0.0.1@"]),
            host in prop::sample::select(vec!["10.0.0.1", "A.internal", "[fd00::1]", "example.org", "api.example.com", ""]),
            port in prop::sample::select(vec!["", ":", ":80", ":3000"]),
            rest in "[/?#\\\\a.:@]{0,6}",
        ) {
            let text = [scheme, user, host, port, &rest].concat();
            let once = RENAMED.field("location", &text);
            let internal = Hosts::build(&["*.internal".into()]).expect("valid");
            if let Some(target) = Absolute::parse(&once) {
                prop_assert!(!internal.has(target.host), "{} became {}", text, once);
            }
            prop_assert_eq!(RENAMED.field("location", &once), once);
        }
    }
}
