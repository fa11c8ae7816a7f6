//! What is stored is found: later, elsewhere, after a restart.

use proptest::prelude::*;
use tidegate_core::HeaderMap;

use super::*;

#[tokio::test]
async fn an_answer_is_read_as_it_was_stored_and_after_a_restart_too() {
    for zone in [Zone::plain(), Zone::sealed()] {
        let lengths = [0, 1, 1000, 65_535, 65_536, 65_537, 300_000, 1 << 20, (1 << 20) + 1, 3_000_000];
        let mut disk = zone.open().await;
        for (number, length) in lengths.into_iter().enumerate() {
            store(&disk, number as u8, &a_body(length)).await;
        }
        for restarts in [false, true] {
            if restarts {
                disk = zone.open_again(disk).await;
            }
            for (number, length) in lengths.into_iter().enumerate() {
                let hit = find(&disk, number as u8).await.expect("a hit");
                assert_eq!(format!("{:?}", hit.head()), format!("{:?}", a_head()));
                assert_eq!(hit.whole().is_some(), length <= 1 << 20, "{length}");
                assert!(body_of(&disk, number as u8).await.expect("a hit") == a_body(length), "{length}");
            }
        }
        assert_eq!(disk.place.index.objects(), lengths.len() as u64);
        let on_disk: u64 =
            zone.files().iter().map(|file| file.metadata().expect("a file").len().div_ceil(4096) * 4096).sum();
        assert_eq!(disk.place.index.bytes(), on_disk);
        assert_eq!(disk.place.taken(), on_disk, "nothing is reserved any more");
        assert_eq!(disk.place.waiting.load(std::sync::atomic::Ordering::Relaxed), 0);
        assert_eq!(zone.leftovers(), [] as [PathBuf; 0]);
    }
}

#[tokio::test]
async fn another_key_or_variant_of_the_same_hash_is_a_miss() {
    let zone = Zone::plain();
    let disk = zone.open().await;
    store(&disk, 1, b"one").await;
    assert!(disk.find(&slot(1), b"another key").await.is_none());
    assert!(disk.find(&Slot { key: [1; 16], variant: Some([0; 16]) }, &key(1)).await.is_none());
    assert_eq!(body_of(&disk, 1).await.as_deref(), Some(b"one".as_slice()), "it is still there");
    let variant = Slot { key: [1; 16], variant: Some([7; 16]) };
    disk.keep(&variant, &key(1), &a_head(), [Bytes::from("vari"), Bytes::from("ant")].into_iter().collect());
    until("it is stored", || disk.place.index.objects() == 2).await;
    let mut hit = disk.find(&variant, &key(1)).await.expect("a hit");
    assert_eq!(read_all(&mut hit).await.expect("a body"), b"variant");
}

#[tokio::test]
async fn a_range_is_read_without_what_is_before_it() {
    for zone in [Zone::plain(), Zone::sealed()] {
        let disk = zone.open().await;
        let body = a_body(5_000_000);
        store(&disk, 1, &body).await;
        let before = disk.metrics.read_bytes.get();
        let mut hit = find(&disk, 1).await.expect("a hit");
        assert_eq!(hit.read(4_000_000, 10).await.expect("ten bytes"), body[4_000_000..4_000_010]);
        assert_eq!(hit.read(4_999_999, 10).await.expect("the last"), body[4_999_999..]);
        assert_eq!(hit.read(5_000_000, 10).await.expect("nothing"), b""[..]);
        assert_eq!(hit.read(131_071, 10).await.expect("one byte of that block"), body[131_071..131_072]);
        assert!(disk.metrics.read_bytes.get() - before <= 4 * 65_536);
    }
}

