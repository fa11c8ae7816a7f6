use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use proptest::prelude::*;
use tidegate_core::cache::engine::{CacheMeta, HandleHit, HandleMiss};
use tidegate_core::{Metrics, ResponseHeader};

use super::*;

fn limits(memory: u64, max_object: u64) -> Limits {
    Limits { memory, max_object }
}

fn store(memory: u64, max_object: u64) -> &'static Store {
    let metrics = StoreMetrics::new(&Metrics::new()).expect("made").zone("test");
    let store = Store::new(limits(memory, max_object), Marks::new(), Clock::system(), metrics);
    Box::leak(Box::new(store))
}

fn key(store: &Store, name: &str) -> CacheKey {
    CacheKey::new().part(name.as_bytes()).hashed(|key| store.hash(key))
}

fn slot(key: &CacheKey) -> Slot {
    Slot { key: key.hash(), variant: None }
}

fn head(fields: &[(&'static str, &str)]) -> Arc<Head> {
    let mut head = ResponseHeader::build(200, None).expect("a status");
    fields.iter().for_each(|(name, value)| head.insert_header(*name, *value).expect("a field"));
    let now = SystemTime::now();
    Arc::new(Head::of(&CacheMeta::new(now + Duration::from_secs(60), now, 0, 0, head)))
}

fn writer(store: &'static Store, key: &CacheKey, fields: &[(&'static str, &str)]) -> (Writer, Hit) {
    let writer = store.write(slot(key), key.as_bytes(), head(fields)).expect("it is not too long");
    let tag = writer.streaming_write_tag().and_then(|tag| tag.try_into().ok()).map(u64::from_be_bytes);
    let own = store.writers_own(&slot(key), tag.expect("a tag")).expect("just begun");
    (writer, own)
}

async fn put(store: &'static Store, key: &CacheKey, body: &[u8]) {
    let (mut writer, own) = writer(store, key, &[]);
    writer.write_body(Bytes::copy_from_slice(body), true).await.expect("written");
    Box::new(writer).finish().await.expect("stored");
    drop(own);
}

async fn read(mut hit: Hit) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    while let Some(piece) = hit.read_body().await.map_err(|error| error.to_string())? {
        body.extend_from_slice(&piece);
    }
    Ok(body)
}

fn found(store: &Store, key: &CacheKey) -> Option<Vec<u8>> {
    store.find(key, None).map(|found| found.body.concat())
}

