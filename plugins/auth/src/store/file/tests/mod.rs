//! What only a file does: it is opened, locked, lost and found, swept, damaged, and killed in the middle of a write.

mod crash;
mod damage;

use std::os::unix::fs::PermissionsExt;

use redb::ReadableTableMetadata;
use tempfile::TempDir;

use super::tables::{COUNTERS, EXPIRY, LAYOUT, NAMES, REVOCATIONS, REVOKED, SESSIONS, USERS, VALUES};
use super::*;
use crate::store::tests::sample::{a_session, a_user};
use crate::store::tests::{at_once, count, folder, late, millis, names, now, open_file, secs};

const TIMEOUT: Duration = Duration::from_secs(10);

fn path(folder: &TempDir) -> std::path::PathBuf {
    folder.path().join("auth.redb")
}

fn store(file: &Arc<OpenFile>) -> FileStore {
    FileStore::new(file.clone(), 1_000_000, TIMEOUT, late())
}

fn why<T>(answer: Result<T, StoreError>) -> String {
    match answer {
        Ok(_) => panic!("there is nothing wrong"),
        Err(error) => error.to_string(),
    }
}

#[tokio::test]
async fn a_new_file_is_for_its_owner_alone() {
    let folder = folder();
    let _file = open_file(&folder);
    let mode = path(&folder).metadata().expect("a file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn what_was_acknowledged_is_there_when_it_is_opened_again() {
    let folder = folder();
    let (ada, t) = (a_user("ada"), now());
    let session = a_session(ada.id, t);
    let one = Revocation { what: Revoked::Token(Id::random()), before: u64::MAX, until: t.plus(secs(900)) };
    let cursor = {
        let store = store(&open_file(&folder));
        assert!(store.create_user(&ada).await.expect("an answer"));
        store.open_session(&session, 10).await.expect("an answer");
        store.revoke(&[one], t).await.expect("an answer");
        store.put(ada.id, b"value", t.plus(secs(60)), true, t).await.expect("an answer");
        assert!(store.swap_keys(0, b"keys").await.expect("an answer"));
        store.revoked(Cursor(0), t).await.expect("an answer").1
    };
    let store = store(&open_file(&folder));
    assert_eq!(store.user_named("ada").await.expect("an answer"), Some(ada.clone()));
    assert_eq!(store.sessions(ada.id, t).await.expect("an answer"), [session]);
    assert_eq!(store.revoked(Cursor(0), t).await.expect("an answer"), (vec![one], cursor));
    assert_eq!(store.get(ada.id, t).await.expect("an answer").as_deref(), Some(&b"value"[..]));
    assert_eq!(store.keys().await.expect("an answer"), Some((1, b"keys".to_vec())));
    // Places go on where they were, after everything is forgotten, too.
    store.sweep(t.plus(secs(900))).await.expect("an answer");
    store.revoke(&[one], t).await.expect("an answer");
    assert!(store.revoked(cursor, t).await.expect("an answer").1 > cursor);
}

#[tokio::test]
async fn a_file_is_open_once() {
    let folder = folder();
    let file = open_file(&folder);
    assert!(why(OpenFile::open(&path(&folder))).contains("another process"));
    // Whoever is on the way out has a moment for it.
    let closing = std::thread::spawn(move || {
        std::thread::sleep(millis(100));
        drop(file);
    });
    assert!(OpenFile::open(&path(&folder)).is_ok());
    closing.join().expect("no panic");
}

#[tokio::test]
async fn what_is_no_store_is_refused_and_left_as_it_is() {
    let folder = folder();
    std::fs::write(path(&folder), "users: []\n".repeat(1000)).expect("a file");
    assert!(why(OpenFile::open(&path(&folder))).contains("it is no store of this program"));
    assert!(std::fs::read(path(&folder)).expect("a file").starts_with(b"users: []\n"));
    std::fs::write(path(&folder), "").expect("a file");
    assert!(OpenFile::open(&path(&folder)).is_ok(), "an empty file is a new one");
}

#[tokio::test]
async fn a_layout_of_a_later_version_is_refused() {
    let folder = folder();
    let file = open_file(&folder);
    file.writer
        .write(Instant::now() + TIMEOUT, |tables| Ok(tables.numbers.insert(LAYOUT, 2)?.is_some()))
        .await
        .expect("written");
    drop(file);
    assert!(why(OpenFile::open(&path(&folder))).contains("layout 2"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_changes_are_one_write() {
    let folder = folder();
    let file = open_file(&folder);
    let before = file.engine.health().syncs();
    let store = Arc::new(store(&file));
    let created = at_once(400, |turn| {
        let store = store.clone();
        async move { store.create_user(&a_user(&turn.to_string())).await }
    });
    assert_eq!(count(&created.await), 400);
    let syncs = file.engine.health().syncs() - before;
    assert!(syncs < 200, "{syncs} writes for 400 changes");
}

#[tokio::test]
async fn there_are_no_more_users_than_may_be() {
    let folder = folder();
    let file = open_file(&folder);
    let few = FileStore::new(file.clone(), 2, TIMEOUT, late());
    assert!(few.create_user(&a_user("a")).await.expect("an answer"));
    assert!(few.create_user(&a_user("b")).await.expect("an answer"));
    assert!(matches!(few.create_user(&a_user("c")).await, Err(StoreError::Full(_))));
    assert!(!few.create_user(&a_user("a")).await.expect("a name that is taken is taken"));
    assert_eq!(few.user_named("c").await.expect("an answer"), None);
    assert!(store(&file).create_user(&a_user("c")).await.expect("a reload allows more"));
}

#[tokio::test]
async fn a_corrupt_record_is_nobody_else_s_problem() {
    let folder = folder();
    let file = open_file(&folder);
    let store = Arc::new(store(&file));
    let (ada, bob) = (a_user("ada"), a_user("bob"));
    store.create_user(&ada).await.expect("an answer");
    store.create_user(&bob).await.expect("an answer");
    let id = ada.id;
    let spoil = move |tables: &mut Tables<'_>| Ok(tables.users.insert(&id.0, &b"1{}"[..])?.is_some());
    file.writer.write(Instant::now() + TIMEOUT, spoil).await.expect("written");
    assert!(matches!(store.user(ada.id).await, Err(StoreError::Corrupt(_))));
    // In one group of writes.
    let (bad, good) = tokio::join!(store.update_user(&ada), store.update_user(&bob));
    assert!(matches!(bad, Err(StoreError::Corrupt(_))));
    assert!(good.expect("an answer"));
    assert!(!file.engine.is_lost());
}

#[tokio::test]
async fn a_change_that_comes_too_late_is_not_made() {
    let folder = folder();
    let file = open_file(&folder);
    let hasty = FileStore::new(file.clone(), 10, Duration::ZERO, late());
    assert!(matches!(hasty.create_user(&a_user("ada")).await, Err(StoreError::Unavailable(_))));
    let store = store(&file);
    assert!(store.create_user(&a_user("bob")).await.expect("an answer"));
    assert_eq!(store.user_named("ada").await.expect("an answer"), None);
}

/// Waits until the file can be written again.
async fn found(store: &FileStore) {
    tidegate_testkit::wait_until_async("the file is open again", async || store.write(|_| Ok(())).await.is_ok()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_loses_nothing_and_is_forgotten_when_there_is_room() {
    let folder = folder();
    let file = open_file(&folder);
    let store = Arc::new(store(&file));
    let before = names(20);
    for name in &before {
        assert!(store.create_user(&a_user(name)).await.expect("an answer"));
    }
    file.engine.health().set_full(true);
    let failed = store.create_user(&a_user("late")).await;
    assert!(matches!(&failed, Err(StoreError::Unavailable(why)) if why.contains("I/O")), "{failed:?}");
    found(&store).await;
    assert_eq!(store.user_named("late").await.expect("an answer"), None, "nothing is half written");
    for name in &before {
        assert!(store.user_named(name).await.expect("an answer").is_some());
    }
    assert!(store.create_user(&a_user("late")).await.expect("an answer"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_of_the_database_is_an_error_and_the_file_is_opened_again() {
    let folder = folder();
    let file = open_file(&folder);
    let store = Arc::new(store(&file));
    store.create_user(&a_user("ada")).await.expect("an answer");
    let panics = |tables: &mut Tables<'_>| -> Result<(), StoreError> {
        tables.users.remove(&[0; 16])?;
        panic!("as on a damaged page")
    };
    assert!(matches!(store.write(panics).await, Err(StoreError::Unavailable(_))));
    found(&store).await;
    let reading: Result<(), _> = store.read(|_| panic!("as on a damaged page")).await;
    assert!(matches!(reading, Err(StoreError::Unavailable(_))));
    // A reader finds it lost, and has the writer open it.
    tidegate_testkit::wait_until_async("it is read again", async || store.user_named("ada").await.is_ok()).await;
    assert!(store.user_named("ada").await.expect("an answer").is_some());
}

/// How many rows there are: users, names, sessions, counters, values, revocations (twice), and what is due.
async fn rows(store: &FileStore) -> [u64; 8] {
    let rows = store.read(|view| {
        Ok([
            view.open_table(USERS)?.len()?,
            view.open_table(NAMES)?.len()?,
            view.open_table(SESSIONS)?.len()?,
            view.open_table(COUNTERS)?.len()?,
            view.open_table(VALUES)?.len()?,
            view.open_table(REVOKED)?.len()?,
            view.open_table(REVOCATIONS)?.len()?,
            view.open_table(EXPIRY)?.len()?,
        ])
    });
    rows.await.expect("rows")
}

#[tokio::test]
async fn a_sweep_removes_what_is_over_and_nothing_else() {
    let folder = folder();
    let (store, t) = (store(&open_file(&folder)), now());
    store.create_user(&a_user("ada")).await.expect("an answer");
    let soon = t.plus(secs(10));
    for _ in 0..3 {
        let (short, long) =
            (Counter { key: Id::random(), window: secs(10) }, Counter { key: Id::random(), window: secs(99) });
        store.count(&[short, long], 1, t).await.expect("an answer");
        for until in [soon, t.plus(secs(99))] {
            store.put(Id::random(), b"v", until, true, t).await.expect("an answer");
            let what = Revoked::Token(Id::random());
            store.revoke(&[Revocation { what, before: u64::MAX, until }], t).await.expect("an answer");
        }
        let used = a_session(Id::random(), t);
        store.open_session(&used, 10).await.expect("an answer");
        let idle = Session { until: soon, ..a_session(Id::random(), t) };
        store.open_session(&idle, 10).await.expect("an answer");
        let idle = Session { until: soon, ..a_session(Id::random(), t) };
        store.open_session(&idle, 10).await.expect("an answer");
        store.touch(idle.id, t, t.plus(secs(99))).await.expect("an answer");
    }
    assert_eq!(rows(&store).await, [1, 1, 9, 6, 6, 6, 6, 27]);
    assert_eq!(store.sweep(Millis(soon.0 - 1)).await.expect("an answer"), 0);
    assert_eq!(store.sweep(soon).await.expect("an answer"), 12);
    assert_eq!(rows(&store).await, [1, 1, 6, 3, 3, 3, 3, 15]);
    assert_eq!(store.sweep(soon).await.expect("an answer"), 0, "a session that was used is looked at again later");
    assert_eq!(store.sweep(t.plus(secs(86_400 * 31))).await.expect("an answer"), 15);
    assert_eq!(rows(&store).await, [1, 1, 0, 0, 0, 0, 0, 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_than_one_batch_is_swept() {
    let folder = folder();
    let (store, t) = (Arc::new(store(&open_file(&folder))), now());
    let many: Vec<_> = (0..2500).map(|_| Counter { key: Id::random(), window: secs(10) }).collect();
    store.count(&many, 1, t).await.expect("an answer");
    assert_eq!(store.sweep(t.plus(secs(10))).await.expect("an answer"), 2500);
}

#[tokio::test]
async fn what_is_over_gives_way_without_a_sweep() {
    let folder = folder();
    let (store, mut t) = (store(&open_file(&folder)), now());
    for _ in 0..20 {
        let some: Vec<_> = (0..50).map(|_| Counter { key: Id::random(), window: secs(10) }).collect();
        store.count(&some, 1, t).await.expect("an answer");
        t = t.plus(secs(10));
    }
    let [.., counters, _, _, _, due] = rows(&store).await;
    assert!(counters <= 50 && due <= 50, "{counters} of 1000 are left, {due} are due");
}

/// A machine whose clock is set a day ahead, and back.
#[tokio::test]
async fn what_still_counts_outlives_a_clock_that_jumps_ahead_and_back() {
    let folder = folder();
    let clock = tidegate_testkit::manual_clock();
    let file = open_file(&folder);
    let store = FileStore::new(file.clone(), 10, TIMEOUT, Clock::new(clock.clone()));
    let now = || Millis::of(Clock::new(clock.clone()).wall());
    let t = now();
    let (session, live) = (a_session(Id::random(), t), a_revocation(t.plus(secs(900))));
    store.open_session(&session, 10).await.expect("an answer");
    store.revoke(&[live], t).await.expect("an answer");
    clock.set_wall(tidegate_core::TimeSource::wall(&clock) + secs(60 * 86_400));
    store.revoke(&[a_revocation(now().plus(secs(900)))], now()).await.expect("an answer");
    store.open_session(&a_session(Id::random(), now()), 10).await.expect("an answer");
    store.put(Id::random(), b"v", now().plus(secs(9)), false, now()).await.expect("an answer");
    assert_eq!(store.sweep(now()).await.expect("an answer"), 0);
    clock.set_wall(tidegate_core::TimeSource::wall(&clock) - secs(60 * 86_400));
    assert!(store.is_revoked(&[live.what], 0, t).await.expect("an answer"));
    assert_eq!(store.session(session.id, t).await.expect("an answer"), Some(session));
    // When time has passed, it is over.
    clock.advance(secs(901));
    assert_eq!(store.sweep(now()).await.expect("an answer"), 1);
}

fn a_revocation(until: Millis) -> Revocation {
    Revocation { what: Revoked::Token(Id::random()), before: u64::MAX, until }
}
