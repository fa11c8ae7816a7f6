//! The requests of one run, a bounded number at a time.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use tidegate_core::{Bytes, FetchLimits, HeaderMap, Http, Stop};

use super::Warmer;
use super::progress::Run;

/// Asks for each of them with each set of fields.
pub(super) async fn ask_for(warmer: &Warmer, urls: Vec<String>, run: Run, stop: &mut Stop) {
    let total = urls.len() * warmer.headers.len();
    if total == 0 {
        return;
    }
    run.expect(total);
    log::info!(requests = total, concurrency = warmer.concurrency; "warming the cache");
    let begun = warmer.clock.now();
    let (http, timeout, sets) = (warmer.http.clone(), warmer.timeout, warmer.headers.clone());
    let requests = urls.into_iter().flat_map(move |url| sets.clone().into_iter().map(move |set| (url.clone(), set)));
    let asked = requests.map(move |(url, fields)| ask(http.clone(), url, fields, timeout));
    let mut answers = stream::iter(asked).buffer_unordered(warmer.concurrency);
    let tenth = (total as u64 / 10).max(100);
    loop {
        let good = tokio::select! {
            next = answers.next() => match next {
                Some(good) => good,
                None => break,
            },
            () = stop.stopped() => {
                log::info!("warming the cache was stopped");
                return;
            }
        };
        let done = run.count(good);
        if done.is_multiple_of(tenth) {
            log::info!(done, requests = total, failed = run.failed(); "warming the cache");
        }
    }
    let took = warmer.clock.now().saturating_duration_since(begun);
    log::info!(requests = total, failed = run.failed(), seconds = took.as_secs(); "the cache is warm");
}

/// One request; whether there was a good answer.
async fn ask(http: Http, url: String, fields: HeaderMap, within: Duration) -> bool {
    let Ok(mut request) = http::Request::get(&url).body(Bytes::new()) else { return false };
    request.headers_mut().extend(fields);
    let answer = http.fetch(request, FetchLimits { within, largest: 0 }).await;
    match &answer {
        Ok(answer) if answer.status().is_client_error() || answer.status().is_server_error() => {
            log::debug!(url = url.as_str(), status = answer.status().as_u16(); "not warmed");
            false
        }
        Ok(_) => true,
        Err(error) => {
            log::debug!(url = url.as_str(), error:%; "not warmed");
            false
        }
    }
}
