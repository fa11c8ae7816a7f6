//! With a cache: what is stored is compressed, once. The cache is Pingora's, under a policy that keeps everything.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, SystemTime};

use pingora_cache::{CacheMeta, MemCache};
use tidegate_compress::Compress;
use tidegate_core::cache::engine::HitHandler;
use tidegate_core::cache::{Admit, AtOnce, CacheKey, CachePolicy, Lookup, Offer, Use, Zone};
use tidegate_core::{BuildCx, ConfigErrors, Cx, Handler, HeaderMap, Method, NoConfig, Plugin, Result, Route, header};
use tidegate_testkit::{Answer, Script, TestGateway, Upstream, call, gateway};

use crate::kit::{answering, decoded, json, text};

struct Keep(Zone);

struct Kept(Zone);

impl Plugin for Keep {
    const NAME: &'static str = "keep";
    type Config = NoConfig;
    type Policy = NoConfig;
    type Handler = Kept;

    fn build(_: NoConfig, _: &mut BuildCx<'_>) -> Result<Self, ConfigErrors> {
        let storage: &'static MemCache = Box::leak(Box::new(MemCache::new()));
        Ok(Self(Zone { storage, lock: None, lock_wait: Duration::ZERO, predictor: None }))
    }

    fn handler(&self, _: NoConfig, _: &Route) -> Result<Kept, ConfigErrors> {
        Ok(Kept(self.0))
    }
}

impl Handler for Kept {
    fn cache(&self) -> Option<&dyn CachePolicy> {
        Some(self)
    }
}

impl CachePolicy for Kept {
    fn zone(&self) -> Zone {
        self.0
    }

    fn lookup(&self, cx: &mut Cx<'_>) -> Lookup {
        Lookup::Key(CacheKey::new().part(cx.head().path.as_bytes()).hashed(hash))
    }

    fn at_once(&self, _: &mut Cx<'_>, _: &CacheKey) -> Option<AtOnce> {
        None
    }

    fn variance(&self, stored: &HeaderMap, request: &HeaderMap) -> Option<[u8; 16]> {
        stored.get(header::VARY)?;
        Some(hash(request.get(header::ACCEPT_ENCODING).map_or(&b""[..], |accept| accept.as_bytes())))
    }

    fn judge(&self, cx: &mut Cx<'_>, _: &CacheMeta, _: &mut HitHandler) -> Use {
        match cx.head().headers.contains_key("x-old") {
            true => Use::Expired { if_error: false },
            false => Use::Fresh,
        }
    }

    fn admit(&self, offer: Offer<'_>) -> Admit {
        let now = SystemTime::now();
        // Where it does, no cache can say which variant it is about.
        let vary = |headers: &HeaderMap| headers.get(header::VARY).cloned();
        let said = offer.not_modified.and_then(vary);
        assert!(
            said.is_none() || said == vary(&offer.head.headers),
            "a 304 varies by other fields than what is stored"
        );
        Admit::Store(Box::new(CacheMeta::new(now + Duration::from_secs(3600), now, 0, 0, offer.head.clone())))
    }
}

fn hash(bytes: &[u8]) -> [u8; 16] {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    u128::from(hasher.finish()).to_be_bytes()
}

async fn cached(app: &Upstream) -> TestGateway {
    let yaml = format!(
        "upstreams: {{ app: {{ targets: [\"{}\"] }} }}\n\
         routing: {{ routes: [{{ name: app, upstream: app, plugins: {{ keep: {{}}, compress: {{}} }} }}] }}\n",
        app.target()
    );
    gateway().plugin::<Keep>().plugin::<Compress>().start(&yaml).await
}

async fn ask(gateway: &TestGateway, accept: &str, fields: &[(&str, &str)]) -> Answer {
    let request = gateway.request(Method::GET, "/").header("Accept-Encoding", accept);
    fields.iter().fold(request, |request, (name, value)| request.header(*name, *value)).send().await
}

async fn compressed(gateway: &TestGateway) -> f64 {
    gateway.metric("tidegate_compress_bytes_total", &[("direction", "in")]).await
}

#[tokio::test]
async fn each_coding_is_made_once_and_served_to_all_who_take_it() {
    let app = answering(json().header("ETag", "\"v1\"").header("Cache-Control", "max-age=3600")).await;
    let gateway = cached(&app).await;
    for round in 0..3 {
        for accept in ["zstd", "br", "gzip", "identity"] {
            let answer = ask(&gateway, accept, &[]).await.expect(200);
            let coding = Some(accept).filter(|accept| *accept != "identity");
            assert_eq!(answer.headers.all("content-encoding").collect::<Vec<_>>(), Vec::from_iter(coding), "{round}");
            assert_eq!(answer.headers.all("vary").collect::<Vec<_>>(), ["Accept-Encoding"], "{round} {accept}");
            let tag = if coding.is_some() { "W/\"v1\"" } else { "\"v1\"" };
            assert_eq!(answer.header("etag"), Some(tag), "{round} {accept}");
            assert_eq!(decoded(&answer), text(10_000), "{round} {accept}");
        }
    }
    assert_eq!(app.requests().len(), 4, "one for each coding, and one for the content as it is");
    assert_eq!(compressed(&gateway).await, 30_000.0, "a hit compresses nothing");
}

