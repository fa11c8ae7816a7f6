//! Large files.

use std::fs::File;
use std::io::Write;

use tidegate_core::Method;
use tidegate_testkit::{call, pattern, wait_until_async};

use crate::Tree;

/// More than the buffers between gateway and client hold.
const LARGE: usize = 48 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn files_of_every_length_come_whole() {
    let tree = Tree::new(&[]);
    for length in [1, 65_535, 65_536, 65_537, 131_072, 131_073, 3_000_000] {
        tree.write("a.bin", pattern(length));
        let gateway = tree.serve("").await;
        for request in [gateway.request(Method::GET, "/a.bin"), gateway.request(Method::GET, "/a.bin").h2()] {
            let download = request.download().await;
            assert_eq!(download.answer.header("content-length"), Some(&*length.to_string()));
            assert!(download.check.is_intact() && download.check.length() == length as u64, "{length}: {download:?}");
        }
        assert_eq!(gateway.metric("tidegate_files_bytes_total", &[]).await, 2.0 * length as f64);
        assert_eq!(gateway.metric("tidegate_files_cut_total", &[]).await, 0.0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_becomes_shorter_while_it_is_sent_cuts_the_connection() {
    let tree = Tree::new(&[]);
    File::create(tree.path("a.bin")).and_then(|file| file.set_len(LARGE as u64)).expect("made");
    let gateway = tree.serve("").await;
    let mut client = gateway.connect().await;
    client.begin(&call(Method::GET, "/a.bin")).await;
    assert_eq!(client.head().await.header("content-length"), Some(&*LARGE.to_string()));
    File::options().write(true).open(tree.path("a.bin")).and_then(|file| file.set_len(1000)).expect("cut");
    let mut got = 0;
    let ended = loop {
        match client.try_piece().await {
            Ok(Some(piece)) => got += piece.len(),
            other => break other,
        }
    };
    assert!(ended.is_err() && got < LARGE, "{ended:?} after {got} bytes");
    wait_until_async("the cut is counted", async || gateway.metric("tidegate_files_cut_total", &[]).await == 1.0).await;

    File::create(tree.path("a.bin")).and_then(|file| file.set_len(LARGE as u64)).expect("made");
    let mut client = gateway.connect_h2().await;
    let mut exchange = client.begin(&call(Method::GET, "/a.bin")).await;
    exchange.finish();
    let mut incoming = exchange.head().await;
    File::options().write(true).open(tree.path("a.bin")).and_then(|file| file.set_len(1000)).expect("cut");
    let ended = loop {
        match incoming.try_piece().await {
            Ok(Some(_)) => {}
            other => break other,
        }
    };
    assert!(ended.is_err(), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_file_that_grows_only_what_was_promised_is_sent() {
    let tree = Tree::new(&[]);
    tree.write("a.log", pattern(LARGE));
    let gateway = tree.serve("").await;
    let mut client = gateway.connect().await;
    client.begin(&call(Method::GET, "/a.log")).await;
    client.head().await;
    let mut file = File::options().append(true).open(tree.path("a.log")).expect("open");
    file.write_all(b"one more line\n").expect("written");
    let (mut got, content) = (0, pattern(LARGE));
    while let Some(piece) = client.piece().await {
        assert!(content[got..].starts_with(&piece), "not the file's at {got}");
        got += piece.len();
    }
    assert_eq!(got, LARGE);
    // Nothing follows that isn't an answer of its own.
    assert_eq!(client.get("/a.log").await.expect(200).body.len(), LARGE + 14);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_ends_the_reading() {
    let tree = Tree::new(&[("small", "x")]);
    File::create(tree.path("a.bin")).and_then(|file| file.set_len(8 << 30)).expect("made");
    let gateway = tree.serve("").await;
    let mut client = gateway.connect().await;
    client.begin(&call(Method::GET, "/a.bin")).await;
    client.head().await;
    drop(client);
    gateway.access_log(1).await;
    assert!(gateway.metric("tidegate_files_bytes_total", &[]).await < 1e9);
    gateway.get("/small").await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_written_over_while_it_is_sent_cuts_the_connection() {
    let tree = Tree::new(&[]);
    tree.write("a.bin", pattern(LARGE));
    let gateway = tree.serve("").await;
    for range in [None, Some("bytes=1000-")] {
        let mut client = gateway.connect().await;
        let request = call(Method::GET, "/a.bin");
        let request = range.iter().fold(request, |request, range| request.header("Range", *range));
        client.begin(&request).await;
        client.head().await;
        // As long as before: its length tells nothing.
        let mut file = File::options().write(true).open(tree.path("a.bin")).expect("open");
        file.write_all(&vec![b'x'; LARGE]).expect("written");
        drop(file);
        let ended = loop {
            match client.try_piece().await {
                Ok(Some(_)) => {}
                other => break other,
            }
        };
        assert!(ended.is_err(), "half of one version and half of another: {range:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_replaced_or_loses_its_name_is_sent_to_its_end() {
    let tree = Tree::new(&[]);
    tree.write("a.bin", pattern(LARGE));
    let gateway = tree.serve("").await;
    let mut client = gateway.connect().await;
    client.begin(&call(Method::GET, "/a.bin")).await;
    client.head().await;
    std::fs::remove_file(tree.path("a.bin")).expect("removed");
    tree.write("a.bin", "another one");
    let mut got = 0;
    while let Some(piece) = client.piece().await {
        got += piece.len();
    }
    assert_eq!(got, LARGE);
}
