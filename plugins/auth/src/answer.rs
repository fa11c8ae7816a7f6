//! What a client is told that isn't let through.

use tidegate_core::{ConfigError, HeaderValue, Reply, StatusCode, header};

use crate::verdict::{Answer, Failure, Reason, Refusal, Scheme};

/// How soon it is worth trying again when somebody did not answer, in seconds.
const TRY_AGAIN: &str = "1";

/// What reasons have in common, as far as a client is told: enough to know what to do, and no help in guessing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Missing,
    Ambiguous,
    Malformed,
    Signature,
    Expired,
    NotYetValid,
    NotForHere,
    Revoked,
    Invalid,
}

impl Class {
    const ALL: [Self; 9] = [
        Self::Missing,
        Self::Ambiguous,
        Self::Malformed,
        Self::Signature,
        Self::Expired,
        Self::NotYetValid,
        Self::NotForHere,
        Self::Revoked,
        Self::Invalid,
    ];

    fn of(reason: Reason) -> Self {
        match reason {
            Reason::Missing => Self::Missing,
            Reason::Ambiguous => Self::Ambiguous,
            Reason::Malformed => Self::Malformed,
            Reason::Algorithm | Reason::UnknownKey | Reason::Signature => Self::Signature,
            Reason::Expired => Self::Expired,
            Reason::NotYetValid => Self::NotYetValid,
            Reason::Lifetime | Reason::Issuer | Reason::Audience | Reason::Type | Reason::Claims => Self::NotForHere,
            Reason::Revoked => Self::Revoked,
            Reason::Inactive | Reason::Unknown | Reason::Declined | Reason::Csrf => Self::Invalid,
        }
    }

    /// `code` of the answer's body.
    fn code(self) -> &'static str {
        match self {
            Self::Missing => "missing_token",
            Self::Ambiguous => "ambiguous_credentials",
            Self::Expired => "token_expired",
            Self::Revoked => "token_revoked",
            Self::Malformed | Self::Signature | Self::NotYetValid | Self::NotForHere | Self::Invalid => "invalid_token",
        }
    }

    /// `error` of RFC 6750 section 3.1; nothing where nothing was sent.
    fn error(self) -> Option<&'static str> {
        match self {
            Self::Missing => None,
            Self::Ambiguous => Some("invalid_request"),
            _ => Some("invalid_token"),
        }
    }

    /// For the person at the other end.
    fn says(self) -> &'static str {
        match self {
            Self::Missing => "this needs a proof of who is asking",
            Self::Ambiguous => "there is more than one credential",
            Self::Malformed => "the credential is malformed",
            Self::Signature => "the signature can't be verified",
            Self::Expired => "the token has expired",
            Self::NotYetValid => "the token is not valid yet",
            Self::NotForHere => "the token is not meant for this",
            Self::Revoked => "the token was revoked",
            Self::Invalid => "the credential is not valid",
        }
    }
}

/// How clients of a route can prove themselves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Schemes {
    pub(crate) bearer: bool,
    pub(crate) basic: bool,
}

impl FromIterator<Scheme> for Schemes {
    fn from_iter<I: IntoIterator<Item = Scheme>>(all: I) -> Self {
        all.into_iter().fold(Self::default(), |so_far, scheme| match scheme {
            Scheme::Bearer => Self { bearer: true, ..so_far },
            Scheme::Basic => Self { basic: true, ..so_far },
        })
    }
}

/// Challenges of this place, written once.
pub(crate) struct Answers {
    realm: Box<str>,
    /// By the class's number.
    bearer: [HeaderValue; Class::ALL.len()],
    basic: HeaderValue,
}

