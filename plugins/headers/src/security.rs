//! The headers by which browsers guard a page.

use tidegate_core::config::Duration;
use tidegate_core::{ConfigError, ConfigErrors, HeaderValue, Result, Scheme};

use crate::config::{self, Mode, Preload, Preset, Subdomains, WordOr};
use crate::field::{FieldName, Fields, written_value};

/// Helmet 8's `Content-Security-Policy`.
const CONTENT_SECURITY_POLICY: &str = "default-src 'self';base-uri 'self';font-src 'self' https: data:;\
    form-action 'self';frame-ancestors 'self';img-src 'self' data:;object-src 'none';script-src 'self';\
    script-src-attr 'none';style-src 'self' https: 'unsafe-inline';upgrade-insecure-requests";

/// What the list that browsers are shipped with wants at least (<https://hstspreload.org>).
const PRELOAD_MIN_AGE: Duration = Duration::from_secs(31_536_000);

/// The security headers of one route. The default sends none and touches none.
#[derive(Debug, Default)]
pub(crate) struct Security {
    mode: Mode,
    rules: Box<[Rule]>,
    /// Apart from the others: the only one that plain HTTP must not have.
    hsts: Option<Rule>,
    /// Gone in any mode.
    stripped: Option<FieldName>,
}

#[derive(Debug)]
struct Rule {
    name: FieldName,
    /// `None`: the configuration says `omit`.
    value: Option<HeaderValue>,
}

impl Security {
    /// Errors have paths relative to `security`.
    pub(crate) fn build(config: &WordOr<Preset, config::Security>) -> Result<Self, ConfigErrors> {
        match config {
            WordOr::Word(preset) => Builder::new(*preset).build(&config::Security::of(*preset)),
            WordOr::Map(config) => Builder::new(config.preset).build(config),
        }
    }

    /// Sends what this route sends, over a connection of this kind.
    pub(crate) fn apply(&self, scheme: Scheme, head: &mut impl Fields) -> Result<()> {
        if let Some(name) = &self.stripped {
            head.take(name.name());
        }
        self.rules.iter().try_for_each(|rule| self.apply_rule(rule, head))?;
        match (&self.hsts, scheme) {
            (Some(hsts), Scheme::Https) => self.apply_rule(hsts, head)?,
            // RFC 6797 section 7.2: never over plain HTTP, the upstream's neither.
            (Some(hsts), Scheme::Http) => head.take(hsts.name.name()),
            (None, _) => {}
        }
        Ok(())
    }

    fn apply_rule(&self, rule: &Rule, head: &mut impl Fields) -> Result<()> {
        match (&rule.value, self.mode) {
            (Some(_), Mode::IfAbsent) if head.fields().contains_key(rule.name.name()) => Ok(()),
            (Some(value), _) => head.put(&rule.name, value.clone()),
            (None, Mode::IfAbsent) => Ok(()),
            (None, Mode::Always) => {
                head.take(rule.name.name());
                Ok(())
            }
        }
    }
}

struct Builder {
    preset: Preset,
    rules: Vec<Rule>,
    errors: ConfigErrors,
}

impl Builder {
    fn new(preset: Preset) -> Self {
        Self { preset, rules: Vec::new(), errors: ConfigErrors::new() }
    }

    fn build(mut self, given: &config::Security) -> Result<Security, ConfigErrors> {
        let (csp, report_only) = (&given.content_security_policy, &given.content_security_policy_report_only);
        self.text("content_security_policy", "Content-Security-Policy", CONTENT_SECURITY_POLICY, csp);
        self.text("content_security_policy_report_only", "Content-Security-Policy-Report-Only", "", report_only);
        self.text("permissions_policy", "Permissions-Policy", "", &given.permissions_policy);
        self.word("Cross-Origin-Embedder-Policy", "", given.cross_origin_embedder_policy.map(|word| word.value()));
        let opener = given.cross_origin_opener_policy.map(|word| word.value());
        self.word("Cross-Origin-Opener-Policy", "same-origin", opener);
        let resource = given.cross_origin_resource_policy.map(|word| word.value());
        self.word("Cross-Origin-Resource-Policy", "same-origin", resource);
        self.word("Origin-Agent-Cluster", "?1", given.origin_agent_cluster.map(|word| word.value()));
        self.word("Referrer-Policy", "no-referrer", given.referrer_policy.map(|word| word.value()));
        self.word("X-Content-Type-Options", "nosniff", given.content_type_options.map(|word| word.value()));
        self.word("X-DNS-Prefetch-Control", "off", given.dns_prefetch_control.map(|word| word.value()));
        self.word("X-Download-Options", "noopen", given.download_options.map(|word| word.value()));
        self.word("X-Frame-Options", "SAMEORIGIN", given.frame_options.map(|word| word.value()));
        let policies = given.permitted_cross_domain_policies.map(|word| word.value());
        self.word("X-Permitted-Cross-Domain-Policies", "none", policies);
        self.word("X-XSS-Protection", "0", given.xss_protection.map(|word| word.value()));
        let hsts = self.hsts(given.hsts.as_ref());
        let stripped = (self.preset == Preset::Helmet).then(|| name("X-Powered-By"));
        self.errors.into_result(Security { mode: given.mode, rules: self.rules.into(), hsts, stripped })
    }

