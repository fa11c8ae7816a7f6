//! Clients of HTTP/2, for whom the gateway sends a request of its own: nobody can tell, and nobody waits for them.

use std::time::Duration;

use http::Method;
use tidegate_testkit::{Answer, Client, Http, Script, call, gate, upstream};

use crate::{Stage, builder, config, is_hit, manual_clock, minute, stage};

const LENGTH: u64 = 24 << 20;

/// More than a client of HTTP/2 has room for before it reads.
async fn large(script: Script) -> Stage {
    let app = upstream().route("/*", script.header("Cache-Control", "max-age=60")).start().await;
    let clock = manual_clock();
    let zone = "cache: { zones: { main: { memory: 128MiB, max_object: 32MiB } } }";
    let gateway = builder(&clock).start(&format!("{zone}\n{}", config(&app.target(), "{}"))).await;
    Stage { gateway, app, clock }
}

#[tokio::test]
async fn a_client_that_takes_nothing_holds_up_nobody() {
    for script in [Script::generated(LENGTH), Script::generated(LENGTH).chunked()] {
        let gate = gate();
        let stage = large(script.wait_after(1 << 20, &gate)).await;
        let mut lazy = stage.gateway.connect_h2().await;
        let mut lazy = lazy.ask(&call(Method::GET, "/a").host("a.example")).await;
        assert_eq!(lazy.head().await.status, 200);

        // Who has joined before the lazy one's room is full, and who comes later.
        let mut early = Client::connect(stage.gateway.addr()).await;
        early.begin(&call(Method::GET, "/a").host("a.example")).await;
        assert_eq!(early.head().await.status, 200);
        gate.open();
        for http in Http::BOTH {
            let download = stage.gateway.request(Method::GET, "/a").host("a.example").by(http).download().await;
            assert_eq!((download.check.length(), download.check.is_intact()), (LENGTH, true));
        }
        let mut read = 0;
        while let Some(piece) = early.piece().await {
            read += piece.len() as u64;
        }
        assert_eq!((read, stage.asked()), (LENGTH, 1));
        drop(lazy);
    }
}

#[tokio::test]
async fn a_client_that_leaves_does_not_keep_an_answer_from_being_stored() {
    let gate = gate();
    let stage = large(Script::generated(300_000).wait_after(100_000, &gate)).await;
    let mut client = stage.gateway.connect_h2().await;
    let mut stream = client.ask(&call(Method::GET, "/a").host("a.example")).await;
    assert_eq!(stream.head().await.status, 200);
    stream.cancel();
    gate.open();
    let download = stage.gateway.request(Method::GET, "/a").host("a.example").download().await;
    assert_eq!((download.check.length(), download.check.is_intact(), stage.asked()), (300_000, true, 1));
}

/// What both have in common: all but the time, and who asked.
fn seen(answer: &Answer) -> (u16, Vec<(String, String)>, String) {
    let own = ["date", "x-request-id", "connection", "transfer-encoding"];
    let mut fields: Vec<(String, String)> =
        answer.headers.iter().map(|(k, v)| (k.to_ascii_lowercase(), v.to_owned())).collect();
    fields.retain(|(name, _)| !own.contains(&name.as_str()));
    let boundary =
        answer.header("content-type").and_then(|kind| kind.split_once("boundary=")).map(|(_, b)| b.to_owned());
    let text = |text: &str| boundary.as_deref().map_or_else(|| text.to_owned(), |own| text.replace(own, "BOUNDARY"));
    fields.iter_mut().for_each(|(_, value)| *value = text(value));
    fields.sort();
    let id = answer.header("x-request-id").unwrap_or_default();
    (answer.status, fields, text(&answer.text()).replace(id, "ID"))
}

#[tokio::test]
async fn answers_are_those_of_http_1() {
    let scripts = || {
        let tagged = minute("0123456789").header("ETag", "\"a\"").header("Content-Type", "text/plain");
        [
            tagged.clone(),
            tagged.header("Vary", "Accept-Language"),
            Script::chunks(["one", "two"]).header("Cache-Control", "max-age=60"),
            Script::reply("private").header("Cache-Control", "private"),
            Script::reply("cookie").header("Set-Cookie", "a=1").header("Cache-Control", "max-age=60"),
            Script::status(204).header("Cache-Control", "max-age=60"),
            minute("gone").with_status(404),
            Script::status(500),
            Script::reply("").header("Cache-Control", "no-cache").header("ETag", "\"b\""),
            Script::close(),
        ]
    };
    let asked: [(&[(&str, &str)], Method); 8] = [
        (&[], Method::HEAD),
        (&[("range", "bytes=2-4")], Method::GET),
        (&[("range", "bytes=0-1,4-5")], Method::GET),
        (&[("cache-control", "only-if-cached")], Method::GET),
        (&[("if-none-match", "\"a\"")], Method::GET),
        (&[("cache-control", "no-cache")], Method::GET),
        (&[("cache-control", "no-store"), ("accept-language", "de")], Method::GET),
        (&[("range", "bytes=99-")], Method::GET),
    ];
    for (number, (one, two)) in scripts().into_iter().zip(scripts()).enumerate() {
        let (one, two) = (stage("{}", one).await, stage("{}", two).await);
        for (fields, method) in asked.iter().chain(&asked) {
            let send = async |stage: &Stage, http| {
                let request = stage.gateway.request(method.clone(), "/a").host("a.example").by(http);
                seen(&fields.iter().fold(request, |request, (name, value)| request.header(*name, *value)).send().await)
            };
            let (by_one, by_two) = (send(&one, Http::One).await, send(&two, Http::Two).await);
            assert_eq!(by_two, by_one, "script {number}, {method} {fields:?}");
        }
        assert_eq!(two.asked(), one.asked(), "script {number}");
    }
}

