//! Conditional requests.

use tidegate_core::Method;

use crate::Tree;

const OLD: &str = "Sat, 01 Jan 2000 00:00:00 GMT";
const FUTURE: &str = "Fri, 01 Jan 2100 00:00:00 GMT";

#[tokio::test]
async fn conditions_decide_between_the_file_304_and_412() {
    let tree = Tree::new(&[("a.txt", "0123456789")]);
    let gateway = tree.serve("").await;
    let first = gateway.get("/a.txt").await.expect(200);
    let (tag, date) = (first.header("etag").expect("a tag"), first.header("last-modified").expect("a date"));
    let weak = format!("W/{tag}");
    for (fields, status) in [
        (vec![("If-None-Match", tag)], 304),
        (vec![("If-None-Match", &*weak)], 304),
        (vec![("If-None-Match", "*")], 304),
        (vec![("If-None-Match", "\"other\"")], 200),
        (vec![("If-Modified-Since", date)], 304),
        (vec![("If-Modified-Since", FUTURE)], 304),
        (vec![("If-Modified-Since", OLD)], 200),
        (vec![("If-Modified-Since", "soon")], 200),
        (vec![("If-None-Match", "\"other\""), ("If-Modified-Since", date)], 200),
        (vec![("If-None-Match", tag), ("If-Modified-Since", OLD)], 304),
        (vec![("If-Match", tag)], 200),
        (vec![("If-Match", "*")], 200),
        (vec![("If-Match", &*weak)], 412),
        (vec![("If-Match", "\"other\"")], 412),
        (vec![("If-Unmodified-Since", date)], 200),
        (vec![("If-Unmodified-Since", OLD)], 412),
        (vec![("If-Match", tag), ("If-Unmodified-Since", OLD)], 200),
        (vec![("If-Match", "\"other\""), ("If-None-Match", tag)], 412),
        (vec![("If-Match", tag), ("If-None-Match", tag)], 304),
        (vec![("If-None-Match", tag), ("Range", "bytes=0-1")], 304),
        (vec![("If-Match", "\"other\""), ("Range", "bytes=0-1")], 412),
        (vec![("If-Match", tag), ("Range", "bytes=0-1")], 206),
    ] {
        for method in [Method::GET, Method::HEAD] {
            let asked =
                fields.iter().fold(gateway.request(method.clone(), "/a.txt"), |asked, (n, v)| asked.header(*n, *v));
            let answer = asked.send().await;
            let status = if method == Method::HEAD && status == 206 { 200 } else { status };
            assert_eq!(answer.status, status, "{method} {fields:?}: {answer:#?}");
            if status == 304 {
                assert_eq!((answer.header("etag"), answer.body.len()), (Some(tag), 0));
                assert!(!answer.headers.has("content-type") && !answer.headers.has("content-length"), "{answer:#?}");
            }
        }
    }
    gateway.request(Method::GET, "/nothing").header("If-Match", "\"x\"").send().await.expect(404);
}

#[tokio::test]
async fn a_part_is_sent_only_of_the_version_that_the_client_has() {
    let tree = Tree::new(&[("a.txt", "0123456789")]);
    let past = std::time::SystemTime::now() - std::time::Duration::from_secs(100);
    std::fs::File::options().write(true).open(tree.path("a.txt")).expect("open").set_modified(past).expect("set");
    let gateway = tree.serve("").await;
    let first = gateway.get("/a.txt").await.expect(200);
    let (tag, date) = (first.header("etag").expect("a tag"), first.header("last-modified").expect("a date"));
    for (condition, status) in
        [(tag, 206), (date, 206), (OLD, 200), (FUTURE, 200), ("\"other\"", 200), (&format!("W/{tag}"), 200)]
    {
        let asked = gateway.request(Method::GET, "/a.txt").header("Range", "bytes=5-").header("If-Range", condition);
        let answer = asked.send().await.expect(status);
        assert_eq!(answer.text(), if status == 206 { "56789" } else { "0123456789" }, "{condition}");
    }
    // A range that can't be satisfied of another version is none at all.
    let asked = gateway.request(Method::GET, "/a.txt").header("Range", "bytes=50-").header("If-Range", "\"other\"");
    asked.send().await.expect(200);
}
