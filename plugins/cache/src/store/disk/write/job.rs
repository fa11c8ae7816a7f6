//! What a thread does for an answer that is being written.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::Errno;

use super::super::file::{self, BLOCK, MOST_ABOUT, START, Start};
use super::super::index::UNIT;
use super::super::metrics::Lost;
use super::super::seal::TAG;
use super::{Unwritten, Writing};

/// So many blocks, then it is another's turn.
const TURN: usize = 32;

/// What there is to do.
enum Next {
    /// A whole block, so many blocks being written already.
    Block(Vec<u8>, u64),
    /// The last block, which may be empty.
    End(Vec<u8>, u64),
    /// Nothing yet.
    Wait,
    Lost,
}

impl Writing {
    pub(super) fn work(self: Arc<Self>) {
        for _ in 0..TURN {
            let done = match self.next() {
                Next::Block(block, at) => self.write_block(block, at),
                Next::End(block, at) => return self.end(block, at),
                Next::Wait => return,
                Next::Lost => return self.clean_up(),
            };
            if let Err(error) = done {
                return self.fail_as(Lost::of(&error));
            }
        }
        let writing = self.clone();
        self.disk.place.pool.surely(move || writing.work());
    }

    fn next(&self) -> Next {
        let mut unwritten = self.unwritten.lock();
        let blocks = unwritten.written / BLOCK as u64;
        if unwritten.outcome.is_some() {
            Next::Lost
        } else if unwritten.ending && unwritten.length <= BLOCK {
            Next::End(unwritten.copy(), blocks)
        } else if unwritten.length >= BLOCK {
            Next::Block(unwritten.copy(), blocks)
        } else {
            unwritten.scheduled = false;
            Next::Wait
        }
    }

    fn write_block(&self, mut block: Vec<u8>, number: u64) -> io::Result<()> {
        file::close_block(&self.seal, number, &mut block, 0)
            .ok_or_else(|| io::Error::other("it can't be encrypted"))?;
        self.write(&block, self.start.block_at(number))?;
        self.is_written(BLOCK);
        Ok(())
    }

    fn end(self: &Arc<Self>, block: Vec<u8>, number: u64) {
        let placed = self.write_end(block, number).and_then(|start| {
            let (file, path) = self.file()?;
            self.is_whole(start.body);
            let is_right = self.disk.place.put(path, self.id, self.turn, file.metadata()?.len())?;
            Ok(is_right.then_some(start.body))
        });
        match placed {
            Ok(Some(body)) => {
                let mut unwritten = self.unwritten.lock();
                unwritten.outcome = Some(Ok(body));
                self.disk.place.release(std::mem::take(&mut unwritten.reserved));
                drop(unwritten);
                self.disk.metrics.writes.stored();
                self.disk.show();
                self.news.send_replace(());
            }
            Ok(None) => self.fail_as(Lost::Aborted),
            Err(error) => self.fail_as(Lost::of(&error)),
        }
    }

    /// All of the body is in the file.
    fn is_whole(&self, body: u64) {
        let mut unwritten = self.unwritten.lock();
        (unwritten.written, unwritten.whole) = (body, true);
        self.disk.place.waiting.fetch_sub(unwritten.length as u64, Ordering::Relaxed);
        unwritten.length = 0;
        unwritten.pieces.clear();
    }

    /// The last block, then the file's beginning: without it the file is none.
    fn write_end(&self, block: Vec<u8>, number: u64) -> io::Result<Start> {
        let cannot = || io::Error::other("it can't be encrypted");
        let start = Start { body: number * BLOCK as u64 + block.len() as u64, ..self.start };
        let mut bytes = file::opening(&start, &self.seal, &self.key, &self.head).ok_or_else(cannot)?;
        let begin = bytes.len();
        debug_assert!(begin <= START + MOST_ABOUT + TAG);
        if !block.is_empty() {
            bytes.extend_from_slice(&block);
            file::close_block(&self.seal, number, &mut bytes, begin).ok_or_else(cannot)?;
        }
        if number == 0 {
            self.write(&bytes, 0)?;
        } else {
            self.write(&bytes[begin..], start.block_at(number))?;
            self.write(&bytes[..begin], 0)?;
        }
        Ok(start)
    }

