//! What a client takes, as two plugins read it.

use std::collections::HashMap;

use tidegate_cache::Cache;
use tidegate_cache::fuzz::variant;
use tidegate_compress::Compress;
use tidegate_compress::accept::AcceptEncoding;
use tidegate_compress::algorithm::Algorithm;
use tidegate_core::{HeaderValue, Method};
use tidegate_testkit::{Script, gateway, upstream};

const CODINGS: [&str; 11] = ["gzip", "x-gzip", "BR", "zstd", "deflate", "identity", "*", "b r", "x", "\"br\"", ""];

const WEIGHTS: [&str; 11] =
    ["", ";q=1", "; Q=1.000", ";q=0", ";q=0.5", ";q=0.50", ";q=2", ";;q=1", ";", ";q=1;q=1", ";level=9"];

/// Lists of up to two that are right, nearly right, and not at all: all there are of these.
fn lists() -> impl Iterator<Item = String> {
    let each = || CODINGS.iter().flat_map(|coding| WEIGHTS.iter().map(move |weight| format!("{coding}{weight}")));
    let two = each().flat_map(move |one| each().map(move |other| format!("{one}, {other}")));
    each().chain(two)
}

fn choices(value: &str) -> Vec<Option<Algorithm>> {
    let accepted = AcceptEncoding::parse(value.as_bytes());
    let offers = [&Algorithm::ALL[..], &[Algorithm::Gzip, Algorithm::Br], &[Algorithm::Gzip], &[Algorithm::Br]];
    offers.iter().map(|offered| accepted.choose(offered)).collect()
}

/// Whoever gets another one's stored answer would have got it in the same coding.
#[test]
fn what_the_cache_takes_for_one_variant_is_compressed_in_one_way() {
    let (mut known, mut count) = (HashMap::new(), 0);
    for value in lists() {
        let of = variant(&HeaderValue::from_str(&value).expect("a value"));
        let chosen = choices(&value);
        let (first, before) = known.entry(of).or_insert_with(|| (value.clone(), chosen.clone()));
        assert_eq!(*before, chosen, "{first:?} and {value:?}");
        count += 1;
    }
    assert!(count - known.len() > 1_000, "{} variants of {count} lists: what means the same is shared", known.len());
}

/// What a cache puts together of slices goes out as it is: it is no answer of the gateway's own.
#[tokio::test]
async fn slices_are_not_compressed() {
    let body: Vec<u8> = b"words and words again, ".iter().copied().cycle().take(10_000).collect();
    let slice = Script::reply(body.clone()).with_status(206).header("Content-Range", "bytes 0-9999/10000");
    let slice = slice.header("Content-Type", "application/json").header("ETag", "\"v1\"");
    let app = upstream().route("/*", slice.header("Cache-Control", "max-age=3600")).start().await;
    let yaml = format!(
        "upstreams: {{ app: {{ targets: [\"{}\"] }} }}\n\
         routing: {{ routes: [{{ name: app, upstream: app, plugins: {{ cache: {{ slice: 1MiB }}, compress: {{}} }} }}] }}\n",
        app.target()
    );
    let gateway = gateway().plugin::<Cache>().plugin::<Compress>().start(&yaml).await;
    for _ in 0..2 {
        let answer = gateway.request(Method::GET, "/").header("Accept-Encoding", "gzip").send().await.expect(200);
        assert_eq!((answer.header("content-encoding"), answer.header("etag")), (None, Some("\"v1\"")));
        assert_eq!((answer.header("content-length"), answer.body.len()), (Some("10000"), 10_000));
        let request = gateway.request(Method::GET, "/").header("Accept-Encoding", "gzip");
        let part = request.header("range", "bytes=5-9").send().await.expect(206);
        assert_eq!((part.header("content-encoding"), &*part.body), (None, &body[5..10]));
    }
    assert_eq!(app.requests().len(), 1);
}
