//! A real identity provider: the npm package `oidc-provider`, which is certified for OpenID Connect, run by node.

mod browser;

use std::net::SocketAddr;

use http::Method;
use serde_json::Value;
use tempfile::TempDir;

use self::browser::{Browser, code, form};
use crate::packages::npm;
use crate::process::{Program, ProgramBuilder, Signal, program};
use crate::{Answer, Client, call};

/// An identity provider of this test's own.
///
/// It knows every user, with any password. `root` has the role `admin`, all others `user`.
#[derive(Debug)]
pub struct IdentityProvider {
    program: Program,
    /// Of its keys, which outlive a restart.
    home: TempDir,
}

/// Starts one.
pub async fn identity_provider() -> IdentityProvider {
    let home = tempfile::tempdir().expect("a directory");
    IdentityProvider { program: provider(&home, program("node", NODE)).start().await, home }
}

const NODE: &str = "nodejs";
const FOLDER: &str = "identity-provider";
const SOURCE: &str = include_str!("../../assets/identity-provider/provider.mjs");
/// The application that users log in to. What it is redirected to is nowhere: the test reads it.
const APP: [(&str, &str); 2] = [("client_id", "app"), ("client_secret", "secret-of-the-app")];
const CALLBACK: &str = "https://app.example/callback";
/// The example of RFC 7636 appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

impl IdentityProvider {
    /// The client that may ask about tokens (RFC 7662), and its secret.
    pub const GATEWAY: (&str, &str) = ("gateway", "secret-of-the-gateway");

    /// The client of a site that people log in to with this provider, and its secret. Its redirect URI is
    /// `https://site.example/auth/login/op/callback`.
    pub const SITE: (&str, &str) = ("site", "secret of the site: 100%");

    /// The same without a secret.
    pub const SITE_PUBLIC: &str = "site-public";

    /// Its name: what `iss` says, and where its metadata are.
    pub fn issuer(&self) -> String {
        format!("http://{}", self.addr())
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.program.addr()
    }

    /// Where its keys are published.
    pub fn jwks_url(&self) -> String {
        format!("{}/jwks", self.issuer())
    }

    /// Where it is asked about tokens.
    pub fn introspection_url(&self) -> String {
        format!("{}/token/introspection", self.issuer())
    }

    /// Follows an application's question (an authorization request, by its URL) as a browser would, logs in as `user`, and
    /// consents to everything: where the provider sends the browser back to.
    pub async fn follow(&self, question: &str, user: &str) -> String {
        Browser::new(self.addr()).follow(question, user).await
    }

    /// Lets `user` log in to the application, as a browser would: by the authorization code flow with PKCE.
    pub fn login<'a>(&'a self, user: &'a str) -> TokenRequest<'a> {
        TokenRequest { provider: self, user: Some(user), audience: "api", form: TokenForm::Rs256, scope: "read write" }
    }

    /// Lets the application log in as itself (RFC 6749 section 4.4); the token's subject is `app`.
    pub fn application(&self) -> TokenRequest<'_> {
        TokenRequest { user: None, ..self.login("app") }
    }

    /// Withdraws an opaque token (RFC 7009).
    pub async fn revoke(&self, token: &str) {
        self.post("/token/revocation", &[("token", token)]).await.expect(200);
    }

    /// Signs with new keys from now on; the old ones stay published.
    pub async fn rotate_keys(&self) {
        self.tell("rotate").await;
    }

    /// Publishes only the keys that it signs with now.
    pub async fn retire_old_keys(&self) {
        self.tell("retire").await;
    }

    /// How often `path` was asked for, since it was started.
    pub async fn asked(&self, path: &str) -> u64 {
        self.tell("asked").await[path].as_u64().unwrap_or(0)
    }

    /// Ends it, and waits until it has ended.
    pub async fn stop(&mut self) {
        self.program.signal(Signal::Kill);
        self.program.wait().await;
    }

    /// Starts it again on its port, with its keys, and without a memory of logins. It was [stopped](Self::stop) before.
    pub async fn restart(&mut self) {
        let port = self.addr().port();
        self.program = provider(&self.home, program("node", NODE).on(port)).start().await;
    }

    async fn tell(&self, what: &str) -> Value {
        self.connect().await.get(&format!("/test/{what}")).await.expect(200).json()
    }

    async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let fields: Vec<_> = fields.iter().copied().chain(APP).collect();
        let call = call(Method::POST, path).header("Content-Type", "application/x-www-form-urlencoded");
        self.connect().await.send(call.body(form(&fields))).await
    }

    async fn connect(&self) -> Client {
        Client::connect(self.addr()).await
    }
}

