//! A service that knows the attributes of resources.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use serde_json::Value;
use tidegate_core::{Asked, ConfigErrors, Route};

use super::engine::Tools;
use super::entities::Said;
use crate::calls::{Asks, Calls, Memo, target};
use crate::config::CedarAttributes;
use crate::decide::template::Template;
use crate::verdict::Failure;

/// The longest answer.
const LARGEST: usize = 64 * 1024;

/// The most answers that are remembered.
const REMEMBERED: usize = 4096;

/// Asks for a resource's attributes, and remembers them.
pub(super) struct Service {
    url: Template,
    calls: Arc<Calls>,
    memo: Arc<Memo<Answer>>,
    keep: Duration,
}

/// The attributes, if there is such a resource; or why nobody knows.
type Answer = Result<Option<Arc<Said>>, Arc<str>>;

impl Service {
    /// Errors are relative to `fetch`.
    pub(super) fn build(config: &CedarAttributes, route: &Route, tools: &Tools) -> Result<Self, ConfigErrors> {
        let mut errors = ConfigErrors::new();
        let url = errors.collect(url(&config.url, route).map_err(|e| e.under(&"url".into())));
        let asks = Asks { name: "cedar", timeout: config.timeout.get(), largest: LARGEST, ca: None };
        let http = tools.http.clone().map_err(|error| error.under(&"url".into()));
        let calls = errors.collect(Calls::with(&asks, http, &tools.clock, &tools.metrics));
        let (Some(url), Some(calls)) = (url, calls) else { return Err(errors) };
        let memo = Memo::new(&tools.clock, REMEMBERED);
        errors.into_result(Self { url, calls: Arc::new(calls), memo, keep: config.cache.get() })
    }

    /// Where a request's resource is asked for; `None` where that can't be said: then nobody may.
    pub(super) fn url(&self, asked: &Asked<'_>) -> Option<String> {
        self.url.render_url(asked)
    }

    /// What it says of a resource; `None` where it knows of none.
    pub(super) async fn ask(&self, url: String) -> Result<Option<Arc<Said>>, Failure> {
        let key = self.memo.key(url.as_bytes());
        let answer = match self.memo.get(key) {
            Some(answer) => answer,
            None => self.memo.get_or(key, || ask(self.calls.clone(), url, self.keep)).await,
        };
        answer.map_err(|why| Failure { code: "attributes_unavailable", detail: why.to_string() })
    }
}

/// The answer and how long it is good: a failure is told to those who wait for it, and to nobody else.
async fn ask(calls: Arc<Calls>, url: String, keep: Duration) -> (Answer, Duration) {
    let request = Request::get(url).header(header::ACCEPT, "application/json").body(Bytes::new());
    let answer = match request {
        Ok(request) => calls.ask(request).await,
        Err(_) => Err("its URL can't be asked".to_owned()),
    };
    match answer.and_then(|answer| read(&answer)) {
        Ok(said) => (Ok(said.map(Arc::new)), keep),
        Err(why) => (Err(format!("the attributes of a resource are not known: {why}").into()), Duration::ZERO),
    }
}

fn read(answer: &Response<Bytes>) -> Result<Option<Said>, String> {
    match answer.status() {
        StatusCode::OK => match serde_json::from_slice(answer.body()) {
            Ok(Value::Object(object)) => Ok(Some(Said::new(&object))),
            _ => Err("its answer is no JSON object".to_owned()),
        },
        StatusCode::NOT_FOUND => Ok(None),
        status => Err(format!("it answers {}", status.as_u16())),
    }
}

/// Parameters stand in the path and in the query: who is asked is not for clients to say.
fn url(text: &str, route: &Route) -> Result<Template, tidegate_core::ConfigError> {
    let template = Template::parse(text, route)?;
    target(&text.replace(['{', '}'], "_"))?;
    let place = template.start().split_once("://").and_then(|(_, rest)| rest.find('/'));
    match place.is_some() || template.params().next().is_none() {
        true => Ok(template),
        false => {
            let error = tidegate_core::ConfigError::at("", "a parameter stands where the server's name does");
            Err(error.help("write it like https://attributes.example/docs/{id}"))
        }
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Service({})", self.url)
    }
}
