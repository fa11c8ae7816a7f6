//! `X-Forwarded-Client-Cert`, as Envoy documents it: `key=value` with semicolons between, values in quotes where they could
//! be read in two ways.

use std::fmt::Write as _;

use http::HeaderValue;
use sha2::{Digest, Sha256};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

use super::dn;

/// More names of a certificate than that say nothing more.
const MOST_NAMES: usize = 16;

/// What is said of a certificate; `None` if it can't be read.
pub(super) fn value(der: &[u8]) -> Option<HeaderValue> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let mut text = String::from("Hash=");
    for byte in Sha256::digest(der) {
        let _ = write!(text, "{byte:02x}");
    }
    // RFC 4514 has a backslash before each quote and each backslash of the subject: none ends the value.
    if let Some(subject) = dn::text(certificate.subject()).filter(|subject| is_sayable(subject)) {
        let _ = write!(text, ";Subject=\"{subject}\"");
    }
    let names = certificate.subject_alternative_name().ok().flatten();
    let names = names.into_iter().flat_map(|names| &names.value.general_names).take(MOST_NAMES);
    for (key, name) in names.filter_map(named).filter(|(_, name)| is_plain(name)) {
        let quote = if name.contains([',', ';', '=']) { "\"" } else { "" };
        let _ = write!(text, ";{key}={quote}{name}{quote}");
    }
    HeaderValue::from_str(&text).ok()
}

fn named<'c>(name: &'c GeneralName<'_>) -> Option<(&'static str, &'c str)> {
    match name {
        GeneralName::URI(uri) => Some(("URI", uri)),
        GeneralName::DNSName(host) => Some(("DNS", host)),
        _ => None,
    }
}

fn is_sayable(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic())
}

/// Neither a URI nor a host has quotes, backslashes or blanks in it (RFC 3986 section 2); one that does would say more than
/// it is.
fn is_plain(name: &str) -> bool {
    is_sayable(name) && !name.contains(['"', '\\', ' '])
}