#[tokio::test]
async fn what_was_stored_as_it_is_is_served_as_it_is() {
    let app = answering(Script::reply(text(1_000)).header("Content-Type", "text/html")).await;
    let gateway = cached(&app).await;
    for _ in 0..3 {
        let answer = ask(&gateway, "gzip", &[]).await.expect(200);
        assert_eq!((answer.header("content-encoding"), answer.header("vary")), (None, None));
        assert_eq!(answer.body, text(1_000));
    }
    assert_eq!((app.requests().len(), compressed(&gateway).await), (1, 0.0));
}

#[tokio::test]
async fn revalidation_keeps_the_stored_coding_and_its_weak_tag() {
    let fresh = Script::status(304).header("ETag", "\"v1\"");
    let app = answering(json().header("ETag", "\"v1\"").then(fresh)).await;
    let gateway = cached(&app).await;
    ask(&gateway, "br", &[]).await.expect(200);
    for fields in [&[("X-Old", "1")][..], &[]] {
        let answer = ask(&gateway, "br", fields).await.expect(200);
        assert_eq!(
            (answer.header("content-encoding"), answer.header("etag")),
            (Some("br"), Some("W/\"v1\"")),
            "{fields:?}"
        );
        assert_eq!(decoded(&answer), text(10_000), "{fields:?}");
    }
    let asked = app.requests();
    assert_eq!(asked.len(), 2, "{asked:?}");
    assert_eq!(asked[1].header("if-none-match"), Some("W/\"v1\""));
    // And a client that revalidates with the gateway is told the same tag.
    let answer = ask(&gateway, "br", &[("If-None-Match", "W/\"v1\"")]).await.expect(304);
    assert_eq!(answer.header("etag"), Some("W/\"v1\""));
}

#[tokio::test]
async fn a_stored_answer_that_nobody_gets_compressed_does_not_vary_after_revalidation_either() {
    for conditions in [&[("ETag", "\"v1\"")][..], &[("Last-Modified", "Sat, 21 Nov 2020 12:00:00 GMT")]] {
        let say = |script| conditions.iter().fold(script, |script: Script, (name, value)| script.header(*name, *value));
        let picture = say(Script::reply(text(5_000)).header("Content-Type", "image/png"));
        let app = answering(picture.then(say(Script::status(304)))).await;
        let gateway = cached(&app).await;
        for fields in [&[][..], &[("X-Old", "1")], &[]] {
            let answer = ask(&gateway, "br", fields).await.expect(200);
            assert_eq!((answer.header("vary"), answer.body.len()), (None, 5_000), "{fields:?} {conditions:?}");
        }
        assert_eq!(app.requests().len(), 2);
    }
}

#[tokio::test]
async fn pieces_that_were_held_back_leave_no_hole_in_what_is_stored() {
    let chunks: Vec<_> = text(200_000).chunks(50).map(tidegate_core::Bytes::copy_from_slice).collect();
    let app = answering(Script::chunks(chunks).header("Content-Type", "text/html")).await;
    let gateway = cached(&app).await;
    for _ in 0..2 {
        for coding in ["zstd", "br", "gzip"] {
            assert!(decoded(&ask(&gateway, coding, &[]).await.expect(200)) == text(200_000), "{coding}");
        }
    }
    assert_eq!(app.requests().len(), 3);
}

#[tokio::test]
async fn head_of_a_stored_answer_has_the_stored_fields() {
    let app = answering(json().header("ETag", "\"v1\"")).await;
    let gateway = cached(&app).await;
    let get = ask(&gateway, "gzip", &[]).await.expect(200);
    let mut client = gateway.connect().await;
    let head = client.send(call(Method::HEAD, "/").header("Accept-Encoding", "gzip")).await.expect(200);
    for name in ["content-encoding", "etag", "vary"] {
        assert_eq!(head.header(name), get.header(name), "{name}");
    }
    assert_eq!((head.body.len(), app.requests().len()), (0, 1));
}

#[tokio::test]
async fn what_is_stored_for_a_head_is_compressed_for_the_get_that_follows() {
    for script in [json(), Script::chunks([text(5_000), text(5_000)]).header("Content-Type", "text/html")] {
        let app = answering(script).await;
        let gateway = cached(&app).await;
        let request = gateway.request(Method::HEAD, "/").header("Accept-Encoding", "gzip");
        let head = request.send().await.expect(200);
        assert_eq!((head.header("content-encoding"), head.body.len()), (Some("gzip"), 0));
        let answer = ask(&gateway, "gzip", &[]).await.expect(200);
        assert_eq!(decoded(&answer).len(), 10_000);
    }
}
