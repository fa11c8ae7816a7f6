//! Which fields may be edited.

use tidegate_core::{ConfigError, ConfigPath};

use crate::field::FieldName;
use crate::names::Pattern;

/// Which head is edited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Request,
    Response,
}

/// Fields of the connection and of the message's framing (RFC 9110 section 7.6.1, RFC 9112 section 6). The gateway
/// makes its own for each connection; an edited one would smuggle requests.
const OF_THE_CONNECTION: [&str; 11] = [
    "connection",
    "content-length",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// A field that is not for editing: why, and what to do instead.
struct Refusal {
    why: &'static str,
    help: &'static str,
}

fn refusal(side: Side, name: &str) -> Option<Refusal> {
    let of_the_connection = OF_THE_CONNECTION.contains(&name) || name.starts_with("proxy-");
    match (side, name) {
        _ if of_the_connection => Some(Refusal {
            why: "belongs to one connection and not to the message, so it can't be edited",
            help: "leave it out: the gateway makes its own for each connection (RFC 9110 section 7.6.1)",
        }),
        (Side::Request, "host") => Some(Refusal {
            why: "is set for the upstream as a whole",
            help: "say it there: upstreams: { <name>: { host_header: preserve | upstream | { literal: <host> } } }",
        }),
        (Side::Response, "date") => Some(Refusal {
            why: "is there exactly once, so it can't be edited",
            help: "leave it out: the gateway adds a Date where the upstream sent none (RFC 9110 section 6.6.1)",
        }),
        _ => None,
    }
}

/// The name of a field that may be edited.
pub(crate) fn editable(side: Side, text: &str, path: ConfigPath) -> Result<FieldName, ConfigError> {
    let Some(name) = FieldName::parse(text) else {
        return Err(ConfigError::at(path, format!("{text:?} is not a header name"))
            .help("a name is made of letters, digits, `-`, `_` and few other signs, without spaces or a colon"));
    };
    match refusal(side, name.name().as_str()) {
        Some(Refusal { why, help }) => Err(ConfigError::at(path, format!("`{text}` {why}")).help(help)),
        None => Ok(name),
    }
}

/// A pattern that matches only names of fields that may be edited.
pub(crate) fn editable_pattern(side: Side, text: &str, path: ConfigPath) -> Result<Pattern, ConfigError> {
    let Some(pattern) = Pattern::parse(text) else {
        return Err(ConfigError::at(path, format!("{text:?} is not a pattern of header names"))
            .help("write a header name, with `*` for any characters: X-Internal-*"));
    };
    let beyond = ["host", "date"].into_iter().chain(OF_THE_CONNECTION);
    match beyond.filter(|name| refusal(side, name).is_some()).find(|name| pattern.matches(name)) {
        Some(name) => Err(ConfigError::at(path, format!("`{text}` would also match `{name}`, which can't be edited"))
            .help("write more of the name before the `*`, or list the names")),
        None => Ok(pattern),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(result: Result<impl Sized, ConfigError>) -> String {
        result.err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn fields_of_the_connection_are_refused_on_both_sides_in_any_case() {
        for name in ["Connection", "CONTENT-LENGTH", "te", "Trailer", "Upgrade", "Keep-Alive", "Proxy-Anything"] {
            for side in [Side::Request, Side::Response] {
                let message = message(editable(side, name, ConfigPath::from("set")));
                let start = format!("set: `{name}` belongs to one connection");
                assert!(message.starts_with(&start) && message.contains("\nhelp: leave it out"), "{message}");
            }
        }
    }

    #[test]
    fn host_and_date_are_refused_where_the_gateway_makes_them() {
        let path = || ConfigPath::from("set");
        assert!(message(editable(Side::Request, "Host", path())).contains("host_header: preserve | upstream"));
        assert!(message(editable(Side::Response, "Date", path())).contains("exactly once"));
        assert!(editable(Side::Response, "Host", path()).is_ok() && editable(Side::Request, "Date", path()).is_ok());
    }

    #[test]
    fn a_pattern_that_reaches_a_refused_name_is_refused() {
        for text in ["*", "Con*", "*-Encoding", "T*", "Proxy-*", "h*"] {
            let message = message(editable_pattern(Side::Request, text, ConfigPath::from("remove[0]")));
            assert!(message.starts_with(&format!("remove[0]: `{text}` would also match `")), "{message}");
        }
        assert!(editable_pattern(Side::Request, "Content-Language*", ConfigPath::root()).is_ok());
        assert!(editable_pattern(Side::Response, "h*st", ConfigPath::root()).is_ok());
    }
}
