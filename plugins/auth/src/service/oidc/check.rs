//! What is wrong with a provider's section, whatever else there is.

use tidegate_core::{ConfigError, ConfigErrors, ConfigPath};

use super::local::is_local;
use super::party::{issuer, max_age};
use crate::config::Algorithm;
use crate::config::service::{Cookies, Delivery, Link, LoginWith, SameSite, Service};
use crate::jwt::is_in_the_clear;

/// The longest name: it is part of paths, cookies and users' names.
const LONGEST_NAME: usize = 32;
/// The longest that is said in a question: URLs have their limits.
const LONGEST: usize = 512;
/// The most providers.
const MOST: usize = 64;

/// What each question says by itself (OpenID Connect Core 1.0 section 3.1.2.1, RFC 7636, JAR).
const OURS: [&str; 12] = [
    "response_type",
    "response_mode",
    "client_id",
    "client_secret",
    "redirect_uri",
    "scope",
    "state",
    "nonce",
    "code_challenge",
    "code_challenge_method",
    "request",
    "request_uri",
];

/// Errors are relative to `service`.
pub(in crate::service) fn check(config: &Service, errors: &mut ConfigErrors) {
    let at = ConfigPath::from("login_with");
    if config.login_with.len() > MOST {
        errors.push(ConfigError::at(at.clone(), "more than 64 providers"));
    }
    for (name, of) in &config.login_with {
        let at = at.key(name);
        if !is_name(name) {
            let error = ConfigError::at(at.clone(), "its name must be 1 to 32 small letters, digits and `-`");
            errors.push(error.help("it is part of a path: login/<name>"));
        }
        let mut faults = ConfigErrors::new();
        asked(of, &mut faults);
        answered(of, config.signup.enabled, &mut faults);
        errors.extend(faults.under(&at));
    }
}

