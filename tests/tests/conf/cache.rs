//! `conf/cache.yaml` does what it says.

use std::time::Duration;

use http::Method;
use tidegate_testkit::{Answer, Client, ManualClock, Metrics, Script, call, manual_clock, wait_until_async};

use crate::support::{Example, start_on};

const HOST: &str = "shop.example";
const KEY: &str = "deploy.only-for-this-example-0123456789";

/// The example, once it has fetched what it is to fetch at the start.
async fn started() -> (Example, ManualClock) {
    let clock = manual_clock();
    let example = start_on("cache", &clock).await;
    let shop = example.upstream(3000);
    shop.wait_for(1).await;
    assert!(shop.request().path() == "/" && shop.request().header("host") == Some(HOST), "{:#?}", shop.requests());
    (example, clock)
}

async fn ask(example: &Example, method: &str, path: &str, fields: &[(&str, &str)]) -> Answer {
    let call = call(method.parse().expect("a method"), path).host(HOST);
    example.send("http", fields.iter().fold(call, |call, (name, value)| call.header(*name, *value))).await
}

async fn get(example: &Example, path: &str) -> Answer {
    ask(example, "GET", path, &[]).await
}

/// What the cache did: `hit`, or by which words it went on to the upstream.
fn did(answer: &Answer) -> &str {
    answer.header("cache-status").unwrap_or("none").trim_start_matches("tidegate; ")
}

fn is_hit(answer: &Answer) -> bool {
    did(answer).starts_with("hit")
}

