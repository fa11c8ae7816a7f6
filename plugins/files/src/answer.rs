//! What is sent for what was found.

use std::collections::VecDeque;
use std::fs::File;
use std::sync::Arc;
use std::time::SystemTime;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use tidegate_core::{Body, Bytes, HeaderValue, Method, Reply, RequestHead, StatusCode, header};

use crate::body::{Piece, Sending};
use crate::conditional::{Verdict, range_counts, verdict};
use crate::config::{Coding, EtagOf};
use crate::disk::Disk;
use crate::media::Types;
use crate::metrics::{Outcome, RouteMetrics};
use crate::parts::{content_range, multipart};
use crate::pattern::CacheRules;
use crate::ranges::{Ranges, ranges};
use crate::tree::{Opened, Role};
use crate::version::{Validators, Version};

/// How files are described.
#[derive(Debug)]
pub(crate) struct Answers {
    pub(crate) types: Types,
    pub(crate) rules: CacheRules,
    pub(crate) etag: EtagOf,
    /// Whether `Accept` decides between a page and a 404.
    pub(crate) vary_by_page: bool,
    /// Whether there may be compressed siblings.
    pub(crate) vary_by_coding: bool,
}

/// What sending needs.
pub(crate) struct Sender<'a> {
    pub(crate) disk: &'a Disk,
    pub(crate) metrics: &'a RouteMetrics,
    pub(crate) now: SystemTime,
}

/// What a path of a URL can't have in it as it is.
const PATH: &AsciiSet =
    &CONTROLS.add(b' ').add(b'"').add(b'<').add(b'>').add(b'\\').add(b'^').add(b'`').add(b'{').add(b'}');

