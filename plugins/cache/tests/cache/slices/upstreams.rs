//! What upstreams do to those who ask for slices.

use http::Method;
use tidegate_core::Bytes;
use tidegate_testkit::{Http, manual_clock};

use super::origin::{Asked, Reply, bytes, object};
use super::{LENGTH, SLICE, slice, slices, stage, stage_of};
use crate::{builder, config, is_hit};

#[tokio::test]
async fn versions_are_never_mixed_and_the_next_answer_is_right() {
    for http in Http::BOTH {
        for length in [LENGTH, LENGTH - 1] {
            let stage = stage().await;
            stage.part("bytes=0-70000").await.expect(206);
            stage.origin.now(object(bytes(length, 9), "\"two\""));
            // The two slices that are stored are of the old one, the third is of the new one.
            assert!(stage.is_cut(http, &[]).await);
            let whole = stage.ask(http, &[]).await.expect(200);
            assert!(whole.body == bytes(length, 9), "{:?}", whole.headers);
            assert!(is_hit(&stage.ask(http, &[]).await.expect(200)));
        }
    }
}

#[tokio::test]
async fn what_the_new_version_has_stored_outlives_readers_of_the_old_one() {
    let stage = stage().await;
    stage.part("bytes=0-1").await.expect(206);
    stage.pass(1);
    stage.origin.now(object(bytes(LENGTH, 9), "\"two\""));
    stage.part("bytes=150000-150001").await.expect(206);
    stage.origin.ranges();
    assert!(stage.is_cut(Http::One, &[]).await);
    assert_eq!(stage.origin.ranges(), slices([1]), "the slice that was asked for last decides");
    stage.pass(1);
    assert!(stage.get().await.expect(200).body == bytes(LENGTH, 9));
    assert_eq!(stage.origin.ranges(), slices([0, 3]));
}

#[tokio::test]
async fn a_whole_answer_is_never_taken_for_a_slice() {
    let body = bytes(LENGTH, 0);
    for http in Http::BOTH {
        let script = object(body.clone(), "\"one\"");
        let stage = stage_of("", move |asked| match asked.range() {
            Some((0, _)) => script(asked),
            _ => script(&Asked::default()),
        })
        .await;
        assert!(stage.is_cut(http, &[]).await);
        // From the front on there is no other way than to try again; it isn't stored as what it is not.
        assert!(stage.is_cut(http, &[]).await);
        let first = stage.ask(http, &[("range", "bytes=0-9")]).await.expect(206);
        assert_eq!(first.body, body.slice(..10));
    }
}

#[tokio::test]
async fn an_upstream_without_ranges_is_asked_for_the_whole_once() {
    let body = bytes(LENGTH, 0);
    for http in Http::BOTH {
        let script = object(body.clone(), "\"one\"");
        let stage = stage_of("", move |_| script(&Asked::default())).await;
        let whole = stage.ask(http, &[]).await.expect(200);
        assert!(whole.body == body);
        assert!(is_hit(&stage.ask(http, &[]).await.expect(200)));
        assert_eq!(stage.origin.ranges(), slices([0]));
        for (range, expected) in
            [("bytes=5-9", 5..10), ("bytes=190000-", 190_000..LENGTH), ("bytes=-7", 199_993..LENGTH)]
        {
            let part = stage.ask(http, &[("range", range)]).await.expect(206);
            assert!(part.body == body.slice(expected), "{range}");
        }
        stage.ask(http, &[("range", "bytes=200000-")]).await.expect(416);
        let parts = stage.ask(http, &[("range", "bytes=0-1,199998-")]).await.expect(206);
        assert_eq!(parts.header("content-length"), Some(parts.body.len().to_string().as_str()));
        stage.ask(http, &[("if-none-match", "\"one\"")]).await.expect(304);
        let chunks =
            stage_of("", |_| Reply::new(200, "5\r\nhello\r\n0\r\n\r\n").with("Transfer-Encoding", "chunked")).await;
        assert_eq!(chunks.ask(http, &[("range", "bytes=1-2")]).await.expect(200).text(), "hello");
        assert_eq!(chunks.ask(http, &[("range", "bytes=1-2")]).await.expect(206).text(), "el", "now it has a length");
    }
}

