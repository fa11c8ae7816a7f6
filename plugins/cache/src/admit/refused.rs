//! Why an answer is not stored.

/// Why an answer is not stored: words for metrics, `Cache-Status` and whoever asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Only GET and HEAD are.
    Method,
    /// The client has asked for it.
    RequestNoStore,
    /// The status is none that is stored, or none that the cache understands where it must.
    Status,
    /// It is a part of something.
    Partial,
    /// The upstream was asked for a slice, and this isn't it, or not one that can be told from that of another version.
    Slice,
    /// It has no end.
    Stream,
    ContentType,
    NoStore,
    Private,
    /// The request proves who asks, and the answer is not said to be for everybody.
    Authorization,
    SetCookie,
    /// It varies by everything, or by what the gateway said and not the client.
    Vary,
    /// It is in a coding by which variants are not told apart.
    Coding,
    /// Nobody says for how long it is fresh.
    Silent,
    /// The same of an upstream that has failed.
    ServerError,
    /// It is stale already, and there is no asking whether it is still good.
    Expired,
    /// The 304 is about another answer than the stored one.
    Validator,
    /// It is longer than what its zone keeps.
    TooLong,
}

impl Refused {
    pub(crate) const ALL: [Self; 18] = [
        Self::Method,
        Self::RequestNoStore,
        Self::Status,
        Self::Partial,
        Self::Slice,
        Self::Stream,
        Self::ContentType,
        Self::NoStore,
        Self::Private,
        Self::Authorization,
        Self::SetCookie,
        Self::Vary,
        Self::Coding,
        Self::Silent,
        Self::ServerError,
        Self::Expired,
        Self::Validator,
        Self::TooLong,
    ];

    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Method => "method",
            Self::RequestNoStore => "request_no_store",
            Self::Status => "status",
            Self::Partial => "partial",
            Self::Slice => "slice",
            Self::Stream => "stream",
            Self::ContentType => "content_type",
            Self::NoStore => "no_store",
            Self::Private => "private",
            Self::Authorization => "authorization",
            Self::SetCookie => "set_cookie",
            Self::Vary => "vary",
            Self::Coding => "coding",
            Self::Silent => "silent",
            Self::ServerError => "server_error",
            Self::Expired => "expired",
            Self::Validator => "validator",
            Self::TooLong => "too_long",
        }
    }

    /// Whether such a refusal says nothing of the next answer to the same question: words that [`Refused::word`] gives.
    pub(crate) fn is_passing(word: &str) -> bool {
        [Self::RequestNoStore, Self::ServerError, Self::Validator].iter().any(|passing| passing.word() == word)
    }
}
