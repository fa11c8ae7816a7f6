//! Purges by the admin listener and by method, and what other gateways of the fleet make of them.

use http::Method;
use tidegate_cache::Cache;
use tidegate_testkit::{
    Answer, Client, Script, TestGateway, Upstream, call, gateway, manual_clock, redis, upstream, wait_until_async,
};

/// An upstream that gives every answer tags and an hour.
async fn tagged() -> Upstream {
    let script = Script::reply("stored").header("Cache-Control", "max-age=3600").header("Cache-Tag", "home, sale");
    upstream().route("/*", script).start().await
}

fn yaml(upstream: &Upstream, policy: &str, section: &str) -> String {
    format!(
        "upstreams: {{ app: {{ targets: [\"{}\"] }} }}\n{section}\nrouting:\n  routes:\n    - name: all\n      \
         upstream: app\n      plugins: {{ cache: {policy} }}\n",
        upstream.target()
    )
}

async fn start(upstream: &Upstream, policy: &str) -> TestGateway {
    gateway().plugin::<Cache>().clock(&manual_clock()).start(&yaml(upstream, policy, "")).await
}

/// Whether the answer came from the cache.
fn hit(answer: &Answer) -> bool {
    answer.header("cache-status").is_some_and(|status| status.contains("; hit"))
}

async fn get(gateway: &TestGateway, path: &str) -> Answer {
    gateway.request(Method::GET, path).host("shop.example").send().await.expect(200)
}

async fn admin(gateway: &TestGateway, method: Method, path: &str) -> Answer {
    Client::connect(gateway.admin_addr()).await.send(call(method, path)).await
}

async fn purge(gateway: &TestGateway, query: &str) -> Answer {
    admin(gateway, Method::POST, &format!("/cache/purge?{query}")).await
}

/// How many purges it knows of.
async fn purges(gateway: &TestGateway) -> u64 {
    gateway.admin("/cache/zones").await.json()["zones"]["main"]["purges"].as_u64().unwrap_or_default()
}

#[tokio::test]
async fn an_operator_purges_by_url_prefix_host_tag_and_all() {
    let upstream = tagged().await;
    let gateway = start(&upstream, "{}").await;
    let paths = ["/a/1?x=1", "/a/2", "/b"];
    for (query, left) in [
        ("url=http://shop.example/a/1%3Fx%3D1", [false, true, true]),
        ("prefix=http://shop.example/a/", [false, false, true]),
        ("host=shop.example", [false, false, false]),
        ("tag=sale", [false, false, false]),
        ("all=true", [false, false, false]),
        ("tag=other", [true, true, true]),
        ("host=other.example", [true, true, true]),
    ] {
        for path in paths {
            get(&gateway, path).await;
            assert!(hit(&get(&gateway, path).await), "{path} before {query}");
        }
        purge(&gateway, query).await.expect(200);
        for (path, left) in paths.into_iter().zip(left) {
            assert_eq!(hit(&get(&gateway, path).await), left, "{path} after {query}");
        }
    }
}

#[tokio::test]
async fn every_variant_of_a_url_is_purged() {
    let script = Script::reply("stored").header("Cache-Control", "max-age=3600").header("Vary", "Accept-Language");
    let upstream = upstream().route("/*", script).start().await;
    let gateway = start(&upstream, "{}").await;
    let ask = async |language: &str| {
        let request = gateway.request(Method::GET, "/").host("shop.example").header("Accept-Language", language);
        hit(&request.send().await.expect(200))
    };
    for language in ["de", "fr"] {
        assert!(!ask(language).await && ask(language).await, "{language}");
    }
    purge(&gateway, "url=http://shop.example/").await.expect(200);
    for language in ["de", "fr"] {
        assert!(!ask(language).await, "{language}");
    }
}

#[tokio::test]
async fn a_soft_purge_serves_what_is_stale_while_one_request_renews_it() {
    let upstream = tagged().await;
    let gateway = start(&upstream, "{ stale_while_revalidate: 1m }").await;
    get(&gateway, "/").await;
    upstream.set("/*", Script::reply("new").header("Cache-Control", "max-age=3600"));
    purge(&gateway, "tag=home&soft=true").await.expect(200);
    let stale = get(&gateway, "/").await;
    assert_eq!((stale.text().as_str(), hit(&stale)), ("stored", true), "{stale:?}");
    wait_until_async("the new one", async || get(&gateway, "/").await.text() == "new").await;
    assert_eq!(upstream.requests().len(), 2, "one fetch, one renewal");
}

#[tokio::test]
async fn what_was_asked_for_before_a_purge_and_came_after_it_is_not_used() {
    let gate = tidegate_testkit::gate();
    let script = Script::reply("old").header("Cache-Control", "max-age=3600").wait(&gate);
    let upstream = upstream().route("/*", script).start().await;
    let gateway = start(&upstream, "{}").await;
    let first = async { get(&gateway, "/").await.text() };
    let purged = async {
        upstream.wait_for(1).await;
        purge(&gateway, "all=true").await.expect(200);
        upstream.set("/*", Script::reply("new").header("Cache-Control", "max-age=3600"));
        gate.open();
    };
    let (first, ()) = tokio::join!(first, purged);
    assert_eq!(first, "old");
    assert_eq!(get(&gateway, "/").await.text(), "new");
}

