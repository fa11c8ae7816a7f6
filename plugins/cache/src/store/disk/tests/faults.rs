//! A disk that is full, gone, or slow.

use std::process::Command;
use std::sync::mpsc;

use super::*;

/// A file system of 4 MiB, where we may make one.
struct Small(PathBuf);

impl Small {
    fn mount(path: &Path) -> Option<Self> {
        fs::create_dir_all(path).expect("made");
        let mut mount = Command::new("mount");
        let mounted = mount.args(["-t", "tmpfs", "-o", "size=4m", "tmpfs"]).arg(path).output();
        mounted.is_ok_and(|done| done.status.success()).then(|| Self(path.to_owned()))
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[tokio::test]
async fn on_a_full_disk_answers_are_not_stored_and_those_that_are_give_way() {
    let zone = Zone::plain();
    let Some(_small) = Small::mount(zone.path()) else {
        eprintln!("not checked: no file system can be mounted here");
        return;
    };
    let disk = zone.open().await;
    store(&disk, 1, &a_body(1_000_000)).await;
    // Somebody else takes the rest.
    let _ = fs::write(zone.path().join("other"), vec![0; 4 << 20]);
    let mut write = disk.begin(&slot(2), &key(2), &a_head());
    write.write(a_body(500_000)).await;
    assert_eq!(write.finish().await.expect_err("full").kind(), io::ErrorKind::StorageFull);
    assert_eq!(zone.leftovers(), [] as [PathBuf; 0]);
    until("what was stored gives way", || disk.place.taken() == 0).await;
    store(&disk, 2, &a_body(500_000)).await;
    assert!(body_of(&disk, 2).await.expect("a hit") == a_body(500_000));
}

#[tokio::test]
async fn nobody_reads_what_the_disk_may_have_no_room_for() {
    let zone = Zone::plain();
    let Some(_small) = Small::mount(zone.path()) else {
        eprintln!("not checked: no file system can be mounted here");
        return;
    };
    let disk = zone.open().await;
    // Nobody knows how long it gets.
    let mut write = disk.begin(&slot(1), &key(1), &a_head());
    write.write(a_body(1_000_000)).await;
    until("some is written", || !zone.leftovers().is_empty()).await;
    assert!(write.way().follow().is_none());
    drop(write);
    // Longer than the disk: that is known before anything is written.
    let mut write = disk.begin(&slot(1), &key(1), &a_head_of(5_000_000));
    write.write(a_body(100_000)).await;
    until("it is lost", || write.is_lost()).await;
    assert!(write.way().follow().is_none());
    until("nothing is left", || zone.leftovers().is_empty()).await;
}

#[tokio::test]
async fn who_reads_an_answer_meanwhile_gets_all_of_it_though_it_can_not_be_stored() {
    let zone = Zone::plain();
    let disk = zone.open().await;
    let body = a_body(1_000_000);
    let mut write = disk.begin(&slot(1), &key(1), &a_head_of(body.len()));
    write.write(body.slice(..500_000)).await;
    until("there is room for all of it", || write.way().follow().is_some()).await;
    let mut follow = write.way().follow().expect("a reader");
    fs::remove_dir_all(zone.path()).expect("removed");
    write.write(body.slice(500_000..)).await;
    assert!(write.finish().await.is_err());
    let mut all = Vec::new();
    while let Some(piece) =
        Some(follow.read(all.len() as u64, 50_000).await.expect("more")).filter(|piece| !piece.is_empty())
    {
        all.extend_from_slice(&piece);
    }
    assert!(all == body);
}

#[tokio::test]
async fn a_folder_that_was_removed_costs_what_it_held_and_is_made_again() {
    let zone = Zone::plain();
    let disk = zone.open().await;
    store(&disk, 1, b"one").await;
    fs::remove_dir_all(zone.path()).expect("removed");
    assert!(find(&disk, 1).await.is_none());
    store(&disk, 2, b"two").await;
    assert_eq!(body_of(&disk, 2).await.as_deref(), Some(b"two".as_slice()));
    // Removed while an answer is on its way.
    let mut write = disk.begin(&slot(3), &key(3), &a_head());
    write.write(a_body(1_000_000)).await;
    until("some is written", || !zone.leftovers().is_empty()).await;
    fs::remove_dir_all(zone.path()).expect("removed");
    assert!(write.finish().await.is_err());
    store(&disk, 3, b"three").await;
    assert_eq!(disk.place.taken(), disk.place.index.bytes());
    let disk = zone.open_again(disk).await;
    assert_eq!(body_of(&disk, 3).await.as_deref(), Some(b"three".as_slice()), "the secret is the same");
}

#[tokio::test]
async fn where_no_folder_can_be_made_answers_are_not_stored() {
    let zone = Zone::plain();
    let disk = zone.open().await;
    fs::remove_dir_all(zone.path()).expect("removed");
    fs::write(zone.path(), "a file in its place").expect("written");
    let mut write = disk.begin(&slot(1), &key(1), &a_head());
    write.write(Bytes::from("one")).await;
    assert!(write.finish().await.is_err());
    assert!(find(&disk, 1).await.is_none());
    fs::remove_file(zone.path()).expect("removed");
    store(&disk, 1, b"one").await;
    assert_eq!(body_of(&disk, 1).await.as_deref(), Some(b"one".as_slice()));
}

#[tokio::test]
async fn a_disk_that_hangs_costs_answers_and_no_time() {
    let mut zone = Zone::plain();
    // Long enough for what must be read in time on a busy machine; it is waited for once.
    (zone.config.threads, zone.config.timeout) = (1, Wait::from_secs(3));
    let disk = zone.open().await;
    store(&disk, 1, &a_body(2_000_000)).await;
    let mut hit = find(&disk, 1).await.expect("a hit");
    let (go, wait) = mpsc::channel::<()>();
    disk.place.pool.surely(move || assert!(wait.recv().is_ok()));
    let mut write = disk.begin(&slot(2), &key(2), &a_head());
    for _ in 0..30 {
        write.write(a_body(1 << 20)).await;
    }
    assert!(write.is_lost());
    assert!(hit.read(0, 10).await.is_err());
    assert!(find(&disk, 1).await.is_none());
    assert!(disk.begin(&slot(3), &key(3), &a_head()).is_lost());
    go.send(()).expect("it waits");
    until("it moves again", || !disk.place.pool.hangs()).await;
    assert!(body_of(&disk, 1).await.expect("a hit") == a_body(2_000_000));
    until("nothing is left", || zone.leftovers().is_empty()).await;
}

#[tokio::test]
async fn a_folder_is_of_one_zone() {
    let zone = Zone::plain();
    let _disk = zone.open().await;
    let error = Disk::open("other", &zone.config, &Clock::system(), &Metrics::new()).expect_err("refused");
    assert!(error.to_string().contains("the zone `main` has this folder"), "{error}");
}

#[test]
fn a_section_that_cannot_work_is_refused_in_every_place() {
    let mut zone = Zone::plain();
    (zone.config.size, zone.config.threads) = (ByteSize::kib(1), 0);
    zone.config.path = zone.path().join("not/there");
    zone.encrypt("password", &["password"]);
    let errors = Disk::check(&zone.config).expect_err("refused").to_string();
    for path in ["size:", "threads:", "path:", "encryption.key:", "encryption.old_keys[0]:"] {
        assert!(errors.contains(path), "{path} {errors}");
    }
    assert!(!errors.contains("password"), "{errors}");
}
