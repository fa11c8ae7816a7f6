//! What is kept in a file is had again, and no damage to it goes unseen or harms.

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::*;
use crate::algorithm::Period;
use crate::rule::Rule;
use crate::store::memory::tests::{Turned, ask, bucket, concurrency, fixed, key, settlement, sliding, store};

/// Some keys of all kinds, saved; with the folder they are in, and the clock.
fn saved() -> (tempfile::TempDir, PathBuf, Turned) {
    let (store, clock) = store(1 << 20);
    for whose in 0..20 {
        for rule in rules() {
            store.burst(&rule, &key(1, whose), 3);
        }
    }
    store.settle(&settlement(&Rule::ban(), &key(2, 1), 100_000_000), store.now());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("limits");
    store.save(&path).unwrap();
    (folder, path, clock)
}

fn rules() -> [Rule; 5] {
    let daily = Rule::calendar(5, Period::Day, jiff::tz::TimeZone::UTC).unwrap();
    [fixed("5/h"), sliding("5/h"), bucket(5, "1/m"), concurrency(5), daily]
}

fn load(path: &Path, clock: &Turned) -> Memory {
    Memory::load(path, 1 << 20, clock.clock()).unwrap().unwrap()
}

#[test]
fn a_restart_forgets_nothing_but_what_was_in_flight() {
    let (_folder, path, clock) = saved();
    let store = load(&path, &clock);
    for whose in 0..20 {
        let left = rules().map(|rule| store.left(&rule, &key(1, whose)));
        assert_eq!(left, [2, 2, 2, 5, 2]);
    }
    assert!(!store.admits(&Rule::ban(), &key(2, 1)));
}

#[test]
fn time_goes_on_while_nothing_runs() {
    let (_folder, path, clock) = saved();
    clock.pass(99);
    let store = load(&path, &clock);
    assert_eq!(store.left(&bucket(5, "1/m"), &key(1, 1)), 3, "a minute's token came back");
    assert!(!store.admits(&Rule::ban(), &key(2, 1)));
    clock.pass(1);
    assert!(store.admits(&Rule::ban(), &key(2, 1)));
    clock.pass(3600 - 100);
    assert_eq!(store.left(&fixed("5/h"), &key(1, 1)), 5);
    assert_eq!(store.left(&sliding("5/h"), &key(1, 1)), 5);
}

#[test]
fn a_wall_clock_that_went_back_neither_frees_nor_locks_out() {
    let (_folder, path, mut clock) = saved();
    clock.start.1 -= std::time::Duration::from_secs(10_000_000);
    let store = load(&path, &clock);
    assert_eq!(store.left(&fixed("5/h"), &key(1, 1)), 2);
    clock.pass(3600);
    assert_eq!(store.left(&fixed("5/h"), &key(1, 1)), 5);
}

#[test]
fn it_can_be_saved_again_and_again_and_only_the_owner_can_read_it() {
    let (folder, path, clock) = saved();
    let store = load(&path, &clock);
    store.save(&path).unwrap();
    assert_eq!(load(&path, &clock).left(&fixed("5/h"), &key(1, 1)), 2);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no draft is left behind");
}

#[test]
fn saves_at_once_of_a_store_and_its_successors_wait_for_each_other() {
    let (store, clock) = store(1 << 20);
    store.burst(&fixed("5/h"), &key(1, 1), 3);
    let first = Arc::new(store);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("limits");
    std::thread::scope(|scope| {
        let mut latest = first.clone();
        for size in 1..5 {
            let store = std::mem::replace(&mut latest, first.resized(size << 19));
            let path = &path;
            scope.spawn(move || (0..10).for_each(|_| store.save(path).unwrap()));
        }
    });
    assert_eq!(load(&path, &clock).left(&fixed("5/h"), &key(1, 1)), 2);
}

#[test]
fn the_seed_is_not_shown() {
    let (store, _) = store(1 << 20);
    let (shown, (seed, _)) = (format!("{store:?}"), store.seed);
    assert!(!shown.contains(&seed.to_string()) && !shown.contains("seed"), "{shown}");
}

#[test]
fn what_does_not_fit_is_left_out_the_guilty_last() {
    let (store, clock) = store(1 << 20);
    let rule = fixed("10/h");
    for whose in 0..5_000 {
        store.settle(&settlement(&rule, &key(1, whose), if whose < 50 { 10 } else { 1 }), store.now());
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("limits");
    store.save(&path).unwrap();
    let small = Memory::load(&path, Size::of(16 << 10, false), clock.clock()).unwrap().unwrap();
    assert!((0..50).all(|whose| !small.admits(&rule, &key(1, whose))));
}

#[test]
fn no_file_is_no_error_and_a_folder_is_one() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Turned::new();
    assert!(Memory::load(&folder.path().join("none"), 1 << 20, clock.clock()).unwrap().is_none());
    let error = Memory::load(folder.path(), 1 << 20, clock.clock()).unwrap_err();
    assert!(matches!(error, FileError::Io { act: "read", .. }), "{error}");
    let (store, _) = store(1 << 20);
    assert!(store.save(&folder.path().join("no/such/folder")).is_err());
}

#[test]
fn a_file_cut_off_or_changed_anywhere_is_refused() {
    let (_folder, path, clock) = saved();
    let whole = fs::read(&path).unwrap();
    let parse = |bytes: &[u8]| Memory::from_bytes(bytes, Size::of(1024, true), clock.clock()).map(|_| ());
    assert_eq!(parse(&whole), Ok(()));
    for end in 0..whole.len() {
        assert!(parse(&whole[..end]).is_err(), "cut off at {end}");
    }
    for at in 0..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= 1 << (at % 8);
        assert!(parse(&changed).is_err(), "changed at {at}");
    }
    assert!(parse(&[whole.as_slice(), &[0]].concat()).is_err(), "with something behind it");
    assert_eq!(parse(&[b'a'; 100]), Err("it is not a file of limits"));
}

/// Whoever can write a checksum can write anything.
#[test]
fn whatever_is_in_a_file_with_a_right_checksum_never_panics() {
    let (_folder, path, clock) = saved();
    let whole = fs::read(&path).unwrap();
    let body = &whole[..whole.len() - SUM];
    for at in (16..body.len()).step_by(4) {
        for value in [0, 0x7f, 0xff] {
            let mut changed = body.to_vec();
            changed[at..].iter_mut().take(8).for_each(|byte| *byte = value);
            let sum = Sha256::digest(&changed);
            changed.extend_from_slice(&sum);
            if let Ok(store) = Memory::from_bytes(&changed, Size::of(8192, true), clock.clock()) {
                for rule in rules() {
                    store.take(&[ask(&rule, &key(1, 1))], store.now());
                }
                store.counts(store.now());
            }
        }
    }
}
