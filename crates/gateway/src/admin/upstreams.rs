//! `/upstreams`: how the pools do, and what operators change in them until the next restart or reload.
//!
//! | request | what |
//! |---|---|
//! | `GET /upstreams` | all pools |
//! | `GET /upstreams/<name>` | one |
//! | `PUT /upstreams/<name>/targets` | other targets for it: a JSON list, each as in the configuration |
//! | `DELETE /upstreams/<name>/targets` | those of the configuration again |
//! | `PUT /upstreams/<name>/targets/<address>/drain` | no new requests for a target |
//! | `DELETE /upstreams/<name>/targets/<address>/drain` | new requests again |
//!
//! A change is answered with the pool as it is then.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use http::{Method, Response, StatusCode};
use percent_encoding::percent_decode_str;
use pingora_core::protocols::http::ServerSession;
use tidegate_upstream::{Pool, TargetConfig, Upstreams};

use super::{TEXT, answer, only};

/// Answers `/upstreams…`; `rest` is what follows that, without its first slash.
pub(super) async fn upstreams(
    upstreams: &Upstreams,
    method: &Method,
    rest: &str,
    session: &mut ServerSession,
) -> Response<Vec<u8>> {
    let (name, rest) = rest.split_once('/').unwrap_or((rest, ""));
    if name.is_empty() {
        let all: Vec<_> = upstreams.iter().map(|pool| pool.snapshot()).collect();
        return read_only(method, || json(&serde_json::json!({ "upstreams": all })));
    }
    let Some(pool) = decoded(name).and_then(|name| upstreams.get(&name).cloned()) else {
        return text(StatusCode::NOT_FOUND, "there is no such upstream");
    };
    match rest.trim_end_matches('/') {
        "" => read_only(method, || shown(&pool)),
        "targets" => targets(&pool, method, session).await,
        rest => match rest.strip_prefix("targets/").and_then(|rest| rest.strip_suffix("/drain")) {
            Some(target) => drain(&pool, method, target),
            None => text(
                StatusCode::NOT_FOUND,
                "there are: /upstreams/<name>, and there /targets, /targets/<address>/drain",
            ),
        },
    }
}

async fn targets(pool: &Arc<Pool>, method: &Method, session: &mut ServerSession) -> Response<Vec<u8>> {
    match *method {
        Method::PUT => match tokio::time::timeout(BODY_DEADLINE, body(session)).await {
            Ok(Ok(body)) => set(pool, &body),
            Ok(Err(refused)) => refused,
            Err(_) => text(StatusCode::REQUEST_TIMEOUT, "the list took too long to arrive"),
        },
        Method::DELETE => {
            pool.clear_targets();
            shown(pool)
        }
        _ => only("PUT, DELETE"),
    }
}

fn set(pool: &Arc<Pool>, body: &[u8]) -> Response<Vec<u8>> {
    let targets: Vec<TargetConfig> = match serde_json::from_slice(body) {
        Ok(targets) => targets,
        Err(error) => return text(StatusCode::BAD_REQUEST, &format!("not a JSON list of targets: {error}")),
    };
    match pool.set_targets(targets) {
        Ok(()) => shown(pool),
        Err(errors) => text(StatusCode::BAD_REQUEST, &errors.to_string()),
    }
}

fn drain(pool: &Arc<Pool>, method: &Method, target: &str) -> Response<Vec<u8>> {
    let on = match *method {
        Method::PUT => true,
        Method::DELETE => false,
        _ => return only("PUT, DELETE"),
    };
    match decoded(target).is_some_and(|target| pool.drain(&target, on)) {
        true => shown(pool),
        false => text(StatusCode::NOT_FOUND, "the upstream has no such target"),
    }
}

/// The longest list that is read: 10,000 targets fit.
const LONGEST_BODY: usize = 1024 * 1024;

const BODY_DEADLINE: Duration = Duration::from_secs(10);

async fn body(session: &mut ServerSession) -> Result<BytesMut, Response<Vec<u8>>> {
    let mut body = BytesMut::new();
    loop {
        match session.read_request_body().await {
            Ok(None) => return Ok(body),
            Ok(Some(piece)) if body.len() + piece.len() > LONGEST_BODY => {
                return Err(text(StatusCode::PAYLOAD_TOO_LARGE, "a list of targets may have 1 MiB"));
            }
            Ok(Some(piece)) => body.extend_from_slice(&piece),
            Err(_) => return Err(text(StatusCode::BAD_REQUEST, "the list did not arrive whole")),
        }
    }
}

fn read_only(method: &Method, make: impl FnOnce() -> Response<Vec<u8>>) -> Response<Vec<u8>> {
    match *method {
        Method::GET | Method::HEAD => make(),
        _ => only("GET, HEAD"),
    }
}

fn decoded(text: &str) -> Option<String> {
    percent_decode_str(text).decode_utf8().ok().map(Into::into)
}

fn shown(pool: &Pool) -> Response<Vec<u8>> {
    json(&pool.snapshot())
}

fn json(value: &impl serde::Serialize) -> Response<Vec<u8>> {
    match serde_json::to_vec(value) {
        Ok(mut body) => {
            body.push(b'\n');
            answer(StatusCode::OK, "application/json", body)
        }
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

fn text(status: StatusCode, text: &str) -> Response<Vec<u8>> {
    answer(status, TEXT, [text.trim_end(), "\n"].concat())
}
