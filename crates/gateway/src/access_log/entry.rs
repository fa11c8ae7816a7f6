//! What a line says of a request, and in which order.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use http::{HeaderMap, HeaderName, header};
use tidegate_core::{AnsweredBy, ConfigError, ConfigErrors, ConfigPath};

use super::config::OnConfig;
use super::line::{Key, Line, key};
use super::redact::{Redactor, put_place};

/// One request that has ended. What is `None` has no place in the line.
pub(crate) struct Entry<'a> {
    /// Its id.
    pub(crate) request_id: &'a str,
    /// Its method.
    pub(crate) method: &'a str,
    /// Its path as the client sent it. Redacted here.
    pub(crate) path: &'a str,
    /// What followed the `?`. Redacted here.
    pub(crate) query: Option<&'a str>,
    /// `Host` or `:authority`; empty when there was none.
    pub(crate) host: &'a str,
    /// How the client reached the outermost proxy that is known.
    pub(crate) scheme: &'a str,
    /// HTTP/1.0, 1.1 or 2.
    pub(crate) protocol: &'a str,
    /// The real client.
    pub(crate) client: IpAddr,
    /// The connection's other end; `None` on a unix socket. With its port (RFC 6302).
    pub(crate) peer: Option<SocketAddr>,
    /// The listener it came in by.
    pub(crate) listener: &'a str,
    /// The TLS version.
    pub(crate) tls: Option<&'a str>,
    /// The route's name.
    pub(crate) route: &'a str,
    /// The status the client got; 499 when it left before there was one.
    pub(crate) status: u16,
    /// From the end of its head to the end of the answer.
    pub(crate) duration: Duration,
    /// Bytes of its body.
    pub(crate) bytes_in: u64,
    /// Bytes of the answer's body.
    pub(crate) bytes_out: u64,
    /// Who made the answer.
    pub(crate) answered_by: AnsweredBy,
    /// The pool it was sent to.
    pub(crate) upstream: Option<&'a str>,
    /// The target of the pool that was tried last.
    pub(crate) target: Option<&'a str>,
    /// How many tries an upstream was given.
    pub(crate) tries: u32,
    /// Why the last but one of them was not the last.
    pub(crate) retry_reason: Option<&'a str>,
    /// Why the last of them was the last, though it failed.
    pub(crate) retry_refused: Option<&'a str>,
    /// The stable name of what went wrong.
    pub(crate) code: Option<&'a str>,
    /// What went wrong, with its causes. Never a secret.
    pub(crate) error: Option<&'a str>,
    /// The subject of the proven identity.
    pub(crate) subject: Option<&'a str>,
    /// The request's header fields, for those that are logged.
    pub(crate) headers: &'a HeaderMap,
}

/// What the configuration adds to a line, and hides in it.
pub(super) struct Extras {
    redactor: Redactor,
    headers: Box<[Extra]>,
}

struct Extra {
    name: HeaderName,
    json: Box<str>,
    text: Box<str>,
    hidden: bool,
}

impl Extras {
    pub(super) fn new(config: &OnConfig) -> Result<Self, ConfigErrors> {
        let mut errors = ConfigErrors::new();
        let redactor = errors.collect(Redactor::new(&config.redact)).unwrap_or_default();
        let headers = config.headers.iter().enumerate();
        let headers = headers.filter_map(|(index, name)| errors.collect(Extra::new(index, name, &redactor))).collect();
        errors.into_result(Self { redactor, headers })
    }
}

impl Extra {
    fn new(index: usize, text: &str, redactor: &Redactor) -> Result<Self, ConfigError> {
        let name = HeaderName::from_bytes(text.as_bytes()).map_err(|_| {
            let path = ConfigPath::root().key("headers").index(index);
            ConfigError::at(path, format!("`{}` is no header name", text.escape_debug()))
        })?;
        let (json, text) = (format!(",\"header.{name}\":").into(), format!(" header.{name}=").into());
        Ok(Self { hidden: redactor.hides(name.as_str().as_bytes()), name, json, text })
    }
}