    /// A header that has a word of its own: what is given, else the preset's, where an empty one is none.
    fn word(&mut self, header: &str, helmet: &'static str, given: Option<Option<&'static str>>) {
        let value = given.or_else(|| self.by_preset(helmet).map(Some));
        self.rules.extend(value.map(|value| Rule { name: name(header), value: value.map(HeaderValue::from_static) }));
    }

    /// A header that may have any text.
    fn text(&mut self, key: &str, header: &str, helmet: &'static str, given: &Option<String>) {
        let value = match given.as_deref() {
            None => return self.word(header, helmet, None),
            Some("omit") => None,
            Some(text) => {
                let error = ConfigError::at(key, "no text for a header: it is empty, or not visible ASCII on one line");
                self.errors.collect(written_value(text).ok_or(error.help("write the header's value, or omit")))
            }
        };
        self.rules.push(Rule { name: name(header), value });
    }

    fn by_preset(&self, helmet: &'static str) -> Option<&'static str> {
        (self.preset == Preset::Helmet && !helmet.is_empty()).then_some(helmet)
    }

    fn hsts(&mut self, given: Option<&WordOr<config::Omit, config::Hsts>>) -> Option<Rule> {
        let value = match (given, self.preset) {
            (None, Preset::Off) => return None,
            (None, Preset::Helmet) => Some(hsts_value(&config::Hsts::default())),
            (Some(WordOr::Word(config::Omit::Omit)), _) => None,
            (Some(WordOr::Map(hsts)), _) => {
                self.errors.collect(preloadable(hsts));
                Some(hsts_value(hsts))
            }
        };
        Some(Rule { name: name("Strict-Transport-Security"), value })
    }
}

/// A request for the list that the list would turn down is a mistake.
fn preloadable(hsts: &config::Hsts) -> Result<(), ConfigError> {
    let fits = hsts.subdomains == Subdomains::Include && hsts.max_age >= PRELOAD_MIN_AGE;
    if hsts.preload == Preload::Omit || fits {
        return Ok(());
    }
    Err(ConfigError::at("hsts.preload", "the preload list takes only max_age: 365d or more with subdomains: include")
        .help("write preload: omit, or meet its terms (https://hstspreload.org)"))
}

fn hsts_value(hsts: &config::Hsts) -> HeaderValue {
    let subdomains = match hsts.subdomains {
        Subdomains::Include => "; includeSubDomains",
        Subdomains::Exclude => "",
    };
    let preload = match hsts.preload {
        Preload::Request => "; preload",
        Preload::Omit => "",
    };
    let text = format!("max-age={}{subdomains}{preload}", hsts.max_age.as_secs());
    HeaderValue::try_from(text).expect("digits and words are visible ASCII")
}

fn name(header: &str) -> FieldName {
    FieldName::parse(header).expect("the names in this file are names")
}

#[cfg(test)]
mod tests {
    use tidegate_core::ResponseHeader;

    use super::*;
    use crate::config::{FrameOptions, Hsts, Omit};
    use crate::field::tests::{assert_fields, listed, response};

    fn applied(config: &WordOr<Preset, config::Security>, scheme: Scheme, mut head: ResponseHeader) -> ResponseHeader {
        Security::build(config).expect("valid").apply(scheme, &mut head).expect("fits");
        head
    }

    fn helmet() -> WordOr<Preset, config::Security> {
        WordOr::Word(Preset::Helmet)
    }

