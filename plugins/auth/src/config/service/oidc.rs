//! Login with another provider.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use tidegate_core::config::Secret;

use super::given;
use crate::config::{Algorithm, KeySource};

/// A provider that people log in with (OpenID Connect Core 1.0), by the authorization code flow with PKCE.
/// `GET login/<name>?return_to=/path` below the mount sends a browser there; the provider sends it back to
/// `<issuer of the service><mount>/login/<name>/callback`, which is to be registered there as the redirect URI. Then this
/// service issues its own tokens, as after any login.
///
/// ```yaml
/// auth:
///   service:
///     issuer: "https://www.example.com"
///     store: { file: /var/lib/tidegate/auth.redb }
///     delivery: { cookie: { same_site: lax } }
///     login_with:
///       google: { issuer: google, client_id: "123.apps.googleusercontent.com", client_secret: "${SECRET}", signup: true }
/// ```
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LoginWith {
    /// The provider's name, exactly as in `iss`: its metadata are at `<issuer>/.well-known/openid-configuration`, and are
    /// asked for when somebody logs in first. `google` is short for `https://accounts.google.com`. GitHub is no OpenID
    /// provider for logins: put one that knows it between.
    pub issuer: String,
    /// Who this gateway is there.
    pub client_id: String,
    /// Its secret. Default: none, it is a public client.
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "Secret")]
    pub client_secret: Option<Secret>,
    /// How the secret is shown: `basic` (`client_secret_basic`) or `post` (`client_secret_post`). Default: as the
    /// provider's metadata say, and `basic` where both will do.
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "ClientAuth")]
    pub client_auth: Option<ClientAuth>,
    /// What is asked for. `openid` must be among it. Default: `openid`, `email`, `profile`.
    #[serde(default = "scopes")]
    pub scopes: Vec<String>,
    /// What else the provider is asked with, such as `{ prompt: select_account, hd: example.com }`. Default: nothing. The
    /// browser carries it there and can leave it out: only what the ID token says is sure (`claims`). `max_age` (seconds
    /// since somebody logged in there) is checked by its `auth_time`.
    #[serde(default)]
    pub parameters: BTreeMap<String, String>,
    /// With what ID tokens may be signed. Default: every asymmetric algorithm that fits a key of the provider.
    #[serde(default)]
    pub algorithms: Vec<Algorithm>,
    /// Claims of the ID token that must be just this, such as `{ hd: example.com }`: others don't get in. Default: none.
    #[serde(default)]
    pub claims: BTreeMap<String, Value>,
    /// Asks the provider's userinfo endpoint for what the ID token doesn't say. Default: false.
    #[serde(default)]
    pub userinfo: bool,
    /// Makes an account for who comes for the first time. Default: false, and who has none is 403 `no_account`.
    #[serde(default)]
    pub signup: bool,
    /// The roles of an account that is made so. Default: none.
    #[serde(default)]
    pub roles: Vec<String>,
    /// Roles by a claim. They are set anew, together with `roles`, at each login, for accounts that were made so. Default:
    /// none, and roles are what operators make them.
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "RolesFrom")]
    pub roles_from: Option<RolesFrom>,
    /// Whether somebody gets an account that there is already. Default: `never`.
    #[serde(default)]
    pub link: Link,
    /// Where a browser goes after login if it doesn't say (`return_to`): a path. Default: `/`.
    #[serde(default = "root")]
    pub return_to: String,
    /// A page of yours, by its path, that asks for the code of a second factor where an account has one, and sends it to
    /// `POST login/<name>` as `{"totp": "123456"}` within 5 minutes. Default: none, and the callback answers 401
    /// `totp_required`.
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "String")]
    pub totp_page: Option<String>,
    /// How the provider is asked: for its metadata and its keys, and each time for tokens.
    #[serde(default)]
    pub fetch: KeySource,
}

fn scopes() -> Vec<String> {
    ["openid", "email", "profile"].map(str::to_owned).into()
}

fn root() -> String {
    "/".to_owned()
}

/// How a client shows its secret (OpenID Connect Core 1.0 section 9).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[schemars(rename = "LoginClientAuth")]
#[serde(rename_all = "lowercase")]
pub enum ClientAuth {
    /// In `Authorization`.
    Basic,
    /// In the form.
    Post,
}

/// Roles by a claim.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[schemars(rename = "LoginRoles")]
#[serde(deny_unknown_fields)]
pub struct RolesFrom {
    /// The claim: a list, or words with spaces between; dots go into objects.
    pub claim: String,
    /// The role for each of its words; words that are not here give none.
    pub map: BTreeMap<String, String>,
}

/// Whether somebody gets an account that there is already.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[schemars(rename = "LoginLink")]
#[serde(rename_all = "snake_case")]
pub enum Link {
    /// Accounts are those that this provider's users came to here.
    #[default]
    Never,
    /// Who has an address that the provider has verified gets the account whose name is that address, if they have no
    /// account yet. The provider's word is enough then to be in that account: name no provider that verifies nothing, or
    /// that gives an address to somebody else later.
    /// Refused together with `signup: { enabled: true }` of the service, where people could choose the address of somebody
    /// else as their name and wait; accounts that were registered so before are none that should be linked, either.
    VerifiedEmail,
}
