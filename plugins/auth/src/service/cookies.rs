//! Cookies, to the letter (RFC 6265bis).

use std::time::Duration;

use tidegate_core::{ConfigError, ConfigErrors, Error, HeaderValue, RequestHead};

use crate::config::service::{Cookies as CookiesConfig, Delivery, SameSite, Service};

/// The cookies of a service: their names, and what they say beside.
#[derive(Debug, Clone)]
pub(super) struct Cookies {
    /// Whether tokens are delivered by them.
    pub(super) deliver: bool,
    pub(super) access: String,
    pub(super) refresh: String,
    pub(super) csrf: String,
    /// That of a session in place of tokens.
    pub(super) session: Option<String>,
    /// By which a device is known that has logged in before.
    pub(super) device: String,
    /// Those of logins with other providers.
    logins: Vec<String>,
    secure: bool,
    same_site: &'static str,
}

/// A prefix that browsers take for a promise: `Secure`, no `Domain`, and the path `/`.
const HOST: &str = "__Host-";
const SECURE: &str = "__Secure-";

/// Whether scripts can read a cookie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scripts {
    Read,
    Blind,
}

impl Cookies {
    /// Errors are relative to `service`.
    pub(super) fn build(config: &Service) -> Result<Self, ConfigErrors> {
        let plain = CookiesConfig::default();
        let (deliver, cookies) = match &config.delivery {
            Delivery::Json => (false, &plain),
            Delivery::Cookie(cookies) => (true, cookies),
        };
        let session = config.session.as_ref().map(|session| session.cookie.as_str());
        let mut errors = ConfigErrors::new();
        let places = [
            ("delivery.cookie.access", Some(cookies.access.as_str())),
            ("delivery.cookie.refresh", Some(cookies.refresh.as_str())),
            ("delivery.cookie.csrf", Some(cookies.csrf.as_str())),
            ("session.cookie", session),
        ];
        for (at, (place, name)) in places.iter().enumerate() {
            let Some(name) = name else { continue };
            if !is_token(bare(name)) {
                errors.push(ConfigError::at(*place, "a cookie's name is letters, digits and `-_.`, up to 64"));
            }
            let taken = places[..at].iter().filter_map(|(_, name)| *name).any(|before| bare(before) == bare(name));
            let of_login = bare(name).strip_prefix("login-").is_some_and(|it| config.login_with.contains_key(it));
            if taken || of_login || bare(name) == DEVICE {
                errors.push(ConfigError::at(*place, "another cookie of the service has this name"));
            }
        }
        let named = |name: &str| if cookies.insecure { bare(name).to_owned() } else { name.to_owned() };
        errors.into_result(Self {
            deliver,
            access: named(&cookies.access),
            refresh: named(&cookies.refresh),
            csrf: named(&cookies.csrf),
            session: session.map(named),
            device: named("__Host-device"),
            logins: config.login_with.keys().map(|name| named(&login(name))).collect(),
            secure: !cookies.insecure,
            same_site: match cookies.same_site {
                SameSite::Strict => "Strict",
                SameSite::Lax => "Lax",
            },
        })
    }

