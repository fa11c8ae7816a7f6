//! The names in a certificate.

use std::time::{Duration, SystemTime};

use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;
use x509_parser::time::ASN1Time;

use super::dn;
use crate::config::NamePart;
use crate::verdict::Reason;

/// The longest name. It stands in logs and fields.
const LONGEST: usize = 512;

/// What is taken from a certificate.
pub(super) struct Read {
    pub(super) subject: Box<str>,
    /// As RFC 4514 writes it.
    pub(super) issuer: String,
    /// In hexadecimal.
    pub(super) serial: String,
    pub(super) begins: SystemTime,
    pub(super) ends: SystemTime,
}

type No = (Reason, &'static str);

/// Reads a certificate: its subject is the first of these names that it has.
pub(super) fn read(der: &[u8], wanted: &[NamePart]) -> Result<Read, No> {
    const NONE: No = (Reason::Malformed, "it is no certificate that can be read");
    let (rest, certificate) = X509Certificate::from_der(der).map_err(|_| NONE)?;
    if !rest.is_empty() {
        return Err(NONE);
    }
    let named = wanted.iter().find_map(|part| name(&certificate, *part).transpose());
    let subject = named.unwrap_or(Err((Reason::Claims, "it has none of the names that are looked at")))?;
    // A NUL in a name has been used to make two programs read two names (CVE-2009-2408).
    let fits = (1..=LONGEST).contains(&subject.len()) && !subject.chars().any(char::is_control);
    if !fits {
        return Err((Reason::Claims, "its name is empty, too long, or has control characters"));
    }
    let validity = certificate.validity();
    Ok(Read {
        subject: subject.into(),
        issuer: dn::text(certificate.issuer()).unwrap_or_default(),
        serial: certificate.raw_serial().iter().map(|byte| format!("{byte:02x}")).collect(),
        begins: time(validity.not_before),
        ends: time(validity.not_after),
    })
}

fn name(certificate: &X509Certificate<'_>, part: NamePart) -> Result<Option<String>, No> {
    match part {
        NamePart::SanUri => alternative(certificate, |name| match name {
            GeneralName::URI(uri) => Some(uri),
            _ => None,
        }),
        NamePart::SanDns => alternative(certificate, |name| match name {
            GeneralName::DNSName(host) => Some(host),
            _ => None,
        }),
        NamePart::SanEmail => alternative(certificate, |name| match name {
            GeneralName::RFC822Name(address) => Some(address),
            _ => None,
        }),
        NamePart::Cn => common_name(certificate),
        NamePart::Dn => {
            let unreadable = (Reason::Claims, "its subject can't be read");
            let text = dn::text(certificate.subject()).ok_or(unreadable)?;
            Ok(Some(text).filter(|text| !text.is_empty()))
        }
    }
}

/// The first of the subject's alternative names of one kind.
fn alternative<'c>(
    certificate: &'c X509Certificate<'_>,
    kind: impl Fn(&'c GeneralName<'_>) -> Option<&'c str>,
) -> Result<Option<String>, No> {
    let names = certificate.subject_alternative_name();
    let names = names.map_err(|_| (Reason::Malformed, "its alternative names can't be read"))?;
    let names = names.into_iter().flat_map(|names| &names.value.general_names);
    Ok(names.filter_map(kind).next().map(str::to_owned))
}

/// Which of several would count is for nobody to guess.
fn common_name(certificate: &X509Certificate<'_>) -> Result<Option<String>, No> {
    let mut names = certificate.subject().iter_common_name();
    let Some(name) = names.next() else { return Ok(None) };
    if names.next().is_some() {
        return Err((Reason::Claims, "it has more than one common name"));
    }
    let name = name.as_str().map_err(|_| (Reason::Claims, "its common name can't be read"))?;
    Ok(Some(name.to_owned()))
}

fn time(time: ASN1Time) -> SystemTime {
    let seconds = Duration::from_secs(time.timestamp().unsigned_abs());
    match time.timestamp() < 0 {
        true => SystemTime::UNIX_EPOCH.checked_sub(seconds).unwrap_or(SystemTime::UNIX_EPOCH),
        // The year 9999 is the last that can be written.
        false => SystemTime::UNIX_EPOCH.checked_add(seconds).unwrap_or(SystemTime::UNIX_EPOCH),
    }
}
