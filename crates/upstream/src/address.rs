//! Where a target is, as the configuration writes it.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// An IP address and port, a name and port, or a unix socket.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Address {
    Inet(SocketAddr),
    Name(HostPort),
    Unix(PathBuf),
}

/// A name, in lower case and without a final dot, and a port.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct HostPort {
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Whether a final dot was written: search domains then don't apply.
    pub(crate) fully_qualified: bool,
}

/// Why a text is not an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AddressError {
    #[error("a target is host:port, without a scheme")]
    Scheme { rest: String },
    #[error("a target is host:port, without a path")]
    Path { rest: String },
    #[error("the port is missing")]
    NoPort { host: String },
    #[error("`{0}` is not a port")]
    BadPort(String),
    #[error("an IPv6 address stands in brackets")]
    Unbracketed { ip: String },
    #[error("`{0}` is not an IPv6 address")]
    BadIpv6(String),
    #[error("`{0}` is neither an IP address nor a host name")]
    BadHost(String),
    #[error("`{0}` has letters outside ASCII")]
    NotAscii(String),
    #[error("the path of a unix socket is absolute")]
    RelativeSocket,
    #[error("the path of a unix socket has {0} bytes; the system allows {LONGEST_SOCKET_PATH}")]
    LongSocket(usize),
}

impl AddressError {
    /// What to write instead.
    pub(crate) fn help(&self) -> String {
        match self {
            Self::Scheme { rest } => format!("write \"{rest}\", and `tls: {{}}` in the upstream for TLS"),
            Self::Path { rest } => format!("write \"{rest}\"; paths are rewritten by the route"),
            Self::NoPort { host } => format!("write \"{host}:80\", with the port the target listens on"),
            Self::BadPort(_) => "write a number from 1 to 65535".to_owned(),
            Self::Unbracketed { ip } => format!("write \"[{ip}]:80\", with the port the target listens on"),
            Self::BadIpv6(_) => "write an address such as \"[2001:db8::1]:80\"".to_owned(),
            Self::BadHost(_) => "a host name has letters, digits, '-' and '_' between dots".to_owned(),
            Self::NotAscii(_) => "write the name's punycode form (xn--…)".to_owned(),
            Self::RelativeSocket => "write \"unix:/run/app.sock\"".to_owned(),
            Self::LongSocket(_) => "use a shorter path, or a symbolic link to its folder".to_owned(),
        }
    }
}

