//! Ranges.

use tidegate_core::Method;
use tidegate_testkit::{Answer, TestGateway, pattern};

use crate::Tree;

async fn ask(gateway: &TestGateway, path: &str, range: &str) -> Answer {
    gateway.request(Method::GET, path).header("Range", range).send().await
}

#[tokio::test]
async fn one_range_is_sent_as_it_is() {
    let tree = Tree::new(&[("a.txt", "0123456789"), ("empty", "")]);
    let gateway = tree.serve("").await;
    for (range, body, of) in [
        ("bytes=0-3", "0123", "bytes 0-3/10"),
        ("bytes=5-", "56789", "bytes 5-9/10"),
        ("bytes=-2", "89", "bytes 8-9/10"),
        ("bytes=8-100", "89", "bytes 8-9/10"),
        ("bytes=-100", "0123456789", "bytes 0-9/10"),
        ("bytes=2-2, 50-", "2", "bytes 2-2/10"),
    ] {
        let answer = ask(&gateway, "/a.txt", range).await.expect(206);
        assert_eq!((answer.text().as_str(), answer.header("content-range")), (body, Some(of)), "{range}");
        assert_eq!(answer.header("content-length"), Some(&*body.len().to_string()));
        assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
        assert!(
            answer.headers.has("etag") && answer.headers.has("last-modified") && answer.headers.has("cache-control")
        );
    }
    for range in ["bytes=10-", "bytes=-0", "bytes=90-99,100-"] {
        let answer = ask(&gateway, "/a.txt", range).await.expect(416);
        assert_eq!(answer.header("content-range"), Some("bytes */10"), "{range}");
    }
    for range in ["bytes=5-2", "lines=1-2", "bytes=", "bytes=0-5,3-9", "nonsense"] {
        let answer = ask(&gateway, "/a.txt", range).await.expect(200);
        assert_eq!((answer.text().as_str(), answer.header("content-range")), ("0123456789", None), "{range}");
    }
    ask(&gateway, "/empty", "bytes=0-").await.expect(200);
    let many = (0..200).map(|_| "0-0").collect::<Vec<_>>().join(",");
    ask(&gateway, "/a.txt", &format!("bytes={many}")).await.expect(200);
    let head = gateway.request(Method::HEAD, "/a.txt").header("Range", "bytes=0-1").send().await.expect(200);
    assert_eq!(head.header("content-length"), Some("10"));
    let twice = gateway.request(Method::GET, "/a.txt").header("Range", "bytes=0-1").header("Range", "bytes=0-1");
    twice.send().await.expect(200);
}

/// The parts of an answer: `Content-Range` and content of each.
fn parts(answer: &Answer) -> Vec<(String, String)> {
    let media = answer.header("content-type").expect("a type");
    let boundary = media.strip_prefix("multipart/byteranges; boundary=").expect("several parts");
    let body = answer.text();
    let body = body.strip_suffix(&format!("\r\n--{boundary}--\r\n")).expect("an end");
    let between = format!("\r\n--{boundary}\r\n");
    let mut parts = body.split(&between);
    assert_eq!(parts.next(), Some(""), "nothing before the first part");
    let part = |part: &str| {
        let (head, content) = part.split_once("\r\n\r\n").expect("a head");
        let range =
            head.strip_prefix("Content-Type: text/plain; charset=utf-8\r\nContent-Range: ").expect("its fields");
        (range.to_owned(), content.to_owned())
    };
    parts.map(part).collect()
}

#[tokio::test]
async fn several_ranges_are_parts_in_the_order_in_which_they_were_asked_for() {
    let tree = Tree::new(&[("a.txt", "0123456789")]);
    tree.write("large.txt", pattern(400_000));
    let gateway = tree.serve("").await;
    for http in [tidegate_testkit::Http::One, tidegate_testkit::Http::Two] {
        let asked = gateway.request(Method::GET, "/a.txt").by(http).header("Range", "bytes=-2, 0-0 ,4-5");
        let answer = asked.send().await.expect(206);
        assert_eq!(answer.header("content-length"), Some(&*answer.body.len().to_string()));
        assert!(!answer.headers.has("content-range"));
        let expected = [("bytes 8-9/10", "89"), ("bytes 0-0/10", "0"), ("bytes 4-5/10", "45")];
        assert_eq!(parts(&answer), expected.map(|(range, content)| (range.to_owned(), content.to_owned())));
    }
    let answer = ask(&gateway, "/large.txt", "bytes=0-149999,200000-").await.expect(206);
    let (content, parts) = (pattern(400_000), parts(&answer));
    assert_eq!(parts.len(), 2);
    assert!(parts[0].1.as_bytes() == &content[..150_000] && parts[1].1.as_bytes() == &content[200_000..]);
    let boundary = |answer: &Answer| answer.header("content-type").expect("a type").to_owned();
    assert_ne!(
        boundary(&answer),
        boundary(&ask(&gateway, "/large.txt", "bytes=0-1,3-4").await),
        "nobody can foretell it"
    );
}
