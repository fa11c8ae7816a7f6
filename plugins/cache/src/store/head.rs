//! The head of a stored answer, and when it was what.

use std::sync::Arc;
use std::time::SystemTime;

use tidegate_core::cache::engine::{CacheMeta, HashBinary};
use tidegate_core::{Bytes, HeaderMap, HeaderValue, ResponseHeader, StatusCode, header};

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
            headers: packed(meta.headers()),
            asked: meta.updated(),
            born: meta.epoch(),
            fresh_until: meta.fresh_until(),
            while_revalidate: meta.stale_while_revalidate_sec(),
            if_error: meta.stale_if_error_sec(),
            variance: meta.variance(),
        }
    }

    /// As Pingora wants it when it is found. When it was asked for is not in it.
    pub(crate) fn to_meta(&self) -> CacheMeta {
        let mut parts = http::Response::new(()).into_parts().0;
        (parts.status, parts.headers) = (self.status, self.headers.clone());
        let head = ResponseHeader::from(parts);
        // Pingora asks its own clock whether an answer may be used when the upstream fails, and lets one variant end the
        // time of others that are older. Both is for the policy to say, which looks at this head and not at Pingora's.
        let mut meta = CacheMeta::new(self.fresh_until, SystemTime::UNIX_EPOCH, 0, u32::MAX, head);
        meta.set_epoch_override(self.born);
        if let Some(variance) = self.variance {
            meta.set_variance(variance);
        }
        meta
    }

    /// The same with the length of its body, where that wasn't known when it came: then parts of it can be asked for. None
    /// for those that have no body (RFC 9110 section 8.6).
    pub(super) fn with_length(self: Arc<Self>, length: u64) -> Arc<Self> {
        if self.headers.contains_key(header::CONTENT_LENGTH) || self.status == StatusCode::NO_CONTENT {
            return self;
        }
        let mut headers = self.headers.clone();
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        Arc::new(Self { headers: packed(&headers), ..(*self).clone() })
    }

    /// How long the body is, if the head says so.
    pub(crate) fn length(&self) -> Option<u64> {
        length(&self.headers)
    }

    /// How much memory it takes.
    pub(crate) fn bytes(&self) -> usize {
        // The table is of a power of two of places of four bytes, filled to three quarters; each field has a bucket.
        let places = (self.headers.keys_len() + self.headers.keys_len() / 3).next_power_of_two().max(8);
        let table = places * 4 + places / 4 * 3 * BUCKET;
        let more = (self.headers.len() - self.headers.keys_len()).next_power_of_two() * MORE;
        let names: usize = self.headers.keys().map(name_bytes).sum();
        let values: usize = self.headers.values().map(HeaderValue::len).sum();
        size_of::<Self>() + table + more + names + values + SHARED
    }
}

/// How long the body is, if these say so.
pub(super) fn length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.trim().parse().ok()
}

/// One field in the table of `http`.
const BUCKET: usize = 104;
/// One more value of a field there.
const MORE: usize = 72;
/// What `bytes` keeps beside a buffer that several share.
const SHARED: usize = 40;

/// A name that isn't one of the well-known is in a buffer of its own.
fn name_bytes(name: &tidegate_core::HeaderName) -> usize {
    name.as_str().len()
}

/// The same fields in one buffer: those that come from a connection would keep alive all that was read with them.
fn packed(headers: &HeaderMap) -> HeaderMap {
    let total = headers.values().map(HeaderValue::len).sum();
    let mut buffer = Vec::with_capacity(total);
    headers.values().for_each(|value| buffer.extend_from_slice(value.as_bytes()));
    let buffer = Bytes::from(buffer);
    let mut packed = HeaderMap::with_capacity(headers.keys_len());
    let mut at = 0;
    for (name, value) in headers {
        let own = buffer.slice(at..at + value.len());
        at += value.len();
        // What has been a value once is one again.
        let Ok(mut own) = HeaderValue::from_maybe_shared(own) else { continue };
        own.set_sensitive(value.is_sensitive());
        packed.append(name.clone(), own);
    }
    packed
}
