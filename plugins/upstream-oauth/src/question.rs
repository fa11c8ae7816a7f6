//! How a token is asked for (RFC 6749 section 4.4.2).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderValue, Method, Request, Uri, header};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use tidegate_core::{Bytes, ConfigError, ConfigErrors, ConfigPath};

use crate::config::{Client as Config, ClientAuth};

/// What `application/x-www-form-urlencoded` leaves as it is; a space may be `%20` as well as `+`.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'*');

/// The request for a token, always the same.
pub(crate) struct Question {
    url: Uri,
    authorization: Option<HeaderValue>,
    body: Bytes,
}

impl Question {
    pub(crate) fn build(config: &Config) -> Result<Self, ConfigErrors> {
        let mut errors = ConfigErrors::new();
        let url = errors.collect(target(&config.token_url));
        if config.client_id.is_empty() {
            errors.push(ConfigError::at("client_id", "a client has a name"));
        }
        for (index, scope) in config.scopes.iter().enumerate().filter(|(_, scope)| !is_scope(scope)) {
            let at = ConfigPath::from("scopes").index(index);
            let what = if scope.contains(' ') { "these are several" } else { "no scope" };
            errors.push(ConfigError::at(at, what).help("write one in each entry: [read, write]"));
        }
        for (index, resource) in config.resource.iter().enumerate() {
            if !is_absolute(resource) {
                let error = ConfigError::at(ConfigPath::from("resource").index(index), "not an absolute URI");
                errors
                    .push(error.help("write it like https://crm.example.com; for any other text there is `audience`"));
            }
        }
        let Some(url) = url else { return Err(errors) };
        let (id, secret) = (config.client_id.as_str(), config.client_secret.expose());
        let basic = config.auth == ClientAuth::Basic;
        let authorization = basic.then(|| authorization(id, secret));
        errors.into_result(Self { url, authorization, body: Bytes::from(body(config)) })
    }

