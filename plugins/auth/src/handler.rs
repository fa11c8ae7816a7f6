//! One route's share.

use std::sync::Arc;

use tidegate_core::{Cx, Flow, Handler, RequestHeader, Result};

use crate::config::Mode;
use crate::decide::Rules;
use crate::plugin::Shared;

/// Who may use one route.
pub struct RouteAuth {
    pub(crate) mode: Mode,
    pub(crate) rules: Rules,
    pub(crate) shared: Arc<Shared>,
}

impl Handler for RouteAuth {
    async fn early_request(&self, _cx: &mut Cx<'_>) -> Result<Flow> {
        let _ = (self.mode, &self.rules);
        Ok(Flow::Continue)
    }

    fn upstream_request(&self, cx: &mut Cx<'_>, head: &mut RequestHeader) -> Result<()> {
        self.shared.forwarder.apply(cx.identity(), head)
    }
}
