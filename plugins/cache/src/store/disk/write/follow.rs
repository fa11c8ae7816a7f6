//! Reading what is still being written.

use std::io;
use std::sync::Arc;

use tidegate_core::Bytes;

use super::super::file::{BLOCK, Start, read_block};
use super::super::hit::Held;
use super::super::metrics::Lost;
use super::{Unwritten, Writing};

/// Reads an answer while it is being written, and afterwards.
#[derive(Clone)]
pub(crate) struct Follow {
    writing: Arc<Writing>,
    held: Held,
    _followed: Arc<()>,
}

/// Where bytes are.
enum Where {
    Memory(Bytes),
    /// In the file, of whose body so much is written.
    File(u64),
    End,
    NotYet,
    Lost(Lost),
}

impl Follow {
    pub(super) fn new(writing: Arc<Writing>, followed: Arc<()>) -> Self {
        Self { writing, held: Held::default(), _followed: followed }
    }

    /// At most `most` bytes from `at`; waits for those that are still to come. None: the end. An error: it doesn't come whole.
    pub(crate) async fn read(&mut self, at: u64, most: usize) -> io::Result<Bytes> {
        if let Some(bytes) = self.held.slice(at, most) {
            return Ok(bytes);
        }
        let mut news = self.writing.news.subscribe();
        loop {
            let found = self.writing.unwritten.lock().locate(at, most);
            match found {
                Where::Memory(bytes) => return Ok(bytes),
                Where::File(written) => return self.read_file(at, most, written).await,
                Where::End => return Ok(Bytes::new()),
                Where::Lost(why) => return Err(why.into()),
                // Who writes ends it, or is dropped, which ends it as well.
                Where::NotYet => news.changed().await.map_err(|_| Lost::Aborted)?,
            }
        }
    }

    async fn read_file(&mut self, at: u64, most: usize, written: u64) -> io::Result<Bytes> {
        let block = at / BLOCK as u64;
        let writing = self.writing.clone();
        let disk = &self.writing.disk;
        let read = disk.place.pool.run(disk.timeout, move || writing.read_block(block, written)).await;
        let bytes = read.map_err(|_| Lost::Busy)??;
        self.held = Held::new(block, vec![bytes]);
        self.held.slice(at, most).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
}

impl Writing {
    fn read_block(&self, block: u64, written: u64) -> io::Result<Bytes> {
        let (file, _) = self.file.get().ok_or(io::ErrorKind::NotFound)?;
        // As far as this one goes, the body ends where it is written.
        let start = Start { body: written, ..self.start };
        Ok(read_block(file, &start, &self.seal, block)?.into())
    }
}

impl Unwritten {
    fn locate(&self, at: u64, most: usize) -> Where {
        // Although it be lost: the file is open, whatever became of its name.
        if at < self.written {
            return Where::File(self.written);
        }
        match self.outcome {
            _ if self.whole => return Where::End,
            Some(Err(why)) => return Where::Lost(why),
            _ => {}
        }
        let mut skip = (at - self.written) as usize;
        for piece in &self.pieces {
            if skip < piece.len() {
                return Where::Memory(piece.slice(skip..piece.len().min(skip.saturating_add(most))));
            }
            skip -= piece.len();
        }
        Where::NotYet
    }
}