#[tokio::test]
async fn what_breaks_off_is_cut_and_not_stored() {
    let broken = minute("0123456789").claiming(20).close_after(10);
    let stage = stage("{}", broken.then(minute("whole"))).await;
    let first = stage.gateway.request(Method::GET, "/a").host("a.example").h2().try_send().await;
    assert!(first.as_ref().map_or(true, |answer| answer.status == 502), "{first:?}");
    let second = stage.gateway.request(Method::GET, "/a").host("a.example").h2().send().await.expect(200);
    assert_eq!((second.text(), is_hit(&second)), ("whole".into(), false));
}

#[tokio::test]
async fn the_upstream_sees_the_same_request() {
    let stage = stage("{}", Script::reply("x").header("Cache-Control", "max-age=60")).await;
    for http in Http::BOTH {
        let request = stage.gateway.request(Method::GET, &format!("/{http:?}?a=1")).host("a.example").by(http);
        let request = request.header("content-type", "application/vnd.x.v2+json").header("content-encoding", "br");
        let request =
            request.header("accept", "a/b").header("cookie", "a=1; b=2").header("x-a", "1").header("x-a", "2");
        request.header("range", "bytes=0-0").send().await.expect(206);
    }
    let mut seen = stage.app.requests().into_iter().map(|request| {
        let fields = request.headers.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()));
        let mut fields: Vec<_> = fields.filter(|(name, _)| name != "x-request-id").collect();
        fields.sort();
        (request.method, fields)
    });
    assert_eq!(seen.next(), seen.next());
}

#[tokio::test]
async fn what_takes_too_long_is_a_504_and_the_log_says_where_it_was() {
    let app = upstream().route("/*", Script::stall()).start().await;
    let yaml =
        config(&app.target(), "{}").replace("upstream: app\n", "upstream: app\n      timeouts: { request: 300ms }\n");
    let gateway = builder(&manual_clock()).start(&yaml).await;
    for http in Http::BOTH {
        let answer = gateway.request(Method::GET, "/a").host("a.example").by(http).send().await.expect(504);
        assert_eq!(answer.json()["code"], "upstream_timeout");
    }
    let mut told = gateway.access_log(2).await.into_iter().map(|line| {
        let line: serde_json::Value = serde_json::from_str(&line).expect("a line of JSON");
        ["upstream", "target", "tries", "code", "error", "answered_by"].map(|key| line[key].clone())
    });
    let (one, two) = (told.next().expect("a line"), told.next());
    assert_eq!((&one[0], &one[1], &one[2]), (&"app".into(), &app.target().into(), &1.into()));
    assert_eq!(two, Some(one));
}

/// A client that leaves before there is an answer is a 499, and the log says where its request was.
#[tokio::test]
async fn a_client_that_leaves_before_the_head_is_told_of_with_the_target() {
    let stage = stage("{}", Script::stall()).await;
    let mut client = stage.gateway.connect_h2().await;
    let mut stream = client.ask(&call(Method::GET, "/a").host("a.example")).await;
    stage.app.wait_for(1).await;
    stream.cancel();
    let line = stage.gateway.access_log(1).await.remove(0);
    let line: serde_json::Value = serde_json::from_str(&line).expect("a line of JSON");
    assert_eq!((&line["status"], &line["target"]), (&499.into(), &stage.app.target().into()), "{line}");
}

/// Trailers follow what is not stored; what is stored has none (RFC 9110 section 6.5.1).
#[tokio::test]
async fn trailers_are_passed_on() {
    let script = Script::chunks(["one", "two"]).header("Cache-Control", "private").trailer("x-sum", "3");
    let app = upstream().h2().route("/*", script).start().await;
    let yaml = config(&app.target(), "{}").replace("app: { targets", "app: { protocol: h2, targets");
    let gateway = builder(&manual_clock()).start(&yaml).await;
    for _ in 0..3 {
        let answer = gateway.request(Method::GET, "/a").host("a.example").h2().send().await.expect(200);
        assert_eq!(answer.text(), "onetwo");
        assert_eq!(answer.trailers.get("x-sum"), Some("3"));
    }
}

#[tokio::test]
async fn a_client_stays_with_its_target() {
    let script = || Script::reply("x").header("Cache-Control", "private");
    let (one, two) = (upstream().route("/*", script()).start().await, upstream().route("/*", script()).start().await);
    let yaml = config(&one.target(), "{}").replace(
        &format!("targets: [\"{}\"]", one.target()),
        &format!(
            "targets: [\"{}\", \"{}\"], sticky: {{ secret: \"0123456789abcdef0123456789abcdef\" }}",
            one.target(),
            two.target()
        ),
    );
    for (path, http) in [("/a", Http::Two), ("/b", Http::One)] {
        let gateway = builder(&manual_clock()).start(&yaml).await;
        let answer = gateway.request(Method::GET, path).by(http).send().await.expect(200);
        let cookies = answer.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie")).count();
        assert_eq!(cookies, 1, "{http:?} {answer:?}");
    }
}

/// The client's is the one request there is.
#[tokio::test]
async fn each_request_is_counted_once() {
    let stage = stage("{}", minute("x").delay(Duration::from_millis(10))).await;
    for _ in 0..3 {
        stage
            .gateway
            .request(Method::GET, "/a")
            .host("a.example")
            .h2()
            .header("range", "bytes=0-0")
            .send()
            .await
            .expect(206);
    }
    let counted = stage.gateway.metric("http_requests_total", &[("route", "app")]).await;
    let upstream = stage.gateway.metric("tidegate_upstream_requests_total", &[("upstream", "app")]).await;
    assert_eq!((counted, upstream), (3.0, 1.0));
}
