//! Names of methods.

use http::Method;

/// Why a text is no method that a configuration can name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MethodError {
    /// One of HTTP's own, as it isn't sent: what it is written like is inside.
    #[error("methods are case-sensitive; write `{0}`")]
    Case(String),
    /// No token (RFC 9110 section 9.1); the text is inside, fit to be shown.
    #[error("`{0}` is not a method")]
    NoMethod(String),
}

/// Those that HTTP itself has, and PATCH (RFC 5789), in the order in which `Allow` lists them.
pub const METHODS: [Method; 9] = [
    Method::GET,
    Method::HEAD,
    Method::POST,
    Method::PUT,
    Method::PATCH,
    Method::DELETE,
    Method::OPTIONS,
    Method::TRACE,
    Method::CONNECT,
];

/// Reads the name of a method: `GET`, or an extension such as `PROPFIND`. They are case-sensitive (RFC 9110 section 9.1):
/// `get` would be another one that nobody sends.
pub fn parse_method(text: &str) -> Result<Method, MethodError> {
    let upper = text.to_ascii_uppercase();
    if text != upper && METHODS.iter().any(|known| known.as_str() == upper) {
        return Err(MethodError::Case(upper));
    }
    Method::from_bytes(text.as_bytes()).map_err(|_| MethodError::NoMethod(text.escape_debug().to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_is_written_as_it_is_sent() {
        assert_eq!(parse_method("GET"), Ok(Method::GET));
        for extension in ["PROPFIND", "purge", "M-SEARCH"] {
            assert_eq!(parse_method(extension).map(|method| method.to_string()), Ok(extension.to_owned()));
        }
        assert_eq!(parse_method("Delete"), Err(MethodError::Case("DELETE".to_owned())));
        for bad in ["", "G T", "GET\n", "GÉT"] {
            assert_eq!(parse_method(bad), Err(MethodError::NoMethod(bad.escape_debug().to_string())), "{bad:?}");
        }
    }
}
