use http::Method;
use tidegate_testkit::*;
use crate::*;
#[tokio::test]
async fn scratch() {
    let app = upstream().route("*", Script::echo()).start().await;
    let gateway = tidegate().start(&all_to(&app)).await;
    for n in [3u64, 70_000] {
    for _ in 0..2 {
    gateway.post("/up").h2().generated(n).send().await.expect(200);
    }
    gateway.post("/up").h2().generated_chunked(n).send().await.expect(200);
    }
    gateway.get("/fin").await;
    let w = String::from_utf8_lossy(&app.wire()).into_owned();
    for r in app.requests() { println!("{} {} {} {:?}", r.connection, r.method, r.target, r.headers.get("content-length")); }
    println!("{} ...", &w[..600.min(w.len())]);
    let r = gateway.request(Method::GET, "/a%0d%0a%22b?x=\"%0a\"").header("User-Agent", "a").send().await;
    println!("{r:?}");
    panic!();
}