    fn write(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        let (file, _) = self.file()?;
        let length = (bytes.len() as u64).next_multiple_of(UNIT);
        self.unwritten.lock().reserved += length;
        self.disk.place.reserve(length);
        self.disk.make_room();
        file.write_all_at(bytes, at)?;
        self.disk.metrics.written_bytes.inc_by(bytes.len() as u64);
        Ok(())
    }

    /// Made when there is something to be written.
    fn file(&self) -> io::Result<&(File, std::path::PathBuf)> {
        if let Some(file) = self.file.get() {
            return Ok(file);
        }
        let folder = &self.disk.place.folder;
        let made = folder.temporary().or_else(|_| {
            // Somebody has removed the folder, or it is back.
            folder.make()?;
            folder.temporary()
        });
        let made = made?;
        if let Err(error) = self.set_aside(&made.0) {
            remove(&made.1);
            return Err(error);
        }
        // One thread at a time has it.
        Ok(self.file.get_or_init(|| made))
    }

    /// Has the file system set aside what the file will take, where that is known: who reads it meanwhile need not fear that
    /// there is no more room.
    fn set_aside(&self, file: &File) -> io::Result<()> {
        let Some(body) = self.expected.filter(|body| *body > BLOCK as u64) else { return Ok(()) };
        let length = Start { body, ..self.start }.end();
        match fallocate(file, FallocateFlags::KEEP_SIZE, 0, length) {
            Ok(()) => self.assured.store(true, Ordering::Release),
            Err(Errno::NOSPC | Errno::DQUOT) => return Err(io::ErrorKind::StorageFull.into()),
            // Not every file system can.
            Err(_) => {}
        }
        Ok(())
    }

    fn is_written(&self, length: usize) {
        let mut unwritten = self.unwritten.lock();
        if unwritten.outcome.is_none() {
            unwritten.skip(length);
            unwritten.written += length as u64;
            self.disk.place.waiting.fetch_sub(length as u64, Ordering::Relaxed);
        }
        drop(unwritten);
        self.news.send_replace(());
    }

    fn fail_as(self: &Arc<Self>, why: Lost) {
        let wanted = {
            let mut unwritten = self.unwritten.lock();
            let wanted = self.expected.unwrap_or(0).max(unwritten.written + unwritten.length as u64);
            self.set_lost(&mut unwritten, why);
            wanted
        };
        self.clean_up();
        if why == Lost::Full {
            // Somebody else took the room: what is stored gives way, so that this does not go on for ever.
            self.disk.give_way(wanted);
        }
    }

    /// Nothing of it stays.
    pub(super) fn clean_up(&self) {
        if let Some((_, path)) = self.file.get() {
            remove(path);
        }
        let reserved = std::mem::take(&mut self.unwritten.lock().reserved);
        self.disk.place.release(reserved);
    }
}

fn remove(path: &Path) {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            log::debug!(file:% = path.display(), error:%; "what was not stored can't be removed before the next start");
        }
        _ => {}
    }
}

impl Unwritten {
    /// At most a block of what waits.
    fn copy(&self) -> Vec<u8> {
        let mut block = Vec::with_capacity(self.length.min(BLOCK) + TAG);
        for piece in &self.pieces {
            let room = BLOCK - block.len();
            block.extend_from_slice(&piece[..piece.len().min(room)]);
        }
        block
    }

    /// So much of what waits is written.
    fn skip(&mut self, mut length: usize) {
        self.length -= length;
        while let Some(piece) = self.pieces.front_mut() {
            if piece.len() > length {
                let _ = piece.split_to(length);
                return;
            }
            length -= piece.len();
            self.pieces.pop_front();
        }
    }
}