#[tokio::test]
async fn what_was_written_is_found_by_its_whole_key_alone() {
    let store = store(1 << 20, 1 << 18);
    let one = key(store, "one");
    put(store, &one, b"body").await;
    assert_eq!(found(store, &one).as_deref(), Some(&b"body"[..]));
    let another = CacheKey::new().part(b"another").hashed(|_| one.hash());
    assert!(store.find(&another, None).is_none());
    assert!(store.look_up(&slot(&another), another.as_bytes()).await.is_none());
    assert!(store.find(&one, Some([1; 16])).is_none());
    let hit = store.look_up(&slot(&one), one.as_bytes()).await.expect("there");
    assert_eq!(hit.key(), one.as_bytes());
    assert_eq!(read(hit).await.as_deref(), Ok(&b"body"[..]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_readers_of_what_is_being_written_get_all_of_it() {
    let store = store(64 << 20, 8 << 20);
    let key = key(store, "big");
    let (mut writer, own) = writer(store, &key, &[]);
    let body: Vec<u8> = (0..700_000_u32).map(|nth| (nth % 251) as u8).collect();
    let mut readers = Vec::new();
    let mut written = 0;
    let mut own = Some(tokio::spawn(read(own)));
    for (nth, piece) in body.chunks(7_001).enumerate() {
        writer.write_body(Bytes::copy_from_slice(piece), false).await.expect("written");
        written += piece.len();
        // Some from the beginning, others midway.
        for _ in 0..10 {
            let hit = store.look_up(&slot(&key), key.as_bytes()).await.expect("being written");
            readers.push(tokio::spawn(read(hit)));
        }
        assert!(store.find(&key, None).is_none(), "{nth}: it is not whole yet");
    }
    assert_eq!((written, readers.len()), (body.len(), 1000));
    Box::new(writer).finish().await.expect("stored");
    readers.extend(own.take());
    for reader in readers {
        assert!(reader.await.expect("no panic").as_deref() == Ok(&body[..]));
    }
    assert!(found(store, &key).as_deref() == Some(&body[..]));
}

#[tokio::test]
async fn a_writer_that_goes_leaves_nothing_and_all_readers_get_an_error() {
    let store = store(1 << 20, 1 << 18);
    let key = key(store, "torn");
    let (mut writer, own) = writer(store, &key, &[]);
    writer.write_body(Bytes::from_static(b"half"), false).await.expect("written");
    let hit = store.look_up(&slot(&key), key.as_bytes()).await.expect("being written");
    let readers = [own, hit].map(|hit| tokio::spawn(read(hit)));
    tokio::task::yield_now().await;
    drop(writer);
    for reader in readers {
        assert!(reader.await.expect("no panic").is_err());
    }
    assert!(store.look_up(&slot(&key), key.as_bytes()).await.is_none());
    assert!(store.find(&key, None).is_none());
    assert_eq!((store.stats().bytes, store.stats().writing), (0, 0));
}

#[tokio::test]
async fn a_body_that_is_not_as_long_as_its_head_says_is_not_stored() {
    for body in [&b"abc"[..], b"abcde"] {
        let store = store(1 << 20, 1 << 18);
        let key = key(store, "short");
        let (mut writer, own) = writer(store, &key, &[("content-length", "4")]);
        writer.write_body(Bytes::copy_from_slice(body), true).await.expect("written");
        let own = tokio::spawn(read(own));
        assert!(Box::new(writer).finish().await.is_err());
        assert!(own.await.expect("no panic").is_err());
        assert!(store.find(&key, None).is_none());
    }
}

#[tokio::test]
async fn the_writer_that_ends_last_wins() {
    let store = store(1 << 20, 1 << 18);
    let key = key(store, "twice");
    let (mut first, _) = writer(store, &key, &[]);
    let (mut second, _) = writer(store, &key, &[]);
    second.write_body(Bytes::from_static(b"second"), true).await.expect("written");
    Box::new(second).finish().await.expect("stored");
    assert_eq!(found(store, &key).as_deref(), Some(&b"second"[..]));
    first.write_body(Bytes::from_static(b"first"), true).await.expect("written");
    Box::new(first).finish().await.expect("stored");
    assert_eq!(found(store, &key).as_deref(), Some(&b"first"[..]));
    assert_eq!(store.stats().objects, 1);
}

#[tokio::test]
async fn what_is_removed_while_it_is_written_is_not_stored() {
    let store = store(1 << 20, 1 << 18);
    let key = key(store, "removed");
    put(store, &key, b"old").await;
    let (mut writer, own) = writer(store, &key, &[]);
    writer.write_body(Bytes::from_static(b"new"), true).await.expect("written");
    assert!(store.remove(&slot(&key)).await);
    assert!(store.look_up(&slot(&key), key.as_bytes()).await.is_none());
    Box::new(writer).finish().await.expect("ended");
    assert_eq!(read(own).await.as_deref(), Ok(&b"new"[..]), "who asked for it gets it");
    assert!(store.find(&key, None).is_none());
    assert!(!store.remove(&slot(&key)).await);
}

#[tokio::test]
async fn another_head_leaves_the_body_and_has_notes_of_its_own() {
    let store = store(1 << 20, 1 << 18);
    let key = key(store, "confirmed");
    put(store, &key, b"body").await;
    let before = store.find(&key, None).expect("there");
    before.notes.checked.store(7, Ordering::Relaxed);
    let bytes = store.stats().bytes;
    assert!(store.replace_head(&slot(&key), key.as_bytes(), head(&[("etag", "\"a-much-longer-one\"")])).await);
    let after = store.find(&key, None).expect("there");
    assert_eq!(after.body.concat(), b"body");
    assert!(after.head.headers.contains_key("etag") && !before.head.headers.contains_key("etag"));
    assert_eq!(after.notes.checked.load(Ordering::Relaxed), 0);
    assert!(store.stats().bytes > bytes);
    let unknown = CacheKey::new().part(b"unknown").hashed(|_| key.hash());
    assert!(!store.replace_head(&slot(&key), unknown.as_bytes(), head(&[])).await);
}

#[tokio::test]
async fn ranges_of_a_whole_body_are_sought_and_those_of_an_unfinished_one_are_not() {
    let store = store(8 << 20, 1 << 20);
    let key = key(store, "ranges");
    let (mut writer, own) = writer(store, &key, &[]);
    let body: Vec<u8> = (0..200_000_u32).map(|nth| (nth % 253) as u8).collect();
    for piece in body.chunks(30_000) {
        writer.write_body(Bytes::copy_from_slice(piece), false).await.expect("written");
    }
    assert!(!own.can_seek());
    Box::new(writer).finish().await.expect("stored");
    let mut hit = store.look_up(&slot(&key), key.as_bytes()).await.expect("there");
    assert!(hit.can_seek());
    for (start, end) in [(0, None), (65_535, Some(65_537)), (199_999, Some(300_000)), (10, Some(150_000)), (0, Some(1))]
    {
        hit.seek(start, end).expect("inside");
        let mut part = Vec::new();
        while let Some(piece) = hit.read_body().await.expect("read") {
            part.extend_from_slice(&piece);
        }
        assert!(part == body[start..end.unwrap_or(body.len()).min(body.len())], "{start} {end:?}");
    }
    assert!(hit.seek(200_000, None).is_err());
}

#[tokio::test]
async fn who_reads_what_is_evicted_has_it_to_the_end() {
    let store = store(1 << 20, 1 << 18);
    let first = key(store, "first");
    put(store, &first, &[7; 100_000]).await;
    let hit = store.look_up(&slot(&first), first.as_bytes()).await.expect("there");
    store.clear();
    assert!(store.find(&first, None).is_none());
    assert!(store.stats().bytes > 100_000, "it is counted as long as it is read");
    assert_eq!(read(hit).await.as_deref(), Ok(&[7; 100_000][..]));
    assert_eq!(store.stats().bytes, 0);
}

#[tokio::test]
async fn what_says_that_it_is_too_long_is_not_begun() {
    let store = store(1 << 20, 1000);
    let key = key(store, "long");
    assert!(store.write(slot(&key), key.as_bytes(), head(&[("content-length", "1001")])).is_none());
    assert!(store.fits(1000) && !store.fits(1001));
}

#[tokio::test(start_paused = true)]
async fn what_turns_out_too_long_reaches_its_readers_and_takes_no_more_than_a_window() {
    let store = store(32 << 20, 1 << 20);
    let key = key(store, "endless");
    let (mut writer, own) = writer(store, &key, &[]);
    let other = store.look_up(&slot(&key), key.as_bytes()).await.expect("being written");
    let readers = [own, other].map(|hit| tokio::spawn(async move { read(hit).await.map(|body| body.len()) }));
    let mut most = 0;
    for _ in 0..1000 {
        writer.write_body(Bytes::from(vec![1; 50_000]), false).await.expect("no error for who reads on");
        tokio::task::yield_now().await;
        most = most.max(store.stats().bytes);
    }
    assert!(most < 3 << 20, "{most}");
    assert!(store.look_up(&slot(&key), key.as_bytes()).await.is_none(), "nobody new can have its beginning");
    Box::new(writer).finish().await.expect("ended");
    for reader in readers {
        assert_eq!(reader.await.expect("no panic"), Ok(50_000_000));
    }
    assert!(store.find(&key, None).is_none());
}

/// The client of the request that writes, which gets its next piece only between the writer's waits.
#[tokio::test(start_paused = true)]
async fn a_reader_that_takes_nothing_is_cut_off_and_the_others_are_not() {
    let store = store(32 << 20, 1 << 20);
    let key = key(store, "stalled");
    let (mut writer, own) = writer(store, &key, &[]);
    let stalled = store.look_up(&slot(&key), key.as_bytes()).await.expect("being written");
    let own = tokio::spawn(read(own));
    for _ in 0..100 {
        writer.write_body(Bytes::from(vec![1; 50_000]), false).await.expect("written");
        tokio::task::yield_now().await;
    }
    Box::new(writer).finish().await.expect("ended");
    assert_eq!(own.await.expect("no panic").map(|body| body.len()), Ok(5_000_000));
    assert!(read(stalled).await.is_err(), "never a part as if it were the whole");
}

#[tokio::test]
async fn a_body_of_single_bytes_takes_little_more_than_its_length() {
    let store = store(32 << 20, 1 << 20);
    let key = key(store, "bytes");
    let (mut writer, own) = writer(store, &key, &[]);
    for nth in 0..100_000_u32 {
        writer.write_body(Bytes::from(vec![nth as u8]), false).await.expect("written");
    }
    assert!(store.stats().bytes < 120_000, "{}", store.stats().bytes);
    Box::new(writer).finish().await.expect("stored");
    let body: Vec<u8> = (0..100_000_u32).map(|nth| nth as u8).collect();
    assert!(read(own).await.as_deref() == Ok(&body[..]));
    let stored = store.find(&key, None).expect("there").body;
    assert_eq!(stored.iter().map(Bytes::len).collect::<Vec<_>>(), [65_536, 34_464]);
    assert!(stored.concat() == body);
}

#[tokio::test]
async fn a_smaller_zone_lets_go_and_a_closed_one_keeps_nothing() {
    let store = store(4 << 20, 1 << 18);
    let keys: Vec<_> = (0..100).map(|nth| key(store, &format!("{nth}"))).collect();
    for key in &keys {
        put(store, key, &[0; 20_000]).await;
    }
    assert!(store.stats().objects > 90);
    store.resize(limits(1 << 20, 1 << 18));
    assert!(store.stats().bytes <= 1 << 20 && store.stats().objects > 30, "{:?}", store.stats());
    store.close();
    assert_eq!((store.stats().objects, store.stats().bytes), (0, 0));
    put(store, &keys[0], b"x").await;
    assert_eq!((store.stats().objects, store.stats().bytes), (0, 0));
}

/// What is done to a store at random.
#[derive(Debug, Clone)]
enum Do {
    Put(u8, usize),
    Find(u8),
    Remove(u8),
    Head(u8),
    Abandon(u8, usize),
}

fn any_do() -> impl Strategy<Value = Do> {
    let size = prop_oneof![4 => 0..3_000_usize, 2 => 3_000..60_000_usize, 1 => 60_000..200_000_usize];
    prop_oneof![
        4 => (any::<u8>(), size.clone()).prop_map(|(key, size)| Do::Put(key, size)),
        4 => any::<u8>().prop_map(Do::Find),
        1 => any::<u8>().prop_map(Do::Remove),
        1 => any::<u8>().prop_map(Do::Head),
        1 => (any::<u8>(), size).prop_map(|(key, size)| Do::Abandon(key, size)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// What is found is what was written last, and the bound holds after each step.
    #[test]
    fn a_store_never_lies_and_never_grows_too_big(steps in proptest::collection::vec(any_do(), 1..400)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            const MEMORY: u64 = 1 << 20;
            let store = store(MEMORY, 100_000);
            let mut model: HashMap<u8, Vec<u8>> = HashMap::new();
            for (nth, step) in steps.into_iter().enumerate() {
                match step {
                    Do::Put(name, size) => {
                        let body = vec![nth as u8; size];
                        put(store, &key(store, &name.to_string()), &body).await;
                        // What is too long does not replace what is there: it was never stored.
                        if size <= 100_000 {
                            model.insert(name, body);
                        }
                    }
                    Do::Find(name) => {
                        if let Some(found) = found(store, &key(store, &name.to_string())) {
                            prop_assert_eq!(Some(&found), model.get(&name));
                        }
                    }
                    Do::Remove(name) => {
                        let key = key(store, &name.to_string());
                        store.remove(&slot(&key)).await;
                        prop_assert!(store.find(&key, None).is_none());
                        model.remove(&name);
                    }
                    Do::Head(name) => {
                        let key = key(store, &name.to_string());
                        let there = store.find(&key, None).is_some();
                        prop_assert_eq!(store.replace_head(&slot(&key), key.as_bytes(), head(&[("a", "b")])).await, there);
                    }
                    Do::Abandon(name, size) => {
                        let (mut writer, _own) = writer(store, &key(store, &name.to_string()), &[]);
                        writer.write_body(Bytes::from(vec![255; size]), false).await.expect("written");
                    }
                }
                let stats = store.stats();
                prop_assert!(stats.bytes <= MEMORY, "{:?}", stats);
                prop_assert_eq!(stats.writing, 0);
            }
            let there = (0..=255_u8).filter(|name| store.find(&key(store, &name.to_string()), None).is_some()).count();
            prop_assert_eq!(there as u64, store.stats().objects);
            store.clear();
            prop_assert_eq!((store.stats().objects, store.stats().bytes), (0, 0));
            Ok(())
        })?;
    }
}
