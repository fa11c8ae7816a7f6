//! What the service is asked.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Uri, header};
use tidegate_core::{ConfigError, ConfigErrors, ConfigPath, HeaderName, RequestHead};

use crate::calls::target;
use crate::config::Forward as Config;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_METHOD: HeaderName = HeaderName::from_static("x-forwarded-method");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_URI: HeaderName = HeaderName::from_static("x-forwarded-uri");

/// A question about any request.
pub(super) struct Question {
    url: Uri,
    send: Box<[HeaderName]>,
}

impl Question {
    pub(super) fn build(config: &Config) -> Result<Self, ConfigErrors> {
        let mut errors = ConfigErrors::new();
        let url = errors.collect(target(&config.url).map_err(|error| error.under(&"url".into())));
        let send = errors.collect(fields("send", &config.send));
        if config.only_with_credentials && config.send.is_empty() {
            let error = ConfigError::at("send", "no request has one of no fields: the service would never be asked");
            errors.push(error.help("name fields, or write `only_with_credentials: false`"));
        }
        let (Some(url), Some(send), true) = (url, send, errors.is_empty()) else { return Err(errors) };
        Ok(Self { url, send: send.into() })
    }

    /// Whether a request has something that the service is sent.
    pub(super) fn is_for(&self, head: &RequestHead<'_>) -> bool {
        self.send.iter().any(|name| head.headers.contains_key(name))
    }

    /// The request about one request. Of what the client says of itself only the fields that are named are sent:
    /// `X-Forwarded-…` are the gateway's own words.
    pub(super) fn about(&self, head: &RequestHead<'_>) -> Request<Bytes> {
        let mut request = Request::new(Bytes::new());
        *request.method_mut() = Method::GET;
        *request.uri_mut() = self.url.clone();
        let fields = request.headers_mut();
        for name in &self.send {
            for value in head.headers.get_all(name) {
                fields.append(name.clone(), value.clone());
            }
        }
        tell(fields, FORWARDED_METHOD, head.method.as_str());
        tell(fields, FORWARDED_PROTO, head.scheme.as_str());
        tell(fields, FORWARDED_HOST, head.authority);
        tell(fields, FORWARDED_FOR, &head.client.to_string());
        match head.query {
            None => tell(fields, FORWARDED_URI, head.path),
            Some(query) => tell(fields, FORWARDED_URI, &[head.path, "?", query].concat()),
        }
        request
    }
}

/// What can't stand in a field isn't told: the service decides without it, as it would for a client that sent none.
fn tell(fields: &mut HeaderMap, name: HeaderName, text: &str) {
    if let Ok(value) = HeaderValue::from_bytes(text.as_bytes()) {
        fields.insert(name, value);
    }
}

/// Fields of requests that may be sent on, or be part of a key.
pub(super) fn fields(list: &str, names: &[String]) -> Result<Vec<HeaderName>, ConfigErrors> {
    let mut errors = ConfigErrors::new();
    let mut fields = Vec::with_capacity(names.len());
    for (index, text) in names.iter().enumerate() {
        let at = ConfigPath::from(list).index(index);
        match field(text) {
            Ok(name) if fields.contains(&name) => errors.push(ConfigError::at(at, "the same field twice")),
            Ok(name) => fields.push(name),
            Err(error) => errors.push(error.under(&at)),
        }
    }
    errors.into_result(fields)
}

/// The error carries no path.
pub(super) fn field(text: &str) -> Result<HeaderName, ConfigError> {
    let name = HeaderName::from_bytes(text.as_bytes());
    let name = name.map_err(|_| ConfigError::at("", format!("`{}` is no name of a field", text.escape_debug())))?;
    let told = [FORWARDED_FOR, FORWARDED_HOST, FORWARDED_METHOD, FORWARDED_PROTO, FORWARDED_URI];
    if told.contains(&name) {
        return Err(ConfigError::at("", format!("`{name}` is told by the gateway itself")));
    }
    match is_about_the_message(&name) {
        true => Err(ConfigError::at("", format!("`{name}` is about this message, and not for another"))),
        false => Ok(name),
    }
}

/// What frames a message, routes it, or ends at the next hop (RFC 9110 section 7.6.1).
fn is_about_the_message(name: &HeaderName) -> bool {
    let known = [
        header::HOST,
        header::CONNECTION,
        header::CONTENT_LENGTH,
        header::EXPECT,
        header::PROXY_AUTHENTICATE,
        header::PROXY_AUTHORIZATION,
        header::TE,
        header::TRAILER,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
    ];
    known.contains(name) || ["keep-alive", "proxy-connection", "http2-settings"].contains(&name.as_str())
}
