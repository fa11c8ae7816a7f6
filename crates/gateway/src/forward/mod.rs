//! To the upstream and back: which target, what each side is to see, and when there is another try.

mod affinity;
mod body;
mod choose;
pub(crate) mod hedge;
mod request;
mod response;
mod retry;
mod tries;

use pingora_error::Error;

pub(crate) use self::body::{BodySoFar, request_body};
pub(crate) use self::choose::{choose, left, timed_out};
pub(crate) use self::request::upstream_request;
pub(crate) use self::response::{
    ended_by_trailers, response, response_body, upstream_response, upstream_response_body,
};
pub(crate) use self::retry::{broken, failure, not_connected};
pub(crate) use self::tries::Tries;

type Fallible<T> = Result<T, Box<Error>>;

/// How many fields are added to a head, by the gateway and by its plugins, before the map has to grow again.
const ADDED_FIELDS: usize = 8;
