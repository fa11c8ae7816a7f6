//! What a provider says of itself (OpenID Connect Discovery 1.0 section 3), as far as a login needs it.

use http::Uri;
use serde_json::{Map, Value};

use crate::calls::target;

/// Where a provider is asked.
#[derive(Debug)]
pub(super) struct Endpoints {
    pub(super) authorization: Uri,
    pub(super) token: Uri,
    pub(super) userinfo: Option<Uri>,
    /// Whether it says who it is when it sends a browser back (RFC 9207 section 3).
    pub(super) names_itself: bool,
    /// Whether it takes a client's secret in `Authorization`, and in the form.
    pub(super) basic: bool,
    pub(super) post: bool,
}

impl Endpoints {
    /// Of a provider of this name. The error is for the log.
    pub(super) fn read(issuer: &str, metadata: &Map<String, Value>) -> Result<Self, &'static str> {
        let plain = |uri: &Uri| uri.scheme() != Some(&http::uri::Scheme::HTTPS);
        let endpoint = |name: &str| {
            let Some(text) = metadata.get(name).and_then(Value::as_str) else { return Ok(None) };
            let uri = target(text).map_err(|_| "an endpoint of it is no URL")?;
            // What is said there would be heard by everybody on the way.
            let is_tls = issuer.get(..6).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https:"));
            match is_tls && plain(&uri) {
                true => Err("an endpoint of it is without TLS, and the issuer is not"),
                false => Ok(Some(uri)),
            }
        };
        let methods = metadata.get("token_endpoint_auth_methods_supported").and_then(Value::as_array);
        let takes = |method: &str| methods.is_some_and(|all| all.iter().any(|one| one.as_str() == Some(method)));
        Ok(Self {
            authorization: endpoint("authorization_endpoint")?.ok_or("it has no `authorization_endpoint`")?,
            token: endpoint("token_endpoint")?.ok_or("it has no `token_endpoint`")?,
            userinfo: endpoint("userinfo_endpoint")?,
            names_itself: metadata.get("authorization_response_iss_parameter_supported") == Some(&Value::Bool(true)),
            // Where nothing is said, it is this (section 3).
            basic: methods.is_none() || takes("client_secret_basic"),
            post: takes("client_secret_post"),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(more: &Value) -> Result<Endpoints, &'static str> {
        let mut metadata = Map::new();
        let whole = json!({"authorization_endpoint": "https://a.test/auth", "token_endpoint": "https://b.test/token"});
        for given in [&whole, more] {
            metadata.extend(given.as_object().cloned().expect("an object"));
        }
        Endpoints::read("https://a.test", &metadata)
    }

    #[test]
    fn endpoints_are_urls_and_keep_tls() {
        let endpoints = read(&json!({})).expect("good");
        assert_eq!(endpoints.token, "https://b.test/token");
        assert!(endpoints.userinfo.is_none() && !endpoints.names_itself && endpoints.basic && !endpoints.post);
        for bad in [
            json!({"authorization_endpoint": "http://a.test/auth"}),
            json!({"authorization_endpoint": "javascript:alert(1)"}),
            json!({"authorization_endpoint": null}),
            json!({"token_endpoint": "http://b.test/token"}),
            json!({"token_endpoint": "/token"}),
            json!({"token_endpoint": 1}),
            json!({"userinfo_endpoint": "http://b.test/me"}),
        ] {
            assert!(read(&bad).is_err(), "{bad}");
        }
        // Schemes have no case (RFC 3986 section 3.1).
        let plain = json!({"authorization_endpoint": "https://a.test/auth", "token_endpoint": "http://b.test/token"});
        assert!(Endpoints::read("HTTPS://a.test", plain.as_object().expect("an object")).is_err());
        assert!(Endpoints::read("http://a.test", plain.as_object().expect("an object")).is_ok());
    }

    #[test]
    fn what_it_takes_is_what_it_says() {
        let methods = |list: Value| {
            let endpoints = read(&json!({"token_endpoint_auth_methods_supported": list})).expect("good");
            (endpoints.basic, endpoints.post)
        };
        assert_eq!(methods(json!(["client_secret_post"])), (false, true));
        assert_eq!(methods(json!(["client_secret_post", "client_secret_basic"])), (true, true));
        assert_eq!(methods(json!(["private_key_jwt"])), (false, false));
        assert!(read(&json!({"authorization_response_iss_parameter_supported": true})).expect("good").names_itself);
    }
}