impl Answers {
    /// Errors are relative to the section.
    pub(crate) fn build(realm: Option<&str>) -> Result<Self, ConfigError> {
        let realm = quoted(realm.unwrap_or("api"))?;
        // A quoted string and fixed words.
        let value = |text: String| HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static("Bearer"));
        let bearer = Class::ALL.map(|class| match class.error() {
            None => value(format!("Bearer realm={realm}")),
            Some(error) => {
                let says = class.says();
                value(format!("Bearer realm={realm}, error=\"{error}\", error_description=\"{says}\""))
            }
        });
        let basic = value(format!("Basic realm={realm}, charset=\"UTF-8\""));
        Ok(Self { realm: realm.into(), bearer, basic })
    }

    /// 401: nobody has proved anything. `about`: the scheme of what was refused.
    pub(crate) fn unauthorized(&self, refusal: &Refusal, schemes: Schemes, about: Option<Scheme>) -> Reply {
        if refusal.reason == Reason::Csrf {
            return Reply::forbidden("csrf", "the X-CSRF-Token header field must repeat the CSRF cookie");
        }
        let class = Class::of(refusal.reason);
        let reply = match &refusal.answer {
            Some(answer) => theirs(answer),
            None => Reply::unauthorized(class.code(), class.says()),
        };
        match reply.status() == StatusCode::UNAUTHORIZED && !reply.headers().contains_key(header::WWW_AUTHENTICATE) {
            true => self.challenged(reply, class, schemes, about),
            false => reply,
        }
    }

    /// RFC 9110 section 15.5.2: a 401 has at least one challenge.
    fn challenged(&self, mut reply: Reply, class: Class, schemes: Schemes, about: Option<Scheme>) -> Reply {
        if schemes.bearer || !schemes.basic {
            // What is wrong with a password is not said of the tokens that could be sent instead.
            let class = if about == Some(Scheme::Basic) { Class::Missing } else { class };
            let challenge = self.bearer.get(class as usize).unwrap_or(&self.basic);
            reply = reply.append(header::WWW_AUTHENTICATE, challenge.clone());
        }
        if schemes.basic {
            reply = reply.append(header::WWW_AUTHENTICATE, self.basic.clone());
        }
        reply
    }

    /// 403: what was granted isn't enough. `scopes`: all that are needed, with spaces between (RFC 6750 section 3.1).
    pub(crate) fn insufficient_scope(&self, scopes: &str) -> Reply {
        let reply = Reply::forbidden("insufficient_scope", "what was granted is not enough for this");
        let challenge =
            ["Bearer realm=", &self.realm, ", error=\"insufficient_scope\", scope=\"", scopes, "\""].concat();
        match HeaderValue::try_from(challenge) {
            Ok(challenge) => reply.header(header::WWW_AUTHENTICATE, challenge),
            Err(_) => reply,
        }
    }
}

/// 403: we know who is asking, and they may not. By which rule is for the log alone.
pub(crate) fn forbidden() -> Reply {
    Reply::forbidden("forbidden", "you may not do this")
}

/// 503: whoever has to be asked did not answer.
pub(crate) fn unavailable(failure: &Failure) -> Reply {
    let reply = Reply::unavailable(failure.code, "who is asking can't be checked right now, try again later");
    reply.header(header::RETRY_AFTER, HeaderValue::from_static(TRY_AGAIN))
}

/// What another service said instead of letting the request through.
fn theirs(answer: &Answer) -> Reply {
    let reply = Reply::problem(answer.status, "declined", "the service that decides about this said no");
    answer.headers.iter().fold(reply, |reply, (name, value)| reply.append(name.clone(), value.clone()))
}

