//! A key as operators see it.

use std::fmt::Write;
use std::net::IpAddr;

use sha2::{Digest, Sha256};

use super::Key;
use super::bytes::{DIGEST, Kind, Part, WHOLE, parts};

impl Key {
    /// For operators: addresses, identities, parameters of the path, routes, hosts and countries as they are; what may
    /// be a secret, or personal (fields, cookies, queries, API keys, claims), only by the first 16 hex digits of its
    /// SHA-256, as `#2cf24dba5fb0a30e`.
    pub(crate) fn shown(&self) -> String {
        if let [WHOLE, digest @ ..] = self.bytes.as_slice()
            && digest.len() == DIGEST
        {
            return shortened(digest);
        }
        let mut text = String::new();
        for part in parts(&self.bytes) {
            if !text.is_empty() {
                // The provider and the identity it proved are one.
                text.push_str(if part.kind == Kind::Subject { ":" } else { "+" });
            }
            show(&part, &mut text);
        }
        text
    }
}

fn show(part: &Part<'_>, text: &mut String) {
    text.push_str(match part.kind {
        Kind::Client4 | Kind::Client6 => "client=",
        Kind::Provider => "identity=",
        Kind::Subject => "",
        Kind::ApiKey => "api_key=",
        Kind::Header => "header.",
        Kind::Cookie => "cookie.",
        Kind::Query => "query.",
        Kind::Param => "param.",
        Kind::Claim | Kind::ClaimJson => "claim.",
        Kind::Route => "route=",
        Kind::Host => "host=",
        Kind::Country => "country=",
    });
    if !part.name.is_empty() {
        text.push_str(&escaped(part.name));
        text.push('=');
    }
    text.push_str(&value(part));
}

fn value(part: &Part<'_>) -> String {
    match (part.kind, part.value) {
        (_, digest) if part.hashed => shortened(digest),
        (Kind::Client4, &[prefix, a, b, c, d]) => network([a, b, c, d].into(), prefix, 32),
        (Kind::Client6, &[prefix, ref address @ ..]) => match <[u8; 16]>::try_from(address) {
            Ok(address) => network(address.into(), prefix, 128),
            Err(_) => String::new(),
        },
        (Kind::ApiKey | Kind::Header | Kind::Cookie | Kind::Query | Kind::Claim | Kind::ClaimJson, secret) => {
            shortened(&Sha256::digest(secret))
        }
        (_, plain) => escaped(plain),
    }
}

fn network(address: IpAddr, prefix: u8, whole: u8) -> String {
    if prefix == whole { address.to_string() } else { format!("{address}/{prefix}") }
}

fn shortened(digest: &[u8]) -> String {
    let mut text = "#".to_owned();
    for byte in digest.iter().take(8) {
        // Writing to a String can't fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// A client must not be able to move the cursor of a terminal.
fn escaped(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).escape_debug().to_string()
}