fn is_name(name: &str) -> bool {
    let fits = (1..=LONGEST_NAME).contains(&name.len()) && !name.starts_with('-') && !name.ends_with('-');
    fits && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// What the provider is asked with.
fn asked(config: &LoginWith, errors: &mut ConfigErrors) {
    let mut wrong = |at: &str, message: &str, help: &str| errors.push(ConfigError::at(at, message).help(help));
    let issuer = issuer(&config.issuer);
    if issuer.eq_ignore_ascii_case("github") || is_at(issuer, "github.com") {
        let help = "put a provider that knows GitHub between, such as Dex or Keycloak, and name it here";
        wrong("issuer", "GitHub is no OpenID provider for logins: it has no discovery and no ID tokens", help);
    }
    if config.client_id.is_empty() || config.client_id.len() > LONGEST || !is_visible(&config.client_id) {
        wrong(
            "client_id",
            "it must be 1 to 512 visible characters",
            "the provider tells it where clients are registered",
        );
    }
    if config.client_secret.is_none() && config.client_auth.is_some() {
        wrong("client_auth", "there is no secret to be shown", "add `client_secret`, or leave this out");
    }
    // RFC 6749 section 3.3.
    let is_scope = |scope: &String| !scope.is_empty() && is_visible(scope) && !scope.contains(['"', '\\', ' ']);
    if !config.scopes.iter().any(|scope| scope == "openid") {
        wrong("scopes", "`openid` is missing", "without it, the provider doesn't say who it is (OpenID Connect)");
    }
    if !config.scopes.iter().all(is_scope) || config.scopes.iter().map(String::len).sum::<usize>() > LONGEST {
        wrong("scopes", "each must be visible characters, and all at most 512", "such as [openid, email, profile]");
    }
    if max_age(config).is_some_and(|text| text.parse::<u32>().is_err() || text.starts_with('+')) {
        wrong("parameters.max_age", "it must be a whole number of seconds", "such as \"300\"");
    }
    for (name, value) in &config.parameters {
        let at = ConfigPath::from("parameters").key(name);
        if OURS.contains(&name.as_str()) {
            errors.push(ConfigError::at(at, "the gateway says this itself"));
        } else if name.is_empty() || name.len() + value.len() > LONGEST {
            errors.push(ConfigError::at(at, "it must have a name, and at most 512 bytes"));
        }
    }
    for (index, algorithm) in config.algorithms.iter().enumerate() {
        if matches!(algorithm, Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512) {
            let at = ConfigPath::from("algorithms").index(index);
            let error = ConfigError::at(at, "it needs a shared secret, and keys that are fetched are none");
            errors.push(error.help("have the provider sign with RS256 or ES256"));
        }
    }
}

/// What becomes of what it says.
fn answered(config: &LoginWith, is_open: bool, errors: &mut ConfigErrors) {
    let pages = [("return_to", Some(&config.return_to)), ("totp_page", config.totp_page.as_ref())];
    for (field, page) in pages {
        if page.is_some_and(|page| !is_local(page)) {
            errors.push(ConfigError::at(field, "it must be a path of this site, such as `/app`"));
        }
    }
    if config.roles.iter().any(String::is_empty) {
        errors.push(ConfigError::at("roles", "an empty word"));
    }
    if !config.signup && !config.roles.is_empty() {
        let error = ConfigError::at("roles", "they are for accounts that are made, and none are");
        errors.push(error.help("add `signup: true`, or leave `roles` out"));
    }
    if let Some(from) = &config.roles_from {
        if from.claim.split('.').any(str::is_empty) {
            errors.push(ConfigError::at("roles_from.claim", "a member without a name"));
        }
        if from.map.is_empty() || from.map.iter().any(|(word, role)| word.is_empty() || role.is_empty()) {
            let error = ConfigError::at("roles_from.map", "it must have words, and a role for each");
            errors.push(error.help("such as { engineering: editor }"));
        }
    }
    if config.link == Link::VerifiedEmail {
        if is_open {
            let error = ConfigError::at("link", "people can register with the address of somebody else as their name");
            errors.push(
                error.help("with `signup: { enabled: true }` of the service, accounts can't be linked by address"),
            );
        }
        if !config.userinfo && !config.scopes.iter().any(|scope| scope == "email") {
            errors.push(ConfigError::at("scopes", "`email` is missing, which accounts are linked by"));
        }
    }
}

/// What can work and is likely a mistake. Relative to `service`.
pub(crate) fn warnings(config: &Service) -> ConfigErrors {
    let mut found = ConfigErrors::new();
    for (name, of) in &config.login_with {
        if is_in_the_clear(issuer(&of.issuer)) {
            let warning = ConfigError::at(ConfigPath::from("login_with").key(name).key("issuer"), "logins without TLS");
            found.push(warning.help("whoever is on the way to the provider can log in as anybody: use https"));
        }
    }
    let (at, cookies) = match (&config.delivery, &config.session) {
        (Delivery::Cookie(cookies), _) => ("delivery.cookie.same_site", cookies.same_site),
        (Delivery::Json, Some(_)) => ("session", Cookies::default().same_site),
        (Delivery::Json, None) => return found,
    };
    if !config.login_with.is_empty() && cookies == SameSite::Strict {
        let warning =
            ConfigError::at(ConfigPath::from(at), "who comes from a provider is a stranger to the first page");
        let help = "cookies that are `strict` don't come along from there: `delivery: { cookie: { same_site: lax } }`";
        found.push(warning.help(help));
    }
    found
}

fn is_visible(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_graphic())
}

