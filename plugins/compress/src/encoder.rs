//! One body on its way into a coding, in pieces of any size.

use std::io::Write;

use brotli::enc::StandardAlloc;
use brotli::enc::encode::{BrotliEncoderOperation, BrotliEncoderParameter, BrotliEncoderStateStruct};
use flate2::Compression;
use flate2::write::GzEncoder;
use zstd::zstd_safe::CParameter;

use crate::algorithm::Algorithm;

/// How far back zstd and brotli look, as a power of two: 128 KiB. What lies further back is seldom worth its memory in what
/// is served by HTTP. Browsers take windows of up to 8 MiB (RFC 9659).
const WINDOW: u32 = 17;

/// The same for events: 32 KiB. Such a stream lasts for hours, and there are many.
const EVENTS_WINDOW: u32 = 15;

/// One body while it is compressed.
pub struct Encoder(Inner);

enum Inner {
    Zstd(Box<zstd::stream::write::Encoder<'static, Vec<u8>>>),
    Br(Box<Brotli>),
    Gzip(Box<GzEncoder<Vec<u8>>>),
}

/// What is to be compressed, as far as it is known ahead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// So many bytes.
    Of(u64),
    /// Some bytes.
    Unknown,
    /// Events, few at a time, for a long time: memory counts more than what they shrink to.
    Events,
}

impl Content {
    fn size(self) -> Option<u64> {
        match self {
            Self::Of(size) => Some(size),
            Self::Unknown | Self::Events => None,
        }
    }

    /// The window of zstd and brotli. Zstd makes it smaller itself for less content.
    fn window(self) -> u32 {
        match self {
            Self::Of(_) | Self::Unknown => WINDOW,
            Self::Events => EVENTS_WINDOW,
        }
    }
}

/// What follows a piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// More: as much is held back as helps.
    More,
    /// More, but somebody waits for this piece: nothing of it is held back.
    Flush,
    /// Nothing.
    End,
}

/// An encoder has failed.
#[derive(Debug, thiserror::Error)]
#[error("{0} failed")]
pub struct EncoderError(Algorithm, #[source] std::io::Error);

impl Encoder {
    /// For a body like this.
    pub fn new(algorithm: Algorithm, level: u32, content: Content) -> Result<Self, EncoderError> {
        let inner = match algorithm {
            Algorithm::Zstd => {
                Inner::Zstd(Box::new(zstd(level, content).map_err(|error| EncoderError(algorithm, error))?))
            }
            Algorithm::Br => Inner::Br(Box::new(Brotli::new(level, content))),
            Algorithm::Gzip => Inner::Gzip(Box::new(GzEncoder::new(Vec::new(), Compression::new(level)))),
        };
        Ok(Self(inner))
    }

    /// What goes out for a piece; nothing, when it is all held back. After an error or the end there must be no more.
    pub fn piece(&mut self, piece: &[u8], then: Then) -> Result<Vec<u8>, EncoderError> {
        match &mut self.0 {
            Inner::Zstd(encoder) => {
                let written = encoder.write_all(piece).and_then(|()| match then {
                    Then::More => Ok(()),
                    Then::Flush => encoder.flush(),
                    Then::End => encoder.do_finish(),
                });
                written
                    .map(|()| std::mem::take(encoder.get_mut()))
                    .map_err(|error| EncoderError(Algorithm::Zstd, error))
            }
            Inner::Gzip(encoder) => {
                let written = encoder.write_all(piece).and_then(|()| match then {
                    Then::More => Ok(()),
                    Then::Flush => encoder.flush(),
                    Then::End => encoder.try_finish(),
                });
                written
                    .map(|()| std::mem::take(encoder.get_mut()))
                    .map_err(|error| EncoderError(Algorithm::Gzip, error))
            }
            Inner::Br(encoder) => encoder.piece(piece, then),
        }
    }
}

impl std::fmt::Debug for Encoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self.0 {
            Inner::Zstd(_) => "Encoder(zstd)",
            Inner::Br(_) => "Encoder(br)",
            Inner::Gzip(_) => "Encoder(gzip)",
        })
    }
}

fn zstd(level: u32, content: Content) -> std::io::Result<zstd::stream::write::Encoder<'static, Vec<u8>>> {
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), i32::try_from(level).unwrap_or(i32::MAX))?;
    encoder.set_parameter(CParameter::WindowLog(content.window()))?;
    encoder.set_pledged_src_size(content.size())?;
    Ok(encoder)
}

/// Brotli by its state, not by its writer: that one ends the stream when it is dropped, which nobody wants of a body
/// that was cut off.
struct Brotli {
    state: BrotliEncoderStateStruct<StandardAlloc>,
}

impl Brotli {
    fn new(level: u32, content: Content) -> Self {
        let mut state = BrotliEncoderStateStruct::new(StandardAlloc::default());
        state.set_parameter(BrotliEncoderParameter::BROTLI_PARAM_QUALITY, level);
        state.set_parameter(BrotliEncoderParameter::BROTLI_PARAM_LGWIN, brotli_window(content));
        let hint = content.size().and_then(|size| u32::try_from(size).ok()).unwrap_or_default();
        state.set_parameter(BrotliEncoderParameter::BROTLI_PARAM_SIZE_HINT, hint);
        Self { state }
    }

