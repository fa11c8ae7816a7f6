//! The token service: what a route that mounts it answers.

use std::sync::Arc;

use tidegate_core::{BuildCx, ConfigErrors, Cx, Endpoint, Reply, Result, Route, async_trait};

use crate::config::service::{Mount, Service};
use crate::events::Events;
use crate::guard::Guard;
use crate::hashing::Hashing;
use crate::keys::KeyRing;
use crate::revoke::Revocations;
use crate::store::Store;

/// What the service is made of.
#[derive(Clone)]
pub(crate) struct Deps {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) keys: Arc<KeyRing>,
    pub(crate) revocations: Arc<Revocations>,
    pub(crate) hashing: Arc<Hashing>,
    pub(crate) guard: Arc<Guard>,
    pub(crate) events: Arc<Events>,
}

/// The service, however many routes mount it.
pub(crate) struct TokenService {
    deps: Deps,
}

impl TokenService {
    /// Errors are relative to `service`.
    pub(crate) fn build(
        _config: &Service,
        deps: Deps,
        _cx: &mut BuildCx<'_>,
    ) -> std::result::Result<Arc<Self>, ConfigErrors> {
        Ok(Arc::new(Self { deps }))
    }

    /// One route's share of it.
    pub(crate) fn mount(
        self: &Arc<Self>,
        _mount: &Mount,
        _route: &Route,
    ) -> std::result::Result<Mounted, ConfigErrors> {
        Ok(Mounted { service: self.clone() })
    }
}

/// The service below a path.
pub(crate) struct Mounted {
    service: Arc<TokenService>,
}

#[async_trait]
impl Endpoint for Mounted {
    async fn serve(&self, _cx: &mut Cx<'_>) -> Result<Reply> {
        let _ = &self.service.deps;
        Ok(Reply::not_found("no such endpoint"))
    }
}
