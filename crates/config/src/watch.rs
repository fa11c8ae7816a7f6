//! Noticing that a file has changed, however it is changed.
//!
//! Editors write a new file and rename it over the old one; Kubernetes swaps a symbolic link to a folder two levels
//! up; some file systems report nothing at all. So events only wake us. What counts is a look at the files
//! themselves: the callback runs when their content differs from what it was.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use notify::event::{AccessKind, AccessMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tidegate_core::folders_of;

mod fingerprint;

use fingerprint::Fingerprint;

/// How long the files must stay as they are before they count as changed: some editors write in several steps.
const SETTLE: Duration = Duration::from_millis(100);
/// Files that never settle are a change, too.
const SETTLE_AT_MOST: Duration = Duration::from_secs(3);
/// How often to look without having been woken, for file systems that report nothing.
const LOOK: Duration = Duration::from_secs(5);
/// The same where there are no events at all.
const LOOK_WITHOUT_EVENTS: Duration = Duration::from_secs(1);

/// Watches as long as it lives. Dropping it waits for a callback that is running.
#[derive(Debug)]
pub struct WatchGuard {
    wake: Sender<Wake>,
    thread: Option<JoinHandle<()>>,
}

enum Wake {
    Look,
    Stop,
}

/// Calls `on_change` after the content of any of these files has changed, appeared or vanished.
///
/// Several changes in quick succession are one. The callback runs on a thread of its own.
///
/// # Errors
/// If the thread cannot be started. Where the system reports no file events, the files are looked at every second.
pub fn watch(files: Vec<PathBuf>, on_change: impl Fn() + Send + 'static) -> io::Result<WatchGuard> {
    let (wake, woken) = channel();
    let mut watcher = Watcher::new(files, event_source(wake.clone()), woken);
    let thread = thread::Builder::new().name("config-watch".into()).spawn(move || watcher.run(&on_change))?;
    Ok(WatchGuard { wake, thread: Some(thread) })
}

impl Drop for WatchGuard {
    fn drop(&mut self) {
        // It only fails if the thread has ended already.
        let _ = self.wake.send(Wake::Stop);
        let Some(thread) = self.thread.take() else { return };
        // A callback may drop its own guard; it cannot wait for itself.
        if thread.thread().id() != thread::current().id() && thread.join().is_err() {
            log::error!("the thread that watches the configuration has panicked");
        }
    }
}

struct Watcher {
    files: Vec<PathBuf>,
    seen: Vec<Fingerprint>,
    woken: Receiver<Wake>,
    events: Option<RecommendedWatcher>,
    folders: BTreeSet<PathBuf>,
}

impl Watcher {
    fn new(files: Vec<PathBuf>, events: Option<RecommendedWatcher>, woken: Receiver<Wake>) -> Self {
        // First the events, then the look: a change between the two is seen twice rather than never.
        let mut watcher = Self { files, seen: Vec::new(), woken, events, folders: BTreeSet::new() };
        watcher.watch_folders();
        watcher.seen = watcher.look();
        watcher
    }

    fn run(&mut self, on_change: &dyn Fn()) {
        loop {
            let patience = if self.events.is_some() { LOOK } else { LOOK_WITHOUT_EVENTS };
            match self.woken.recv_timeout(patience) {
                Ok(Wake::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                Ok(Wake::Look) | Err(RecvTimeoutError::Timeout) => {}
            }
            if !self.has_changed() {
                continue;
            }
            match self.settle() {
                None => return,
                Some(true) => {
                    // A link may lead elsewhere now.
                    self.watch_folders();
                    on_change();
                }
                Some(false) => {}
            }
        }
    }

    fn look(&self) -> Vec<Fingerprint> {
        self.files.iter().map(|file| Fingerprint::of(file)).collect()
    }

    /// Whether the files look different from outside: cheap, and true too often.
    fn has_changed(&self) -> bool {
        self.files.iter().zip(&self.seen).any(|(file, seen)| !seen.is_fresh(file))
    }

    /// Waits until the files stay as they are. Whether their content is new; `None` if we are to stop.
    fn settle(&mut self) -> Option<bool> {
        let started = Instant::now();
        let mut now = self.look();
        while started.elapsed() < SETTLE_AT_MOST {
            match self.woken.recv_timeout(SETTLE) {
                Ok(Wake::Stop) | Err(RecvTimeoutError::Disconnected) => return None,
                Ok(Wake::Look) => continue,
                Err(RecvTimeoutError::Timeout) => {}
            }
            let next = self.look();
            let settled = next.iter().zip(&now).all(|(next, now)| next.same_look(now));
            now = next;
            if settled {
                break;
            }
        }
        let changed = now.iter().zip(&self.seen).any(|(now, seen)| !now.same_content(seen));
        self.seen = now;
        Some(changed)
    }

    /// A file that is replaced is a new file: only its folder sees that.
    fn watch_folders(&mut self) {
        let wanted: BTreeSet<PathBuf> = self.files.iter().flat_map(|file| folders_of(file)).collect();
        let Some(events) = &mut self.events else { return };
        for gone in self.folders.difference(&wanted) {
            // It fails if the folder is gone, which is just as well.
            let _ = events.unwatch(gone);
        }
        let mut all_watched = true;
        for new in wanted.difference(&self.folders) {
            if let Err(error) = events.watch(new, RecursiveMode::NonRecursive) {
                log::warn!("cannot watch {} for changes: {error}; looking every second", new.display());
                all_watched = false;
            }
        }
        self.folders = wanted;
        if !all_watched {
            self.events = None;
        }
    }
}

fn event_source(wake: Sender<Wake>) -> Option<RecommendedWatcher> {
    let on_event = move |event: notify::Result<Event>| {
        // Our own reading of the files is an event as well: it must not wake us.
        if !event.is_ok_and(|event| is_reading(event.kind)) {
            // It only fails when the watching has ended.
            let _ = wake.send(Wake::Look);
        }
    };
    match notify::recommended_watcher(on_event) {
        Ok(watcher) => Some(watcher),
        Err(error) => {
            log::warn!("no file events: {error}; looking every second");
            None
        }
    }
}

fn is_reading(kind: EventKind) -> bool {
    matches!(kind, EventKind::Access(access) if access != AccessKind::Close(AccessMode::Write))
}

#[cfg(test)]
mod tests;
