//! Which endpoint a path is, and by which method it is called.

use tidegate_core::Method;

use crate::id::Id;

/// An endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Call {
    Signup,
    Login,
    Refresh,
    Logout,
    LogoutAll,
    Me,
    Sessions,
    Session(Id),
    Password,
    TotpSetup,
    TotpConfirm,
    TotpRemove,
    Jwks,
    Discovery,
}

/// What metrics call them, in the order of [`Call::index`]; the last is for paths that are none.
pub(super) const NAMES: [&str; 15] = [
    "signup",
    "login",
    "refresh",
    "logout",
    "logout_all",
    "me",
    "sessions",
    "session",
    "password",
    "totp_setup",
    "totp_confirm",
    "totp_remove",
    "jwks",
    "discovery",
    "none",
];

impl Call {
    /// The endpoint of a path below the mount, without the slash before it.
    pub(super) fn of(path: &str) -> Option<Self> {
        Some(match path {
            "signup" => Call::Signup,
            "login" => Call::Login,
            "refresh" => Call::Refresh,
            "logout" => Call::Logout,
            "logout-all" => Call::LogoutAll,
            "me" => Call::Me,
            "sessions" => Call::Sessions,
            "password" => Call::Password,
            "totp/setup" => Call::TotpSetup,
            "totp/confirm" => Call::TotpConfirm,
            "totp/remove" => Call::TotpRemove,
            ".well-known/jwks.json" => Call::Jwks,
            ".well-known/openid-configuration" => Call::Discovery,
            _ => Call::Session(Id::parse(path.strip_prefix("sessions/")?)?),
        })
    }

    /// Its place in [`NAMES`].
    pub(super) fn index(self) -> usize {
        match self {
            Call::Signup => 0,
            Call::Login => 1,
            Call::Refresh => 2,
            Call::Logout => 3,
            Call::LogoutAll => 4,
            Call::Me => 5,
            Call::Sessions => 6,
            Call::Session(_) => 7,
            Call::Password => 8,
            Call::TotpSetup => 9,
            Call::TotpConfirm => 10,
            Call::TotpRemove => 11,
            Call::Jwks => 12,
            Call::Discovery => 13,
        }
    }

    /// Whether it is called by this method.
    pub(super) fn takes(self, method: &Method) -> bool {
        match self.allow() {
            "POST" => *method == Method::POST,
            "DELETE" => *method == Method::DELETE,
            _ => *method == Method::GET || *method == Method::HEAD,
        }
    }

    /// `Allow` (RFC 9110 section 10.2.1).
    pub(super) fn allow(self) -> &'static str {
        match self {
            Call::Me | Call::Sessions | Call::Jwks | Call::Discovery => "GET, HEAD",
            Call::Session(_) => "DELETE",
            _ => "POST",
        }
    }

    /// Whether everybody may keep the answer.
    pub(super) fn is_public(self) -> bool {
        matches!(self, Call::Jwks | Call::Discovery)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_endpoint_has_a_name_of_its_own_and_other_paths_are_none() {
        let id = Id::random().text();
        let paths = [
            "signup",
            "login",
            "refresh",
            "logout",
            "logout-all",
            "me",
            "sessions",
            &format!("sessions/{id}"),
            "password",
            "totp/setup",
            "totp/confirm",
            "totp/remove",
            ".well-known/jwks.json",
            ".well-known/openid-configuration",
        ];
        let found: Vec<_> = paths.iter().map(|path| Call::of(path).expect(path).index()).collect();
        assert_eq!(found, (0..NAMES.len() - 1).collect::<Vec<_>>());
        for path in ["", "login/", "/login", "LOGIN", "sessions/", "sessions/x", "sessions/../me", "totp", "totp/"] {
            assert_eq!(Call::of(path), None, "{path}");
        }
    }
}