/// What `sockaddr_un` has room for, less the final NUL.
const LONGEST_SOCKET_PATH: usize = 107;

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if let Some(path) = text.strip_prefix("unix:") {
            return unix(path);
        }
        refuse_urls(text)?;
        if let Some(rest) = text.strip_prefix('[') {
            return ipv6(rest);
        }
        let (host, port) = text.rsplit_once(':').ok_or_else(|| AddressError::NoPort { host: text.to_owned() })?;
        // The last group of a bare IPv6 address may be a port or not: only brackets can tell.
        if host.contains(':') && text.bytes().all(|b| b.is_ascii_hexdigit() || b == b':' || b == b'.') {
            return Err(AddressError::Unbracketed { ip: text.to_owned() });
        }
        let port = parse_port(port)?;
        match host.parse::<Ipv4Addr>() {
            Ok(ip) => Ok(Self::Inet((ip, port).into())),
            Err(_) => Ok(Self::Name(HostPort::new(host, port)?)),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inet(address) => address.fmt(f),
            Self::Name(name) => write!(f, "{}:{}", name.host, name.port),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl Address {
    pub(crate) fn port(&self) -> Option<u16> {
        match self {
            Self::Inet(address) => Some(address.port()),
            Self::Name(name) => Some(name.port),
            Self::Unix(_) => None,
        }
    }

    /// The host as a client would write it in `Host`, without a port. A unix socket has none: `localhost`.
    pub(crate) fn host(&self) -> String {
        match self {
            Self::Inet(SocketAddr::V6(address)) => format!("[{}]", address.ip()),
            Self::Inet(SocketAddr::V4(address)) => address.ip().to_string(),
            Self::Name(name) => name.host.clone(),
            Self::Unix(_) => "localhost".to_owned(),
        }
    }
}

impl HostPort {
    fn new(text: &str, port: u16) -> Result<Self, AddressError> {
        if !text.is_ascii() {
            return Err(AddressError::NotAscii(text.to_owned()));
        }
        let (host, fully_qualified) = match text.strip_suffix('.') {
            Some(host) => (host, true),
            None => (text, false),
        };
        if !is_host_name(host) {
            return Err(AddressError::BadHost(text.to_owned()));
        }
        Ok(Self { host: host.to_ascii_lowercase(), port, fully_qualified })
    }
}

fn unix(path: &str) -> Result<Address, AddressError> {
    // `unix:///run/app.sock` is how a URL would say it; there is only one thing it can mean.
    let path = Path::new(path.strip_prefix("//").unwrap_or(path));
    if !path.is_absolute() {
        return Err(AddressError::RelativeSocket);
    }
    match path.as_os_str().as_bytes().len() {
        length if length > LONGEST_SOCKET_PATH => Err(AddressError::LongSocket(length)),
        _ => Ok(Address::Unix(path.to_owned())),
    }
}

fn refuse_urls(text: &str) -> Result<(), AddressError> {
    if let Some((_, rest)) = text.split_once("://") {
        let host = rest.split('/').next().unwrap_or(rest);
        return Err(AddressError::Scheme { rest: host.to_owned() });
    }
    match text.split_once('/') {
        Some((host, _)) => Err(AddressError::Path { rest: host.to_owned() }),
        None => Ok(()),
    }
}

/// `rest` is what follows the opening bracket.
fn ipv6(rest: &str) -> Result<Address, AddressError> {
    let (host, after) = rest.split_once(']').ok_or_else(|| AddressError::BadIpv6(rest.to_owned()))?;
    let ip: Ipv6Addr = host.parse().map_err(|_| AddressError::BadIpv6(host.to_owned()))?;
    let port = after.strip_prefix(':').ok_or_else(|| AddressError::NoPort { host: format!("[{ip}]") })?;
    Ok(Address::Inet((ip, parse_port(port)?).into()))
}

fn parse_port(text: &str) -> Result<u16, AddressError> {
    let digits_only = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    match text.parse() {
        Ok(port) if port > 0 && digits_only => Ok(port),
        _ => Err(AddressError::BadPort(text.to_owned())),
    }
}

/// RFC 1123, section 2.1, and underscores, which Docker and Kubernetes users have. A last label of digits only is a
/// mistyped IPv4 address.
fn is_host_name(host: &str) -> bool {
    let label = |l: &str| {
        (1..=63).contains(&l.len())
            && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            && !l.starts_with('-')
            && !l.ends_with('-')
    };
    let numeric_end = host.rsplit('.').next().is_some_and(|l| l.bytes().all(|b| b.is_ascii_digit()));
    host.len() <= 253 && host.split('.').all(label) && !numeric_end
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Address, AddressError> {
        text.parse()
    }

    #[test]
    fn addresses_of_each_kind_are_read() {
        assert_eq!(parse("10.0.0.1:3000").unwrap(), Address::Inet("10.0.0.1:3000".parse().unwrap()));
        assert_eq!(parse("[::1]:3000").unwrap(), Address::Inet("[::1]:3000".parse().unwrap()));
        assert_eq!(parse("unix:/run/app.sock").unwrap(), Address::Unix("/run/app.sock".into()));
        assert_eq!(parse("unix:///run/app.sock").unwrap(), Address::Unix("/run/app.sock".into()));
        let Address::Name(name) = parse("Users.Internal.:3002").unwrap() else { panic!("not a name") };
        assert_eq!((name.host.as_str(), name.port, name.fully_qualified), ("users.internal", 3002, true));
        assert!(matches!(parse("my_service:80").unwrap(), Address::Name(_)));
        assert!(matches!(parse("localhost:80").unwrap(), Address::Name(_)));
    }

    #[test]
    fn a_wrong_address_is_refused_with_what_to_write() {
        for (text, remedy) in [
            ("http://users:3000/x", "write \"users:3000\""),
            ("users:3000/x", "write \"users:3000\""),
            ("users", "write \"users:80\""),
            ("", "port is missing"),
            (":80", "neither an IP address nor a host name"),
            ("users:", "number from 1 to 65535"),
            ("users:0", "number from 1 to 65535"),
            ("users:+80", "number from 1 to 65535"),
            ("users:65536", "number from 1 to 65535"),
            ("users:http", "number from 1 to 65535"),
            ("::1", "write \"[::1]:80\""),
            ("fe80::1:99999", "in brackets"),
            ("[::1]", "write \"[::1]:80\""),
            ("[::1]x", "port is missing"),
            ("[::1", "not an IPv6 address"),
            ("[10.0.0.1]:80", "not an IPv6 address"),
            ("10.0.0.300:80", "neither an IP address nor a host name"),
            ("a..b:80", "neither an IP address nor a host name"),
            ("-a:80", "neither an IP address nor a host name"),
            ("a b:80", "neither an IP address nor a host name"),
            ("bücher.example:80", "punycode"),
            ("unix:app.sock", "unix:/run/app.sock"),
            ("unix:", "unix:/run/app.sock"),
        ] {
            let error = parse(text).expect_err(text);
            let told = format!("{error}; {}", error.help());
            assert!(told.contains(remedy), "{text:?}: {told}");
        }
        assert!(matches!(parse(&format!("unix:/{}", "x".repeat(107))), Err(AddressError::LongSocket(108))));
        assert!(parse(&format!("{}:80", "a".repeat(64))).is_err());
    }

    #[test]
    fn the_host_is_what_a_client_would_write() {
        assert_eq!(parse("[::1]:3000").unwrap().host(), "[::1]");
        assert_eq!(parse("Users:3000").unwrap().host(), "users");
        assert_eq!(parse("unix:/x").unwrap().host(), "localhost");
    }
}