/// A quoted string (RFC 9110 section 5.6.4), of characters that every client reads alike.
fn quoted(realm: &str) -> Result<String, ConfigError> {
    let plain = |c: char| c == ' ' || c.is_ascii_graphic();
    if realm.is_empty() || !realm.chars().all(plain) {
        let error = ConfigError::at("realm", "must be visible ASCII, and something");
        return Err(error.help("clients show it, or look passwords up by it: `api`"));
    }
    let escaped = realm.chars().flat_map(|c| matches!(c, '"' | '\\').then_some('\\').into_iter().chain([c]));
    Ok(std::iter::once('"').chain(escaped).chain(['"']).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEARER: Schemes = Schemes { bearer: true, basic: false };
    const BASIC: Schemes = Schemes { bearer: false, basic: true };
    const BOTH: Schemes = Schemes { bearer: true, basic: true };

    fn challenges(reason: Reason, schemes: Schemes, about: Option<Scheme>) -> Vec<String> {
        let answers = Answers::build(None).expect("built");
        let reply = answers.unauthorized(&Refusal::from(reason), schemes, about);
        assert_eq!(reply.status(), 401);
        let all = reply.headers().get_all(header::WWW_AUTHENTICATE).iter();
        all.map(|value| value.to_str().expect("text").to_owned()).collect()
    }

    #[test]
    fn challenges_are_as_rfc_6750_has_them() {
        for (reason, challenge) in [
            (Reason::Missing, r#"Bearer realm="api""#),
            (
                Reason::Expired,
                r#"Bearer realm="api", error="invalid_token", error_description="the token has expired""#,
            ),
            (
                Reason::Revoked,
                r#"Bearer realm="api", error="invalid_token", error_description="the token was revoked""#,
            ),
            (
                Reason::UnknownKey,
                r#"Bearer realm="api", error="invalid_token", error_description="the signature can't be verified""#,
            ),
            (
                Reason::Ambiguous,
                r#"Bearer realm="api", error="invalid_request", error_description="there is more than one credential""#,
            ),
        ] {
            assert_eq!(challenges(reason, BEARER, Some(Scheme::Bearer)), [challenge], "{reason:?}");
        }
    }

    #[test]
    fn a_wrong_password_says_nothing_of_tokens() {
        let basic = r#"Basic realm="api", charset="UTF-8""#;
        let bearer = r#"Bearer realm="api""#;
        assert_eq!(challenges(Reason::Unknown, BASIC, Some(Scheme::Basic)), [basic]);
        assert_eq!(challenges(Reason::Unknown, BOTH, Some(Scheme::Basic)), [bearer, basic]);
        let wrong = challenges(Reason::Signature, BOTH, Some(Scheme::Bearer));
        assert!(wrong[0].contains("error=\"invalid_token\"") && wrong[1] == basic, "{wrong:?}");
    }

    #[test]
    fn scopes_that_are_needed_are_named() {
        let reply = Answers::build(None).expect("built").insufficient_scope("users:read users:write");
        let challenge = r#"Bearer realm="api", error="insufficient_scope", scope="users:read users:write""#;
        assert_eq!(reply.status(), StatusCode::FORBIDDEN);
        assert_eq!(reply.headers()["www-authenticate"], challenge);
    }

    #[test]
    fn there_is_a_challenge_whatever_the_schemes() {
        for reason in Reason::ALL.into_iter().filter(|reason| *reason != Reason::Csrf) {
            for schemes in [Schemes::default(), BEARER, BASIC, BOTH] {
                assert!(!challenges(reason, schemes, None).is_empty(), "{reason:?} {schemes:?}");
            }
        }
    }

    #[test]
    fn a_service_that_decides_is_quoted_and_a_challenge_added_where_it_has_none() {
        let answers = Answers::build(None).expect("built");
        let mut headers = tidegate_core::HeaderMap::new();
        headers.insert(header::LOCATION, HeaderValue::from_static("/login"));
        for (status, challenged) in [(StatusCode::UNAUTHORIZED, true), (StatusCode::FORBIDDEN, false)] {
            let answer = Some(Box::new(Answer { status, headers: headers.clone() }));
            let refusal = Refusal { reason: Reason::Declined, detail: "".into(), answer };
            let reply = answers.unauthorized(&refusal, BEARER, None);
            assert_eq!((reply.status(), reply.headers()["location"].as_bytes()), (status, &b"/login"[..]));
            assert_eq!(reply.headers().contains_key(header::WWW_AUTHENTICATE), challenged);
        }
    }

    #[test]
    fn a_realm_is_a_quoted_string_or_no_realm() {
        let answers = Answers::build(Some(r#"the "inner" \ one"#)).expect("built");
        assert_eq!(answers.bearer[0], r#"Bearer realm="the \"inner\" \\ one""#);
        for bad in ["", "a\nb", "\u{fc}"] {
            assert!(Answers::build(Some(bad)).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn classes_have_their_own_numbers() {
        for (place, class) in Class::ALL.into_iter().enumerate() {
            assert_eq!(class as usize, place);
        }
    }
}
