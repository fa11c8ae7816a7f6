//! A browser is sent to the provider, with a question of its own (OpenID Connect Core 1.0 section 3.1.2.1).

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use tidegate_core::{Cx, Error, HeaderValue, Reply, StatusCode};

use super::endpoints::Endpoints;
use super::local::is_local;
use super::party::Party;
use super::query::{Plus, parameter};
use super::seal::{self, BEGUN_FOR, Begun, Kept};
use crate::calls::encoded;
use crate::service::Desk;
use crate::service::answer::{Answer, Refused};

impl Desk<'_> {
    /// `GET login/<name>?return_to=/path`.
    pub(super) async fn begin_with(&self, party: &Party, cx: &Cx<'_>) -> Answer {
        let return_to = match parameter(cx.head().query, "return_to", Plus::Itself) {
            Ok(None) => party.return_to.as_ref().to_owned(),
            Ok(Some(path)) if is_local(&path) => path.into_owned(),
            Ok(Some(_)) | Err(_) => return Err(elsewhere()),
        };
        let endpoints = party.endpoints().await?;
        let now = self.service.now();
        let begun = Begun::new(return_to, now);
        let location = party.question(&endpoints, &begun, self.at);
        let location = HeaderValue::try_from(location).map_err(|_| Error::internal("a URL that is no header field"))?;
        let sealed = seal::seal(&self.service.deps.keys, party.context(self.at), &Kept::Begun(begun))?;
        party.metrics.begun();
        self.with_attempt(party, Reply::redirect(StatusCode::SEE_OTHER, location), &sealed, BEGUN_FOR)
    }
}

fn elsewhere() -> Refused {
    Reply::bad_request("invalid_return_to", "`return_to` must be a path of this site, such as /app").into()
}

impl Party {
    /// The URL that asks.
    fn question(&self, endpoints: &Endpoints, begun: &Begun, at: &str) -> String {
        let mut url = endpoints.authorization.to_string();
        let mut separator = if endpoints.authorization.query().is_some() { "&" } else { "?" };
        let mut add = |name: &str, value: &str| {
            for part in [separator, &encoded(name), "=", &encoded(value)] {
                url.push_str(part);
            }
            separator = "&";
        };
        self.asks_for.iter().for_each(|(name, value)| add(name, value));
        add("redirect_uri", &self.redirect_uri(at));
        add("state", &begun.state);
        add("nonce", &begun.nonce);
        add("code_challenge", &challenge(&begun.verifier));
        url
    }
}

/// What the provider is told of a verifier (RFC 7636 section 4.2).
fn challenge(verifier: &str) -> String {
    BASE64.encode(digest::digest(&digest::SHA256, verifier.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_is_as_the_rfc_s_example_has_it() {
        // RFC 7636 appendix B.
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        assert_eq!(challenge(verifier), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }
}
