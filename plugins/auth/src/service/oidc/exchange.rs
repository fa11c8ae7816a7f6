//! The provider is asked who it is: a code for tokens (RFC 6749 section 4.1.3), and more about the user where that is wanted.

use std::borrow::Cow;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use serde_json::{Map, Value};

use super::endpoints::Endpoints;
use super::party::Party;
use crate::calls::{basic, encoded};
use crate::config::service::ClientAuth;
use crate::jwt::object;

/// What a code was good for.
pub(super) struct Granted {
    pub(super) id_token: String,
    pub(super) access_token: Option<String>,
}

/// Why there is no answer to go by. The texts are for the log.
#[derive(Debug)]
pub(super) enum NoGrant {
    /// The code is none, or not for this attempt.
    Refused(Cow<'static, str>),
    /// The provider is down, or doesn't take this gateway for its client.
    Unavailable(String),
}

/// What a code is exchanged with.
pub(super) struct Code<'a> {
    pub(super) code: &'a str,
    pub(super) verifier: &'a str,
    pub(super) redirect_uri: &'a str,
}

impl Party {
    /// The tokens for a code.
    pub(super) async fn exchange(&self, endpoints: &Endpoints, code: &Code<'_>) -> Result<Granted, NoGrant> {
        let answer = self.calls.ask(self.asks_for_tokens(endpoints, code)).await.map_err(NoGrant::Unavailable)?;
        let members = object(answer.body());
        if answer.status() != StatusCode::OK {
            return Err(refusal(&answer, members.ok()));
        }
        let mut members = members.map_err(|why| NoGrant::Unavailable(["its tokens: ", why].concat()))?;
        let mut text = |name: &str| match members.remove(name) {
            Some(Value::String(text)) => Some(text),
            _ => None,
        };
        let (id_token, access_token) = (text("id_token"), text("access_token"));
        let missing = || NoGrant::Unavailable("its answer has no `id_token`: is this an OpenID provider?".to_owned());
        Ok(Granted { id_token: id_token.ok_or_else(missing)?, access_token })
    }

    fn asks_for_tokens(&self, endpoints: &Endpoints, code: &Code<'_>) -> Request<Bytes> {
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", code.code),
            ("redirect_uri", code.redirect_uri),
            ("code_verifier", code.verifier),
        ];
        let (mut request, secret) = (Request::new(Bytes::new()), self.secret.as_ref());
        let in_form = match self.client_auth {
            Some(how) => how == ClientAuth::Post,
            None => !endpoints.basic && endpoints.post,
        };
        match secret {
            Some(secret) if !in_form => {
                let authorization = basic(&self.client_id, secret.expose());
                request.headers_mut().insert(header::AUTHORIZATION, authorization);
            }
            secret => {
                form.push(("client_id", &self.client_id));
                form.extend(secret.map(|secret| ("client_secret", secret.expose())));
            }
        }
        let pairs: Vec<_> = form.iter().map(|(name, value)| [name, "=", &encoded(value)].concat()).collect();
        *request.body_mut() = Bytes::from(pairs.join("&"));
        *request.method_mut() = Method::POST;
        let form = HeaderValue::from_static("application/x-www-form-urlencoded");
        request.headers_mut().insert(header::CONTENT_TYPE, form);
        asked(request, &endpoints.token)
    }

    /// What the userinfo endpoint says of the subject of an ID token (OpenID Connect Core 1.0 section 5.3).
    pub(super) async fn userinfo(
        &self,
        endpoints: &Endpoints,
        access_token: Option<&str>,
        subject: &str,
    ) -> Result<Map<String, Value>, NoGrant> {
        let lost = |why: &str| NoGrant::Unavailable(["its userinfo: ", why].concat());
        let (Some(userinfo), Some(token)) = (&endpoints.userinfo, access_token) else {
            return Err(lost("there is no `userinfo_endpoint`, or no access token"));
        };
        let mut request = Request::new(Bytes::new());
        let bearer = HeaderValue::try_from(["Bearer ", token].concat());
        let mut bearer = bearer.map_err(|_| lost("an access token that can't be sent"))?;
        bearer.set_sensitive(true);
        request.headers_mut().insert(header::AUTHORIZATION, bearer);
        let answer = self.calls.ask(asked(request, userinfo)).await.map_err(|why| lost(&why))?;
        if answer.status() != StatusCode::OK {
            return Err(lost("it answers with an error"));
        }
        let claims = object(answer.body()).map_err(lost)?;
        // It must be about the same (section 5.3.2): an access token may have been put in another's place.
        match claims.get("sub").and_then(Value::as_str) == Some(subject) {
            true => Ok(claims),
            false => Err(NoGrant::Refused("its userinfo is about somebody else".into())),
        }
    }
}

fn asked(mut request: Request<Bytes>, uri: &Uri) -> Request<Bytes> {
    *request.uri_mut() = uri.clone();
    request.headers_mut().insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    request
}

/// RFC 6749 section 5.2. `invalid_grant` is about the code; all else is about us.
fn refusal(answer: &Response<Bytes>, members: Option<Map<String, Value>>) -> NoGrant {
    let error = members.as_ref().and_then(|members| members.get("error")).and_then(Value::as_str);
    match error {
        Some("invalid_grant") => NoGrant::Refused("it does not take the code".into()),
        Some(error) if is_word(error) => NoGrant::Unavailable(["it answers ", error].concat()),
        _ => NoGrant::Unavailable(["it answers ", answer.status().as_str()].concat()),
    }
}

/// Whether a text of somebody else can stand in a log.
pub(super) fn is_word(text: &str) -> bool {
    (1..=40).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_bad_code_is_the_client_s_fault() {
        let of = |status: u16, body: &'static str| {
            let mut answer = Response::new(Bytes::from(body));
            *answer.status_mut() = StatusCode::from_u16(status).expect("a status");
            let members = object(answer.body()).ok();
            match refusal(&answer, members) {
                NoGrant::Refused(_) => "refused".to_owned(),
                NoGrant::Unavailable(why) => why,
            }
        };
        assert_eq!(of(400, r#"{"error":"invalid_grant"}"#), "refused");
        assert_eq!(of(401, r#"{"error":"invalid_client"}"#), "it answers invalid_client");
        assert_eq!(of(400, r#"{"error":"<b>\u001b"}"#), "it answers 400");
        assert_eq!(of(302, "moved"), "it answers 302");
    }
}