    /// The names of all that a script can't read.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        let tokens = [&self.access, &self.refresh].into_iter().filter(|_| self.deliver).map(String::as_str);
        tokens.chain(self.session.as_deref()).chain([self.device.as_str()])
    }

    /// The names of all that are nobody else's business.
    pub(super) fn hidden(&self) -> impl Iterator<Item = &str> {
        self.names().chain(self.logins.iter().map(String::as_str))
    }

    /// That of a login with this provider.
    pub(super) fn login(&self, provider: &str) -> String {
        let name = login(provider);
        if self.secure { name } else { bare(&name).to_owned() }
    }

    /// Whether a request has come with a cookie that is taken away at logout.
    pub(super) fn are_in(&self, head: &RequestHead<'_>) -> bool {
        self.names().filter(|name| *name != self.device).any(|name| head.cookie(name).is_some())
    }

    /// Whether the refresh token's cookie can have this path.
    pub(super) fn refresh_fits(&self, path: &str) -> bool {
        path == "/" || !self.refresh.starts_with(HOST)
    }

    /// `Set-Cookie`. Ended by a `lasts` of zero: with the same attributes, or browsers would keep it.
    pub(super) fn set(
        &self,
        name: &str,
        value: &str,
        path: &str,
        lasts: Duration,
        scripts: Scripts,
    ) -> Result<HeaderValue, Error> {
        self.set_for(name, value, (path, self.same_site), lasts, scripts)
    }

    /// The same for one that has to come along when another site sends the browser back.
    pub(super) fn set_lax(
        &self,
        name: &str,
        value: &str,
        path: &str,
        lasts: Duration,
        scripts: Scripts,
    ) -> Result<HeaderValue, Error> {
        self.set_for(name, value, (path, "Lax"), lasts, scripts)
    }

    fn set_for(
        &self,
        name: &str,
        value: &str,
        (path, same_site): (&str, &str),
        lasts: Duration,
        scripts: Scripts,
    ) -> Result<HeaderValue, Error> {
        let age = lasts.as_secs().to_string();
        let hidden = if scripts == Scripts::Blind { "; HttpOnly" } else { "" };
        let secure = if self.secure { "; Secure" } else { "" };
        let parts = [name, "=", value, "; Path=", path, "; Max-Age=", &age, hidden, secure, "; SameSite=", same_site];
        let text = parts.concat();
        HeaderValue::try_from(text).map_err(|_| Error::internal("a cookie that is no header field"))
    }
}

const DEVICE: &str = "device";

/// With `__Host-`: a neighbouring host could plant another one (RFC 6265bis section 4.1.3).
fn login(provider: &str) -> String {
    ["__Host-login-", provider].concat()
}

/// A name without the prefix that promises.
fn bare(name: &str) -> &str {
    name.strip_prefix(HOST).or_else(|| name.strip_prefix(SECURE)).unwrap_or(name)
}

fn is_token(name: &str) -> bool {
    let fits = (1..=64).contains(&name.len());
    fits && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn build(more: &str) -> Result<Cookies, ConfigErrors> {
        let yaml = format!("{{ issuer: \"https://a.test\", store: {{ file: unused }}, {more} }}");
        Cookies::build(&serde_yaml::from_str(&yaml).expect("a service"))
    }

    #[test]
    fn names_and_attributes_are_as_configured() {
        let cookies = build("delivery: !cookie {}").expect("good");
        let set = |cookies: &Cookies, scripts| {
            let set = cookies.set(&cookies.access, "v", "/", Duration::from_secs(9), scripts);
            set.expect("a field").to_str().expect("ASCII").to_owned()
        };
        assert_eq!(
            set(&cookies, Scripts::Blind),
            "__Host-access=v; Path=/; Max-Age=9; HttpOnly; Secure; SameSite=Strict"
        );
        let cookies = build("delivery: !cookie { insecure: true, same_site: lax }, session: {}").expect("good");
        assert_eq!(set(&cookies, Scripts::Read), "access=v; Path=/; Max-Age=9; SameSite=Lax");
        assert_eq!(cookies.session.as_deref(), Some("session"));
        assert!(!build("delivery: !cookie { refresh: __Host-r }").expect("good").refresh_fits("/auth"));
    }

    #[test]
    fn names_that_are_none_or_meet_are_refused() {
        for (more, place) in [
            ("delivery: !cookie { access: \"a b\" }", "delivery.cookie.access"),
            ("delivery: !cookie { csrf: \"\" }", "delivery.cookie.csrf"),
            ("delivery: !cookie { csrf: __Host-access }", "delivery.cookie.csrf"),
            ("delivery: !cookie { access: device }", "delivery.cookie.access"),
            ("session: { cookie: \"x;\" }", "session.cookie"),
        ] {
            let errors = build(more).expect_err(more).to_string();
            assert!(errors.contains(place), "{errors}");
        }
    }
}