    fn wire(head: &ResponseHeader) -> Vec<String> {
        let mut wire = Vec::new();
        head.header_to_h1_wire(&mut wire);
        let mut lines: Vec<_> = String::from_utf8(wire).expect("ASCII").lines().map(str::to_owned).collect();
        lines.sort();
        lines
    }

    #[test]
    fn helmet_sends_what_helmet_for_express_sends() {
        let head = applied(&helmet(), Scheme::Https, response(&[("X-Powered-By", "Express")]));
        let recorded: Vec<_> = include_str!("../tests/helmet-8.3.0.txt").lines().collect();
        assert_eq!(wire(&head), recorded);
    }

    #[test]
    fn plain_http_has_no_hsts_whoever_sends_it() {
        let head = applied(&helmet(), Scheme::Http, response(&[("Strict-Transport-Security", "max-age=1")]));
        assert!(!head.headers.contains_key("strict-transport-security"));
        assert_eq!(head.headers.len(), 11);
    }

    #[test]
    fn the_upstreams_own_header_stays_or_gives_way_by_mode() {
        for (mode, frame_options) in [(Mode::IfAbsent, "DENY"), (Mode::Always, "SAMEORIGIN")] {
            let config = WordOr::Map(config::Security { mode, ..config::Security::default() });
            let head = applied(&config, Scheme::Http, response(&[("X-Frame-Options", "DENY")]));
            assert_eq!(head.headers["x-frame-options"], frame_options);
            assert_eq!(head.headers.get_all("x-frame-options").iter().count(), 1);
        }
    }

    #[test]
    fn an_omitted_header_is_left_to_the_upstream_or_removed_by_mode() {
        for (mode, left) in [(Mode::IfAbsent, true), (Mode::Always, false)] {
            let given = config::Security {
                mode,
                frame_options: Some(FrameOptions::Omit),
                hsts: Some(WordOr::Word(Omit::Omit)),
                ..config::Security::default()
            };
            let upstream = [("X-Frame-Options", "DENY"), ("Permissions-Policy", "camera=()")];
            let head = applied(&WordOr::Map(given.clone()), Scheme::Https, response(&upstream));
            assert_eq!(head.headers.contains_key("x-frame-options"), left, "{mode:?}");
            assert!(head.headers.contains_key("permissions-policy"), "not mentioned, so not touched");
            let head = applied(&WordOr::Map(given), Scheme::Https, response(&[]));
            assert!(!head.headers.contains_key("x-frame-options"));
            assert!(!head.headers.contains_key("strict-transport-security"));
        }
    }

    #[test]
    fn without_a_preset_only_what_is_given_is_sent() {
        let given = config::Security {
            content_security_policy: Some("default-src 'none'".into()),
            permissions_policy: Some("camera=()".into()),
            ..config::Security::of(Preset::Off)
        };
        let head = applied(&WordOr::Map(given), Scheme::Https, response(&[("X-Powered-By", "kept")]));
        let expected = [
            ("content-security-policy", "default-src 'none'"),
            ("permissions-policy", "camera=()"),
            ("x-powered-by", "kept"),
        ];
        assert_fields(&head, &expected);
        assert!(listed(&applied(&WordOr::default(), Scheme::Https, response(&[]))).is_empty());
    }

    #[test]
    fn hsts_is_written_from_its_parts() {
        let hsts = |days: u64, subdomains, preload| {
            let max_age = Duration::from_secs(days * 86_400);
            hsts_value(&Hsts { max_age, subdomains, preload })
        };
        assert_eq!(hsts(1, Subdomains::Exclude, Preload::Omit), "max-age=86400");
        let full = hsts(730, Subdomains::Include, Preload::Request);
        assert_eq!(full, "max-age=63072000; includeSubDomains; preload");
    }

    #[test]
    fn what_browsers_would_ignore_is_refused() {
        let given = config::Security {
            content_security_policy: Some(" ".into()),
            permissions_policy: Some("a\nb".into()),
            hsts: Some(WordOr::Map(Hsts {
                max_age: Duration::from_secs(60),
                preload: Preload::Request,
                ..Hsts::default()
            })),
            ..config::Security::default()
        };
        let errors = Security::build(&WordOr::Map(given)).expect_err("wrong");
        let paths: Vec<_> = errors.iter().map(|error| error.path.to_string()).collect();
        assert_eq!(paths, ["content_security_policy", "permissions_policy", "hsts.preload"]);
    }
}
