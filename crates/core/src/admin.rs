//! What operators can ask a plugin.

use std::borrow::Cow;

use async_trait::async_trait;
use http::Method;
use percent_encoding::percent_decode_str;

use crate::Reply;

/// What a plugin shows and does on the admin listener, under `/<plugin>/`.
///
/// The listener asks nobody who they are: it is bound to loopback or a private network. The gateway turns away
/// what a web page sends from a browser of somebody who can reach it.
#[async_trait]
pub trait Admin: Send + Sync {
    /// Its paths after `/<plugin>/`, for the list that an unknown path is answered with.
    fn paths(&self) -> &'static [&'static str];

    /// The answer; `None` is a 404 with the list of paths. Errors are for people: [`Reply::problem`] and its kin.
    async fn answer(&self, request: &AdminRequest<'_>) -> Option<Reply>;
}

/// A request on the admin listener. Its body is not read.
#[derive(Debug, Clone, Copy)]
pub struct AdminRequest<'a> {
    /// The method.
    pub method: &'a Method,
    /// The path after `/<plugin>/`.
    pub path: &'a str,
    /// What follows the `?`; empty where there is none.
    pub query: &'a str,
}

impl<'a> AdminRequest<'a> {
    /// A parameter of the query, decoded; the first of that name. `None` when it is missing or no UTF-8.
    pub fn query(&self, name: &str) -> Option<Cow<'a, str>> {
        let pairs = self.query.split('&').filter_map(|pair| pair.split_once('='));
        let (_, value) = pairs.into_iter().find(|(key, _)| *key == name)?;
        percent_decode_str(value).decode_utf8().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded_by_name() {
        let request = AdminRequest { method: &Method::GET, path: "key", query: "a=1&client=2001%3Adb8%3A%3A1&a=2&b" };
        assert_eq!(request.query("client").as_deref(), Some("2001:db8::1"));
        assert_eq!(request.query("a").as_deref(), Some("1"));
        assert_eq!(request.query("b"), None);
        let bad = AdminRequest { method: &Method::GET, path: "", query: "x=%ff" };
        assert_eq!(bad.query("x"), None);
    }
}
