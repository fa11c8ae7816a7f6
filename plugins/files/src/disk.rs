//! The disk, which makes those wait who ask it: never a thread that serves connections.

use std::fmt;
use std::fs::File;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::io::{Errno, pread};
use tidegate_core::Bytes;
use tokio::sync::Semaphore;

/// How long a request waits for its turn and for the disk.
const PATIENCE: Duration = Duration::from_secs(30);

/// Work on the disk: on threads of its own, no more of it at once than was said.
#[derive(Debug, Clone)]
pub(crate) struct Disk(Arc<Semaphore>);

/// The disk did not answer in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stalled;

impl Disk {
    pub(crate) fn new(reads: u16) -> Self {
        Self(Arc::new(Semaphore::new(usize::from(reads))))
    }

    /// Does `work` when it is its turn. Work that has begun goes on when nobody waits for it any more, and only its end
    /// makes room: threads that hang are counted.
    pub(crate) async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Stalled> {
        let done = async {
            let turn = self.0.clone().acquire_owned().await.map_err(|_| Stalled)?;
            let work = tokio::task::spawn_blocking(move || {
                let done = work();
                drop(turn);
                done
            });
            work.await.map_err(|_| Stalled)
        };
        tokio::time::timeout(PATIENCE, done).await.map_err(|_| Stalled)?
    }
}

impl fmt::Display for Stalled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the disk does not answer in time")
    }
}

impl std::error::Error for Stalled {}

/// Up to `most` bytes from `at` on; fewer only at the end of the file.
pub(crate) fn read_at(file: &File, at: u64, most: usize) -> io::Result<Bytes> {
    let mut read = Vec::with_capacity(most);
    while read.len() < most {
        // More may have been reserved than was asked for.
        let room = most - read.len();
        let from = at.saturating_add(read.len() as u64);
        let before = read.len();
        match pread(file, spare_capacity(&mut read), from) {
            Ok(0) => break,
            Ok(_) => read.truncate(before + room),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(read.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn no_more_work_is_done_at_once_than_was_said() {
        let (disk, here) = (Disk::new(2), Arc::new(std::sync::Barrier::new(3)));
        let held: Vec<_> = (0..2)
            .map(|_| {
                let (disk, here) = (disk.clone(), here.clone());
                tokio::spawn(async move { disk.run(move || here.wait().is_leader()).await })
            })
            .collect();
        while disk.0.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        let third = disk.run(|| ());
        tokio::pin!(third);
        tokio::select! {
            biased;
            _ = &mut third => panic!("three at once"),
            () = std::future::ready(()) => {}
        }
        tokio::task::spawn_blocking(move || here.wait()).await.expect("all three are here");
        third.await.expect("its turn has come");
        for held in held {
            held.await.expect("joined").expect("done");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_too_long_is_told() {
        let disk = Disk::new(1);
        let _turn = disk.0.clone().acquire_owned().await.expect("the only turn");
        assert_eq!(disk.run(|| ()).await, Err(Stalled));
    }

    #[test]
    fn no_more_is_read_than_there_is_or_than_was_asked_for() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), "0123456789").expect("written");
        for (at, most, expected) in [
            (0, 10, "0123456789"),
            (0, 100, "0123456789"),
            (3, 4, "3456"),
            (8, 4, "89"),
            (10, 1, ""),
            (0, 0, ""),
            (99, 5, ""),
        ] {
            assert_eq!(read_at(file.as_file(), at, most).expect("read"), expected, "{most} at {at}");
        }
    }
}
