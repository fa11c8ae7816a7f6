//! Lists in files, of credentials and of rights, read again when they change.

use std::fs::{File, Metadata};
use std::io::Read as _;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::future::{Either, select};
use tidegate_core::{BuildCx, Clock, ConfigError, Stop};

use crate::id::Id;

/// How often a file is looked at.
const EVERY: Duration = Duration::from_secs(2);
/// The longest file.
const LARGEST: u64 = 16 * 1024 * 1024;

/// What a file says; the error doesn't quote it.
type Read<T> = Box<dyn Fn(&str) -> Result<T, String> + Send + Sync>;

/// Reads `path`, and again when it changes, for as long as this configuration is the current one. A file that can't
/// be read leaves the last good list in place. `current` is told of each list that is used from now on. The error
/// carries no path.
pub(crate) fn watched<T: Send + Sync + 'static>(
    path: &Path,
    task: &str,
    read: impl Fn(&str) -> Result<T, String> + Send + Sync + 'static,
    current: impl Fn(&T) + Send + Sync + 'static,
    cx: &mut BuildCx<'_>,
) -> Result<Arc<ArcSwap<T>>, ConfigError> {
    let mut file = ListFile::new(path, Box::new(read));
    let list = file.changed().unwrap_or_else(|| Err("can't be read".to_owned()));
    let list = list.map_err(|error| ConfigError::at("", [&path.display().to_string(), " ", &error].concat()))?;
    let list = Arc::new(ArcSwap::from_pointee(list));
    let (watched, clock) = (list.clone(), cx.clock().clone());
    cx.spawn(task, move |stop| watch(file, watched, current, clock, stop));
    Ok(list)
}

async fn watch<T: Send + Sync + 'static>(
    mut file: ListFile<T>,
    list: Arc<ArcSwap<T>>,
    current: impl Fn(&T) + Send + Sync,
    clock: Clock,
    mut stop: Stop,
) {
    current(&list.load());
    loop {
        let sleep = std::pin::pin!(clock.sleep(EVERY));
        if let Either::Left(_) = select(std::pin::pin!(stop.stopped()), sleep).await {
            return;
        }
        let looked = tokio::task::spawn_blocking(move || {
            let changed = file.changed();
            (file, changed)
        });
        // It panics in nobody's code but ours, and then there is nothing left to watch with.
        let Ok((looked_at, changed)) = looked.await else { return };
        file = looked_at;
        match changed {
            None => {}
            Some(Ok(new)) => {
                list.store(Arc::new(new));
                current(&list.load());
                log::info!(file:? = file.path; "a list was read again");
            }
            Some(Err(error)) => {
                log::error!(file:? = file.path, error; "a list can't be used: the last good one stays");
            }
        }
    }
}

struct ListFile<T> {
    path: PathBuf,
    /// Of the file when it was looked at last; `None` if there was none.
    stamp: Option<Stamp>,
    /// Whether the stamp was the same the next time. Two writes within one tick of the file system's clock have the
    /// same: what was written just now is read once more.
    settled: bool,
    /// A hash of what was read last, or of why it couldn't be.
    seen: Id,
    read: Read<T>,
}

/// What changes when a file is written or replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp([i128; 6]);

impl Stamp {
    fn of(file: &Metadata) -> Self {
        let (dev, ino, size) = (i128::from(file.dev()), i128::from(file.ino()), i128::from(file.size()));
        let modified = i128::from(file.mtime()) << 32 | i128::from(file.mtime_nsec());
        let changed = i128::from(file.ctime()) << 32 | i128::from(file.ctime_nsec());
        Self([dev, ino, size, modified, changed, i128::from(file.mode())])
    }
}

impl<T> ListFile<T> {
    fn new(path: &Path, read: Read<T>) -> Self {
        Self { path: path.to_owned(), stamp: None, settled: false, seen: Id::hash(&[]), read }
    }

