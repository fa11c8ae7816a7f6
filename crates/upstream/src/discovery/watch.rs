//! Waking when a file may have changed, however it is changed: editors write a new file and rename it over the old
//! one, Kubernetes swaps a symbolic link to a folder two levels up, and some file systems report nothing at all. So
//! events only wake; what counts is the content.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use notify::event::{AccessKind, AccessMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tidegate_core::folders_of;
use tokio::sync::Notify;

/// The folders in which something must change for a file to change.
pub(super) struct Watch {
    file: PathBuf,
    events: Option<RecommendedWatcher>,
    folders: BTreeSet<PathBuf>,
    woken: Arc<Notify>,
}

impl Watch {
    pub(super) fn new(file: &Path) -> Self {
        let woken = Arc::new(Notify::new());
        let events = event_source(woken.clone());
        let mut watch = Self { file: file.to_owned(), events, folders: BTreeSet::new(), woken };
        watch.follow_links();
        watch
    }

    /// Whether anybody reports changes.
    pub(super) fn has_events(&self) -> bool {
        self.events.is_some()
    }

    /// Waits until something has happened near the file since the last time.
    pub(super) async fn woken(&self) {
        self.woken.notified().await;
    }

    /// To be called after each change: a link may lead elsewhere now, and a folder may be there that wasn't.
    pub(super) fn follow_links(&mut self) {
        let wanted: BTreeSet<PathBuf> = folders_of(&self.file).into_iter().collect();
        let Some(events) = &mut self.events else { return };
        for gone in self.folders.difference(&wanted) {
            // It fails if the folder is gone, which is just as well.
            let _ = events.unwatch(gone);
        }
        let fails = |new: &&PathBuf| events.watch(new, RecursiveMode::NonRecursive).is_err();
        let unwatched = wanted.difference(&self.folders).find(fails).cloned();
        self.folders = wanted;
        if let Some(folder) = unwatched {
            log::warn!(folder:% = folder.display(); "cannot watch for changes; looking every second");
            self.events = None;
        }
    }
}

fn event_source(woken: Arc<Notify>) -> Option<RecommendedWatcher> {
    let on_event = move |event: notify::Result<Event>| {
        // Our own reading of the file is an event as well: it must not wake us.
        if !event.is_ok_and(|event| is_reading(event.kind)) {
            woken.notify_one();
        }
    };
    notify::recommended_watcher(on_event)
        .inspect_err(|error| log::warn!(error:%; "no file events; looking every second"))
        .ok()
}

fn is_reading(kind: EventKind) -> bool {
    matches!(kind, EventKind::Access(access) if access != AccessKind::Close(AccessMode::Write))
}
