//! Reading an answer.

use std::fs::File;
use std::io;
use std::sync::Arc;

use smallvec::SmallVec;
use tidegate_core::Bytes;
use tokio::sync::OwnedSemaphorePermit;

use super::file::{BLOCK, Entry, ReadAt, START, Start, read_block};
use super::metrics::Lost;
use super::seal::Seal;
use super::{Disk, Id, is_broken};
use crate::store::Head;

/// Up to this length a body is read and checked whole before any of it is sent.
pub(super) const WHOLE: u64 = 1 << 20;
/// How many blocks are read at a time once it is clear that one follows the other.
const AHEAD: u64 = 4;

/// An answer on the disk.
pub(crate) struct DiskHit {
    head: Arc<Head>,
    length: u64,
    body: Body,
}

enum Body {
    Whole(SmallVec<[Bytes; 1]>),
    Open(Reader),
}

/// A long body, some blocks of which are held.
struct Reader {
    disk: Arc<Disk>,
    id: Id,
    open: Arc<Open>,
    held: Held,
}

/// Goes with its file, and the file with it.
struct Open {
    file: File,
    start: Start,
    seal: Seal,
    _permit: OwnedSemaphorePermit,
}

/// Blocks of a body that were read, one after the other.
#[derive(Default, Clone)]
pub(super) struct Held {
    first: u64,
    blocks: Vec<Bytes>,
}

impl Held {
    pub(super) fn new(first: u64, blocks: Vec<Bytes>) -> Self {
        Self { first, blocks }
    }

    /// At most `most` bytes from `at`, if they are among these.
    pub(super) fn slice(&self, at: u64, most: usize) -> Option<Bytes> {
        let block = (at / BLOCK as u64).checked_sub(self.first)?;
        let block = self.blocks.get(usize::try_from(block).ok()?)?;
        let from = (at % BLOCK as u64) as usize;
        let to = from.saturating_add(most).min(block.len());
        (from < to).then(|| block.slice(from..to))
    }

    fn next(&self) -> u64 {
        self.first + self.blocks.len() as u64
    }
}

impl DiskHit {
    pub(crate) fn head(&self) -> &Arc<Head> {
        &self.head
    }

    /// How long the body is.
    pub(crate) fn len(&self) -> u64 {
        self.length
    }

    /// The whole body, if it is short.
    pub(crate) fn whole(&self) -> Option<&SmallVec<[Bytes; 1]>> {
        match &self.body {
            Body::Whole(pieces) => Some(pieces),
            Body::Open(_) => None,
        }
    }

    /// At most `most` bytes of the body from `at`: nothing behind its end, else at least one. An error means that there is
    /// no more of it: whoever got a part must see that it isn't all.
    pub(crate) async fn read(&mut self, at: u64, most: usize) -> io::Result<Bytes> {
        if at >= self.length || most == 0 {
            return Ok(Bytes::new());
        }
        match &mut self.body {
            Body::Whole(pieces) => {
                let block = (at / BLOCK as u64) as usize;
                let held = pieces.get(block).map(|piece| Held::new(block as u64, vec![piece.clone()]));
                held.and_then(|held| held.slice(at, most)).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
            }
            Body::Open(reader) => reader.read(at, most).await,
        }
    }
}

impl Reader {
    async fn read(&mut self, at: u64, most: usize) -> io::Result<Bytes> {
        if let Some(bytes) = self.held.slice(at, most) {
            return Ok(bytes);
        }
        let first = at / BLOCK as u64;
        // A range that is sought may be all that is wanted.
        let count = if first > 0 && first == self.held.next() { AHEAD } else { 1 };
        let count = count.min(self.open.start.blocks().saturating_sub(first));
        let (disk, id, open) = (self.disk.clone(), self.id, self.open.clone());
        let blocks = self.disk.place.pool.run(self.disk.timeout, move || read_blocks(&disk, id, &open, first, count));
        let blocks = blocks.await.map_err(|_| {
            self.disk.metrics.reads.busy.inc();
            io::Error::from(Lost::Busy)
        })??;
        self.held = Held::new(first, blocks);
        self.held.slice(at, most).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
}

/// Those that are good; an error if the first one isn't.
fn read_blocks(disk: &Disk, id: Id, open: &Open, first: u64, count: u64) -> io::Result<Vec<Bytes>> {
    let mut blocks = Vec::with_capacity(count as usize);
    for block in first..first + count {
        match read_block(&open.file, &open.start, &open.seal, block) {
            Ok(block) => {
                disk.metrics.read_bytes.inc_by(block.len() as u64);
                blocks.push(Bytes::from(block));
            }
            Err(_) if !blocks.is_empty() => break,
            Err(error) => {
                if is_broken(&error) {
                    disk.metrics.reads.broken.inc()
                } else {
                    disk.metrics.reads.failed.inc()
                }
                disk.cannot_read(id, &error);
                return Err(error);
            }
        }
    }
    Ok(blocks)
}

/// The answer of this id, if it is the one of this key.
pub(super) fn look(disk: &Arc<Disk>, id: Id, key: &[u8]) -> io::Result<Option<DiskHit>> {
    let found = open(disk, id, key);
    match &found {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            // Somebody removed it.
            if disk.place.index.remove(id) {
                disk.show();
            }
            return Ok(None);
        }
        Err(error) => disk.cannot_read(id, error),
    }
    found
}

fn open(disk: &Arc<Disk>, id: Id, key: &[u8]) -> io::Result<Option<DiskHit>> {
    let source = Source::open(File::open(disk.place.folder.of(id))?)?;
    let entry = Entry::read(&source, &disk.keys)?;
    if entry.key != key {
        return Ok(None);
    }
    if !disk.place.index.holds(id) && !disk.place.is_scanned() {
        disk.place.index.insert(id, source.length());
    }
    let length = entry.start.body;
    if length <= WHOLE {
        let blocks = (0..entry.start.blocks()).map(|block| entry.block(&source, block).map(Bytes::from));
        let body = Body::Whole(blocks.collect::<io::Result<_>>()?);
        disk.metrics.read_bytes.inc_by(length);
        return Ok(Some(DiskHit { head: Arc::new(entry.head), length, body }));
    }
    let Ok(permit) = disk.place.files.clone().try_acquire_owned() else { return Ok(None) };
    let open = Open { file: source.file, start: entry.start, seal: entry.seal, _permit: permit };
    let reader = Reader { disk: disk.clone(), id, open: Arc::new(open), held: Held::default() };
    Ok(Some(DiskHit { head: Arc::new(entry.head), length, body: Body::Open(reader) }))
}

/// A file whose beginning was read at once: for most answers, that is all of it.
struct Source {
    file: File,
    length: u64,
    begin: Vec<u8>,
}

impl Source {
    fn open(file: File) -> io::Result<Self> {
        let length = file.metadata()?.len();
        let mut begin = vec![0; length.min((START + BLOCK) as u64) as usize];
        file.read_at(0, &mut begin)?;
        Ok(Self { file, length, begin })
    }
}

impl ReadAt for Source {
    fn length(&self) -> u64 {
        self.length
    }

    fn read_at(&self, at: u64, to: &mut [u8]) -> io::Result<()> {
        self.begin.as_slice().read_at(at, to).or_else(|_| self.file.read_at(at, to))
    }
}
