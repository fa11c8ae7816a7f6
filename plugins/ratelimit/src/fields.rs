//! What a client is told: how much is left, and until when.

use std::sync::Arc;
use std::time::Duration;

use smallvec::SmallVec;
use tidegate_core::facts::{Identity, LimitOutcome};
use tidegate_core::{Bytes, HeaderName, HeaderValue, ResponseHeader, Result};

use crate::config::FieldStyle;
use crate::config::limits::Limit;
use crate::rule::{Micros, Rule, Shape, Verdict};

/// The fields of one route's answers.
#[derive(Debug)]
pub(crate) struct Fields {
    style: FieldStyle,
    /// Those of which clients hear, in the order of the route.
    announced: Box<[Arc<Limit>]>,
    /// All of `RateLimit-Policy`, where no limit depends on who asks.
    policy: Option<HeaderValue>,
}

/// As bytes, which a head takes over; Pingora would write a parsed name anew, and parse that.
const LIMIT: Bytes = Bytes::from_static(b"ratelimit");
const POLICY: Bytes = Bytes::from_static(b"ratelimit-policy");
const DRAFT_03: [Bytes; 3] = [
    Bytes::from_static(b"ratelimit-limit"),
    Bytes::from_static(b"ratelimit-remaining"),
    Bytes::from_static(b"ratelimit-reset"),
];
const X_RATELIMIT: [Bytes; 3] = [
    Bytes::from_static(b"x-ratelimit-limit"),
    Bytes::from_static(b"x-ratelimit-remaining"),
    Bytes::from_static(b"x-ratelimit-reset"),
];
/// The largest integer of a structured field (RFC 9651 section 3.3.1).
const LARGEST: u64 = 999_999_999_999_999;

impl Fields {
    pub(crate) fn new(style: FieldStyle, limits: &[Arc<Limit>]) -> Self {
        let announced: Box<[_]> = limits.iter().filter(|limit| limit.is_enforced()).cloned().collect();
        let fixed = announced.iter().all(|limit| limit.rules().fixed().is_some());
        let mut fields = Self { style, announced, policy: None };
        fields.policy = fixed.then(|| fields.policies(None)).flatten();
        fields
    }

    /// Tells the client of the tightest limit, in place of what the upstream says. `identity` chooses the plans that
    /// `RateLimit-Policy` shows.
    pub(crate) fn write(
        &self,
        head: &mut ResponseHeader,
        outcome: &LimitOutcome,
        identity: Option<&Identity>,
    ) -> Result<()> {
        let reset = seconds(outcome.reset);
        let numbers = [outcome.limit, outcome.remaining, reset];
        match self.style {
            FieldStyle::None => Ok(()),
            FieldStyle::Ietf => {
                strip(head);
                if let Some(policy) = self.policy.clone().or_else(|| self.policies(identity)) {
                    head.insert_header(POLICY, policy)?;
                }
                let mut limit = Text::default();
                limit.name(&outcome.policy).number(";r=", outcome.remaining).number(";t=", reset);
                put(head, LIMIT, &limit)
            }
            FieldStyle::Draft03 => {
                strip(head);
                put_numbers(head, DRAFT_03, numbers)
            }
            FieldStyle::XRateLimit => {
                strip(head);
                put_numbers(head, X_RATELIMIT, numbers)
            }
        }
    }

    /// Takes what the upstream says away: of an answer to a client for whom nothing was counted, too.
    pub(crate) fn clear(&self, head: &mut ResponseHeader) {
        if self.style != FieldStyle::None && !self.announced.is_empty() {
            strip(head);
        }
    }

    /// Section 3 of the draft: `"burst";q=100;w=60, "daily";q=1000;w=86400`. `None` where there is nothing to tell.
    fn policies(&self, identity: Option<&Identity>) -> Option<HeaderValue> {
        let mut text = Text::default();
        for limit in &self.announced {
            policy(text.comma(), &limit.name, &limit.rule(identity));
        }
        text.value()
    }
}

