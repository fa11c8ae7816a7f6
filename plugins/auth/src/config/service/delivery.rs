//! How tokens get to clients.

use schemars::JsonSchema;
use serde::Deserialize;

/// How tokens get to clients.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Delivery {
    /// In the body of the answer, as RFC 6749 section 5.1 has it: for programs and apps.
    #[default]
    Json,
    /// In cookies that scripts can't read: for pages in a browser. Requests that change something and come with such a
    /// cookie must repeat the value of the CSRF cookie in `X-CSRF-Token`.
    Cookie(Cookies),
}

/// Cookies: `HttpOnly`, `Secure`, with a `__Host-` name where the path allows it (RFC 6265bis).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[schemars(rename = "TokenCookies")]
#[serde(deny_unknown_fields, default)]
pub struct Cookies {
    /// The access token's cookie. Default: `__Host-access`.
    pub access: String,
    /// The refresh token's cookie; its path is that of the refresh and logout endpoints alone. Default:
    /// `__Secure-refresh`.
    pub refresh: String,
    /// The cookie whose value scripts are to repeat. Default: `__Host-csrf`.
    pub csrf: String,
    /// `strict` or `lax`. Default: `strict`.
    pub same_site: SameSite,
    /// Leaves `Secure` out and the prefixes off the names, for a development machine without TLS. Default: false.
    pub insecure: bool,
}

impl Default for Cookies {
    fn default() -> Self {
        Self {
            access: "__Host-access".to_owned(),
            refresh: "__Secure-refresh".to_owned(),
            csrf: "__Host-csrf".to_owned(),
            same_site: SameSite::Strict,
            insecure: false,
        }
    }
}

/// Which requests of other sites carry the cookie.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[schemars(rename = "TokenSameSite")]
#[serde(rename_all = "snake_case")]
pub enum SameSite {
    /// None.
    #[default]
    Strict,
    /// Links that are followed.
    Lax,
}
