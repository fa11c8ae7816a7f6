//! `/cache/explain`: what becomes of a URL, asked for as a client would.

use std::time::Duration;

use serde_json::json;
use tidegate_core::{AdminRequest, Bytes, FetchLimits, HeaderMap, Http, Reply};

use crate::warm::is_url;

/// How long the gateway may take.
const WITHIN: Duration = Duration::from_secs(30);

/// What tells of the cache in an answer's head.
const TELLING: [&str; 10] = [
    "cache-status",
    "age",
    "date",
    "cache-control",
    "cdn-cache-control",
    "expires",
    "vary",
    "etag",
    "last-modified",
    "set-cookie",
];

/// `POST`: sends the request, and says what the cache did with it and why. What may be stored is stored, as if a client
/// had asked.
pub(super) async fn answer(gateway: &Http, request: &AdminRequest<'_>) -> Reply {
    let url = match request.query("url") {
        Some(url) if is_url(&url) => url.into_owned(),
        _ => return Reply::bad_request("explain", "say for which URL, with scheme and host, by url="),
    };
    let Ok(asked) = http::Request::get(&url).body(Bytes::new()) else {
        return Reply::bad_request("explain", "not a URL");
    };
    match gateway.fetch(asked, FetchLimits { within: WITHIN, largest: 0 }).await {
        Ok(answer) => Reply::json(&json!({
            "url": url,
            "status": answer.status().as_u16(),
            "fields": telling(answer.headers()),
        })),
        Err(error) => Reply::unavailable("explain", error.to_string()),
    }
}

fn telling(headers: &HeaderMap) -> serde_json::Map<String, serde_json::Value> {
    let found = TELLING.into_iter().filter_map(|name| {
        let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        // A cookie may be somebody's: that there is one is all that matters here.
        let values: Vec<&str> = if name == "set-cookie" { values.map(|_| "…").collect() } else { values.collect() };
        (!values.is_empty()).then(|| (name.to_owned(), json!(values.join(", "))))
    });
    found.collect()
}
