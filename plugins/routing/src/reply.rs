//! Routes with a fixed answer.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderName, HeaderValue, StatusCode};
use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_core::{Body, ConfigError, ConfigErrors, ConfigPath, Cx, Endpoint, Reply, Result, async_trait};

use crate::status::Status;

/// A fixed answer. One of 400 and up without a `body` is an error in the gateway's usual form.
///
/// ```yaml
/// reply: { status: 200, content_type: application/json, body: '{"status":"ok"}' }
/// ```
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ReplyConfig {
    /// The status. Default 200, or 204 without a body.
    pub status: Option<Status>,
    /// Header fields by name, one value each.
    pub headers: BTreeMap<String, String>,
    /// The body, as it is.
    pub body: Option<String>,
    /// The body's media type. Default `text/plain; charset=utf-8`.
    pub content_type: Option<String>,
}

/// A fixed answer, ready to be sent.
#[derive(Debug)]
pub(crate) struct Fixed {
    status: StatusCode,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Option<Bytes>,
}

/// Fields that the gateway sets itself.
const FRAMING: [HeaderName; 4] = [CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING, UPGRADE];

impl Fixed {
    /// Errors carry paths relative to the `reply` section.
    pub(crate) fn new(config: &ReplyConfig) -> Result<Self, ConfigErrors> {
        let mut errors = ConfigErrors::new();
        let status = config.status.map(Status::get).unwrap_or(match config.body {
            Some(_) => StatusCode::OK,
            None => StatusCode::NO_CONTENT,
        });
        if matches!(status, StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::NOT_MODIFIED)
            && config.body.is_some()
        {
            errors.push(ConfigError::at("body", format!("an answer of {} has no body", status.as_u16())));
        }
        let mut headers = Vec::new();
        for (name, value) in &config.headers {
            let made = field(name, value).map_err(|error| error.under(&ConfigPath::from("headers").key(name)));
            headers.extend(errors.collect(made));
        }
        match (&config.content_type, &config.body) {
            (None, None) => {}
            (None, Some(_)) => headers.push((CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"))),
            (Some(_), None) => errors.push(ConfigError::at("content_type", "there is no `body` that it could be of")),
            (Some(kind), Some(_)) => match HeaderValue::from_str(kind) {
                Ok(value) => headers.push((CONTENT_TYPE, value)),
                Err(_) => errors.push(ConfigError::at("content_type", "it can't be sent in a header field")),
            },
        }
        errors.into_result(Self { status, headers, body: config.body.clone().map(Bytes::from) })
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    fn reply(&self) -> Reply {
        let reply = match (&self.body, self.status.canonical_reason()) {
            (Some(body), _) => Reply::new(self.status).body(Body::Bytes(body.clone())),
            (None, reason) if self.status.as_u16() >= 400 => {
                Reply::problem(self.status, "fixed_reply", reason.unwrap_or("the route answers so"))
            }
            (None, _) => Reply::new(self.status),
        };
        self.headers.iter().fold(reply, |reply, (name, value)| reply.header(name.clone(), value.clone()))
    }
}

fn field(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), ConfigError> {
    let parsed: HeaderName =
        name.parse().map_err(|_| ConfigError::at("", format!("`{name}` is not the name of a header field")))?;
    if FRAMING.contains(&parsed) {
        return Err(ConfigError::at("", "the gateway sets this field itself"));
    }
    if parsed == CONTENT_TYPE {
        return Err(ConfigError::at("", "the media type goes under `content_type`"));
    }
    let value = HeaderValue::from_str(value).map_err(|_| ConfigError::at("", "it can't be sent in a header field"))?;
    Ok((parsed, value))
}

#[async_trait]
impl Endpoint for Fixed {
    async fn serve(&self, _: &mut Cx<'_>) -> Result<Reply> {
        Ok(self.reply())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(status: Option<u16>, body: Option<&str>) -> ReplyConfig {
        ReplyConfig { status: status.and_then(Status::new), body: body.map(str::to_owned), ..ReplyConfig::default() }
    }

    fn reply(config: &ReplyConfig) -> Reply {
        Fixed::new(config).expect("valid").reply()
    }

    #[test]
    fn the_status_follows_the_body_unless_it_is_given() {
        for (status, body, expected) in
            [(None, Some("x"), 200), (None, None, 204), (Some(201), Some("x"), 201), (Some(200), None, 200)]
        {
            assert_eq!(reply(&config(status, body)).status(), expected);
        }
        assert_eq!(reply(&config(None, Some("x"))).headers()["content-type"], "text/plain; charset=utf-8");
        assert_eq!(reply(&config(Some(403), None)).code(), Some("fixed_reply"), "errors have the gateway's form");
        assert_eq!(reply(&config(Some(403), Some("no"))).code(), None);
    }

    #[test]
    fn a_reply_that_cannot_be_sent_is_refused() {
        let with_header = |name: &str, value: &str| ReplyConfig {
            headers: BTreeMap::from([(name.to_owned(), value.to_owned())]),
            ..config(None, Some("x"))
        };
        for config in [
            config(Some(204), Some("x")),
            config(Some(304), Some("x")),
            with_header("a b", "c"),
            with_header("x", "a\r\nb"),
            with_header("Content-Length", "7"),
            with_header("content-type", "text/html"),
            ReplyConfig { content_type: Some("text/html".into()), ..config(None, None) },
        ] {
            assert!(Fixed::new(&config).is_err(), "{config:?}");
        }
    }
}
