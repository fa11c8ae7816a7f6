//! Which answers of a route are compressed, and when.
//!
//! An upstream's answer is compressed before a cache stores it, so each coding of it is made once. An answer that the
//! gateway makes itself is compressed on its way out. What came from an upstream or a cache is left alone there: it has
//! been decided about, and if it was stored as it is, it is served as it is.

use tidegate_core::config::ByteSize;
use tidegate_core::facts::CacheStatus;
use tidegate_core::{
    Bytes, ConfigErrors, ConfigPath, Cx, HeaderMap, HeaderValue, Method, RequestHeader, ResponseHeader, Result, Route,
    StatusCode, header,
};

use crate::accept::AcceptEncoding;
use crate::algorithm::Algorithm;
use crate::config::{Flush, Levels, Policy};
use crate::encoder::Content;
use crate::etag::lists_strong;
use crate::head::{add_vary, coded, forbids_transforming, forget_bytes, length, weaken_etag};
use crate::metrics::{self, Counters, Outcome};
use crate::skip::{Asker, Skip};
use crate::stream::{How, Stream};
use crate::streams::Streams;
use crate::types::{Types, is_events};

/// What one route does with its answers.
#[derive(Debug)]
pub(crate) struct Answers {
    offered: Box<[Algorithm]>,
    levels: Levels,
    types: Types,
    min_size: u64,
    flush: Flush,
    skip: Skip,
    streams: Streams,
    counters: metrics::Answers,
}

/// An answer that goes out as it is.
struct AsItIs {
    why: Outcome,
    /// Whether another client may get it compressed.
    varies: bool,
}

/// An upstream answered, and what came of it.
#[derive(Debug, Clone)]
struct FromUpstream(Option<Stream>);

/// The gateway's own answer, which is being compressed.
#[derive(Debug, Clone)]
struct OfGateway(Stream);

/// What the upstream was asked; absent, where that was nothing special.
#[derive(Debug, Clone)]
struct Asked {
    /// By HEAD, so no body will follow. A client's HEAD says nothing of it: a cache asks by GET to have an answer to store.
    for_head: bool,
    /// By `If-None-Match`: the client's tags, or a cache's own.
    tags: Box<[HeaderValue]>,
    /// A cache asks whether what it has is still good.
    for_cache: bool,
}

impl Answers {
    /// Errors are relative to the policy.
    pub(crate) fn build(
        policy: &Policy,
        route: &Route,
        streams: Streams,
        counters: &Counters,
    ) -> Result<Self, ConfigErrors> {
        let mut errors = ConfigErrors::new();
        policy.levels.check(&mut errors);
        let types = Types::parse(&policy.types)
            .map_err(|(index, error)| ConfigErrors::from(error).under(&ConfigPath::from("types").index(index)));
        let skip = Skip::build(&policy.skip_when).map_err(|errors| errors.under(&ConfigPath::from("skip_when")));
        let (Some(types), Some(skip)) = (errors.collect(types), errors.collect(skip)) else { return Err(errors) };
        errors.into_result(Self {
            offered: policy.algorithms.clone().into(),
            levels: policy.levels,
            types,
            min_size: policy.min_size.bytes(),
            flush: policy.flush,
            skip,
            streams,
            counters: counters.answers(route),
        })
    }

    /// Notes what the upstream is asked, as that says what its answer means.
    pub(crate) fn upstream_request(&self, cx: &mut Cx<'_>, head: &RequestHeader) {
        let tags: Box<[HeaderValue]> = head.headers.get_all(header::IF_NONE_MATCH).iter().cloned().collect();
        let for_head = head.method == Method::HEAD;
        let added = |name| head.headers.contains_key(&name) && head.headers.get(&name) != cx.head().headers.get(&name);
        let for_cache = added(header::IF_NONE_MATCH) || added(header::IF_MODIFIED_SINCE);
        match tags.is_empty() && !for_head && !for_cache {
            // A try before this one may have asked something else.
            true => drop(cx.extensions_mut().remove::<Asked>()),
            false => drop(cx.extensions_mut().insert(Asked { for_head, tags, for_cache })),
        }
    }