fn is_at(issuer: &str, host: &str) -> bool {
    let rest = issuer.split_once("://").map_or("", |(_, rest)| rest);
    rest.split(['/', ':', '?']).next().is_some_and(|found| found.eq_ignore_ascii_case(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(provider: &str, more: &str) -> String {
        let yaml =
            format!("{{ issuer: \"https://a.test\", store: {{ file: unused }}, login_with: {{ {provider} }}{more} }}");
        let config: Service = serde_yaml::from_str(&yaml).expect("a service");
        let mut errors = ConfigErrors::new();
        check(&config, &mut errors);
        errors.to_string()
    }

    #[test]
    fn what_can_work_is_taken() {
        for good in [
            "google: { issuer: google, client_id: x }",
            "a-1: { issuer: \"https://id.test/realm\", client_id: x, client_secret: s, client_auth: post }",
            "a: { issuer: \"http://127.0.0.1:1\", client_id: x, scopes: [openid], signup: true, roles: [user] }",
            "a: { issuer: google, client_id: x, link: verified_email, parameters: { hd: example.com } }",
            "a: { issuer: google, client_id: x, roles_from: { claim: a.b, map: { x: y } }, totp_page: /code }",
        ] {
            assert_eq!(faults(good, ""), "", "{good}");
        }
    }

    #[test]
    fn what_is_likely_a_mistake_is_told() {
        let told = |issuer: &str, more: &str| {
            let login = format!("login_with: {{ a: {{ issuer: \"{issuer}\", client_id: x }} }}");
            let yaml = format!("{{ issuer: \"https://a.test\", store: {{ file: unused }}, {login}{more} }}");
            warnings(&serde_yaml::from_str(&yaml).expect("a service")).to_string()
        };
        let strict = [", session: {}", ", delivery: !cookie {}", ", session: {}, delivery: !cookie {}"];
        for more in strict {
            assert!(told("google", more).contains("a stranger to the first page"), "{more}");
        }
        for more in
            ["", ", delivery: !cookie { same_site: lax }", ", session: {}, delivery: !cookie { same_site: lax }"]
        {
            assert_eq!(told("google", more), "", "{more}");
        }
        assert!(told("http://id.test", "").contains("login_with.a.issuer: logins without TLS"));
        assert_eq!(told("http://127.0.0.1:8080", ""), "");
    }

    #[test]
    fn what_can_not_work_is_told_where_it_stands() {
        for (more, place) in [
            ("issuer: github", "login_with.a.issuer: GitHub is no OpenID provider"),
            ("issuer: \"https://github.com/login/oauth\"", "login_with.a.issuer: GitHub"),
            ("client_auth: basic", "login_with.a.client_auth:"),
            ("scopes: [email]", "login_with.a.scopes: `openid` is missing"),
            ("scopes: [openid, \"a b\"]", "login_with.a.scopes:"),
            ("parameters: { state: x }", "login_with.a.parameters.state:"),
            ("parameters: { max_age: 5m }", "login_with.a.parameters.max_age:"),
            ("algorithms: [RS256, HS256]", "login_with.a.algorithms[1]:"),
            ("return_to: \"//evil.test\"", "login_with.a.return_to:"),
            ("return_to: \"https://evil.test\"", "login_with.a.return_to:"),
            ("totp_page: code", "login_with.a.totp_page:"),
            ("roles: [user]", "login_with.a.roles:"),
            ("roles_from: { claim: groups, map: {} }", "login_with.a.roles_from.map:"),
            ("roles_from: { claim: \"\", map: { x: y } }", "login_with.a.roles_from.claim:"),
            ("link: verified_email, scopes: [openid]", "login_with.a.scopes: `email` is missing"),
        ] {
            let issuer = if more.contains("issuer") { "" } else { "issuer: google, " };
            let told = faults(&format!("a: {{ {issuer}client_id: x, {more} }}"), "");
            assert!(told.contains(place), "{more}: {told}");
        }
        let told = faults("a: { issuer: google, client_id: \"\" }", "");
        assert!(told.contains("login_with.a.client_id:"), "{told}");
        for name in ["A", "a b", "a/b", "\"\"", "-a", "ä", &"a".repeat(33)] {
            let told = faults(&format!("{name}: {{ issuer: google, client_id: x }}"), "");
            assert!(told.contains("its name must be"), "{name}: {told}");
        }
        let open = ", signup: { enabled: true }";
        let told = faults("a: { issuer: google, client_id: x, link: verified_email }", open);
        assert!(told.contains("login_with.a.link:"), "{told}");
    }
}
