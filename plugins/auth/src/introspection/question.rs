//! What the issuer is asked.

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Uri, header};
use tidegate_core::{ConfigError, ConfigErrors};

use crate::calls::{basic, encoded, target};
use crate::config::Introspection as Config;

/// A question about any token.
pub(super) struct Question {
    url: Uri,
    authorization: Option<HeaderValue>,
}

impl Question {
    pub(super) fn build(config: &Config) -> Result<Self, ConfigErrors> {
        let mut errors = ConfigErrors::new();
        let url = errors.collect(target(&config.url).map_err(|e| e.under(&"url".into())));
        let authorization = match (&config.client_id, &config.client_secret) {
            (Some(id), Some(secret)) => Some(basic(id, secret.expose())),
            (None, None) => None,
            (Some(_), None) => {
                errors.push(ConfigError::at("client_id", "the client has no secret").help("add `client_secret`"));
                None
            }
            (None, Some(_)) => {
                errors.push(ConfigError::at("client_secret", "whose secret is it?").help("add `client_id`"));
                None
            }
        };
        let Some(url) = url else { return Err(errors) };
        errors.into_result(Self { url, authorization })
    }

    /// The request about one token (RFC 7662 section 2.1).
    pub(super) fn about(&self, token: &str) -> Request<Bytes> {
        let body = ["token=", &encoded(token), "&token_type_hint=access_token"].concat();
        let mut request = Request::new(Bytes::from(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.url.clone();
        let fields = request.headers_mut();
        fields.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        fields.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        if let Some(authorization) = &self.authorization {
            fields.insert(header::AUTHORIZATION, authorization.clone());
        }
        request
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_can_not_add_to_the_question() {
        let config = Config { url: "https://a.test/introspect?x=1".to_owned(), ..Config::default() };
        let request = Question::build(&config).expect("built").about("a&token=b+c=%41/~");
        assert_eq!(request.body(), "token=a%26token%3Db%2Bc%3D%2541%2F%7E&token_type_hint=access_token");
        assert_eq!((request.method(), request.uri().to_string()), (&Method::POST, config.url));
        assert!(!request.headers().contains_key("authorization"));
    }

    #[test]
    fn a_client_has_a_name_and_a_secret() {
        let config = Config { url: "https://a.test".to_owned(), client_id: Some("a".into()), ..Config::default() };
        assert!(Question::build(&config).is_err());
        let errors = Question::build(&Config::default()).map(drop).expect_err("no url");
        assert!(errors.to_string().starts_with("url: no URL"), "{errors}");
    }
}