impl Answers {
    /// A file, or that part of it that was asked for.
    pub(crate) fn file(&self, file: Opened, head: &RequestHead<'_>, sender: &Sender<'_>) -> (Outcome, Reply) {
        if file.role == Role::NotFound {
            // Conditions and ranges are about what would have been a success (RFC 9110 section 13.2.1), and so are the
            // rules of what may be kept: the path may be one in a moment.
            let reply = coded(self.described(Reply::new(StatusCode::NOT_FOUND), &file), file.coding)
                .header(header::CONTENT_TYPE, self.types.of(&file.path))
                .header(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
            return (Outcome::NotFound, whole(reply, file, head, sender));
        }
        let validators = Validators::of(&file.version, file.coding, self.etag, sender.now);
        match verdict(head.headers, &validators) {
            Verdict::Send => {}
            Verdict::NotModified => {
                let reply = self.described(Reply::new(StatusCode::NOT_MODIFIED), &file);
                return (Outcome::NotModified, validated(reply, &validators));
            }
            Verdict::Failed => {
                let status = StatusCode::PRECONDITION_FAILED;
                let reply =
                    Reply::problem(status, "precondition_failed", "the file is another version than the one meant");
                return (Outcome::PreconditionFailed, reply);
            }
        }
        let asked =
            match (head.method == Method::GET, range_of(head), range_counts(head.headers, &validators, sender.now)) {
                (true, Some(range), true) => ranges(range, file.version.length),
                _ => Ranges::Whole,
            };
        let asked = match asked {
            // Clients undo a coding of the message, and what stands between the parts is in none.
            Ranges::Parts(parts) if parts.len() > 1 && file.coding.is_some() => Ranges::Whole,
            asked => asked,
        };
        let reply = |status| {
            let reply = validated(self.described(Reply::new(status), &file), &validators);
            coded(reply, file.coding).header(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"))
        };
        let media = self.types.of(&file.path);
        match asked {
            Ranges::Unsatisfiable => (Outcome::Unsatisfiable, unsatisfiable(file.version.length)),
            Ranges::Whole => {
                let outcome = if file.role == Role::Fallback { Outcome::Fallback } else { Outcome::Whole };
                let reply = reply(StatusCode::OK).header(header::CONTENT_TYPE, media);
                (outcome, whole(reply, file, head, sender))
            }
            Ranges::Parts(parts) => {
                let reply = reply(StatusCode::PARTIAL_CONTENT);
                let (reply, pieces) = match parts.as_slice() {
                    [one] => {
                        let reply = reply.header(header::CONTENT_TYPE, media);
                        let reply =
                            reply.header(header::CONTENT_RANGE, value(content_range(*one, file.version.length)));
                        (reply, VecDeque::from([Piece::File { at: one.first, left: one.length() }]))
                    }
                    several => {
                        let (pieces, media) = multipart(several, file.version.length, &media);
                        (reply.header(header::CONTENT_TYPE, media), pieces)
                    }
                };
                (Outcome::Partial, streamed(reply, (file.file, file.version), pieces, sender))
            }
        }
    }

    /// To the same path with a slash at its end, where links in the index lead where they should.
    pub(crate) fn with_slash(&self, head: &RequestHead<'_>) -> (Outcome, Reply) {
        // A browser reads `//host` as another site. No place has an empty name in it, so this can't be one.
        let path = ["/", head.path.trim_start_matches('/')].concat();
        let path = utf8_percent_encode(&path, PATH).to_string();
        let target = match head.query {
            Some(query) => [&path, "/?", query].concat(),
            None => [&path, "/"].concat(),
        };
        match HeaderValue::try_from(target) {
            Ok(target) => (Outcome::Redirected, Reply::redirect(StatusCode::TEMPORARY_REDIRECT, target)),
            Err(_) => (Outcome::Refused, Reply::bad_request("bad_path", "the path can't be sent back")),
        }
    }

    /// A page with names.
    pub(crate) fn listing(&self, page: Bytes, head: &RequestHead<'_>) -> (Outcome, Reply) {
        let reply = unsniffed(Reply::new(StatusCode::OK))
            .header(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"))
            .header(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"))
            .header(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'"));
        let reply = match head.method == Method::HEAD {
            true => headed(reply, page.len() as u64),
            false => reply.body(Body::Bytes(page)),
        };
        (Outcome::Listing, reply)
    }

    /// What is said of a file in every answer about it.
    fn described(&self, reply: Reply, file: &Opened) -> Reply {
        let mut reply = unsniffed(reply).header(header::CACHE_CONTROL, self.rules.of(&file.path));
        if self.vary_by_coding {
            reply = reply.append(header::VARY, HeaderValue::from_static("Accept-Encoding"));
        }
        // The same path is a 404 for those who don't want a page.
        if self.vary_by_page && file.role != Role::Asked {
            reply = reply.append(header::VARY, HeaderValue::from_static("Accept"));
        }
        reply
    }
}

fn unsniffed(reply: Reply) -> Reply {
    reply.header(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"))
}

fn validated(reply: Reply, validators: &Validators) -> Reply {
    let reply = reply.header(header::ETAG, validators.etag.clone());
    match validators.last_modified() {
        Some(modified) => reply.header(header::LAST_MODIFIED, modified),
        None => reply,
    }
}

fn coded(reply: Reply, coding: Option<Coding>) -> Reply {
    match coding {
        Some(coding) => reply.header(header::CONTENT_ENCODING, HeaderValue::from_static(coding.name())),
        None => reply,
    }
}

/// One that is sent twice is no list, and not heeded.
fn range_of<'h>(head: &RequestHead<'h>) -> Option<&'h str> {
    let mut values = head.headers.get_all(header::RANGE).into_iter();
    let (first, second) = (values.next()?, values.next());
    first.to_str().ok().filter(|_| second.is_none())
}

fn unsatisfiable(length: u64) -> Reply {
    let reply = Reply::problem(StatusCode::RANGE_NOT_SATISFIABLE, "range_not_satisfiable", "the file has no such part");
    reply.header(header::CONTENT_RANGE, value(["bytes */", &length.to_string()].concat()))
}

/// What is made of digits and words.
fn value(text: String) -> HeaderValue {
    HeaderValue::try_from(text).unwrap_or_else(|_| unreachable!("plain characters"))
}

/// All of the file.
fn whole(reply: Reply, file: Opened, head: &RequestHead<'_>, sender: &Sender<'_>) -> Reply {
    let length = file.version.length;
    match (head.method == Method::HEAD, file.content) {
        (true, _) => headed(reply, length),
        (false, Some(content)) => {
            sender.metrics.bytes.inc_by(content.len() as u64);
            reply.body(Body::Bytes(content))
        }
        (false, None) => {
            let pieces = VecDeque::from([Piece::File { at: 0, left: length }]);
            streamed(reply, (file.file, file.version), pieces, sender)
        }
    }
}

/// The head of an answer whose body would have this length: an empty stream keeps it, as bytes would not.
fn headed(reply: Reply, length: u64) -> Reply {
    let nothing = Body::Stream(Box::pin(futures_util::stream::empty()));
    reply.header(header::CONTENT_LENGTH, HeaderValue::from(length)).body(nothing)
}

fn streamed(
    reply: Reply,
    (file, version): (Arc<File>, Version),
    pieces: VecDeque<Piece>,
    sender: &Sender<'_>,
) -> Reply {
    let length: u64 = pieces.iter().map(Piece::length).sum();
    let (bytes, cut) = (sender.metrics.bytes.clone(), sender.metrics.cut.clone());
    let sending = Sending { disk: sender.disk.clone(), file, version, pieces, bytes, cut };
    reply.header(header::CONTENT_LENGTH, HeaderValue::from(length)).body(Body::Stream(sending.stream()))
}
