//! May they: what a route requires of an identity.

use std::borrow::Cow;
use std::sync::Arc;

use tidegate_core::{Asked, BuildCx, ConfigErrors, Route};

use crate::config::{Config, Require};
use crate::verdict::Failure;

/// All rules of the section.
pub(crate) struct Decider {}

/// The rules of one route.
pub(crate) struct Rules {}

/// What the rules say of a request by somebody who is known.
#[derive(Debug)]
pub(crate) enum Decision {
    /// They may.
    Allow,
    /// They may not: by which rule, for the log and `tidegate explain`.
    Deny(Cow<'static, str>),
    /// Whoever has to be asked did not answer: 503.
    Failed(Failure),
}

impl Decider {
    /// Errors are relative to the section.
    pub(crate) fn build(_config: &Config, _cx: &mut BuildCx<'_>) -> Result<Arc<Self>, ConfigErrors> {
        Ok(Arc::new(Self {}))
    }

    /// The rules of one route; errors are relative to `require`.
    pub(crate) fn rules(self: &Arc<Self>, _require: &Require, _route: &Route) -> Result<Rules, ConfigErrors> {
        Ok(Rules {})
    }

    /// What is likely a mistake, relative to the section.
    pub(crate) fn warnings(&self) -> ConfigErrors {
        ConfigErrors::new()
    }
}

impl Rules {
    /// Decides. `asked.identity` is there.
    pub(crate) async fn decide(&self, _asked: &Asked<'_>) -> Decision {
        Decision::Allow
    }

    /// The same in lines for a person, without asking anybody.
    pub(crate) fn explain(&self, _asked: &Asked<'_>) -> Vec<String> {
        Vec::new()
    }
}
