//! The plugin's section, and what a route asks of it.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};
use tidegate_core::config::ByteSize;

pub use crate::algorithm::Algorithm;

/// What all routes share.
///
/// ```yaml
/// compress: { max_streams: 4096, default: {} }
/// ```
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[schemars(rename = "CompressConfig")]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How many bodies may be compressed or decoded at the same time; each has a MiB or two of memory; the manual has the
    /// figures. Past it answers go out as they are, and requests that would have to be decoded get 503. Default: 512.
    pub max_streams: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { max_streams: 512 }
    }
}

/// How the answers of one route are compressed for the clients that take it.
///
/// A route that has this policy, be it as short as `compress: {}`, compresses texts of 1 KiB and more: by zstd, brotli or
/// gzip, as the client likes best.
///
/// ```yaml
/// compress:
///   algorithms: [zstd, br, gzip]
///   levels: { zstd: 3, br: 4, gzip: 5 }
///   types: [default, text/event-stream]
///   min_size: 1KiB
/// ```
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[schemars(rename = "CompressPolicy")]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// What is offered: `zstd`, `br`, `gzip`. The order decides between those that the client likes as well. An empty list
    /// compresses nothing. Default: `[zstd, br, gzip]`.
    pub algorithms: Vec<Algorithm>,
    /// How hard each of them tries.
    pub levels: Levels,
    /// Which types of content: media types, or patterns with one `*` after the slash, such as `text/*` or
    /// `application/*+json`. `default` in the list stands for the built-in one, which the manual has. Server-sent events
    /// are compressed only where `text/event-stream` itself is in the list, gRPC never. Default: `[default]`.
    pub types: Vec<String>,
    /// Answers that say that they are shorter go out as they are, unless the client refuses that. Those that don't say how
    /// long they are, are compressed. Default: `1KiB`.
    pub min_size: ByteSize,
    /// When what was compressed is sent: `auto`, `always` or `never`. Default: `auto`.
    pub flush: Flush,
    /// When an answer goes out as it is though the client would take it compressed: it may hold a secret and somebody
    /// else's input, and then its length tells of the secret (BREACH; the manual has a chapter). `[]` compresses all.
    /// Default: `[cross_site]`.
    pub skip_when: Vec<SkipWhen>,
    /// The other way round: requests are decoded for an upstream that can't. Default: they go up as they came.
    #[serde(deserialize_with = "given")]
    #[schemars(with = "Requests")]
    pub request: Option<Requests>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            algorithms: Algorithm::ALL.to_vec(),
            levels: Levels::default(),
            types: vec!["default".to_owned()],
            min_size: ByteSize::kib(1),
            flush: Flush::Auto,
            skip_when: vec![SkipWhen::CrossSite],
            request: None,
        }
    }
}

/// How hard an algorithm tries: higher is smaller and slower. The highest allowed keep a thread for a few milliseconds
/// with a piece of 64 KiB; those above are for files that are compressed ahead, once.
///
/// ```yaml
/// levels: { zstd: 3, br: 4, gzip: 5 }
/// ```
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Levels {
    /// 1 to 7. Default: 3.
    #[schemars(range(min = 1, max = 7))]
    pub zstd: u32,
    /// 1 to 6. Default: 4.
    #[schemars(range(min = 1, max = 6))]
    pub br: u32,
    /// 1 to 9. Default: 5.
    #[schemars(range(min = 1, max = 9))]
    pub gzip: u32,
}

impl Default for Levels {
    fn default() -> Self {
        Self { zstd: 3, br: 4, gzip: 5 }
    }
}

/// When what was compressed is sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Flush {
    /// At once, after every piece, where the answer does not say how long it is, since it may be made as it is sent; when
    /// there is enough of it, where it does.
    #[default]
    Auto,
    /// At once, after every piece.
    Always,
    /// When there is enough of it. Server-sent events are sent at once all the same.
    Never,
}

/// When an answer goes out as it is.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SkipWhen {
    /// A page of another site has the browser ask, with what the browser adds by itself: cookies, a password (any
    /// `Authorization` but `Bearer`) or a client certificate. That is how BREACH is done. Seen by `Sec-Fetch-Site`, or by
    /// `Origin` and `Referer` where a browser does not send it.
    CrossSite,
    /// The answer sets a cookie.
    SetCookie,
    /// It is known who asks, or the request has `Authorization`.
    Authorized,
    /// The request has a header field of this name.
    RequestHeader(String),
}

/// Requests whose bodies are decoded for the upstream, which gets them without `Content-Encoding`.
///
/// Who sends a coding that is not taken gets 415 with those that are; a body that is broken is 400, one of which too much
/// comes out 413.
///
/// ```yaml
/// request: { decode: [zstd, br, gzip], max_size: 10MiB, max_ratio: 100 }
/// ```
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[schemars(rename = "CompressRequests")]
#[serde(deny_unknown_fields, default)]
pub struct Requests {
    /// The codings that are taken. Default: `[zstd, br, gzip]`.
    pub decode: Vec<Algorithm>,
    /// The longest that a decoded body may be. Default: `10MiB`.
    pub max_size: ByteSize,
    /// How many bytes may come out for each that came. The first 64 KiB may come out of anything. Default: 100.
    #[schemars(range(min = 1))]
    pub max_ratio: u32,
}

impl Default for Requests {
    fn default() -> Self {
        Self { decode: Algorithm::ALL.to_vec(), max_size: ByteSize::mib(10), max_ratio: 100 }
    }
}

/// A key that stands there with nothing after it is a slip, not a key that was left out.
fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}
