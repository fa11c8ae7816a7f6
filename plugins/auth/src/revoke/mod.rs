//! Tokens that are refused before they expire.

use std::sync::Arc;

use tidegate_core::{BuildCx, ConfigErrors};

use crate::config::Revocation as RevocationConfig;
use crate::store::{Revocation, Store};
use crate::verdict::{Failure, Mark};

/// What this gateway knows of revocations.
pub(crate) struct Revocations {}

/// What is known here about a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    Good,
    Revoked,
    /// The store has to be asked.
    Ask,
    /// The store is lost, and nothing may pass then.
    Lost,
}

impl Revocations {
    /// `store`: the token service's, or the one that the section names; `None`: nothing is ever revoked.
    pub(crate) fn build(
        _config: &RevocationConfig,
        _store: Option<Arc<dyn Store>>,
        _cx: &mut BuildCx<'_>,
    ) -> Result<Arc<Self>, ConfigErrors> {
        Ok(Arc::new(Self {}))
    }

    /// What is known here. Takes no lock that is held for long, and allocates nothing.
    pub(crate) fn check(&self, _mark: &Mark) -> Standing {
        Standing::Good
    }

    /// Asks the store whether it is revoked.
    pub(crate) async fn ask(&self, _mark: &Mark) -> Result<bool, Failure> {
        Ok(false)
    }

    /// What was revoked by this gateway holds here at once; called after the store has it.
    pub(crate) fn heard(&self, _revoked: &[Revocation]) {}
}
