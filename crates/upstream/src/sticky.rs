//! The cookie that keeps a browser on a target.

use std::sync::Arc;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderValue;

use crate::config::{SameSite, Sticky};

/// What cookies of one pool are signed with, and what they all say.
pub(crate) struct StickyKey {
    key: hmac::Key,
    name: String,
    attributes: String,
}

/// The cookie of one target, made beforehand.
pub(crate) struct StickyCookie {
    /// What comes back in `Cookie`.
    pub(crate) value: Arc<str>,
    /// The whole `Set-Cookie`.
    pub(crate) header: HeaderValue,
}

/// 128 bits of the signature: nobody guesses one that is valid.
const SIGNATURE: usize = 16;

impl StickyKey {
    pub(crate) fn new(config: &Sticky) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, config.secret.expose().as_bytes());
        Self { key, name: config.cookie.clone(), attributes: attributes(config) }
    }

    /// The cookie of the target of `pool` at `address`: a signature of both, which is the same for as long as the
    /// target has that address, and from which the address can't be read. The pool's name keeps a cookie of one
    /// upstream from being one of another. `None` if the cookie's name doesn't fit into a header, which is refused at
    /// load.
    pub(crate) fn cookie(&self, pool: &str, address: &str) -> Option<StickyCookie> {
        let mut signed = hmac::Context::with_key(&self.key);
        signed.update(pool.as_bytes());
        signed.update(&[0]);
        signed.update(address.as_bytes());
        let value = URL_SAFE_NO_PAD.encode(signed.sign().as_ref().get(..SIGNATURE)?);
        let header = format!("{}={value}{}", self.name, self.attributes);
        Some(StickyCookie { value: value.into(), header: header.try_into().ok()? })
    }
}

/// RFC 6265bis, section 4.1.2. Scripts of the page don't see it.
fn attributes(config: &Sticky) -> String {
    let mut attributes = "; Path=/; HttpOnly".to_owned();
    if config.secure {
        attributes.push_str("; Secure");
    }
    attributes.push_str(match config.same_site {
        SameSite::Lax => "; SameSite=Lax",
        SameSite::Strict => "; SameSite=Strict",
        SameSite::None => "; SameSite=None",
    });
    if let Some(ttl) = config.ttl {
        // Zero would have the browser throw it away.
        let seconds = std::time::Duration::from(ttl).as_secs().max(1);
        attributes.push_str(&format!("; Max-Age={seconds}"));
    }
    attributes
}

#[cfg(test)]
mod tests {
    use tidegate_core::config::{Duration, Secret};

    use super::*;

    fn sticky() -> Sticky {
        Sticky {
            cookie: "t".to_owned(),
            secret: Secret::new("0123456789abcdef"),
            ttl: None,
            secure: true,
            same_site: SameSite::Lax,
        }
    }

    fn header(config: &Sticky) -> String {
        let cookie = StickyKey::new(config).cookie("app", "10.0.0.1:1").unwrap();
        let header = cookie.header.to_str().unwrap();
        assert!(header.starts_with(&format!("t={};", cookie.value)), "{header}");
        header.split_once(';').unwrap().1.to_owned()
    }

    #[test]
    fn the_header_says_what_is_configured() {
        assert_eq!(header(&sticky()), " Path=/; HttpOnly; Secure; SameSite=Lax");
        let other =
            Sticky { ttl: Some(Duration::from_secs(3600)), secure: false, same_site: SameSite::Strict, ..sticky() };
        assert_eq!(header(&other), " Path=/; HttpOnly; SameSite=Strict; Max-Age=3600");
    }

    #[test]
    fn the_value_depends_on_secret_pool_and_address_only() {
        let value =
            |config: &Sticky, pool: &str, address: &str| StickyKey::new(config).cookie(pool, address).unwrap().value;
        let one = value(&sticky(), "app", "10.0.0.1:1");
        assert_eq!(one.len(), 22);
        assert_eq!(one, value(&Sticky { ttl: Some(Duration::from_secs(9)), ..sticky() }, "app", "10.0.0.1:1"));
        assert_ne!(one, value(&sticky(), "app", "10.0.0.2:1"));
        assert_ne!(one, value(&sticky(), "web", "10.0.0.1:1"));
        let secret = Secret::new("fedcba9876543210");
        assert_ne!(one, value(&Sticky { secret, ..sticky() }, "app", "10.0.0.1:1"));
    }

    #[test]
    fn the_value_is_hmac_sha256_in_base64url() {
        // printf 'app\0' + '10.0.0.1:1' | openssl dgst -sha256 -hmac 0123456789abcdef, the first 16 bytes.
        let cookie = StickyKey::new(&sticky()).cookie("app", "10.0.0.1:1").unwrap();
        assert_eq!(&*cookie.value, "PSZTA95Cl2LBlsL8y9UZxg");
    }

    #[test]
    fn a_name_that_is_no_token_makes_no_cookie() {
        let key = StickyKey::new(&Sticky { cookie: "a\r\nb".to_owned(), ..sticky() });
        assert!(key.cookie("app", "10.0.0.1:1").is_none());
    }
}
