//! `type: http`: a request whose answer is as expected.

use std::time::Duration;

use bytes::Bytes;

use super::expect;
use super::probe::{client, head, peer};
use crate::client::{Answer, Connected, Deadline};
use crate::config::{Health, HealthMethod};
use crate::target::LiveTarget;

/// As much of a body as is looked at.
pub(super) const LOOKED_AT: usize = 64 * 1024;

/// As much of a body as is read at all.
const MOST_READ: usize = 1 << 20;

/// A body, or its beginning.
#[derive(Debug, Default)]
pub(super) struct Body {
    /// Its first 64 KiB.
    pub(super) start: Vec<u8>,
    /// How long all of it is.
    pub(super) length: usize,
}

pub(super) async fn probe(target: &LiveTarget, health: &Health) -> Result<(), String> {
    let method = match health.method {
        HealthMethod::Get => "GET",
        HealthMethod::Head => "HEAD",
    };
    let head = head(target, health, method, &health.path).and_then(|mut head| {
        head.insert_header("accept", "*/*")?;
        head.insert_header("connection", "close")?;
        Ok(head)
    });
    let head = head.map_err(|_| "the check is no valid request".to_owned())?;
    let client = client();
    let deadline = Deadline::after(health.timeout.into());
    let fit = |connected: Connected<'_>| Ok(target.check_tls(connected.ssl())?);
    let answer = client.send_if(&peer(target, health), head, None, health.timeout.into(), fit).await;
    let mut answer = answer.map_err(|error| error.to_string())?;
    // The deadline is over all pieces together.
    answer.set_idle(Duration::MAX);
    expect::status(&answer.head, &health.expect)?;
    expect::headers(&answer.head, &health.expect)?;
    let body = deadline.bound(read(&mut answer)).await;
    let body = body.ok_or_else(|| deadline.passed("answer not over").to_string())??;
    expect::text(&body, &health.expect)?;
    expect::json(&body, &health.expect)
}

/// To its end, also where nobody asks what it says: an answer that breaks off is not a good one.
async fn read(answer: &mut Answer) -> Result<Body, String> {
    let mut body = Body::default();
    while let Some(chunk) = answer.chunk().await.map_err(|error| error.to_string())? {
        body.add(&chunk);
        if body.length > MOST_READ {
            return Err("body larger than 1 MiB".to_owned());
        }
    }
    Ok(body)
}

impl Body {
    fn add(&mut self, chunk: &Bytes) {
        self.length = self.length.saturating_add(chunk.len());
        let room = LOOKED_AT.saturating_sub(self.start.len());
        self.start.extend_from_slice(chunk.get(..room).unwrap_or(chunk));
    }
}
