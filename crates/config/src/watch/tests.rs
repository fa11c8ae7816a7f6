use std::fs;
use std::io::Write as _;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use std::path::Path;

use super::*;

/// Longer than any test waits for what does happen.
const DEADLINE: Duration = Duration::from_secs(20);

struct Watched {
    folder: tempfile::TempDir,
    changes: Receiver<()>,
    _guard: WatchGuard,
}

impl Watched {
    /// Watches `name` in a new folder that `prepare` has filled.
    fn new(name: &str, prepare: impl FnOnce(&Path)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        prepare(folder.path());
        let (changed, changes) = channel();
        let guard = watch(vec![folder.path().join(name)], move || changed.send(()).unwrap_or(())).unwrap();
        Self { folder, changes, _guard: guard }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn notices(&self) -> bool {
        self.changes.recv_timeout(DEADLINE).is_ok()
    }
}

fn with_file(folder: &Path) {
    fs::write(folder.join("a.yaml"), "a: 1").unwrap();
}

#[test]
fn a_write_is_noticed() {
    let watched = Watched::new("a.yaml", with_file);
    fs::write(watched.path("a.yaml"), "a: 2").unwrap();
    assert!(watched.notices());
    fs::write(watched.path("a.yaml"), "a: 3").unwrap();
    assert!(watched.notices());
}

#[test]
fn a_file_renamed_over_the_old_one_is_noticed() {
    let watched = Watched::new("a.yaml", with_file);
    for n in 2..4 {
        fs::write(watched.path("new"), format!("a: {n}")).unwrap();
        fs::rename(watched.path("new"), watched.path("a.yaml")).unwrap();
        assert!(watched.notices());
    }
}

#[test]
fn a_file_that_appears_is_noticed() {
    let watched = Watched::new("a.yaml", |_| {});
    fs::write(watched.path("a.yaml"), "a: 1").unwrap();
    assert!(watched.notices());
}

#[cfg(unix)]
#[test]
fn a_swapped_link_to_a_folder_is_noticed() {
    use std::os::unix::fs::symlink;
    let watched = Watched::new("a.yaml", |folder| {
        fs::create_dir(folder.join("one")).unwrap();
        fs::write(folder.join("one/a.yaml"), "a: 1").unwrap();
        symlink("one", folder.join("..data")).unwrap();
        symlink("..data/a.yaml", folder.join("a.yaml")).unwrap();
    });
    for name in ["two", "three"] {
        fs::create_dir(watched.path(name)).unwrap();
        fs::write(watched.path(name).join("a.yaml"), format!("a: {name}")).unwrap();
        symlink(name, watched.path("..tmp")).unwrap();
        fs::rename(watched.path("..tmp"), watched.path("..data")).unwrap();
        assert!(watched.notices());
    }
}

#[test]
fn the_same_content_is_no_change() {
    let watched = Watched::new("a.yaml", with_file);
    // Never an empty file, which would be another content: on a busy machine somebody could look just then.
    let in_place = |text: &str| {
        let mut file = fs::File::options().write(true).open(watched.path("a.yaml")).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    };
    in_place("a: 1");
    fs::write(watched.path("new"), "a: 1").unwrap();
    fs::rename(watched.path("new"), watched.path("a.yaml")).unwrap();
    fs::write(watched.path("other"), "x").unwrap();
    in_place("a: 2");
    assert!(watched.notices());
    drop(watched._guard);
    // The thread has ended, so no call can be on its way.
    assert_eq!(watched.changes.try_iter().count(), 0);
}

#[test]
fn without_events_the_files_are_looked_at() {
    let folder = tempfile::tempdir().unwrap();
    with_file(folder.path());
    let (wake, woken) = channel();
    let mut watcher = Watcher::new(vec![folder.path().join("a.yaml")], None, woken);
    let (changed, changes) = channel();
    let thread = thread::spawn(move || watcher.run(&|| changed.send(()).unwrap_or(())));
    fs::write(folder.path().join("a.yaml"), "a: 2").unwrap();
    assert!(changes.recv_timeout(DEADLINE).is_ok());
    wake.send(Wake::Stop).unwrap();
    thread.join().unwrap();
}

#[test]
fn a_callback_may_drop_its_own_guard() {
    let folder = tempfile::tempdir().unwrap();
    with_file(folder.path());
    let slot = std::sync::Arc::new(std::sync::Mutex::new(None::<WatchGuard>));
    let (done, ended) = channel();
    let own = slot.clone();
    let guard = watch(vec![folder.path().join("a.yaml")], move || {
        drop(own.lock().unwrap().take());
        done.send(()).unwrap_or(());
    });
    *slot.lock().unwrap() = Some(guard.unwrap());
    fs::write(folder.path().join("a.yaml"), "a: 2").unwrap();
    assert!(ended.recv_timeout(DEADLINE).is_ok());
}
