//! How many connections to a target are open.

use std::sync::Arc;

use pingora_core::upstreams::peer::{Tracer, Tracing};

use super::TargetSeries;

/// Counts the connections of one target. Each holds the target's series, which end with the last of them.
struct Connections(Arc<TargetSeries>);

impl TargetSeries {
    /// To be told of connections by Pingora, for a peer of this target. A copy for each request is one small
    /// allocation beside those that a peer costs anyway.
    pub(crate) fn tracer(self: &Arc<Self>) -> Tracer {
        Tracer(Box::new(Connections(self.clone())))
    }
}

impl Tracing for Connections {
    fn on_connected(&self) {
        self.0.open_connections.inc();
    }

    fn on_disconnected(&self) {
        self.0.open_connections.dec();
    }

    fn boxed_clone(&self) -> Box<dyn Tracing> {
        Box::new(Self(self.0.clone()))
    }
}

impl std::fmt::Debug for Connections {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Connections")
    }
}