/// Slices that can't be told from those of another version can't be put together: then it is fetched whole.
#[tokio::test]
async fn what_can_not_be_put_together_is_fetched_whole() {
    let body = bytes(LENGTH, 0);
    type Change = fn(&Asked, Reply) -> Reply;
    let changes: [(&str, Change); 4] = [
        ("a weak tag", |_, reply| reply.with("ETag", "W/\"one\"")),
        ("no total", |_, reply| reply.with("Content-Range", "bytes 0-65535/*")),
        ("other bytes", |_, reply| reply.with("Content-Range", "bytes 1-65536/200000")),
        ("two ranges", |_, reply| {
            reply.with("Content-Type", "multipart/byteranges; boundary=x").with("Content-Range", "")
        }),
    ];
    for (what, change) in changes {
        let script = object(body.clone(), "\"one\"");
        let stage = stage_of("", move |asked| match script(asked) {
            reply if reply.status == 206 => change(asked, reply),
            reply => reply,
        })
        .await;
        assert!(stage.get().await.expect(200).body == body, "{what}");
        assert_eq!(stage.origin.ranges(), [slice(0), "-".to_owned()], "{what}");
        assert!(is_hit(&stage.get().await.expect(200)), "{what}");
        let part = stage.part("bytes=100-199").await.expect(206);
        assert!(part.body == body.slice(100..200), "{what}");
        assert!(stage.origin.ranges().is_empty(), "{what}");
        assert!(stage.part("bytes=150000-150009").await.expect(206).body == body.slice(150_000..150_010), "{what}");
    }
}

#[tokio::test]
async fn what_fits_into_one_slice_needs_no_validator() {
    let script = object(bytes(100, 0), "\"one\"");
    let stage = stage_of("", move |asked| {
        let mut reply = script(asked);
        reply.fields.retain(|(name, _)| name != "ETag");
        reply
    })
    .await;
    assert!(stage.get().await.expect(200).body == bytes(100, 0));
    assert!(stage.part("bytes=90-").await.expect(206).body == bytes(100, 0).slice(90..));
    assert_eq!(stage.origin.ranges(), slices([0]));
}

#[tokio::test]
async fn an_empty_object_is_an_empty_answer() {
    for http in Http::BOTH {
        let stage = stage_of("", object(Bytes::new(), "\"one\"")).await;
        for round in 0..2 {
            let answer = stage.ask(http, &[]).await.expect(200);
            assert_eq!((answer.header("content-length"), answer.body.len()), (Some("0"), 0));
            assert_eq!(is_hit(&answer), round > 0);
        }
        stage.ask(http, &[("range", "bytes=0-1")]).await.expect(416);
        assert_eq!(stage.origin.ranges(), [slice(0), "-".to_owned()]);
    }
}

#[tokio::test]
async fn answers_that_are_no_content_are_passed_on() {
    for http in Http::BOTH {
        for (status, name, value) in
            [(404, "x-a", "b"), (301, "location", "/b"), (403, "x-a", "b"), (503, "retry-after", "7")]
        {
            for range in ["bytes=0-1", "bytes=150000-"] {
                let stage = stage_of("", move |_| Reply::new(status, "why").with(name, value)).await;
                let answer = stage.ask(http, &[("range", range)]).await.expect(status);
                assert_eq!((answer.text().as_str(), answer.header(name)), ("why", Some(value)), "{range}");
                // What is stored of errors is stored here, too (`negative`).
                let again = stage.ask(http, &[("range", range)]).await.expect(status);
                assert_eq!(is_hit(&again), matches!(status, 404 | 301), "{status} {range}: {again:?}");
            }
        }
    }
    let refusing = tidegate_testkit::refusing();
    let gateway = builder(&manual_clock()).start(&config(&refusing.addr().to_string(), "slice: 64KiB")).await;
    for http in Http::BOTH {
        let answer = gateway.request(Method::GET, "/a").by(http).header("range", "bytes=5-").send().await.expect(502);
        assert_eq!(answer.json()["code"], "upstream_refused", "{answer:?}");
    }
}

#[tokio::test]
async fn an_upstream_that_fails_midway_cuts_the_answer_and_spoils_nothing() {
    let body = bytes(LENGTH, 0);
    for http in Http::BOTH {
        let script = object(body.clone(), "\"one\"");
        let stage = stage_of("", script.clone()).await;
        let bad = script.clone();
        stage.origin.now(move |asked| match asked.range() {
            Some((first, _)) if first == 2 * SLICE => Reply { until: Some(1_000), ..bad(asked) },
            _ => bad(asked),
        });
        assert!(stage.is_cut(http, &[]).await);
        stage.origin.now(move |asked| match asked.range() {
            Some((first, _)) if first == 3 * SLICE => Reply::new(500, "no"),
            _ => script(asked),
        });
        assert!(stage.is_cut(http, &[]).await);
        stage.origin.ranges();
        stage.origin.now(object(body.clone(), "\"one\""));
        assert!(stage.ask(http, &[]).await.expect(200).body == body);
        assert_eq!(stage.origin.ranges(), slices([3]), "what was whole is still stored");
    }
}
