//! An answer's body, piece by piece, with all that happens on the way.

use bytes::Bytes;
use tokio::sync::mpsc::UnboundedReceiver;

use super::script::{Act, Body, Script};

/// How an answer is cut short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cut {
    Close,
    Reset,
}

/// Does it; says if the answer ends here.
pub(super) async fn act(act: &Act) -> Option<Cut> {
    match act {
        Act::Stall => std::future::pending().await,
        Act::Close => Some(Cut::Close),
        Act::Reset => Some(Cut::Reset),
        Act::Wait(gate) => {
            gate.passed().await;
            None
        }
        Act::Delay(delay) => {
            tokio::time::sleep(*delay).await;
            None
        }
    }
}

/// The pieces of a script's body.
pub(super) struct Pieces<'a> {
    script: &'a Script,
    events: Option<UnboundedReceiver<Bytes>>,
    index: usize,
    offset: u64,
    acted: bool,
    /// What of a piece is held back by pace or by something that happens in its middle.
    rest: Bytes,
}

impl<'a> Pieces<'a> {
    pub(super) fn new(script: &'a Script) -> Self {
        let events = match &script.body {
            Body::Events(source) => source.take(),
            _ => None,
        };
        Self { script, events, index: 0, offset: 0, acted: false, rest: Bytes::new() }
    }

    /// The next piece; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Cut> {
        if self.rest.is_empty() {
            match self.source().await {
                Some(piece) => self.rest = piece,
                None => return self.end().await,
            }
        }
        let mut length = self.rest.len() as u64;
        if let Some((size, pause)) = self.script.pace {
            if self.offset > 0 {
                tokio::time::sleep(pause).await;
            }
            length = length.min(size as u64);
        }
        if let Some((distance, what)) = self.script.act_within(self.offset, length).filter(|_| !self.acted) {
            match distance {
                0 => {
                    self.acted = true;
                    if let Some(cut) = act(what).await {
                        return Err(cut);
                    }
                }
                distance => length = distance,
            }
        }
        self.offset += length;
        Ok(Some(self.rest.split_to(length as usize)))
    }

    /// Something may be due right behind the last byte.
    async fn end(&mut self) -> Result<Option<Bytes>, Cut> {
        if let Some((_, what)) = self.script.act_within(self.offset, 1).filter(|_| !self.acted) {
            self.acted = true;
            if let Some(cut) = act(what).await {
                return Err(cut);
            }
        }
        Ok(None)
    }

    async fn source(&mut self) -> Option<Bytes> {
        let index = self.index;
        self.index += 1;
        match &self.script.body {
            Body::Bytes(bytes) => (index == 0 && !bytes.is_empty()).then(|| bytes.clone()),
            Body::Chunks(chunks) => chunks.get(index).cloned(),
            Body::Pattern(length) => {
                (self.offset < *length).then(|| crate::pattern::piece(self.offset, length - self.offset))
            }
            Body::Events(_) => self.events.as_mut()?.recv().await,
            Body::Echo | Body::Raw(..) | Body::Upgrade => None,
        }
    }
}