    /// The head of an upstream's answer, before a cache has it.
    pub(crate) fn upstream_response(&self, cx: &mut Cx<'_>, head: &mut ResponseHeader) -> Result<()> {
        let asked = cx.extensions().get::<Asked>();
        let stream = match head.status {
            StatusCode::NOT_MODIFIED => {
                let tags = asked.map_or(&[][..], |asked| &asked.tags);
                let varied = head.headers.contains_key(header::VARY);
                self.not_modified(cx.head().headers, tags, head)?;
                if asked.is_some_and(|asked| asked.for_cache) && !varied {
                    // What is stored knows by itself what it varies by, and a picture does not: a 304 that says
                    // otherwise would be about another answer than the one that the cache has.
                    head.remove_header(&header::VARY);
                }
                None
            }
            _ => self.decide(cx, head)?,
        };
        let stream = stream.filter(|_| !asked.is_some_and(|asked| asked.for_head));
        cx.extensions_mut().insert(FromUpstream(stream));
        Ok(())
    }

    /// A piece of an upstream's answer, before a cache has it.
    pub(crate) fn upstream_response_body(&self, cx: &Cx<'_>, body: &mut Bytes, end: bool) -> Result<()> {
        match cx.extensions().get::<FromUpstream>() {
            Some(FromUpstream(Some(stream))) => stream.pass(body, end),
            _ => Ok(()),
        }
    }

    /// The head of any answer on its way out.
    pub(crate) fn response(&self, cx: &mut Cx<'_>, head: &mut ResponseHeader) -> Result<()> {
        if !is_gateways_own(cx) {
            return Ok(());
        }
        if head.status == StatusCode::NOT_MODIFIED {
            let headers = cx.head().headers;
            return self.not_modified(headers, headers.get_all(header::IF_NONE_MATCH), head);
        }
        // For HEAD, too: an answer that is made whole is compressed to know its length.
        if let Some(stream) = self.decide(cx, head)? {
            cx.extensions_mut().insert(OfGateway(stream));
        }
        Ok(())
    }

    /// A piece of any answer on its way out.
    pub(crate) fn response_body(&self, cx: &Cx<'_>, body: &mut Bytes, end: bool) -> Result<()> {
        match cx.extensions().get::<OfGateway>() {
            Some(OfGateway(stream)) => stream.pass(body, end),
            None => Ok(()),
        }
    }

    /// What this route would do for a client, and why.
    pub(crate) fn explain(&self, asker: &Asker<'_>) -> String {
        if let Some(why) = self.skip.of_request(asker) {
            return format!("answers go out as they are: {why}");
        }
        if forbids_transforming(asker.head.headers) {
            return "answers go out as they are: the client asks for no-transform".to_owned();
        }
        let offered = self.offered.iter().map(|algorithm| algorithm.token()).collect::<Vec<_>>().join(", ");
        match AcceptEncoding::of(asker.head.headers).choose(&self.offered) {
            Some(algorithm) => format!(
                "answers of a type on the list and of {} or more go out as {algorithm}, level {}: of [{offered}] what \
                 the client likes best",
                ByteSize::new(self.min_size),
                self.levels.of(algorithm)
            ),
            None => format!("answers go out as they are: of [{offered}] the client takes none, or likes it less"),
        }
    }

    fn decide(&self, cx: &Cx<'_>, head: &mut ResponseHeader) -> Result<Option<Stream>> {
        let how = self.judge(&Asker::of(cx), head);
        if how.as_ref().map_or_else(|left| left.varies, |_| true) {
            add_vary(head)?;
        }
        match how {
            Ok(how) => {
                self.counters.count(Outcome::Compressed);
                coded(head, how.algorithm)?;
                Ok(Some(Stream::new(how)))
            }
            Err(left) => {
                self.counters.count(left.why);
                Ok(None)
            }
        }
    }

    /// First what concerns the answer, which is the same for everybody; then what concerns the client.
    fn judge(&self, asker: &Asker<'_>, head: &ResponseHeader) -> Result<How, AsItIs> {
        let headers = &head.headers;
        if let Some(why) = self.unfit(head) {
            return Err(AsItIs { why, varies: false });
        }
        let accepted = AcceptEncoding::of(asker.head.headers);
        let size = length(headers);
        let small = size.is_some_and(|size| size < self.min_size && !(size > 0 && accepted.refuses_identity()));
        let left = |why| AsItIs { why, varies: true };
        if small {
            return Err(AsItIs { why: Outcome::TooSmall, varies: false });
        }
        if self.skip.of_answer(headers) || self.skip.of_request(asker).is_some() {
            return Err(left(Outcome::Skipped));
        }
        if forbids_transforming(asker.head.headers) {
            return Err(left(Outcome::NoTransform));
        }
        let algorithm = accepted.choose(&self.offered).ok_or_else(|| left(Outcome::NotAccepted))?;
        let place = self.streams.take().ok_or_else(|| left(Outcome::Busy))?;
        let content = content(headers, size);
        let bytes = self.counters.bytes(algorithm);
        let level = self.levels.of(algorithm);
        Ok(How { algorithm, level, content, flush: self.flush.after(content), bytes, _place: place })
    }

