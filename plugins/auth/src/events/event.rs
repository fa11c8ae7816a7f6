//! What happened, to whom, from where.

use std::net::IpAddr;

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use tidegate_core::Cx;
use tidegate_core::facts::Country;

use crate::id::{Id, Millis};

/// The most characters of what a client says of itself.
const LONGEST: usize = 128;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) kind: EventKind,
    /// Whose account, if it is known.
    pub(crate) user: Option<Id>,
    /// The name that was given: for failures of unknown users. Cut to 128 characters. Never in the log: people type
    /// passwords into the wrong field.
    pub(crate) name: Option<String>,
    pub(crate) session: Option<Id>,
    /// What is new about a login: `device`, `place`.
    pub(crate) new: Vec<&'static str>,
    pub(crate) origin: Origin,
}

/// Where the request came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) client: IpAddr,
    pub(crate) country: Option<Country>,
    /// `User-Agent`, cut to 128 characters.
    pub(crate) agent: String,
    pub(crate) request_id: String,
}

impl Origin {
    /// Of a request.
    pub(crate) fn of(cx: &Cx<'_>) -> Self {
        let agent = cx.head().header(&http::header::USER_AGENT).unwrap_or_default();
        Self {
            client: cx.client(),
            country: cx.facts().country,
            agent: cut(agent),
            request_id: cx.request_id().as_str().to_owned(),
        }
    }
}

impl Event {
    pub(crate) fn new(kind: EventKind, origin: &Origin) -> Self {
        Self { kind, user: None, name: None, session: None, new: Vec::new(), origin: origin.clone() }
    }

    /// Of this account.
    #[must_use]
    pub(crate) fn user(self, user: Id) -> Self {
        Self { user: Some(user), ..self }
    }

    /// With the name that was given.
    #[must_use]
    pub(crate) fn name(self, name: &str) -> Self {
        Self { name: Some(cut(name)), ..self }
    }

    /// Of this login.
    #[must_use]
    pub(crate) fn session(self, session: Id) -> Self {
        Self { session: Some(session), ..self }
    }

    /// As the webhook tells it: `type`, `timestamp` and `data`, as Standard Webhooks suggests.
    pub(super) fn to_json(&self, at: Millis) -> Value {
        let mut data = Map::new();
        let mut tell = |key: &str, value: Option<Value>| value.map(|value| data.insert(key.to_owned(), value));
        tell("user", self.user.map(|id| id.text().into()));
        tell("name", self.name.as_deref().map(Value::from));
        tell("session", self.session.map(|id| id.text().into()));
        tell("new", (!self.new.is_empty()).then(|| self.new.clone().into()));
        tell("client", Some(self.origin.client.to_string().into()));
        tell("country", self.origin.country.map(|country| country.as_str().into()));
        tell("agent", Some(self.origin.agent.as_str().into()));
        tell("request_id", Some(self.origin.request_id.as_str().into()));
        let at = i64::try_from(at.0).ok().and_then(|at| Timestamp::from_millisecond(at).ok()).unwrap_or_default();
        json!({ "type": self.kind.as_str(), "timestamp": at.to_string(), "data": data })
    }
}

/// The first 128 characters.
fn cut(text: &str) -> String {
    text.chars().take(LONGEST).collect()
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

impl EventKind {
    /// All of them, in the order of their declaration.
    pub(super) const ALL: [EventKind; 12] = [
        EventKind::Signup,
        EventKind::Login,
        EventKind::LoginFailed,
        EventKind::LoginNew,
        EventKind::Logout,
        EventKind::LogoutAll,
        EventKind::TokenReuse,
        EventKind::Lockout,
        EventKind::PasswordChanged,
        EventKind::SessionRevoked,
        EventKind::TotpEnabled,
        EventKind::TotpDisabled,
    ];

    /// As the log, metrics, the webhook and its configuration have it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            EventKind::Signup => "signup",
            EventKind::Login => "login",
            EventKind::LoginFailed => "login_failed",
            EventKind::LoginNew => "login_new",
            EventKind::Logout => "logout",
            EventKind::LogoutAll => "logout_all",
            EventKind::TokenReuse => "token_reuse",
            EventKind::Lockout => "lockout",
            EventKind::PasswordChanged => "password_changed",
            EventKind::SessionRevoked => "session_revoked",
            EventKind::TotpEnabled => "totp_enabled",
            EventKind::TotpDisabled => "totp_disabled",
        }
    }

    /// What somebody should look at stands out in the log.
    pub(super) fn level(self) -> log::Level {
        match self {
            EventKind::TokenReuse | EventKind::Lockout => log::Level::Warn,
            _ => log::Level::Info,
        }
    }
}