    pub(crate) fn request(&self) -> Request<Bytes> {
        let mut request = Request::new(self.body.clone());
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

    /// Whether everybody on the way can read the secret.
    pub(crate) fn is_readable(&self) -> bool {
        let host = self.url.host().unwrap_or_default();
        let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
        let stays_here = host == "localhost" || address.is_ok_and(|address| address.is_loopback());
        self.url.scheme_str() == Some("http") && !stays_here
    }

    /// Where it goes, without what may be in the query.
    pub(crate) fn host(&self) -> &str {
        self.url.host().unwrap_or_default()
    }
}

fn body(config: &Config) -> String {
    let mut body = "grant_type=client_credentials".to_owned();
    let mut add = |name: &str, value: &str| body.push_str(&["&", name, "=", &encoded(value)].concat());
    if !config.scopes.is_empty() {
        add("scope", &config.scopes.join(" "));
    }
    if let Some(audience) = &config.audience {
        add("audience", audience);
    }
    // More than one stands beside another (RFC 8707 section 2).
    config.resource.iter().for_each(|resource| add("resource", resource));
    if config.auth == ClientAuth::Post {
        add("client_id", &config.client_id);
        add("client_secret", config.client_secret.expose());
    }
    body
}

/// Both are encoded as in a form before they are joined: either may have a colon in it (RFC 6749 section 2.3.1).
fn authorization(id: &str, secret: &str) -> HeaderValue {
    let joined = [encoded(id).as_str(), ":", encoded(secret).as_str()].concat();
    let text = ["Basic ", &STANDARD.encode(joined)].concat();
    let mut value = HeaderValue::from_str(&text).expect("base64 can stand in a field");
    value.set_sensitive(true);
    value
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

/// RFC 6749 section 3.3.
fn is_scope(scope: &str) -> bool {
    !scope.is_empty() && scope.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\')
}

/// A scheme, and no fragment (RFC 8707 section 2).
fn is_absolute(uri: &str) -> bool {
    let Some((scheme, rest)) = uri.split_once(':') else { return false };
    let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    is_scheme && !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#')
}

/// The error never quotes the URL: it may have a password in it.
fn target(url: &str) -> Result<Uri, ConfigError> {
    let wrong =
        |message: &str| ConfigError::at("token_url", message).help("write it like https://login.example.com/token");
    let uri: Uri = url.parse().map_err(|_| wrong("not a URL"))?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.authority().is_none() {
        return Err(wrong("neither an http nor an https URL"));
    }
    match url.contains('#') || uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        true => Err(wrong("a URL that is asked has no user, password or fragment")),
        false => Ok(uri),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_core::config::{RawConfig, Value};

    fn config(terms: &[(&'static str, Value)]) -> Config {
        let text = |text: &str| Value::from(text);
        let own = [
            ("token_url", text("https://login.test/token?x=1")),
            ("client_id", text("s6BhdRkqt3")),
            ("client_secret", text("7Fjfp0ZBr1KtDRbnfVdmIw")),
        ];
        let rest = own.into_iter().filter(|(name, _)| !terms.iter().any(|(other, _)| other == name));
        let map = Value::map(rest.chain(terms.iter().cloned()));
        RawConfig::new(map, "client").read().expect("a configuration")
    }

    fn list(texts: &[&str]) -> Value {
        Value::Seq(texts.iter().map(|text| Value::from(*text)).collect())
    }

    #[test]
    fn it_asks_as_the_rfcs_say() {
        let question = Question::build(&config(&[])).expect("built").request();
        assert_eq!(
            (question.method(), question.uri().to_string().as_str()),
            (&Method::POST, "https://login.test/token?x=1")
        );
        assert_eq!(question.body(), "grant_type=client_credentials");
        // The example of RFC 6749 section 4.4.2.
        assert_eq!(question.headers()["authorization"], "Basic czZCaGRSa3F0Mzo3RmpmcDBaQnIxS3REUmJuZlZkbUl3");

        let terms = [
            ("auth", Value::from("post")),
            ("scopes", list(&["read", "crm:write"])),
            ("audience", Value::from("crm & more")),
            ("resource", list(&["https://a.test/x?y=1", "https://b.test"])),
            ("client_secret", Value::from("s+c%ä")),
        ];
        let question = Question::build(&config(&terms)).expect("built").request();
        assert_eq!(
            question.body(),
            "grant_type=client_credentials&scope=read%20crm%3Awrite&audience=crm%20%26%20more\
             &resource=https%3A%2F%2Fa.test%2Fx%3Fy%3D1&resource=https%3A%2F%2Fb.test\
             &client_id=s6BhdRkqt3&client_secret=s%2Bc%25%C3%A4"
        );
        assert!(!question.headers().contains_key("authorization"));
    }

    #[test]
    fn the_client_is_encoded_before_it_is_joined_with_its_secret() {
        let value = authorization("a:b", "c d+ä%");
        assert_eq!(value, format!("Basic {}", STANDARD.encode("a%3Ab:c%20d%2B%C3%A4%25")));
        assert!(!format!("{value:?}").contains("YSUz"), "not for logs");
    }

    #[test]
    fn what_can_not_be_asked_is_refused() {
        for (terms, error) in [
            (("token_url", Value::from("login.test")), "token_url: "),
            (("token_url", Value::from("https://u:hunter2@login.test/")), "token_url: "),
            (("token_url", Value::from("https://login.test/#x")), "token_url: "),
            (("client_id", Value::from("")), "client_id: "),
            (("scopes", list(&["a b"])), "scopes[0]: these are several"),
            (("scopes", list(&["a", "\""])), "scopes[1]: no scope"),
            (("resource", list(&["crm"])), "resource[0]: not an absolute URI"),
        ] {
            let errors = Question::build(&config(&[terms])).map(drop).expect_err(error).to_string();
            assert!(errors.starts_with(error) && !errors.contains("hunter2"), "{errors}");
        }
    }

    #[test]
    fn a_secret_may_be_sent_in_the_clear_on_this_machine_only() {
        let readable = |url| Question::build(&config(&[("token_url", Value::from(url))])).expect("built").is_readable();
        assert!(readable("http://login.test/token") && readable("http://10.0.0.1/token"));
        let fine = ["https://login.test/", "http://127.0.0.1:1/", "http://[::1]:1/", "http://localhost/"];
        assert_eq!(fine.map(readable), [false; 4]);
    }
}
