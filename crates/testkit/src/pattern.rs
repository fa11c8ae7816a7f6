//! Bodies of any length that need no memory to make and none to check.

use bytes::Bytes;

/// A prime, so that a piece that is lost, doubled or moved by any power of two shows.
const PERIOD: usize = 65_521;

/// The pattern twice over, so that a period from any place is one slice.
fn table() -> &'static Bytes {
    static TABLE: std::sync::OnceLock<Bytes> = std::sync::OnceLock::new();
    TABLE.get_or_init(|| {
        let mut state = 0x9E37_79B9_7F4A_7C15_u64;
        let mut period = Vec::with_capacity(2 * PERIOD);
        while period.len() < PERIOD {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            period.push(b'!' + ((state >> 33) % 94) as u8);
        }
        period.extend_from_within(..);
        Bytes::from(period)
    })
}

/// The piece of the pattern that begins at `offset`: at most `length` bytes of it, and at most one period.
pub(crate) fn piece(offset: u64, length: u64) -> Bytes {
    let start = (offset % PERIOD as u64) as usize;
    let length = length.min(PERIOD as u64) as usize;
    table().slice(start..start + length)
}

/// The first `length` bytes of the kit's pattern: what [`Script::generated`](crate::Script::generated) sends.
pub fn pattern(length: usize) -> Bytes {
    let mut whole = Vec::with_capacity(length);
    while whole.len() < length {
        whole.extend_from_slice(&piece(whole.len() as u64, (length - whole.len()) as u64));
    }
    Bytes::from(whole)
}

/// Checks a body against the pattern while it comes in.
#[derive(Debug, Clone, Copy)]
pub struct PatternCheck {
    length: u64,
    intact: bool,
}

impl Default for PatternCheck {
    fn default() -> Self {
        Self { length: 0, intact: true }
    }
}

impl PatternCheck {
    /// Takes the next bytes.
    pub fn feed(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let expected = piece(self.length, bytes.len() as u64);
            let (now, rest) = bytes.split_at(expected.len());
            self.intact &= now == expected;
            self.length += now.len() as u64;
            bytes = rest;
        }
    }

    /// How many bytes there were.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Whether every byte was the pattern's.
    pub fn is_intact(&self) -> bool {
        self.intact
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_or_moved_piece_shows() {
        let body = pattern(300_000);
        let check = |pieces: &[&[u8]]| {
            let mut check = PatternCheck::default();
            pieces.iter().for_each(|piece| check.feed(piece));
            (check.length(), check.is_intact())
        };
        assert_eq!(check(&[&body]), (300_000, true));
        assert_eq!(check(&[&body[..1], &body[1..70_000], &[], &body[70_000..]]), (300_000, true));
        assert!(!check(&[&body[..65_536], &body[131_072..]]).1);
        assert!(!check(&[&body[..1000], &body[999..]]).1);
    }
}