    /// Why an answer is compressed for nobody.
    fn unfit(&self, head: &ResponseHeader) -> Option<Outcome> {
        let headers = &head.headers;
        if self.offered.is_empty() {
            return Some(Outcome::NotAccepted);
        }
        if !has_whole_content(head.status) || headers.contains_key(header::CONTENT_RANGE) {
            return Some(Outcome::Status);
        }
        if headers.contains_key(header::CONTENT_ENCODING) {
            return Some(Outcome::Encoded);
        }
        if forbids_transforming(headers) {
            return Some(Outcome::NoTransform);
        }
        if headers.contains_key(header::TRAILER) {
            return Some(Outcome::Trailers);
        }
        let content_type = headers.get(header::CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
        (!self.types.has(content_type)).then_some(Outcome::Type)
    }

    /// A 304 is about an answer that was sent before, perhaps compressed, and does not say of which type that was. What
    /// the client asked with tells: only who got the answer as it was has its tag in the strong form. All others get the
    /// weak one, as they did then; a cache that took the strong one for a coded body would hand it out with both.
    fn not_modified<'a>(
        &self,
        client: &HeaderMap,
        asked: impl IntoIterator<Item = &'a HeaderValue>,
        head: &mut ResponseHeader,
    ) -> Result<()> {
        self.counters.count(Outcome::Status);
        let fits = head.headers.get(header::CONTENT_TYPE).is_none_or(|kind| self.types.has(kind.as_bytes()));
        if !fits || self.offered.is_empty() || forbids_transforming(&head.headers) {
            return Ok(());
        }
        add_vary(head)?;
        let as_it_was = head.headers.get(header::ETAG).is_some_and(|tag| lists_strong(asked, tag));
        if as_it_was || AcceptEncoding::of(client).choose(&self.offered).is_none() {
            return Ok(());
        }
        // A cache takes the fields of a 304 for those of what it has (RFC 9111 section 3.2), and that may be coded.
        forget_bytes(head);
        weaken_etag(head)
    }
}

impl Flush {
    /// Whether each piece is sent at once.
    fn after(self, content: Content) -> bool {
        match (self, content) {
            (Self::Always, _) | (_, Content::Events) => true,
            (Self::Auto, content) => content == Content::Unknown,
            (Self::Never, _) => false,
        }
    }
}

impl Levels {
    fn of(&self, algorithm: Algorithm) -> u32 {
        match algorithm {
            Algorithm::Zstd => self.zstd,
            Algorithm::Br => self.br,
            Algorithm::Gzip => self.gzip,
        }
    }

    fn check(&self, errors: &mut ConfigErrors) {
        for (algorithm, most) in [(Algorithm::Zstd, 7), (Algorithm::Br, 6), (Algorithm::Gzip, 9)] {
            let level = self.of(algorithm);
            if !(1..=most).contains(&level) {
                let place = ConfigPath::from("levels").key(algorithm.token());
                let error = tidegate_core::ConfigError::at(place, format!("{level} is not a level from 1 to {most}"));
                errors.push(error.help("higher ones would keep a thread for too long; compress such files ahead"));
            }
        }
    }
}

/// What is known of the content from its head.
fn content(headers: &HeaderMap, size: Option<u64>) -> Content {
    let events = headers.get(header::CONTENT_TYPE).is_some_and(|kind| is_events(kind.as_bytes()));
    match (events, size) {
        (true, _) => Content::Events,
        (false, Some(size)) => Content::Of(size),
        (false, None) => Content::Unknown,
    }
}

/// A success that has all of its content. 204, 205 and 304 have none, and 206 and 226 a part that the client joins to
/// others (RFC 9110 section 14, RFC 3229).
fn has_whole_content(status: StatusCode) -> bool {
    status.is_success() && !matches!(status.as_u16(), 204 | 205 | 206 | 226)
}

/// Neither an upstream nor a cache has had to do with it.
fn is_gateways_own(cx: &Cx<'_>) -> bool {
    let cached = matches!(cx.facts().cache, CacheStatus::Hit | CacheStatus::Stale | CacheStatus::Revalidated);
    !cached && cx.extensions().get::<FromUpstream>().is_none()
}
