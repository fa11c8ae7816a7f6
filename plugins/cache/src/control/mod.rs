//! `Cache-Control` and its relatives, read (RFC 9111 section 5.2, RFC 9213, RFC 5861).

mod dictionary;
mod list;
mod request;
mod response;
mod seconds;

pub(crate) use self::request::Asks;
pub(crate) use self::response::{Expires, Says};
pub(crate) use self::seconds::{of as seconds, older_than};

#[cfg(test)]
mod tests;
