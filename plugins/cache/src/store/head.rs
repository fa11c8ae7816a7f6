//! The head of a stored answer, and when it was what.

use std::time::SystemTime;

use tidegate_core::cache::engine::{CacheMeta, HashBinary};
use tidegate_core::{HeaderMap, ResponseHeader, StatusCode};

/// A stored answer's head. Never changed: an answer that is confirmed gets another one.
///
/// In Pingora's words `asked` is `updated` and `born` is `epoch`. Nothing here is Pingora's clock's: all times are those of
/// the gateway's clock.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    pub(crate) status: StatusCode,
    /// The fields to be sent, without those of one connection.
    pub(crate) headers: HeaderMap,
    /// When the request was sent that this is the answer to, or that confirmed it: a purge after this hits it.
    pub(crate) asked: SystemTime,
    /// When the answer was made, as far as its `Age` and `Date` tell: its age counts from here (RFC 9111 section 4.2.3).
    pub(crate) born: SystemTime,
    /// Until when it is fresh.
    pub(crate) fresh_until: SystemTime,
    /// For how many seconds after that it may be used while a new one is fetched.
    pub(crate) while_revalidate: u32,
    /// For how many seconds after that it may be used when the upstream fails.
    pub(crate) if_error: u32,
    /// By which hash of request fields it was chosen, where it varies.
    pub(crate) variance: Option<HashBinary>,
}

impl Head {
    /// What Pingora hands over to be stored.
    pub(crate) fn of(meta: &CacheMeta) -> Self {
        Self {
            status: meta.response_header().status,
            headers: meta.headers().clone(),
            asked: meta.updated(),
            born: meta.epoch(),
            fresh_until: meta.fresh_until(),
            while_revalidate: meta.stale_while_revalidate_sec(),
            if_error: meta.stale_if_error_sec(),
            variance: meta.variance(),
        }
    }

    /// As Pingora wants it when it is found.
    pub(crate) fn to_meta(&self) -> CacheMeta {
        let mut parts = http::Response::new(()).into_parts().0;
        (parts.status, parts.headers) = (self.status, self.headers.clone());
        let head = ResponseHeader::from(parts);
        let mut meta = CacheMeta::new(self.fresh_until, self.asked, self.while_revalidate, self.if_error, head);
        meta.set_epoch_override(self.born);
        if let Some(variance) = self.variance {
            meta.set_variance(variance);
        }
        meta
    }
}
