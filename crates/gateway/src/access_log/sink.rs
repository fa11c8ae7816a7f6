//! Where lines end up: the standard output, a file or a named pipe.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;
use std::thread;
use std::time::Duration;

use super::config::To;

/// An open sink. Used by the writing thread only, which may block on it.
#[derive(Debug)]
pub(super) struct Sink {
    to: To,
    file: File,
    /// A write failed within a line: the next one must not go on where it ended.
    torn: bool,
    /// The last write failed, and the log has been told.
    failing: bool,
}

impl Sink {
    pub(super) fn open(to: To) -> io::Result<Self> {
        let file = open(&to)?;
        Ok(Self { to, file, torn: false, failing: false })
    }

    /// Goes over to a new file at the same path; stays with the old one if there can't be one.
    pub(super) fn reopen(&mut self) {
        match open(&self.to) {
            Ok(file) => {
                self.file = file;
                self.torn = false;
            }
            Err(error) => log::error!(to:? = self.to, error:%; "the access log cannot be reopened"),
        }
    }

    /// Writes whole lines; returns how many of them are lost.
    pub(super) fn write(&mut self, lines: &[u8]) -> u64 {
        match self.write_all(lines) {
            Ok(()) => {
                self.failing = false;
                0
            }
            Err((written, error)) => {
                self.torn |= !lines[..written].is_empty() && !lines[..written].ends_with(b"\n");
                self.complain(&error);
                count_lines(&lines[written..])
            }
        }
    }

    /// Or says how much was written before the error.
    fn write_all(&mut self, lines: &[u8]) -> Result<(), (usize, io::Error)> {
        if self.torn {
            self.write_some(b"\n").map_err(|error| (0, error))?;
            self.torn = false;
        }
        let mut written = 0;
        while written < lines.len() {
            written += self.write_some(&lines[written..]).map_err(|error| (written, error))?;
        }
        Ok(())
    }

    /// At least one byte.
    fn write_some(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match self.file.write(bytes) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // Whoever shares our standard output may have made it non-blocking.
                Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(Duration::from_millis(10)),
                result => return result,
            }
        }
    }

    /// Once, not ten times a second for as long as the disk is full.
    fn complain(&mut self, error: &io::Error) {
        if !std::mem::replace(&mut self.failing, true) {
            log::error!(to:? = self.to, error:%; "the access log cannot be written");
        }
    }
}

fn open(to: &To) -> io::Result<File> {
    match to {
        // Not by `io::stdout()`, which buffers by line.
        To::Stdout => Ok(io::stdout().as_fd().try_clone_to_owned()?.into()),
        To::File(path) => OpenOptions::new()
            .append(true)
            // To open a pipe only for writing would wait for a reader.
            .read(is_pipe(path))
            .create(true)
            // Addresses of clients are nobody else's business.
            .mode(0o640)
            .open(path),
    }
}

fn is_pipe(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.file_type().is_fifo())
}

fn count_lines(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|byte| **byte == b'\n').count() as u64
}
