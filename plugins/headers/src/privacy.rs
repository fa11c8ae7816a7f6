//! Fields by which a response tells what made it.

use std::sync::LazyLock;

use tidegate_core::{ConfigError, HeaderName, HeaderValue, Result, header};

use crate::config::{self, Fingerprints};
use crate::field::{FieldName, Fields, written_value};
use crate::names::{Names, Pattern, Spelling};

/// Software, versions and machines. No browser and no protocol needs one of them. Kept in step with the manual by a test.
const FINGERPRINTS: [&str; 48] = [
    "K-Proxy-Request",
    "Liferay-Portal",
    "MicrosoftSharePointTeamServices",
    "Pega-Host",
    "Powered-By",
    "Via",
    "X-Application-Context",
    "X-AspNet-Version",
    "X-AspNetMvc-Version",
    "X-Backend",
    "X-Backend-*",
    "X-BEServer",
    "X-CalculatedBETarget",
    "X-CF-Powered-By",
    "X-CMS",
    "X-Cocoon-Version",
    "X-Content-Encoded-By",
    "X-Debug-*",
    "X-DiagInfo",
    "X-Drupal-*",
    "X-Envoy-*",
    "X-FEServer",
    "X-Framework",
    "X-Generated-By",
    "X-Generator",
    "X-Hostname",
    "X-Jenkins",
    "X-Jenkins-*",
    "X-Joomla-Version",
    "X-Kong-*",
    "X-Mod-Pagespeed",
    "X-OWA-Version",
    "X-Page-Speed",
    "X-PHP-Version",
    "X-Powered-By",
    "X-Powered-By-*",
    "X-Powered-CMS",
    "X-Redirect-By",
    "X-Runtime",
    "X-Served-By",
    "X-Server",
    "X-Server-*",
    "X-SourceFiles",
    "X-Turbo-Charged-By",
    "X-Umbraco-Version",
    "X-Upstream",
    "X-Upstream-*",
    "X-Varnish*",
];

/// The same for all routes, and read only.
static HIDDEN: LazyLock<Names> = LazyLock::new(|| {
    let (patterns, names): (Vec<&str>, Vec<&str>) = FINGERPRINTS.iter().partition(|name| name.contains('*'));
    let names = names.into_iter().map(|name| HeaderName::from_bytes(name.as_bytes()).expect("a name"));
    let patterns = patterns.into_iter().map(|pattern| Pattern::parse(pattern).expect("a pattern"));
    Names::new(names, patterns, Spelling::Exact)
});

/// What one route lets clients know.
#[derive(Debug)]
pub(crate) struct Privacy {
    server: Server,
    fingerprints: Fingerprints,
}

#[derive(Debug)]
enum Server {
    Hide,
    Keep,
    Set(FieldName, HeaderValue),
}

impl Privacy {
    /// Errors have paths relative to `privacy`.
    pub(crate) fn build(config: &config::Privacy) -> Result<Self, ConfigError> {
        let server = match &config.server {
            config::ServerField::Hide => Server::Hide,
            config::ServerField::Keep => Server::Keep,
            config::ServerField::Set(text) => {
                let error = ConfigError::at("server.set", format!("{text:?} is empty, or not visible ASCII"));
                let value = written_value(text).ok_or_else(|| error.help("write a name, or server: hide"))?;
                Server::Set(FieldName::parse("Server").expect("a name"), value)
            }
        };
        Ok(Self { server, fingerprints: config.fingerprints })
    }

    /// Whether there is anything that clients may not know.
    pub(crate) fn hides(&self) -> bool {
        self.fingerprints == Fingerprints::Hide || !matches!(self.server, Server::Keep)
    }

    /// Takes the fields away.
    pub(crate) fn apply(&self, head: &mut impl Fields) -> Result<()> {
        if self.fingerprints == Fingerprints::Hide {
            HIDDEN.strip(head);
        }
        match &self.server {
            Server::Hide => head.take(&header::SERVER),
            Server::Keep => {}
            Server::Set(name, value) => head.put(name, value.clone())?,
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ServerField;
    use crate::field::tests::{assert_fields, response};

    const TELLTALE: [(&str, &str); 7] = [
        ("Server", "Express"),
        ("Via", "1.1 backend-7"),
        ("X-Powered-By", "PHP/8.1"),
        ("X-Backend-Server", "10.0.2.45"),
        ("x-aspnet-version", "4"),
        ("X-Request-ID", "1"),
        ("Content-Type", "text/html"),
    ];

    fn applied(server: ServerField, fingerprints: Fingerprints) -> tidegate_core::ResponseHeader {
        let config = config::Privacy { server, fingerprints, ..config::Privacy::default() };
        let mut head = response(&TELLTALE);
        Privacy::build(&config).expect("valid").apply(&mut head).expect("fits");
        head
    }

    #[test]
    fn nothing_tells_what_made_a_response_by_default() {
        let config = config::Privacy::default();
        let head = applied(config.server, config.fingerprints);
        assert_fields(&head, &[("content-type", "text/html"), ("x-request-id", "1")]);
    }

    #[test]
    fn what_is_kept_is_kept() {
        let head = applied(ServerField::Keep, Fingerprints::Keep);
        assert_eq!(head.headers.len(), TELLTALE.len());
        let head = applied(ServerField::Keep, Fingerprints::Hide);
        assert_fields(&head, &[("content-type", "text/html"), ("server", "Express"), ("x-request-id", "1")]);
    }

    #[test]
    fn a_name_of_ones_own_takes_the_place_of_every_other() {
        let head = applied(ServerField::Set("tidegate".into()), Fingerprints::Hide);
        assert_fields(&head, &[("content-type", "text/html"), ("server", "tidegate"), ("x-request-id", "1")]);
    }

    #[test]
    fn a_server_that_can_not_be_sent_is_refused() {
        for text in ["", "a\nb", "ü"] {
            let config = config::Privacy { server: ServerField::Set(text.into()), ..config::Privacy::default() };
            let message = Privacy::build(&config).expect_err("wrong").to_string();
            assert!(message.starts_with("server.set: "), "{message}");
        }
    }

    #[test]
    fn the_manual_lists_every_hidden_field() {
        let manual = include_str!("../README.md");
        let (_, list) = manual.split_once("Hidden by `fingerprints: hide`:").expect("the list has its place");
        let list = list.split("\n\n").nth(1).expect("a paragraph");
        let listed: Vec<_> = list.split('`').skip(1).step_by(2).collect();
        assert_eq!(listed, FINGERPRINTS);
    }
}