    fn piece(&mut self, piece: &[u8], then: Then) -> Result<Vec<u8>, EncoderError> {
        let mut out = Vec::new();
        self.run(BrotliEncoderOperation::BROTLI_OPERATION_PROCESS, piece, &mut out)?;
        match then {
            Then::More => {}
            Then::Flush => self.run(BrotliEncoderOperation::BROTLI_OPERATION_FLUSH, &[], &mut out)?,
            Then::End => self.run(BrotliEncoderOperation::BROTLI_OPERATION_FINISH, &[], &mut out)?,
        }
        Ok(out)
    }

    /// Until all of `input` is taken and all that is ready is in `out`.
    fn run(&mut self, what: BrotliEncoderOperation, input: &[u8], out: &mut Vec<u8>) -> Result<(), EncoderError> {
        const ROOM: usize = 16 * 1024;
        let (mut left, mut taken) = (input.len(), 0);
        loop {
            let before = out.len();
            out.resize(before + ROOM, 0);
            let (mut room, mut made) = (ROOM, 0);
            let done = self.state.compress_stream(
                what,
                &mut left,
                input,
                &mut taken,
                &mut room,
                out.get_mut(before..).unwrap_or_default(),
                &mut made,
                &mut None,
                &mut |_, _, _, _| (),
            );
            out.truncate(before + made);
            if !done {
                return Err(EncoderError(Algorithm::Br, std::io::Error::from(std::io::ErrorKind::InvalidData)));
            }
            if left == 0 && !self.state.has_more_output() {
                return Ok(());
            }
        }
    }
}

/// No larger than the content needs: brotli makes room for all of it.
fn brotli_window(content: Content) -> u32 {
    const LEAST: u32 = 10;
    let needed = content.size().map_or(u64::BITS, |size| u64::BITS - size.leading_zeros() + 1);
    needed.max(LEAST).min(content.window())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::decoder::tests::whole;

    /// Bodies that are worth compressing and those that aren't, with the places where they are cut.
    fn bodies() -> impl Strategy<Value = (Vec<u8>, Vec<(usize, bool)>)> {
        let body = prop_oneof![
            prop::collection::vec(any::<u8>(), 0..4096),
            (any::<u8>(), 0..200_000_usize).prop_map(|(byte, length)| vec![byte; length]),
            (0..60_000_usize).prop_map(|length| b"words and words again, "
                .iter()
                .copied()
                .cycle()
                .take(length)
                .collect()),
        ];
        (body, prop::collection::vec((0..70_000_usize, any::<bool>()), 0..12))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(150))]

        #[test]
        fn any_chunking_of_any_body_comes_back((body, cuts) in bodies(), nth in 0..3_usize, level in 1..=6_u32, known in any::<bool>()) {
            let algorithm = Algorithm::ALL[nth];
            let content = if known { Content::Of(body.len() as u64) } else { Content::Unknown };
            let mut encoder = Encoder::new(algorithm, level, content).expect("an encoder");
            let (mut rest, mut out) = (&body[..], Vec::new());
            for (length, flush) in cuts {
                let (piece, after) = rest.split_at(length.min(rest.len()));
                out.extend(encoder.piece(piece, if flush { Then::Flush } else { Then::More }).expect("a piece"));
                rest = after;
            }
            out.extend(encoder.piece(rest, Then::End).expect("the end"));
            prop_assert_eq!(whole(algorithm, &out), body);
        }
    }

    #[test]
    fn what_is_flushed_can_be_read_at_once() {
        for algorithm in Algorithm::ALL {
            let mut encoder = Encoder::new(algorithm, 1, Content::Events).expect("an encoder");
            let mut decoder =
                crate::decoder::Decoder::new(algorithm, crate::decoder::Limits::default()).expect("a decoder");
            for text in ["data: one\n\n", "data: two\n\n", "data: one\n\n"] {
                let coded = encoder.piece(text.as_bytes(), Then::Flush).expect("a piece");
                assert_eq!(decoder.piece(&coded).expect("readable"), text.as_bytes(), "{algorithm}");
            }
        }
    }

    #[test]
    fn a_body_that_is_not_as_long_as_was_said_is_an_error() {
        let mut encoder = Encoder::new(Algorithm::Zstd, 3, Content::Of(10)).expect("an encoder");
        let written = encoder.piece(b"more than was said", Then::More);
        assert!(written.and_then(|_| encoder.piece(b"", Then::End)).is_err());
    }

    #[test]
    fn windows_are_as_large_as_the_content_needs_and_no_larger() {
        let sizes = [0, 5000, 100_000, u64::MAX].map(|size| brotli_window(Content::Of(size)));
        assert_eq!(
            (sizes, brotli_window(Content::Unknown), brotli_window(Content::Events)),
            ([10, 14, 17, 17], 17, 15)
        );
    }
}
