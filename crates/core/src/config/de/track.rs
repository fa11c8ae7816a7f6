//! Where the reader is: a list on the stack that becomes a path only when something is wrong.

use super::prune::Prune;
use crate::config::raw::SecretPlaces;
use crate::config::{ConfigPath, Segment};

pub(super) struct Track<'a> {
    step: Step<'a>,
    /// What is left out at and below this place.
    prune: Option<&'a Prune>,
    secrets: &'a SecretPlaces,
}

enum Step<'a> {
    Root(&'a ConfigPath),
    Key(&'a Track<'a>, &'a str),
    Index(&'a Track<'a>, usize),
}

impl<'a> Track<'a> {
    pub(super) fn root(base: &'a ConfigPath, prune: &'a Prune, secrets: &'a SecretPlaces) -> Self {
        Self { step: Step::Root(base), prune: (!prune.is_empty()).then_some(prune), secrets }
    }

    pub(super) fn key(&'a self, key: &'a str) -> Self {
        let prune = self.prune.and_then(|prune| prune.at_key(key));
        Self { step: Step::Key(self, key), prune, secrets: self.secrets }
    }

    pub(super) fn index(&'a self, index: usize) -> Self {
        let prune = self.prune.and_then(|prune| prune.at_index(index));
        Self { step: Step::Index(self, index), prune, secrets: self.secrets }
    }

    /// Whether this place was at fault before, and is not to be seen again.
    pub(super) fn is_removed(&self) -> bool {
        self.prune.is_some_and(Prune::is_removed)
    }

    /// The list of places that hold a secret.
    pub(super) fn secrets(&self) -> &'a SecretPlaces {
        self.secrets
    }

    /// Keys missing here, which are to be made up.
    pub(super) fn supplied(&self) -> &'a [&'static str] {
        self.prune.map(Prune::supplied).unwrap_or_default()
    }

    pub(super) fn path(&self) -> ConfigPath {
        let mut steps = Vec::new();
        let mut at = self;
        let base = loop {
            at = match &at.step {
                Step::Root(base) => break base,
                Step::Key(parent, key) => {
                    steps.push(Segment::Key((*key).into()));
                    parent
                }
                Step::Index(parent, index) => {
                    steps.push(Segment::Index(*index));
                    parent
                }
            };
        };
        base.segments().iter().cloned().chain(steps.into_iter().rev()).collect()
    }
}
