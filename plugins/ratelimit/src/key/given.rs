//! A key that an operator asks for.

use std::net::IpAddr;

use super::bytes::Kind;
use super::find::push;
use super::{Builder, Key, Keys};
use crate::config::{Joined, Missing, Source};

impl Keys {
    /// The key of what is given by name: `client` as an address, `identity` as `<provider>:<subject>`, all others as
    /// their text (a claim that is no text as `json:42`; `header.x-tenant`, `param.project`, …). The first choice that is given counts. Errors are for
    /// people.
    pub(crate) fn given<T: AsRef<str>>(&self, limit: u64, given: impl Fn(&str) -> Option<T>) -> Result<Key, String> {
        for joined in self.per.keys() {
            if let Some(key) = self.of_given(joined, &given)? {
                return Ok(key.finish(limit));
            }
        }
        if let (Missing::Client, Some(client)) = (self.missing, given("client")) {
            let mut key = Builder::default();
            key.client(address(client.as_ref())?, self.prefix);
            return Ok(key.finish(limit));
        }
        Err(format!("this limit counts by {}: give all parts of one of them", self.names()))
    }

    fn of_given<T: AsRef<str>>(
        &self,
        joined: &Joined,
        given: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<Builder>, String> {
        let mut key = Builder::default();
        for source in joined.sources() {
            let Some(text) = given(&source.to_string()) else { return Ok(None) };
            let text = text.as_ref();
            if self.push_given(source, text, &mut key)?.is_none() {
                return Err(format!("{source} is empty"));
            }
        }
        Ok(Some(key))
    }

    fn push_given(&self, source: &Source, text: &str, key: &mut Builder) -> Result<Option<()>, String> {
        let value = text.as_bytes();
        Ok(match source {
            Source::Client => {
                key.client(address(text)?, self.prefix);
                Some(())
            }
            Source::Identity => {
                let (provider, subject) =
                    text.split_once(':').ok_or_else(|| "write identity as <provider>:<subject>".to_owned())?;
                key.part(Kind::Provider, "", provider.as_bytes());
                push(Kind::Subject, "", subject.as_bytes(), key)
            }
            Source::ApiKey => push(Kind::ApiKey, "", value, key),
            Source::Header(name) => push(Kind::Header, name.as_str(), value, key),
            Source::Cookie(name) => push(Kind::Cookie, name, value, key),
            Source::Query(name) => push(Kind::Query, name, value, key),
            Source::Param(name) => push(Kind::Param, name, value, key),
            Source::Claim(name) => match text.strip_prefix("json:") {
                Some(json) => push(Kind::ClaimJson, name, json.as_bytes(), key),
                None => push(Kind::Claim, name, value, key),
            },
            Source::Route => push(Kind::Route, "", value, key),
            Source::Host => push(Kind::Host, "", text.to_ascii_lowercase().as_bytes(), key),
            Source::Country => push(Kind::Country, "", text.to_ascii_uppercase().as_bytes(), key),
        })
    }
}

fn address(text: &str) -> Result<IpAddr, String> {
    text.parse().map_err(|_| "client is not an IP address".to_owned())
}
