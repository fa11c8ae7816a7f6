//! What a connection takes up, given back by dropping it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::listening::Listening;
use crate::pulse::Pulse;
use crate::server::Shared;

/// An open connection's entry in the registry.
pub(crate) struct Registration {
    shared: Arc<Shared>,
    listening: Arc<Listening>,
    pulse: Arc<Pulse>,
    id: u64,
}

impl Registration {
    pub(crate) fn new(shared: Arc<Shared>, listening: Arc<Listening>, pulse: Arc<Pulse>) -> Self {
        let id = shared.registry.insert(pulse.clone());
        shared.events.connection_opened(&listening.name);
        Self { shared, listening, pulse, id }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.shared.events.connection_closed(&self.listening.name, self.pulse.reason());
        self.shared.registry.remove(self.id);
    }
}

impl std::fmt::Debug for Registration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Registration({})", self.id)
    }
}

/// Keeps a drain waiting for an accept loop.
pub(crate) struct Accepting(pub(crate) Arc<Shared>);

impl Accepting {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        shared.registry.hold();
        Self(shared)
    }
}

impl Drop for Accepting {
    fn drop(&mut self) {
        self.0.registry.release();
    }
}

/// One of a listener's `max_connections`.
#[derive(Debug)]
pub(crate) struct Slot(Arc<Listening>);

impl Slot {
    /// `None` if all are taken.
    pub(crate) fn take(listening: &Arc<Listening>) -> Option<Self> {
        let slot = Self(listening.clone());
        // Taken first and looked at then: one who is turned away gives it back by dropping it.
        let taken = listening.open.fetch_add(1, Ordering::Relaxed);
        (taken < listening.max_connections).then_some(slot)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}