#[tokio::test]
async fn an_answer_is_read_while_it_is_written() {
    for zone in [Zone::plain(), Zone::sealed()] {
        let disk = zone.open().await;
        let body = a_body(2_000_000);
        let mut write = disk.begin(&slot(1), &key(1), &a_head_of(body.len()));
        write.write(body.slice(..100_000)).await;
        until("there is room for all of it", || write.way().follow().is_some()).await;
        let (mut early, mut late) = (write.way().follow().expect("a reader"), write.way().follow().expect("a reader"));
        assert_eq!(early.read(0, 1000).await.expect("what is there"), body[..1000]);
        let reading = tokio::spawn(async move {
            let mut all = Vec::new();
            while let Some(piece) = Some(early.read(all.len() as u64, 50_000).await?).filter(|piece| !piece.is_empty())
            {
                all.extend_from_slice(&piece);
            }
            io::Result::Ok(all)
        });
        for from in (100_000..body.len()).step_by(7_777) {
            write.write(body.slice(from..body.len().min(from + 7_777))).await;
            tokio::task::yield_now().await;
        }
        assert_eq!(write.finish().await.expect("stored"), body.len() as u64);
        assert!(reading.await.expect("no panic").expect("all of it") == body);
        assert_eq!(late.read(1_999_990, 50).await.expect("the end"), body[1_999_990..]);
        assert_eq!(late.read(2_000_000, 50).await.expect("nothing more"), b""[..]);
        assert!(body_of(&disk, 1).await.expect("a hit") == body);
    }
}

#[tokio::test]
async fn an_answer_that_does_not_come_whole_leaves_nothing() {
    let zone = Zone::plain();
    let disk = zone.open().await;
    let mut write = disk.begin(&slot(1), &key(1), &a_head_of(1_000_001));
    write.write(a_body(1_000_000)).await;
    until("there is room for all of it", || write.way().follow().is_some()).await;
    let mut follow = write.way().follow().expect("a reader");
    until("some is written", || !zone.leftovers().is_empty()).await;
    drop(write);
    assert!(follow.read(1_000_000, 10).await.is_err());
    until("nothing is left", || zone.leftovers().is_empty() && disk.place.taken() == 0).await;
    assert!(find(&disk, 1).await.is_none());
    assert_eq!(zone.files(), [] as [PathBuf; 0]);
}

#[tokio::test]
async fn a_head_that_is_renewed_is_found_and_after_a_restart_too() {
    for zone in [Zone::plain(), Zone::sealed()] {
        let mut disk = zone.open().await;
        store(&disk, 1, &a_body(100_000)).await;
        for turn in 1..6 {
            assert!(disk.replace_head(&slot(1), &key(1), &renewed(turn)).await);
            if turn % 2 == 0 {
                disk = zone.open_again(disk).await;
            }
            let hit = find(&disk, 1).await.expect("a hit");
            assert_eq!(format!("{:?}", hit.head()), format!("{:?}", renewed(turn)));
            assert!(body_of(&disk, 1).await.expect("a hit") == a_body(100_000));
        }
    }
}

#[tokio::test]
async fn a_head_is_not_given_to_another_answer() {
    let zone = Zone::plain();
    let disk = zone.open().await;
    assert!(!disk.replace_head(&slot(1), &key(1), &renewed(1)).await, "there is none");
    store(&disk, 1, b"one").await;
    let mut other = renewed(1);
    other.headers.insert("etag", HeaderValue::from_static("\"two\""));
    assert!(!disk.replace_head(&slot(1), &key(1), &other).await);
    assert!(!disk.replace_head(&slot(1), b"another key", &renewed(1)).await);
    assert_eq!(find(&disk, 1).await.expect("a hit").head().headers, a_head().headers);
    // There is no room for this one: the answer goes, rather than keep what is no longer true.
    let mut longer = renewed(1);
    longer.headers.insert("x-long", HeaderValue::from_str(&"x".repeat(5000)).expect("a value"));
    assert!(!disk.replace_head(&slot(1), &key(1), &longer).await);
    assert!(find(&disk, 1).await.is_none());
}

#[tokio::test]
async fn what_is_removed_is_gone_and_after_a_restart_too() {
    let zone = Zone::plain();
    let disk = zone.open().await;
    store(&disk, 1, b"one").await;
    store(&disk, 2, b"two").await;
    assert!(disk.remove(&slot(1)).await);
    assert!(!disk.remove(&slot(1)).await);
    let disk = zone.open_again(disk).await;
    assert!(find(&disk, 1).await.is_none());
    assert!(find(&disk, 2).await.is_some());
}

