//! `/cache/warm` on the admin listener.

use std::sync::Arc;

use serde_json::json;
use tidegate_core::{AdminRequest, Method, Reply, StatusCode, Stop};

use crate::warm::{Warmer, is_url};

/// How many URLs one call may name.
const MOST: usize = 200;

/// `GET`: how far a run has got. `POST`: begins one, of all that is configured or of the `url=` parameters.
pub(super) fn answer(warmer: Option<&Arc<Warmer>>, stop: &Stop, request: &AdminRequest<'_>) -> Reply {
    let Some(warmer) = warmer else {
        return Reply::not_found("the configuration has no `warm` in its section `cache`");
    };
    match *request.method {
        Method::GET => Reply::json(&warmer.progress().listed()),
        Method::POST => match urls(request) {
            Ok(urls) => begin(warmer, urls, stop),
            Err(refused) => refused,
        },
        _ => Reply::problem(StatusCode::METHOD_NOT_ALLOWED, "method", "GET or POST"),
    }
}

fn urls(request: &AdminRequest<'_>) -> Result<Vec<String>, Reply> {
    let mut urls = Vec::new();
    for pair in request.query.split('&').filter(|pair| !pair.is_empty()) {
        let one = AdminRequest { query: pair, ..*request };
        match one.query("url") {
            Some(url) if is_url(&url) => urls.push(url.into_owned()),
            _ => return Err(Reply::bad_request("warm", "each parameter is url=, a URL with scheme and host")),
        }
    }
    match urls.len() > MOST {
        true => Err(Reply::bad_request("warm", "at most 200 URLs in one call")),
        false => Ok(urls),
    }
}

fn begin(warmer: &Arc<Warmer>, urls: Vec<String>, stop: &Stop) -> Reply {
    let Some(run) = warmer.progress().begin() else {
        return Reply::problem(StatusCode::CONFLICT, "warming", "the cache is being warmed already");
    };
    let (warmer, mut stop) = (warmer.clone(), stop.clone());
    tokio::spawn(async move {
        match urls.is_empty() {
            true => warmer.run(run, &mut stop).await,
            false => warmer.ask_for(urls, run, &mut stop).await,
        }
    });
    Reply::json(&json!({ "begun": true }))
}
