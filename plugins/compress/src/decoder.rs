//! One body on its way out of a coding, in pieces of any size, within bounds.

use std::io::{self, Write};

use brotli::enc::StandardAlloc;
use brotli::{BrotliDecompressStream, BrotliResult, BrotliState};
use flate2::write::MultiGzDecoder;

use crate::algorithm::Algorithm;

/// The largest window of zstd, as a power of two: 8 MiB, as RFC 9659 has it for HTTP. Gzip has 32 KiB, brotli 16 MiB.
const WINDOW: u32 = 23;

/// How much may come out of a body.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes.
    pub size: u64,
    /// Bytes for each byte that came.
    pub ratio: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { size: 10 << 20, ratio: 100 }
    }
}

impl Limits {
    /// A body shorter than this is never too much for what came: a kilobyte of blanks is ten bytes.
    pub const ALWAYS: u64 = 64 * 1024;

    fn after(self, received: u64) -> u64 {
        self.size.min(received.saturating_mul(self.ratio).max(Self::ALWAYS))
    }
}

/// Why a body can't be decoded.
#[derive(Debug, thiserror::Error)]
pub enum DecoderError {
    /// More comes out than may.
    #[error("more comes out of a body than may: {0} bytes")]
    TooMuch(u64),
    /// It is not what it says, or not all of it.
    #[error("a body is not {0}")]
    Broken(Algorithm, #[source] io::Error),
}

/// One body while it is decoded.
pub struct Decoder {
    algorithm: Algorithm,
    limits: Limits,
    received: u64,
    inner: Inner,
}

enum Inner {
    Zstd(Box<zstd::stream::write::Decoder<'static, Sink>>),
    Br(Box<Brotli>),
    Gzip(Box<MultiGzDecoder<Sink>>),
}

/// Takes no more than is allowed.
#[derive(Debug, Default)]
struct Sink {
    out: Vec<u8>,
    total: u64,
    allowed: u64,
    full: bool,
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let total = self.total + bytes.len() as u64;
        if total > self.allowed {
            self.full = true;
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.total = total;
        self.out.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Decoder {
    /// For a body in this coding.
    pub fn new(algorithm: Algorithm, limits: Limits) -> Result<Self, DecoderError> {
        let sink = Sink::default();
        let inner = match algorithm {
            Algorithm::Zstd => {
                Inner::Zstd(Box::new(zstd(sink).map_err(|error| DecoderError::Broken(algorithm, error))?))
            }
            Algorithm::Br => Inner::Br(Box::new(Brotli::new(sink))),
            Algorithm::Gzip => Inner::Gzip(Box::new(MultiGzDecoder::new(sink))),
        };
        Ok(Self { algorithm, limits, received: 0, inner })
    }

    /// What comes out of a piece. After an error there must be no more.
    pub fn piece(&mut self, piece: &[u8]) -> Result<Vec<u8>, DecoderError> {
        self.received = self.received.saturating_add(piece.len() as u64);
        self.sink().allowed = self.limits.after(self.received);
        let written = match &mut self.inner {
            Inner::Zstd(decoder) => decoder.write_all(piece).and_then(|()| decoder.flush()),
            Inner::Br(decoder) => decoder.write(piece),
            Inner::Gzip(decoder) => decoder.write_all(piece).and_then(|()| decoder.flush()),
        };
        self.taken(written)
    }

    /// What comes out at the end; an error when the end is missing. A body of nothing at all is one of nothing.
    pub fn end(&mut self) -> Result<Vec<u8>, DecoderError> {
        if self.received == 0 {
            return Ok(Vec::new());
        }
        let ended = match &mut self.inner {
            Inner::Zstd(decoder) => decoder.do_finish(),
            Inner::Br(decoder) => decoder.end(),
            Inner::Gzip(decoder) => decoder.try_finish(),
        };
        self.taken(ended)
    }

    fn taken(&mut self, result: io::Result<()>) -> Result<Vec<u8>, DecoderError> {
        let algorithm = self.algorithm;
        let sink = self.sink();
        match result {
            _ if sink.full => Err(DecoderError::TooMuch(sink.allowed)),
            Ok(()) => Ok(std::mem::take(&mut sink.out)),
            Err(error) => Err(DecoderError::Broken(algorithm, error)),
        }
    }

    fn sink(&mut self) -> &mut Sink {
        match &mut self.inner {
            Inner::Zstd(decoder) => decoder.get_mut(),
            Inner::Br(decoder) => &mut decoder.sink,
            Inner::Gzip(decoder) => decoder.get_mut(),
        }
    }
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decoder").field("algorithm", &self.algorithm).field("received", &self.received).finish()
    }
}

fn zstd(sink: Sink) -> io::Result<zstd::stream::write::Decoder<'static, Sink>> {
    let mut decoder = zstd::stream::write::Decoder::new(sink)?;
    decoder.window_log_max(WINDOW)?;
    Ok(decoder)
}

struct Brotli {
    state: BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>,
    sink: Sink,
    /// Where it decodes to, a part at a time.
    room: Box<[u8]>,
    ended: bool,
}

impl Brotli {
    fn new(sink: Sink) -> Self {
        let alloc = StandardAlloc::default;
        let state = BrotliState::new(alloc(), alloc(), alloc());
        Self { state, sink, room: vec![0; 16 * 1024].into(), ended: false }
    }