impl Entry<'_> {
    /// Adds all fields to the line.
    pub(super) fn put(&self, extras: &Extras, line: &mut Line<'_>) {
        self.put_request(extras, line);
        self.put_connection(line);
        self.put_answer(line);
        self.put_headers(extras, line);
    }

    fn put_request(&self, extras: &Extras, line: &mut Line<'_>) {
        line.text(key!("request_id"), self.request_id.as_bytes());
        line.text(key!("method"), self.method.as_bytes());
        match Redactor::concerns(self.path.as_bytes()) {
            true => line.quoted(key!("path"), |text| extras.redactor.put_query(self.path.as_bytes(), text)),
            false => line.text(key!("path"), self.path.as_bytes()),
        }
        if let Some(query) = self.query {
            line.quoted(key!("query"), |text| extras.redactor.put_query(query.as_bytes(), text));
        }
        match self.host.contains('@') {
            true => line.quoted(key!("host"), |text| put_place(self.host.as_bytes(), text)),
            false => line.text(key!("host"), self.host.as_bytes()),
        }
        line.text(key!("scheme"), self.scheme.as_bytes());
        line.text(key!("protocol"), self.protocol.as_bytes());
    }

    fn put_connection(&self, line: &mut Line<'_>) {
        line.ip(key!("client"), self.client);
        if let Some(peer) = self.peer {
            line.address(key!("peer"), peer);
        }
        line.text(key!("listener"), self.listener.as_bytes());
        line.maybe_text(key!("tls"), self.tls);
    }

    fn put_answer(&self, line: &mut Line<'_>) {
        line.text(key!("route"), self.route.as_bytes());
        line.number(key!("status"), self.status.into());
        line.millis(key!("duration_ms"), self.duration);
        line.number(key!("bytes_in"), self.bytes_in);
        line.number(key!("bytes_out"), self.bytes_out);
        line.clean(key!("answered_by"), answered_by(self.answered_by));
        if let Some(upstream) = self.upstream {
            line.text(key!("upstream"), upstream.as_bytes());
            line.maybe_text(key!("target"), self.target);
            line.number(key!("tries"), self.tries.into());
            line.maybe_text(key!("retry_reason"), self.retry_reason);
            line.maybe_text(key!("retry_refused"), self.retry_refused);
        }
        line.maybe_text(key!("code"), self.code);
        line.maybe_text(key!("error"), self.error);
        line.maybe_text(key!("identity"), self.subject);
    }

    fn put_headers(&self, extras: &Extras, line: &mut Line<'_>) {
        if let Some(agent) = self.headers.get(header::USER_AGENT) {
            line.text(key!("user_agent"), agent.as_bytes());
        }
        if let Some(referer) = self.headers.get(header::REFERER) {
            line.quoted(key!("referer"), |text| extras.redactor.put_url(referer.as_bytes(), text));
        }
        for extra in &extras.headers {
            extra.put(self.headers, line);
        }
    }
}

impl Extra {
    fn put(&self, headers: &HeaderMap, line: &mut Line<'_>) {
        let mut values = headers.get_all(&self.name).iter();
        let Some(first) = values.next() else { return };
        let key = Key { json: &self.json, text: &self.text };
        if self.hidden {
            return line.clean(key, b"***");
        }
        line.quoted(key, |text| {
            text.push(first.as_bytes());
            values.for_each(|value| {
                text.push(b", ");
                text.push(value.as_bytes());
            });
        });
    }
}

fn answered_by(who: AnsweredBy) -> &'static [u8] {
    match who {
        AnsweredBy::Upstream => b"upstream",
        AnsweredBy::Gateway => b"gateway",
        AnsweredBy::Cache => b"cache",
        AnsweredBy::Nobody => b"none",
    }
}
