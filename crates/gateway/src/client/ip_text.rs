//! An IP address as text, without an allocation.

use std::fmt::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr};

/// An IP address as text, on the stack.
pub(crate) struct IpText {
    bytes: [u8; Self::LONGEST],
    length: usize,
}

impl IpText {
    /// `ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255`
    const LONGEST: usize = 45;

    /// The usual form (RFC 5952).
    pub(crate) fn of(ip: IpAddr) -> Self {
        let mut text = Self { bytes: [0; Self::LONGEST], length: 0 };
        match ip {
            IpAddr::V4(v4) => text.push_v4(v4),
            // Never longer than fits.
            IpAddr::V6(v6) => write!(text, "{v6}").unwrap_or_default(),
        }
        text
    }

    /// Four numbers without the machinery of `fmt`: most clients are written this way, on every request.
    fn push_v4(&mut self, ip: Ipv4Addr) {
        for (place, octet) in ip.octets().into_iter().enumerate() {
            if place > 0 {
                self.push(b'.');
            }
            if octet >= 100 {
                self.push(b'0' + octet / 100);
            }
            if octet >= 10 {
                self.push(b'0' + octet / 10 % 10);
            }
            self.push(b'0' + octet % 10);
        }
    }

    fn push(&mut self, byte: u8) {
        if let Some(place) = self.bytes.get_mut(self.length) {
            *place = byte;
            self.length += 1;
        }
    }

    /// The text.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

impl fmt::Write for IpText {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.bytes().for_each(|byte| self.push(byte));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn addresses_are_written_as_everyone_writes_them() {
        for text in [
            "0.0.0.0",
            "1.20.255.100",
            "255.255.255.255",
            "::",
            "::1",
            "2001:db8::a:b",
            "::ffff:1.2.3.4",
            "1111:2222:3333:4444:5555:6666:7777:8888",
        ] {
            assert_eq!(IpText::of(ip(text)).as_bytes(), text.as_bytes());
        }
    }
}