#[tokio::test]
async fn an_older_answer_never_takes_the_place_of_a_newer_one() {
    let zone = Zone::plain();
    let disk = zone.open().await;
    let begin = |turn| disk.begin(&slot(1), &key(1), &renewed(turn));
    let (mut first, mut second) = (begin(1), begin(2));
    first.write(Bytes::from("first")).await;
    second.write(Bytes::from("second")).await;
    assert!(second.finish().await.is_ok());
    assert!(first.finish().await.is_err());
    assert_eq!(body_of(&disk, 1).await.as_deref(), Some(b"second".as_slice()));
    let mut third = begin(3);
    third.write(Bytes::from("third")).await;
    disk.forget(&slot(1));
    assert!(third.finish().await.is_err());
    assert!(find(&disk, 1).await.is_none());
    until("its file is gone", || zone.files().is_empty() && zone.leftovers().is_empty()).await;
}

#[tokio::test]
async fn what_is_not_used_makes_room_for_what_is_new() {
    let mut zone = Zone::plain();
    zone.config.size = ByteSize::mib(1);
    let disk = zone.open().await;
    for number in 0..250 {
        store(&disk, number, &a_body(30_000)).await;
        assert!(find(&disk, 0).await.is_some(), "it is used all the time");
        assert!(disk.place.taken() <= 1 << 20);
    }
    let objects = zone.files().len();
    assert!((20..=32).contains(&objects), "{objects}");
    assert_eq!(disk.metrics.evicted.get(), 250 - objects as u64);
    // It may hold less from now on; what takes more than half of it is not stored.
    zone.config.size = ByteSize::mib(1);
    let mut write = disk.begin(&slot(1), &key(1), &a_head());
    write.write(a_body(600_000)).await;
    assert!(write.is_lost());
    assert_eq!(write.finish().await.expect_err("too large").kind(), io::ErrorKind::FileTooLarge);
}

#[tokio::test]
async fn a_folder_that_may_hold_less_than_before_shrinks() {
    let mut zone = Zone::plain();
    let disk = zone.open().await;
    for number in 0..100 {
        store(&disk, number, &a_body(30_000)).await;
    }
    zone.config.size = ByteSize::mib(2);
    // While it is open, as when the configuration is loaded again.
    let second = zone.open_at_once();
    second.fit();
    until("it fits", || second.place.taken() <= 2 << 20).await;
    drop(second);
    zone.config.size = ByteSize::mib(1);
    let disk = zone.open_again(disk).await;
    until("it fits", || disk.place.taken() <= 1 << 20).await;
    until("the files are gone", || zone.files().len() <= 32).await;
}

#[tokio::test]
async fn lookups_need_not_wait_until_the_folder_is_listed() {
    let zone = Zone::plain();
    let disk = zone.open().await;
    for number in 0..200 {
        store(&disk, number, b"found").await;
    }
    let place = Arc::downgrade(&disk.place);
    drop(disk);
    until("the folder is free", || place.strong_count() == 0).await;
    let disk = zone.open_at_once();
    for number in 0..200 {
        assert!(disk.may_hold(&slot(number)));
        assert_eq!(body_of(&disk, number).await.as_deref(), Some(b"found".as_slice()));
    }
    until("the folder is listed", || disk.place.is_scanned()).await;
    assert_eq!(disk.place.index.objects(), 200);
    assert!(!disk.may_hold(&slot(201)));
}