    fn write(&mut self, piece: &[u8]) -> io::Result<()> {
        if self.ended && !piece.is_empty() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "more follows the end"));
        }
        let (mut left, mut taken, mut total) = (piece.len(), 0, 0);
        while !self.ended {
            let (mut room, mut made) = (self.room.len(), 0);
            let result = BrotliDecompressStream(
                &mut left,
                &mut taken,
                piece,
                &mut room,
                &mut made,
                &mut self.room,
                &mut total,
                &mut self.state,
            );
            self.sink.write_all(self.room.get(..made).unwrap_or_default())?;
            match result {
                BrotliResult::NeedsMoreOutput => {}
                BrotliResult::NeedsMoreInput => return Ok(()),
                BrotliResult::ResultSuccess => self.ended = true,
                BrotliResult::ResultFailure => return Err(io::ErrorKind::InvalidData.into()),
            }
        }
        match left {
            0 => Ok(()),
            _ => Err(io::Error::new(io::ErrorKind::InvalidData, "more follows the end")),
        }
    }

    fn end(&mut self) -> io::Result<()> {
        if self.ended { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::encoder::{Content, Encoder, Then};

    /// All that comes out of a coded body, which must be whole.
    pub(crate) fn whole(algorithm: Algorithm, coded: &[u8]) -> Vec<u8> {
        let limits = Limits { size: u64::MAX, ratio: u64::MAX };
        let mut decoder = Decoder::new(algorithm, limits).expect("a decoder");
        let mut all = decoder.piece(coded).expect("readable");
        all.extend(decoder.end().expect("whole"));
        all
    }

    fn coded(algorithm: Algorithm, body: &[u8]) -> Vec<u8> {
        Encoder::new(algorithm, 5, Content::Unknown).expect("an encoder").piece(body, Then::End).expect("coded")
    }

    fn decoded(algorithm: Algorithm, limits: Limits, pieces: &[&[u8]]) -> Result<Vec<u8>, DecoderError> {
        let mut decoder = Decoder::new(algorithm, limits)?;
        let mut all = Vec::new();
        for piece in pieces {
            all.extend(decoder.piece(piece)?);
        }
        all.extend(decoder.end()?);
        Ok(all)
    }

    #[test]
    fn bodies_come_back_byte_by_byte() {
        let body: Vec<u8> = (0..20_000_u32).flat_map(|n| (n / 7).to_le_bytes()).collect();
        for algorithm in Algorithm::ALL {
            let coded = coded(algorithm, &body);
            let bytes: Vec<&[u8]> = coded.chunks(1).collect();
            assert_eq!(decoded(algorithm, Limits::default(), &bytes).expect("whole"), body, "{algorithm}");
        }
    }

    #[test]
    fn a_bomb_goes_off_at_its_size_or_its_ratio() {
        let bomb = vec![0; 8 << 20];
        for algorithm in Algorithm::ALL {
            let coded = coded(algorithm, &bomb);
            let too_much = |limits| decoded(algorithm, limits, &[&coded]).expect_err("refused");
            let small = too_much(Limits { size: 1 << 20, ratio: u64::MAX });
            assert!(matches!(small, DecoderError::TooMuch(1_048_576)), "{algorithm}: {small}");
            let dense = too_much(Limits { size: u64::MAX, ratio: 100 });
            assert!(matches!(dense, DecoderError::TooMuch(at) if at < 1 << 20), "{algorithm}: {dense}");
            let fits = Limits { size: 8 << 20, ratio: u64::MAX };
            assert_eq!(decoded(algorithm, fits, &[&coded]).expect("exactly as much as may").len(), 8 << 20);
        }
    }

    #[test]
    fn little_is_never_too_much() {
        for algorithm in Algorithm::ALL {
            let coded = coded(algorithm, &[b' '; 64 * 1024]);
            let limits = Limits { ratio: 1, ..Limits::default() };
            assert_eq!(decoded(algorithm, limits, &[&coded]).expect("little").len(), 64 * 1024, "{algorithm}");
        }
    }

    #[test]
    fn a_body_cut_anywhere_is_broken_and_so_is_one_with_more_behind_it() {
        for algorithm in Algorithm::ALL {
            let coded = coded(algorithm, b"some text, and some text again");
            for end in 1..coded.len() {
                let cut = decoded(algorithm, Limits::default(), &[&coded[..end]]);
                assert!(matches!(cut, Err(DecoderError::Broken(..))), "{algorithm} cut at {end}: {cut:?}");
            }
            for pieces in [[&coded[..], b"garbage"], [&[&coded[..], b"garbage"].concat(), b""]] {
                let more = decoded(algorithm, Limits::default(), &pieces);
                assert!(matches!(more, Err(DecoderError::Broken(..))), "{algorithm}: {more:?}");
            }
            let other = decoded(algorithm, Limits::default(), &[b"{\"not\": \"coded at all\"}"]);
            assert!(matches!(other, Err(DecoderError::Broken(..))), "{algorithm}: {other:?}");
        }
    }

    #[test]
    fn one_after_the_other_is_one_body_where_the_format_says_so() {
        for algorithm in [Algorithm::Gzip, Algorithm::Zstd] {
            let twice = [coded(algorithm, b"one, "), coded(algorithm, b"two")].concat();
            assert_eq!(whole(algorithm, &twice), b"one, two", "{algorithm}");
        }
    }

    #[test]
    fn nothing_is_nothing() {
        for algorithm in Algorithm::ALL {
            assert!(decoded(algorithm, Limits::default(), &[b"", b""]).expect("nothing").is_empty());
        }
    }

    #[test]
    fn a_window_larger_than_browsers_take_is_refused() {
        let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).expect("an encoder");
        encoder.window_log(24).expect("a window");
        encoder.write_all(&[7; 100_000]).expect("written");
        encoder.flush().expect("flushed");
        let coded = encoder.finish().expect("whole");
        assert!(matches!(decoded(Algorithm::Zstd, Limits::default(), &[&coded]), Err(DecoderError::Broken(..))));
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..512), nth in 0..3_usize) {
            let _ = decoded(Algorithm::ALL[nth], Limits::default(), &[&bytes]);
        }
    }
}