#[tokio::test]
async fn purges_that_make_no_sense_say_what_would() {
    let upstream = tagged().await;
    let gateway = start(&upstream, "{}").await;
    for query in
        ["", "url=/a", "tag=a%20b", "tag=a&host=b", "all=yes", "prefix=ftp://a/", "soft=true", "all=true&soft=1"]
    {
        let answer = purge(&gateway, query).await.expect(400);
        assert!(answer.text().len() > 10, "{query}: {answer:?}");
    }
    let answer = purge(&gateway, "all=true&zone=other").await.expect(404);
    assert!(answer.text().contains("main"), "{answer:?}");
    admin(&gateway, Method::GET, "/cache/purge?all=true").await.expect(405);
    admin(&gateway, Method::POST, "/cache/zones").await.expect(405);
}

#[tokio::test]
async fn an_operator_sees_what_is_stored() {
    let upstream = tagged().await;
    let gateway = start(&upstream, "{}").await;
    get(&gateway, "/").await;
    purge(&gateway, "tag=other").await.expect(200);
    let zones = gateway.admin("/cache/zones").await.expect(200).json();
    let main = &zones["zones"]["main"];
    assert_eq!((main["objects"].as_u64(), main["purges"].as_u64()), (Some(1), Some(1)), "{zones}");
    assert!(main["bytes"].as_u64().is_some_and(|bytes| bytes > 0), "{zones}");
}

/// Nobody whom nobody has proved to be somebody.
#[tokio::test]
async fn purge_by_method_is_for_those_whom_the_route_names() {
    let upstream = tagged().await;
    let gateway = start(&upstream, "{ purge: { roles: [deployer] } }").await;
    get(&gateway, "/").await;
    let refused = gateway.request("PURGE".parse().expect("a method"), "/").host("shop.example").send().await;
    assert_eq!((refused.status, refused.json()["code"].as_str()), (401, Some("purge_anonymous")), "{refused:?}");
    assert!(hit(&get(&gateway, "/").await));
    assert_eq!(upstream.requests().len(), 1, "the upstream never hears of it");
}

#[tokio::test]
async fn a_purge_on_one_gateway_is_one_on_all_of_the_fleet() {
    let (upstream, redis) = (tagged().await, redis().await);
    let section = format!(
        "stores: {{ shared: {{ redis: \"{}\", timeout: 10s }} }}\ncache: {{ fleet: {{ store: shared, learn: 20ms }} }}",
        redis.url()
    );
    let yaml = yaml(&upstream, "{}", &section);
    let one = gateway().plugin::<Cache>().start(&yaml).await;
    let two = gateway().plugin::<Cache>().start(&yaml).await;
    // Again, as long as the other one has not begun to read.
    wait_until_async("the first", async || purge(&one, "tag=first").await.status == 200 && purges(&two).await > 0)
        .await;
    for gateway in [&one, &two] {
        get(gateway, "/").await;
        assert!(hit(&get(gateway, "/").await));
    }
    purge(&one, "tag=sale").await.expect(200);
    assert!(!hit(&get(&one, "/").await));
    wait_until_async("the other to follow", async || !hit(&get(&two, "/").await)).await;
    assert!(hit(&get(&one, "/").await) && hit(&get(&two, "/").await), "once, and not for ever");
}

#[tokio::test]
async fn a_gateway_that_could_not_read_for_a_while_reads_on_where_it_was() {
    let (upstream, redis) = (tagged().await, redis().await);
    let section = format!(
        "stores: {{ shared: {{ redis: \"{}\", timeout: 200ms }} }}\ncache: {{ fleet: {{ store: shared, learn: 20ms }} }}",
        redis.url()
    );
    let yaml = yaml(&upstream, "{}", &section);
    let one = gateway().plugin::<Cache>().start(&yaml).await;
    let two = gateway().plugin::<Cache>().start(&yaml).await;
    // Again, as long as the other one has not begun to read.
    wait_until_async("the first", async || purge(&one, "tag=first").await.status == 200 && purges(&two).await > 0)
        .await;
    for path in ["/", "/a"] {
        get(&two, path).await;
        assert!(hit(&get(&two, path).await));
    }

    redis.stop_answering();
    let untold = purge(&one, "tag=untold").await.expect(503);
    assert!(untold.text().contains("could not be told"), "{untold:?}");
    redis.go_on();
    let second = "url=http://shop.example/a";
    wait_until_async("a purge that is told again", async || purge(&one, second).await.status == 200).await;
    wait_until_async("the second", async || !hit(&get(&two, "/a").await)).await;
    assert!(hit(&get(&two, "/").await), "what was not purged is still there");
}

/// The stream was cut: nobody knows what was purged meanwhile.
#[tokio::test]
async fn a_gateway_that_has_missed_purges_purges_all() {
    let (upstream, redis) = (tagged().await, redis().await);
    let section = format!(
        "stores: {{ shared: {{ redis: \"{}\", timeout: 10s }} }}\ncache: {{ fleet: {{ store: shared, learn: 20ms }} }}",
        redis.url()
    );
    let gateway = gateway().plugin::<Cache>().start(&yaml(&upstream, "{}", &section)).await;
    purge(&gateway, "tag=first").await.expect(200);
    get(&gateway, "/").await;
    assert!(hit(&get(&gateway, "/").await));
    // It has read the first entry, which then goes, with one that it never saw.
    let read = async || redis.calls("xrange").await;
    let before = read().await;
    wait_until_async("another look", async || read().await > before + 2).await;
    let key = "tidegate:cache:{main}:purges";
    let _: i64 = redis.ask(tidegate_core::redis::cmd("DEL").arg(key)).await;
    let _: String = redis.ask(tidegate_core::redis::cmd("XADD").arg(key).arg("*").arg("mark").arg("?")).await;
    wait_until_async("all to be purged", async || !hit(&get(&gateway, "/").await)).await;
}