async fn admin(example: &Example, method: Method, path: &str) -> Answer {
    Client::connect(example.gateway.admin_address().expect("it listens")).await.send(call(method, path)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_configured_to_be_warm_is_stored_as_browsers_take_it() {
    let (example, _clock) = started().await;
    let browser = [("Accept-Encoding", "gzip, deflate, br, zstd")];
    wait_until_async("the page is warm", async || is_hit(&ask(&example, "GET", "/", &browser).await)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_kept_and_told_apart_as_the_file_says() {
    let (example, clock) = started().await;
    let shop = example.upstream(3000);

    assert_eq!(did(&get(&example, "/page?a=1&b=2").await), "fwd=uri-miss; fwd-status=200; stored; ttl=600");
    for same in ["/page?a=1&b=2", "/page?b=2&a=1", "/page?a=1&utm_source=x&b=2&fbclid=7"] {
        assert!(is_hit(&get(&example, same).await), "{same}");
    }
    assert!(!is_hit(&get(&example, "/page?a=1&b=3").await));
    for language in ["en", "de"] {
        let cookie = format!("theme=dark; language={language}");
        assert!(!is_hit(&ask(&example, "GET", "/page?a=1&b=2", &[("Cookie", &cookie)]).await), "{language}");
        assert!(is_hit(&ask(&example, "GET", "/page?a=1&b=2", &[("Cookie", &cookie)]).await), "{language}");
    }

    // Neither asked nor stored.
    for (path, fields) in [("/page?a=1&b=2", &[("Cookie", "session=1")][..]), ("/cart/1", &[])] {
        for _ in 0..2 {
            let answer = ask(&example, "GET", path, fields).await;
            assert_eq!(did(&answer), "fwd=bypass; fwd-status=200; detail=rule", "{path}");
        }
    }
    shop.set("/account/*", Script::reply("mine").header("Cache-Control", "public, max-age=60"));
    for _ in 0..2 {
        assert_eq!(did(&get(&example, "/account/me").await), "none");
    }

    // What the upstream says counts.
    shop.set("/secret", Script::reply("x").header("Cache-Control", "no-store"));
    shop.set("/short", Script::reply("x").header("Cache-Control", "max-age=5"));
    assert!(did(&get(&example, "/secret").await).ends_with("detail=no_store"));
    assert!(did(&get(&example, "/short").await).ends_with("stored; ttl=5"));

    // Errors, briefly: for their time, and then like all that is stale.
    for (status, secs) in [(404, 30), (410, 600)] {
        let path = format!("/{status}");
        shop.set(&path, Script::status(status));
        get(&example, &path).await.expect(status);
        assert!(is_hit(&get(&example, &path).await.expect(status)), "{status}");
        clock.advance(Duration::from_secs(secs + 30 + 1));
        assert!(!is_hit(&get(&example, &path).await.expect(status)), "{status}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn browsers_are_told_by_extension_how_long_they_may_keep_what_they_get() {
    let (example, _clock) = started().await;
    for (path, ttl, told) in [
        ("/app.4f1c.js", "2592000", Some("public, max-age=31536000, immutable")),
        ("/style.CSS", "2592000", Some("public, max-age=31536000, immutable")),
        ("/about.html", "600", Some("no-cache")),
        ("/about", "600", None),
    ] {
        let answer = get(&example, path).await.expect(200);
        assert_eq!(
            (answer.header("cache-control"), did(&answer).ends_with(&format!("ttl={ttl}"))),
            (told, true),
            "{path}"
        );
        let again = get(&example, path).await.expect(200);
        assert_eq!((again.header("cache-control"), is_hit(&again)), (told, true), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_waits_for_a_new_answer_nor_sees_that_the_upstream_is_down() {
    let (example, clock) = started().await;
    let shop = example.upstream(3000);
    shop.set("/page", Script::reply("old").then(Script::reply("new")));
    assert_eq!(get(&example, "/page").await.text(), "old");
    clock.advance(Duration::from_secs(600 + 20));
    let stale = get(&example, "/page").await;
    assert!(is_hit(&stale) && stale.text() == "old", "{stale:#?}");
    wait_until_async("the new one", async || get(&example, "/page").await.text() == "new").await;

    shop.set("/page", Script::status(503));
    clock.advance(Duration::from_secs(12 * 3600));
    let hidden = get(&example, "/page").await.expect(200);
    assert!(hidden.text() == "new" && did(&hidden).ends_with("detail=stale_if_error"), "{hidden:#?}");
    clock.advance(Duration::from_secs(24 * 3600));
    get(&example, "/page").await.expect(503);
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_are_stored_compressed_once_for_all_who_take_the_same_coding() {
    let (example, _clock) = started().await;
    let page = Script::reply("tide ".repeat(1000)).header("Content-Type", "text/html");
    example.upstream(3000).set("/page", page);
    for (accepts, coding) in [("gzip, deflate, br, zstd", "zstd"), ("br, gzip", "br"), ("gzip", "gzip")] {
        for hit in [false, true] {
            let answer = ask(&example, "GET", "/page", &[("Accept-Encoding", accepts)]).await.expect(200);
            assert_eq!((answer.header("content-encoding"), is_hit(&answer)), (Some(coding), hit), "{accepts}");
        }
    }
    let reordered = ask(&example, "GET", "/page", &[("Accept-Encoding", "zstd, br, deflate, gzip")]).await;
    assert!(is_hit(&reordered), "{reordered:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn images_have_a_zone_of_their_own_and_are_on_a_disk_once_they_were_wanted_twice() {
    let (example, _clock) = started().await;
    let images = example.upstream(3001);
    let image = Script::reply("pixels").header("Content-Type", "image/webp").header("Set-Cookie", "seen=1");
    images.set("/images/*", image);
    images.set("/images/broken.webp", Script::reply("sorry").header("Content-Type", "text/html"));

    let answer = get(&example, "/images/a.webp?w=16&h=9").await.expect(200);
    assert!(did(&answer).ends_with("stored; ttl=604800") && !answer.headers.has("set-cookie"), "{answer:#?}");
    for same in ["/images/a.webp?h=9&w=16", "/images/a.webp?w=16&x=1&h=9"] {
        let again = get(&example, same).await.expect(200);
        assert!(is_hit(&again) && !again.headers.has("set-cookie"), "{same}: {again:#?}");
    }
    assert!(!is_hit(&get(&example, "/images/a.webp?w=17&h=9").await));
    assert!(did(&get(&example, "/images/broken.webp").await).ends_with("detail=content_type"));

    let metrics = async || Metrics::parse(&admin(&example, Method::GET, "/metrics").await.text());
    let on_disk = async || metrics().await.sum("tidegate_cache_disk_objects", &[("zone", "images")]);
    wait_until_async("the one that was wanted twice is on the disk", async || on_disk().await >= 1.0).await;
    assert_eq!(on_disk().await, 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_purge_by_tag_and_deployments_by_their_key() {
    let (example, _clock) = started().await;
    let shop = example.upstream(3000);
    shop.set("/*", Script::reply("page").header("Cache-Tag", "build-81"));
    let stored = async |path: &str| {
        get(&example, path).await.expect(200);
        assert!(is_hit(&get(&example, path).await), "{path}");
    };
    stored("/about.html").await;
    stored("/other.html").await;

    ask(&example, "PURGE", "/about.html", &[]).await.expect(401);
    ask(&example, "PURGE", "/about.html", &[("X-API-Key", "deploy.a-guess-0123456789-0123456789-01")])
        .await
        .expect(401);
    assert!(is_hit(&get(&example, "/about.html").await));
    ask(&example, "PURGE", "/about.html", &[("X-API-Key", KEY)]).await.expect(200);
    assert!(!is_hit(&get(&example, "/about.html").await));
    assert!(is_hit(&get(&example, "/other.html").await));
    assert!(shop.requests().iter().all(|asked| asked.method != "PURGE"), "{:#?}", shop.requests());

    let purged = admin(&example, Method::POST, "/cache/purge?tag=build-81").await.expect(200);
    assert_eq!(purged.json()["purged"], "tag build-81", "{purged:#?}");
    assert!(!is_hit(&get(&example, "/other.html").await));
    let zones = admin(&example, Method::GET, "/cache/zones").await.expect(200).json();
    for zone in ["main", "images"] {
        assert!(zones["zones"][zone]["objects"].is_u64(), "{zones}");
    }
}