fn provider(home: &TempDir, program: ProgramBuilder) -> ProgramBuilder {
    let (port, packages) = (program.port().to_string(), npm(FOLDER, "oidc-provider"));
    program
        .file("provider.mjs", SOURCE)
        .arg("provider.mjs")
        .env("PORT", port)
        .env("KEYS", home.path().join("keys.json"))
        .env("PACKAGES", packages)
}

/// A token to be asked for.
#[derive(Debug, Clone, Copy)]
pub struct TokenRequest<'a> {
    provider: &'a IdentityProvider,
    user: Option<&'a str>,
    audience: &'a str,
    form: TokenForm,
    scope: &'a str,
}

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenForm {
    /// A JWT signed by RSASSA-PKCS1-v1_5.
    Rs256,
    /// A JWT signed by RSASSA-PSS.
    Ps256,
    /// A JWT signed by ECDSA on P-256.
    Es256,
    /// A JWT signed by Ed25519.
    EdDsa,
    /// A random text that only the provider knows something of.
    Opaque,
}

impl TokenForm {
    /// All that are JWTs.
    pub const SIGNED: [TokenForm; 4] = [TokenForm::Rs256, TokenForm::Ps256, TokenForm::Es256, TokenForm::EdDsa];

    fn as_str(self) -> &'static str {
        match self {
            TokenForm::Rs256 => "RS256",
            TokenForm::Ps256 => "PS256",
            TokenForm::Es256 => "ES256",
            TokenForm::EdDsa => "EdDSA",
            TokenForm::Opaque => "opaque",
        }
    }
}

impl<'a> TokenRequest<'a> {
    /// For this audience, in place of `api`.
    #[must_use]
    pub fn audience(self, audience: &'a str) -> Self {
        Self { audience, ..self }
    }

    /// In this form, in place of RS256.
    #[must_use]
    pub fn form(self, form: TokenForm) -> Self {
        Self { form, ..self }
    }

    /// For these scopes, in place of `read write`, which are all there are.
    #[must_use]
    pub fn scope(self, scope: &'a str) -> Self {
        Self { scope, ..self }
    }

    /// The access token.
    pub async fn token(self) -> String {
        let resource = format!("urn:test:{}:{}", self.audience, self.form.as_str());
        let answer = match self.user {
            Some(user) => self.by_code(user, &resource).await,
            None => {
                let grant = [("grant_type", "client_credentials"), ("scope", self.scope), ("resource", &resource)];
                self.provider.post("/token", &grant).await
            }
        };
        let answer = answer.expect(200).json();
        answer["access_token"].as_str().unwrap_or_else(|| panic!("no token: {answer}")).to_owned()
    }

    async fn by_code(&self, user: &str, resource: &str) -> Answer {
        let scope = format!("openid {}", self.scope);
        let question = [
            ("client_id", "app"),
            ("response_type", "code"),
            ("redirect_uri", CALLBACK),
            ("scope", &scope),
            ("resource", resource),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
        ];
        let code = code(&self.provider.follow(&format!("/auth?{}", form(&question)), user).await);
        let grant = [
            ("grant_type", "authorization_code"),
            ("code", &code),
            ("redirect_uri", CALLBACK),
            ("code_verifier", VERIFIER),
            ("resource", resource),
        ];
        self.provider.post("/token", &grant).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn tokens_of_every_form_are_issued_to_users_and_to_the_application() {
        let provider = identity_provider().await;
        for form in TokenForm::SIGNED {
            for request in [provider.login("ada"), provider.application()] {
                let token = request.form(form).token().await;
                assert_eq!(token.split('.').count(), 3, "{form:?}: {token}");
            }
        }
        let opaque = provider.login("ada").form(TokenForm::Opaque).token().await;
        assert!(!opaque.contains('.'), "{opaque}");
        assert_eq!(provider.asked("/token").await, 9);
    }

    #[tokio::test]
    async fn keys_outlive_a_restart_and_go_when_they_are_told_to() {
        let mut provider = identity_provider().await;
        let ids = async |provider: &IdentityProvider| {
            let keys = provider.connect().await.get("/jwks").await.expect(200).json();
            let list = keys["keys"].as_array().expect("a list").iter();
            list.map(|key| key["kid"].as_str().expect("an id").to_owned()).collect::<Vec<_>>()
        };
        let first = ids(&provider).await;
        provider.stop().await;
        provider.restart().await;
        assert_eq!(ids(&provider).await, first);
        provider.rotate_keys().await;
        let both = ids(&provider).await;
        assert_eq!((both.len(), &both[4..]), (8, &first[..]));
        provider.retire_old_keys().await;
        assert_eq!(ids(&provider).await, both[..4]);
    }
}