    /// The list, if the file has changed since it was looked at last; each error once.
    fn changed(&mut self) -> Option<Result<T, String>> {
        let stamp = std::fs::metadata(&self.path).ok().map(|file| Stamp::of(&file));
        let same = stamp == self.stamp;
        if same && self.settled {
            return None;
        }
        let text = text(&self.path);
        // What could not be read may be readable the next time, though nobody has touched it: there were too many open
        // files, for one.
        (self.stamp, self.settled) = (stamp, same && text.is_ok());
        let seen = match &text {
            Ok(text) => Id::hash(&[b"text", text.as_bytes()]),
            Err(error) => Id::hash(&[b"error", error.as_bytes()]),
        };
        let before = std::mem::replace(&mut self.seen, seen);
        (before != seen).then(|| (self.read)(&text?))
    }
}

fn text(path: &Path) -> Result<String, String> {
    let unreadable = |error: std::io::Error| format!("can't be read: {error}");
    let file = File::open(path).map_err(unreadable)?;
    if !file.metadata().map_err(unreadable)?.is_file() {
        return Err("is not a file".to_owned());
    }
    let mut text = Vec::new();
    // It may grow while it is read.
    file.take(LARGEST + 1).read_to_end(&mut text).map_err(unreadable)?;
    if text.len() as u64 > LARGEST {
        return Err("is longer than 16 MiB".to_owned());
    }
    String::from_utf8(text).map_err(|_| "is no text in UTF-8".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &Path) -> ListFile<String> {
        let read = |text: &str| if text.contains("bad") { Err("is bad".to_owned()) } else { Ok(text.to_owned()) };
        ListFile::new(path, Box::new(read))
    }

    #[test]
    fn a_file_is_read_when_it_changes_and_each_error_is_said_once() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("list");
        std::fs::write(&path, "one").expect("written");
        let mut file = file(&path);
        assert_eq!(file.changed(), Some(Ok("one".into())));
        assert_eq!([file.changed(), file.changed()], [None, None]);
        std::fs::write(&path, "another").expect("written");
        assert_eq!(file.changed(), Some(Ok("another".into())));
        std::fs::write(&path, "bad").expect("written");
        assert_eq!(file.changed(), Some(Err("is bad".into())));
        assert_eq!([file.changed(), file.changed()], [None, None]);
        std::fs::remove_file(&path).expect("removed");
        assert!(file.changed().is_some_and(|list| list.is_err()));
        assert_eq!([file.changed(), file.changed()], [None, None]);
        let new = dir.path().join("new");
        std::fs::write(&new, "two").expect("written");
        std::fs::rename(new, &path).expect("renamed");
        assert_eq!(file.changed(), Some(Ok("two".into())));
    }

    #[test]
    fn a_second_write_within_one_tick_is_seen() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("list");
        std::fs::write(&path, "one").expect("written");
        let mut file = file(&path);
        assert_eq!(file.changed(), Some(Ok("one".into())));
        std::fs::write(&path, "two").expect("written");
        // As a file system with a coarse clock would have it.
        file.stamp = std::fs::metadata(&path).ok().map(|file| Stamp::of(&file));
        assert_eq!(file.changed(), Some(Ok("two".into())));
        assert_eq!([file.changed(), file.changed()], [None, None]);
    }

    #[test]
    fn what_is_no_list_is_not_read() {
        let dir = tempfile::tempdir().expect("a directory");
        assert_eq!(file(dir.path()).changed(), Some(Err("is not a file".into())));
        let path = dir.path().join("list");
        std::fs::write(&path, b"\xff").expect("written");
        assert_eq!(file(&path).changed(), Some(Err("is no text in UTF-8".into())));
        File::create(&path).and_then(|file| file.set_len(LARGEST + 1)).expect("a long file");
        assert_eq!(file(&path).changed(), Some(Err("is longer than 16 MiB".into())));
    }
}
