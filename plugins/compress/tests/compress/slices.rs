//! What a cache puts together of slices goes out as it is: it is no answer of the gateway's own.

use tidegate_cache::Cache;
use tidegate_compress::Compress;
use tidegate_core::Method;
use tidegate_testkit::{Script, gateway};

use crate::kit::{answering, text};

#[tokio::test]
async fn slices_are_not_compressed() {
    let slice = Script::reply(text(10_000)).with_status(206).header("Content-Range", "bytes 0-9999/10000");
    let slice = slice.header("Content-Type", "application/json").header("ETag", "\"v1\"");
    let app = answering(slice.header("Cache-Control", "max-age=3600")).await;
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
        assert_eq!((part.header("content-encoding"), &part.body), (None, &text(10_000).slice(5..10)));
    }
    assert_eq!(app.requests().len(), 1);
}
