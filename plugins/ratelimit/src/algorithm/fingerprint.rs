//! One number that tells rules apart, the same on every gateway, machine and version of the compiler.

use crate::rule::Shape;

use super::{Calendar, Period};

/// FNV-1a over the parameters: nobody but the operator chooses them, so that it needn't withstand an attack.
pub(super) fn fingerprint(quota: u64, shape: &Shape) -> u64 {
    let fnv = Fnv::new().number(quota);
    match shape {
        Shape::Bucket(bucket) => fnv
            .text("bucket")
            .number(bucket.token)
            .number(bucket.drain)
            .number(bucket.tick)
            .number(bucket.burst)
            .number(bucket.extra),
        Shape::Fixed(fixed) => fnv.text("fixed").number(fixed.limit).number(fixed.window),
        Shape::Calendar(calendar) => {
            fnv.text("calendar").number(calendar.limit).text(period(calendar)).text(&zone(calendar))
        }
        Shape::Sliding { limit, window } => fnv.text("sliding").number(*limit).number(*window),
        Shape::Concurrency { limit } => fnv.text("concurrency").number(*limit),
        Shape::Ban => fnv.text("ban"),
    }
    .mixed()
}

fn period(calendar: &Calendar) -> &'static str {
    match calendar.period {
        Period::Day => "day",
        Period::Week => "week",
        Period::Month => "month",
    }
}

/// By name: a new version of the zone's rules is the same zone.
fn zone(calendar: &Calendar) -> String {
    match (calendar.zone.iana_name(), calendar.zone.to_fixed_offset()) {
        (Some(name), _) => name.to_owned(),
        (None, Ok(offset)) => offset.seconds().to_string(),
        (None, Err(_)) => format!("{:?}", calendar.zone),
    }
}

struct Fnv(u64);

impl Fnv {
    fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    fn bytes(self, bytes: &[u8]) -> Self {
        Self(bytes.iter().fold(self.0, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)))
    }

    fn number(self, number: u64) -> Self {
        self.bytes(&number.to_le_bytes())
    }

    fn text(self, text: &str) -> Self {
        self.number(text.len() as u64).bytes(text.as_bytes())
    }

    /// Its high bits alone hardly change with the last byte; MurmurHash3's finisher spreads them.
    fn mixed(self) -> u64 {
        let hash = (self.0 ^ (self.0 >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        let hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
        hash ^ (hash >> 33)
    }
}
