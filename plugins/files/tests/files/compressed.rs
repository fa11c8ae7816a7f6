//! Compressed siblings.

use std::time::{Duration, SystemTime};

use tidegate_core::Method;
use tidegate_testkit::{Answer, TestGateway};

use crate::Tree;

async fn site() -> (Tree, TestGateway) {
    let files = [
        ("app.js", "plain"),
        ("app.js.gz", "gzipped"),
        ("app.js.br", "brotli"),
        ("app.js.zst", "zstd"),
        ("a.css", "css"),
    ];
    let tree = Tree::new(&files);
    let gateway = tree.serve(", precompressed: [zst, br, gz]").await;
    (tree, gateway)
}

async fn ask(gateway: &TestGateway, path: &str, accepted: &str) -> Answer {
    gateway.request(Method::GET, path).header("Accept-Encoding", accepted).send().await
}

#[tokio::test]
async fn the_sibling_that_the_client_likes_best_is_sent_as_what_it_stands_for() {
    let (_tree, gateway) = site().await;
    let mut tags = Vec::new();
    for (accepted, body, coding) in [
        ("gzip, br, zstd", "zstd", Some("zstd")),
        ("gzip, br", "brotli", Some("br")),
        ("gzip;q=1, br;q=0.9", "gzipped", Some("gzip")),
        ("deflate, identity", "plain", None),
        ("", "plain", None),
        ("gzip;q=0", "plain", None),
    ] {
        let answer = ask(&gateway, "/app.js", accepted).await.expect(200);
        assert_eq!((answer.text().as_str(), answer.header("content-encoding")), (body, coding), "{accepted}");
        assert_eq!(answer.header("content-type"), Some("text/javascript; charset=utf-8"));
        assert_eq!(answer.header("vary"), Some("Accept-Encoding"));
        tags.push((body, answer.header("etag").expect("a tag").to_owned()));
    }
    tags.sort();
    tags.dedup();
    let bodies: std::collections::BTreeSet<_> = tags.iter().map(|(_, tag)| tag).collect();
    assert_eq!((tags.len(), bodies.len()), (4, 4), "each representation has one tag of its own");
}

#[tokio::test]
async fn a_client_that_has_one_coding_is_told_so_and_parts_are_of_the_coded_bytes() {
    let (_tree, gateway) = site().await;
    let tag = ask(&gateway, "/app.js", "br").await.header("etag").expect("a tag").to_owned();
    let asked = |accepted: &str| gateway.request(Method::GET, "/app.js").header("Accept-Encoding", accepted.to_owned());
    let same = asked("br").header("If-None-Match", &tag).send().await.expect(304);
    assert_eq!((same.header("vary"), same.header("etag")), (Some("Accept-Encoding"), Some(&*tag)));
    asked("gzip").header("If-None-Match", &tag).send().await.expect(200);
    let part = asked("br").header("Range", "bytes=1-3").header("If-Range", &tag).send().await.expect(206);
    assert_eq!((part.text().as_str(), part.header("content-range")), ("rot", Some("bytes 1-3/6")));
    assert_eq!(part.header("content-encoding"), Some("br"));
}

#[tokio::test]
async fn a_file_without_siblings_varies_too_and_siblings_alone_are_files() {
    let (tree, gateway) = site().await;
    let plain = ask(&gateway, "/a.css", "gzip").await.expect(200);
    assert_eq!((plain.text().as_str(), plain.header("vary")), ("css", Some("Accept-Encoding")));
    let itself = ask(&gateway, "/app.js.gz", "br").await.expect(200);
    assert_eq!((itself.header("content-type"), itself.header("content-encoding")), (Some("application/gzip"), None));
    tree.write("only.js.gz", "x");
    ask(&gateway, "/only.js", "gzip").await.expect(404);
}

#[tokio::test]
async fn a_sibling_that_is_older_than_its_file_or_no_file_is_not_used() {
    let (tree, gateway) = site().await;
    let old = SystemTime::now() - Duration::from_secs(60);
    std::fs::File::options().write(true).open(tree.path("app.js.zst")).expect("open").set_modified(old).expect("set");
    std::fs::remove_file(tree.path("app.js.br")).expect("removed");
    std::fs::create_dir(tree.path("app.js.br")).expect("made");
    assert_eq!(ask(&gateway, "/app.js", "zstd, br, gzip").await.expect(200).text(), "gzipped");
}

#[tokio::test]
async fn several_parts_of_a_compressed_sibling_are_the_whole_for_what_is_between_them_is_not_compressed() {
    let tree = Tree::new(&[("app.js", "let a = 'as it is';"), ("app.js.gz", "0123456789")]);
    let gateway = tree.serve(", precompressed: [gz]").await;
    let ask = |accepted: &'static str, range: &'static str| {
        let request = gateway.request(Method::GET, "/app.js").header("Accept-Encoding", accepted);
        request.header("Range", range).send()
    };
    let answer = ask("gzip", "bytes=0-1,4-5").await.expect(200);
    assert_eq!((answer.header("content-encoding"), answer.text().as_str()), (Some("gzip"), "0123456789"));
    assert_eq!(ask("gzip", "bytes=0-1").await.expect(206).text(), "01");
    ask("identity", "bytes=0-1,4-5").await.expect(206);
}
