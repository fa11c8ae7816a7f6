//! Whether an answer is a good one, and why not.

use pingora_http::ResponseHeader;
use serde_json::Value;

use super::http::{Body, LOOKED_AT};
use crate::client::clip;
use crate::config::Expect;

/// As much of what a target has said as stands in a reason.
const QUOTED: usize = 64;

pub(super) fn status(head: &ResponseHeader, expect: &Expect) -> Result<(), String> {
    let status = head.status.as_u16();
    let good = match expect.status.as_slice() {
        [] => head.status.is_success(),
        expected => expected.contains(&status),
    };
    if good { Ok(()) } else { Err(format!("status {status}")) }
}

pub(super) fn headers(head: &ResponseHeader, expect: &Expect) -> Result<(), String> {
    for (name, expected) in &expect.headers {
        let mut values = head.headers.get_all(name.as_str()).iter();
        let Some(first) = values.next() else { return Err(format!("no field {name}")) };
        let good = |value: &http::HeaderValue| value.as_bytes() == expected.as_bytes();
        if !good(first) && !values.any(good) {
            let found = clip(&String::from_utf8_lossy(first.as_bytes()), QUOTED);
            return Err(format!("field {name} is {found:?}, not {expected:?}"));
        }
    }
    Ok(())
}

pub(super) fn text(body: &Body, expect: &Expect) -> Result<(), String> {
    let Some(text) = expect.body.as_deref().filter(|text| !text.is_empty()) else { return Ok(()) };
    match body.start.windows(text.len()).any(|window| window == text.as_bytes()) {
        true => Ok(()),
        false => Err(format!("{:?} is not in the body", clip(text, QUOTED))),
    }
}

pub(super) fn json(body: &Body, expect: &Expect) -> Result<(), String> {
    if expect.json.is_empty() {
        return Ok(());
    }
    if body.length > LOOKED_AT {
        return Err("body larger than 64 KiB".to_owned());
    }
    let json: Value = serde_json::from_slice(&body.start).map_err(|_| "body is no JSON".to_owned())?;
    for (pointer, expected) in &expect.json {
        match json.pointer(pointer) {
            Some(found) if found == expected => {}
            Some(found) => return Err(format!("{pointer} is {}, not {}", quote(found), quote(expected))),
            None => return Err(format!("no {pointer} in the body")),
        }
    }
    Ok(())
}

fn quote(value: &Value) -> String {
    clip(&value.to_string(), QUOTED)
}
