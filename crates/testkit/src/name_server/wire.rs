//! Questions and answers as bytes (RFC 1035 section 4, RFC 2782).

use std::net::IpAddr;

use super::Srv;

pub(super) const A: u16 = 1;
pub(super) const AAAA: u16 = 28;
pub(super) const SRV: u16 = 33;
const INTERNET: u16 = 1;
const HEADER: usize = 12;
/// Points to the name in the question.
const SAME_NAME: [u8; 2] = [0xc0, HEADER as u8];

/// What became of a question.
#[derive(Debug, Clone, Copy)]
pub(super) enum Code {
    Fine = 0,
    ServerFailure = 2,
    NoSuchName = 3,
}

/// The first question of a message.
#[derive(Debug)]
pub(super) struct Question<'a> {
    id: [u8; 2],
    pub(super) name: String,
    pub(super) kind: u16,
    /// As it came, for the answer.
    raw: &'a [u8],
}

impl<'a> Question<'a> {
    pub(super) fn parse(message: &'a [u8]) -> Option<Self> {
        let mut labels = Vec::new();
        let mut at = HEADER;
        loop {
            let length = usize::from(*message.get(at)?);
            at += 1;
            if length == 0 {
                break;
            }
            // A question comes first, so that there is no earlier name it could point to.
            labels.push(String::from_utf8_lossy(message.get(at..at + length)?));
            at += length;
        }
        let kind = u16::from_be_bytes([*message.get(at)?, *message.get(at + 1)?]);
        Some(Self {
            id: [*message.first()?, *message.get(1)?],
            name: labels.join("."),
            kind,
            raw: message.get(HEADER..at + 4)?,
        })
    }

    /// What tells it from the client's other questions, and not from itself when it is sent again.
    pub(super) fn number(&self) -> u16 {
        u16::from_be_bytes(self.id)
    }

    /// An answer with these records' data, all of the kind that was asked for.
    pub(super) fn answer(&self, code: Code, records: Vec<Vec<u8>>, ttl: u32) -> Vec<u8> {
        let mut message = self.id.to_vec();
        // An answer, to a question that wanted recursion and got it.
        message.extend([0x81, 0x80 | code as u8]);
        for count in [1, records.len() as u16, 0, 0] {
            message.extend(count.to_be_bytes());
        }
        message.extend(self.raw);
        for data in records {
            message.extend(SAME_NAME);
            message.extend(self.kind.to_be_bytes());
            message.extend(INTERNET.to_be_bytes());
            message.extend(ttl.to_be_bytes());
            message.extend((data.len() as u16).to_be_bytes());
            message.extend(data);
        }
        message
    }
}

/// The data of an address record, if the address is of the kind that was asked for.
pub(super) fn address(address: &IpAddr, kind: u16) -> Option<Vec<u8>> {
    match address {
        IpAddr::V4(v4) if kind == A => Some(v4.octets().to_vec()),
        IpAddr::V6(v6) if kind == AAAA => Some(v6.octets().to_vec()),
        _ => None,
    }
}

/// The data of an SRV record. Its name is never compressed.
pub(super) fn service(service: &Srv) -> Vec<u8> {
    let mut data = Vec::new();
    for number in [service.priority, service.weight, service.port] {
        data.extend(number.to_be_bytes());
    }
    for label in service.target.split('.').filter(|label| !label.is_empty()) {
        data.push(label.len() as u8);
        data.extend(label.as_bytes());
    }
    data.push(0);
    data
}