/// One limit of `RateLimit-Policy`. A window that is no whole number of seconds is told longer: that promises less.
fn policy(text: &mut Text, name: &str, rule: &Rule) {
    let text = text.name(name).number(";q=", rule.quota);
    match rule.shape {
        Shape::Concurrency { .. } => text.push(br#";qu="concurrent-requests""#),
        _ => text.number(";w=", rule.window.div_ceil(1_000_000).max(1)),
    };
}

fn put_numbers(head: &mut ResponseHeader, names: [Bytes; 3], numbers: [u64; 3]) -> Result<()> {
    names.into_iter().zip(numbers).try_for_each(|(name, number)| put(head, name, Text::default().number("", number)))
}

fn put(head: &mut ResponseHeader, name: Bytes, text: &Text) -> Result<()> {
    if let Some(value) = text.value() {
        head.insert_header(name, value)?;
    }
    Ok(())
}

/// What the upstream says by any name of limits would contradict us. Names are looked through once, which is cheaper
/// than to look for each; most answers have none.
fn strip(head: &mut ResponseHeader) {
    let speaks = |name: &&HeaderName| {
        let name = name.as_str();
        name == "ratelimit" || name.starts_with("ratelimit-") || name.starts_with("x-ratelimit-")
    };
    while let Some(name) = head.headers.keys().find(speaks).cloned() {
        head.remove_header(&name);
    }
}

/// What a limit said, for the client. Of a refusal it is told when the same request would pass, so that `Retry-After`
/// never is earlier than what the fields say (section 6 of the draft).
pub(crate) fn outcome(limit: &Limit, verdict: &Verdict) -> LimitOutcome {
    let reset = if verdict.allowed { verdict.reset } else { verdict.retry };
    LimitOutcome {
        policy: limit.name.clone(),
        limit: verdict.quota,
        remaining: verdict.remaining,
        reset: micros(reset),
    }
}

/// The limit of which the client is told, and what it said: one that refused, the longest to wait for; else the one of
/// which the least is left. Shadows don't count.
pub(crate) fn tightest<'a>(
    said: impl IntoIterator<Item = (&'a Arc<Limit>, &'a Verdict)>,
) -> Option<(&'a Arc<Limit>, &'a Verdict)> {
    said.into_iter().filter(|(limit, _)| limit.is_enforced()).min_by(|(_, a), (_, b)| {
        let waits = |verdict: &Verdict| if verdict.allowed { 0 } else { verdict.retry };
        a.allowed
            .cmp(&b.allowed)
            .then(waits(b).cmp(&waits(a)))
            .then(a.remaining.cmp(&b.remaining))
            .then(b.reset.cmp(&a.reset))
    })
}

/// The tighter of what was said before authentication and after it. A refusal is told by itself.
pub(crate) fn tighter(before: Option<LimitOutcome>, after: LimitOutcome) -> LimitOutcome {
    match before {
        Some(before) if (before.remaining, after.reset) < (after.remaining, before.reset) => before,
        _ => after,
    }
}

/// How long a refused client has to wait: until all limits that refused would let it pass.
pub(crate) fn wait<'a>(said: impl IntoIterator<Item = (&'a Arc<Limit>, &'a Verdict)>) -> Duration {
    let refused = said.into_iter().filter(|(limit, verdict)| limit.is_enforced() && !verdict.allowed);
    micros(refused.map(|(_, verdict)| verdict.retry).max().unwrap_or(0))
}

fn micros(micros: Micros) -> Duration {
    Duration::from_micros(micros)
}

/// Whole seconds, rounded up: who comes back then is not early.
fn seconds(time: Duration) -> u64 {
    time.as_secs().saturating_add(u64::from(time.subsec_nanos() > 0))
}

/// A field's value in the making, on the stack unless there are many limits.
#[derive(Debug, Default)]
struct Text(SmallVec<[u8; 192]>);

impl Text {
    fn push(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }

    fn comma(&mut self) -> &mut Self {
        if self.0.is_empty() { self } else { self.push(b", ") }
    }

    /// A string (RFC 9651 section 3.3.3). Names have nothing in them that needs an escape.
    fn name(&mut self, name: &str) -> &mut Self {
        self.push(b"\"").push(name.as_bytes()).push(b"\"")
    }

    fn number(&mut self, key: &str, number: u64) -> &mut Self {
        let mut digits = [0; 20];
        let mut rest = number.min(LARGEST);
        let mut first = digits.len();
        loop {
            first -= 1;
            digits[first] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        self.push(key.as_bytes()).push(&digits[first..])
    }

    fn value(&self) -> Option<HeaderValue> {
        if self.0.is_empty() { None } else { HeaderValue::from_bytes(&self.0).ok() }
    }
}

#[cfg(test)]
#[path = "fields_tests.rs"]
mod tests;
