//! Long bodies need no memory for their length.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use http::Method;
use tidegate_testkit::{Client, H2Client, Program, Script, call, upstream};

use crate::{Tidegate, all_to};

const MIB: u64 = 1024 * 1024;

/// How much resident memory may grow while bodies stream through.
const MOST_GROWTH: u64 = 64 * MIB;

/// How long a body is: `TIDEGATE_STREAM_MIB=1024` for the whole gibibyte, which takes a while in a debug build.
fn length() -> u64 {
    std::env::var("TIDEGATE_STREAM_MIB").ok().and_then(|mib| mib.parse().ok()).unwrap_or(256) * MIB
}

/// The most resident memory that is seen while `work` runs.
async fn most_memory(program: &Program, work: impl Future<Output = ()>) -> u64 {
    tokio::pin!(work);
    let mut most = program.resident_memory();
    let mut tick = tokio::time::interval(std::time::Duration::from_millis(10));
    loop {
        tokio::select! {
            () = &mut work => return most.max(program.resident_memory()),
            _ = tick.tick() => most = most.max(program.resident_memory()),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_and_downloads_stream_in_bounded_memory_by_both_versions() {
    let app = upstream().route("/down", Script::generated(length())).reply("*", "thanks").start().await;
    let yaml = format!("{}limits: {{ body: 8GiB }}\n", all_to(&app.target()));
    let tidegate = Tidegate::start(&yaml).await;
    let mut h1 = Client::connect(tidegate.addr()).await;
    let mut h2 = H2Client::connect(tidegate.addr()).await;
    h1.get("/").await.expect(200);
    h2.get("/").await.expect(200);
    let before = tidegate.program.resident_memory();
    let most = most_memory(&tidegate.program, async {
        let down = h1.download(call(Method::GET, "/down")).await;
        assert_eq!((down.check.length(), down.check.is_intact()), (length(), true));
        h1.send(call(Method::POST, "/up").generated(length())).await.expect(200);
        let down = h2.download(call(Method::GET, "/down")).await;
        assert_eq!((down.check.length(), down.check.is_intact()), (length(), true));
        h2.send(call(Method::POST, "/up").generated_chunked(length())).await.expect(200);
    })
    .await;
    for up in app.requests().iter().filter(|request| request.path() == "/up") {
        assert_eq!((up.check.length(), up.check.is_intact()), (length(), true));
    }
    let growth = most.saturating_sub(before);
    assert!(growth < MOST_GROWTH, "{} MiB more for bodies of {} MiB", growth / MIB, length() / MIB);
}

/// A client that does not read, or an upstream that does not: what is under way stays where it is.
#[tokio::test(flavor = "multi_thread")]
async fn a_side_that_does_not_read_holds_the_other_back() {
    let app =
        upstream().route("/down", Script::generated(1 << 40)).route("/deaf", Script::stall().early()).start().await;
    let yaml = format!("{}limits: {{ body: 1024GiB }}\n", all_to(&app.target()));
    let tidegate = Tidegate::start(&yaml).await;
    tidegate.get("/").await.expect(404);
    let before = tidegate.program.resident_memory();

    let mut readers = Vec::new();
    for _ in 0..8 {
        let mut reader = tidegate.connect().await;
        reader.begin(&call(Method::GET, "/down")).await;
        reader.head().await;
        readers.push(reader);
    }
    let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let mut writers = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (mut writer, sent) = (tidegate.connect().await, sent.clone());
        writers.spawn(async move {
            writer.write("POST /deaf HTTP/1.1\r\nHost: a\r\nContent-Length: 1099511627776\r\n\r\n").await;
            let (_, mut stream) = writer.into_stream();
            let block = vec![b'x'; 64 * 1024];
            while tokio::io::AsyncWriteExt::write_all(&mut stream, &block).await.is_ok() {
                sent.fetch_add(block.len() as u64, Ordering::Relaxed);
            }
        });
    }
    // Nothing moves any more: all buffers on the way are full.
    let mut last = (0, u64::MAX);
    tidegate_testkit::wait_until("the writers to be held back", || {
        let now = sent.load(Ordering::Relaxed);
        last = if now == last.1 { (last.0 + 1, now) } else { (0, now) };
        last.0 > 20
    })
    .await;
    let growth = tidegate.program.resident_memory().saturating_sub(before);
    assert!(growth < MOST_GROWTH, "{} MiB more for 16 connections that stand still", growth / MIB);
    stop.store(true, Ordering::Relaxed);
    drop((readers, writers));
}
