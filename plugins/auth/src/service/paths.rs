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
    LoginWith,
    LoginCallback,
}

/// What metrics call them, in the order of [`Call::index`]; the last is for paths that are none.
pub(super) const NAMES: [&str; 17] = [
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
    "login_with",
    "login_callback",
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
            _ => match path.strip_prefix("login/") {
                Some(below) => Self::of_login(below)?,
                None => Call::Session(Id::parse(path.strip_prefix("sessions/")?)?),
            },
        })
    }

    /// Of a provider; whether there is one of this name is not known here.
    fn of_login(below: &str) -> Option<Self> {
        let (name, rest) = below.split_once('/').map_or((below, None), |(name, rest)| (name, Some(rest)));
        match rest {
            _ if name.is_empty() => None,
            None => Some(Call::LoginWith),
            Some("callback") => Some(Call::LoginCallback),
            Some(_) => None,
        }
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
            Call::LoginWith => 14,
            Call::LoginCallback => 15,
        }
    }

    /// Whether it is called by this method.
    pub(super) fn takes(self, method: &Method) -> bool {
        match self.allow() {
            "POST" => *method == Method::POST,
            "DELETE" => *method == Method::DELETE,
            "GET" => *method == Method::GET,
            "GET, POST" => *method == Method::GET || *method == Method::POST,
            _ => *method == Method::GET || *method == Method::HEAD,
        }
    }

    /// `Allow` (RFC 9110 section 10.2.1).
    pub(super) fn allow(self) -> &'static str {
        match self {
            Call::Me | Call::Sessions | Call::Jwks | Call::Discovery => "GET, HEAD",
            Call::Session(_) => "DELETE",
            // What is looked at must not begin or end a login.
            Call::LoginWith => "GET, POST",
            Call::LoginCallback => "GET",
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
            "login/google",
            "login/google/callback",
        ];
        let found: Vec<_> = paths.iter().map(|path| Call::of(path).expect(path).index()).collect();
        assert_eq!(found, (0..NAMES.len() - 1).collect::<Vec<_>>());
        for path in [
            "",
            "login/",
            "login//callback",
            "login/google/",
            "login/google/callback/",
            "login/google/x",
            "/login",
            "LOGIN",
            "sessions/",
            "sessions/x",
            "sessions/../me",
            "totp",
            "totp/",
        ] {
            assert_eq!(Call::of(path), None, "{path}");
        }
    }
}