#[tokio::test]
async fn an_encrypted_folder_shows_nothing_of_what_is_stored() {
    let mut zone = Zone::plain();
    let secret = b"PLAINTEXT-MARKER".repeat(5000);
    let mut head = a_head();
    head.headers =
        HeaderMap::from_iter([("etag".parse().expect("a name"), HeaderValue::from_static("PLAINTEXT-MARKER"))]);
    let shows = |zone: &Zone| {
        let shows = |path: &PathBuf| {
            // It may be removed at this moment.
            let bytes = fs::read(path).unwrap_or_default();
            bytes.windows(9).any(|part| part == b"PLAINTEXT" || part == b"the key o")
        };
        files(zone.path()).iter().any(shows)
    };
    let disk = zone.open().await;
    store_with(&disk, 1, &head, &secret).await;
    assert!(shows(&zone), "it would be seen");
    // What was stored before is not served, and does not stay.
    zone.encrypt(KEY, &[]);
    let disk = zone.open_again(disk).await;
    assert!(find(&disk, 1).await.is_none());
    until("it is removed", || !shows(&zone)).await;
    store_with(&disk, 1, &head, &secret).await;
    let mut head = head.clone();
    head.asked += Duration::from_secs(1);
    assert!(disk.replace_head(&slot(1), &key(1), &head).await);
    assert!(!shows(&zone));
    assert_eq!(body_of(&disk, 1).await.as_deref(), Some(secret.as_slice()));
}

#[tokio::test]
async fn with_another_key_nothing_is_found_and_with_an_old_one_it_is() {
    let mut zone = Zone::sealed();
    let disk = zone.open().await;
    store(&disk, 1, b"one").await;
    zone.encrypt(OTHER_KEY, &[KEY]);
    let disk = zone.open_again(disk).await;
    assert_eq!(body_of(&disk, 1).await.as_deref(), Some(b"one".as_slice()));
    store(&disk, 2, b"two").await;
    zone.encrypt(OTHER_KEY, &[]);
    let disk = zone.open_again(disk).await;
    assert!(find(&disk, 1).await.is_none());
    assert_eq!(body_of(&disk, 2).await.as_deref(), Some(b"two".as_slice()));
}

#[derive(Debug, Clone)]
enum Act {
    Store(u8, usize),
    Abort(u8, usize),
    Remove(u8),
    Renew(u8, u32),
    Find(u8),
    Restart,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (0..6_u8, 0..200_000_usize).prop_map(|(number, length)| Act::Store(number, length)),
        1 => (0..6_u8, 0..200_000_usize).prop_map(|(number, length)| Act::Abort(number, length)),
        1 => (0..6_u8).prop_map(Act::Remove),
        2 => (0..6_u8, 1..1000_u32).prop_map(|(number, turn)| Act::Renew(number, turn)),
        6 => (0..6_u8).prop_map(Act::Find),
        1 => Just(Act::Restart),
    ]
}

/// Does one thing with the disk, and with what should be there.
async fn does(act: Act, zone: &Zone, mut disk: Arc<Disk>, model: &mut [Option<(usize, u32)>]) -> Arc<Disk> {
    match act {
        Act::Store(number, length) => {
            store(&disk, number, &a_body(length)).await;
            model[usize::from(number)] = Some((length, 0));
        }
        Act::Abort(number, length) => {
            let mut write = disk.begin(&slot(number), &key(number), &a_head());
            write.write(a_body(length)).await;
        }
        Act::Remove(number) => {
            assert_eq!(disk.remove(&slot(number)).await, model[usize::from(number)].take().is_some());
        }
        Act::Renew(number, turn) => {
            let there = model[usize::from(number)].as_mut().map(|(_, last)| *last = turn).is_some();
            assert_eq!(disk.replace_head(&slot(number), &key(number), &renewed(turn)).await, there);
        }
        Act::Find(number) => {
            let body = body_of(&disk, number).await;
            assert!(body == model[usize::from(number)].map(|(length, _)| a_body(length).to_vec()));
            let turn = find(&disk, number).await.map(|hit| hit.head().headers.get("x-turn").cloned());
            let should = model[usize::from(number)].map(|(_, turn)| (turn > 0).then(|| HeaderValue::from(turn)));
            assert_eq!(turn, should);
        }
        Act::Restart => disk = zone.open_again(disk).await,
    }
    disk
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn whatever_happens_the_disk_has_what_was_stored_last(acts in prop::collection::vec(act(), 1..40), sealed: bool) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let zone = if sealed { Zone::sealed() } else { Zone::plain() };
            let mut model = [None; 6];
            let mut disk = zone.open().await;
            for act in acts {
                disk = does(act, &zone, disk, &mut model).await;
            }
        });
    }
}
