//! Bodies (F41, A3).

use serde_json::{Value, json};
use tidegate_core::Method;
use tidegate_testkit::Http;

use super::*;

const GOOD: &str = " {\n\t\"name\": \"Ann\\u0061\", \"email\" : \"a@b.test\" }\r\n";

#[tokio::test]
async fn a_body_that_fits_goes_on_byte_for_byte_and_another_one_does_not_go_on() {
    let (upstream, gateway) = guarded(&format!("{{ body: {USER} }}")).await;
    for http in Http::BOTH {
        let post =
            |body: &'static str| gateway.post("/users").by(http).header("Content-Type", "application/json").body(body);
        post(GOOD).send().await.expect(200);
        assert_eq!(upstream.wait_for(1).await[0].text(), GOOD);
        upstream.forget();

        let answer = post("{\"name\":\"hunter2\",\"x\":1}").send().await.expect(400);
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
        let mut found = errors(&answer);
        found.sort();
        assert_eq!(found, ["/email: it is missing", "/x: there is no such member"]);
        let problem = answer.json();
        assert_eq!((&problem["code"], &problem["status"]), (&json!("invalid_request"), &json!(400)));
        assert!(problem["pointer"].is_string() && !answer.text().contains("hunter2"), "{problem}");
        post("{\"name\":\"An\",\"email\":\"a@b.test\"}").send().await.expect(400);
        assert!(upstream.requests().is_empty(), "not even a head");
    }
    assert_eq!(failures(&gateway, "enforce", "body").await, 4.0);
}

#[tokio::test]
async fn a_long_body_or_one_of_unknown_length_is_held_back_until_it_is_known_to_fit() {
    let (upstream, gateway) = guarded(&format!("{{ body: {USER} }}")).await;
    let notes: Vec<String> = (0..20_000).map(|nth| format!("note {nth}")).collect();
    let long = json!({ "name": "Anna", "email": "a@b.test", "notes": notes }).to_string();
    assert!(long.len() > 200_000);
    let pieces = |text: &str| text.as_bytes().chunks(7001).map(<[u8]>::to_vec).collect::<Vec<_>>();
    for http in Http::BOTH {
        let post_to = |path: &str| gateway.post(path).by(http).header("Content-Type", "application/json");
        for good in [long.as_str(), GOOD] {
            post_to("/good").chunks(pieces(good)).send().await.expect(200);
            post_to("/good").body(good.to_owned()).send().await.expect(200);
            let seen = seen(&upstream, "/good");
            assert!(seen.len() == 2 && seen.iter().all(|request| request.body == good), "{http:?}");
            upstream.forget();
        }
        let post = || post_to("/bad");
        // The fault is at its very end.
        let bad = long.replace("\"note 19999\"", "19999");
        assert_ne!(bad, long);
        for request in [post().body(bad.clone()), post().chunks(pieces(&bad))] {
            let answer = request.send().await.expect(400);
            assert_eq!(errors(&answer), ["/notes/19999: it must be a string"]);
        }
        let bad = GOOD.replace("email", "mail");
        post().chunks(pieces(&bad)).send().await.expect(400);
        let sent: u64 = upstream.requests().iter().map(|request| request.check.length()).sum();
        assert_eq!(sent, 0, "nothing of them is sent");
        assert!(!String::from_utf8_lossy(&upstream.wire()).contains("note 1\""));
    }
}

#[tokio::test]
async fn a_body_that_is_too_long_is_413_before_it_is_parsed() {
    let (upstream, gateway) = guarded(&format!("{{ max_body: 100KiB, body: {USER} }}")).await;
    for http in Http::BOTH {
        let post = |path: &str| gateway.post(path).by(http).header("Content-Type", "application/json");
        // No JSON at all: nobody has looked.
        let much = "x".repeat(100 * 1024 + 1);
        let answer = post("/known").body(much.clone()).send().await.expect(413);
        assert_eq!(answer.json()["code"], "too_large");
        let pieces = much.as_bytes().chunks(5000).map(<[u8]>::to_vec).collect::<Vec<_>>();
        post("/unknown").chunks(pieces).send().await.expect(413);
        let came = upstream.requests();
        assert!(came.iter().all(|request| request.target == "/unknown" && request.check.length() == 0), "{came:#?}");
        let most = ["{\"name\":\"Anna\",\"email\":\"a@b.test\"}", &" ".repeat(100 * 1024 - 34)].concat();
        assert_eq!(most.len(), 100 * 1024);
        post("/most").body(most.clone()).send().await.expect(200);
        assert_eq!(seen(&upstream, "/most").pop().expect("one").body, most);
        upstream.forget();
    }
    assert_eq!(failures(&gateway, "enforce", "too_large").await, 4.0);
}

#[tokio::test]
async fn only_listed_types_and_no_codings_are_read() {
    let (upstream, gateway) = guarded(&format!("{{ body: {USER} }}")).await;
    let with = |fields: &[(&str, &str)]| {
        let request = gateway.post("/users").body(GOOD);
        fields.iter().fold(request, |request, (name, value)| request.header(*name, *value))
    };
    for fields in [
        vec![("Content-Type", "application/json")],
        vec![("Content-Type", "Application/JSON; charset=UTF-8")],
        vec![("Content-Type", "application/vnd.api+json")],
        vec![("Content-Type", "application/json"), ("Content-Encoding", "identity")],
    ] {
        with(&fields).send().await.expect(200);
    }
    upstream.forget();
    for fields in [
        vec![],
        vec![("Content-Type", "text/plain")],
        vec![("Content-Type", "application/x-www-form-urlencoded")],
        vec![("Content-Type", "application/jsonp")],
        vec![("Content-Type", "application/json; charset=utf-7")],
        vec![("Content-Type", "application/json"), ("Content-Type", "text/plain")],
    ] {
        let answer = with(&fields).send().await.expect(415);
        assert_eq!(answer.json()["code"], "unsupported_media_type", "{fields:?}");
    }
    for coding in ["gzip", "identity, gzip", "br"] {
        let fields = [("Content-Type", "application/json"), ("Content-Encoding", coding)];
        let answer = with(&fields).send().await.expect(415);
        assert_eq!(answer.header("accept-encoding"), Some("identity"));
    }
    assert!(upstream.requests().is_empty());
    assert_eq!(failures(&gateway, "enforce", "media_type").await, 6.0);
    assert_eq!(failures(&gateway, "enforce", "encoding").await, 3.0);
}

#[tokio::test]
async fn what_readers_could_read_in_two_ways_is_refused() {
    let (upstream, gateway) = guarded("{ max_depth: 4, body: {} }").await;
    for (body, error) in [
        ("{\"a\":{\"b\":1,\"b\":2}}", "/a/b: it is there twice"),
        ("[[[[[]]]]]", "/0/0/0/0: it is nested too deeply"),
        ("{} {}", ": it is no well-formed JSON (line 1, column 4)"),
        ("{'a':1}", ": it is no well-formed JSON (line 1, column 2)"),
    ] {
        assert_eq!(errors(&post(&gateway, body).await.expect(400)), [error], "{body}");
    }
    post(&gateway, "[".repeat(60_000)).await.expect(400);
    post(&gateway, vec![0xff, 0xfe]).await.expect(400);
    assert!(upstream.requests().is_empty());
    post(&gateway, "[[[[]]]]").await.expect(200);
}

#[tokio::test]
async fn there_must_be_a_body_where_one_is_usual_and_none_passes_unchecked() {
    let (upstream, gateway) = guarded(&format!("{{ body: {USER} }}")).await;
    for http in Http::BOTH {
        for method in [Method::POST, Method::PUT, Method::PATCH] {
            let request =
                || gateway.request(method.clone(), "/users").by(http).header("Content-Type", "application/json");
            let answer = request().send().await.expect(400);
            assert_eq!(errors(&answer), [": there must be one"]);
            request().body("").send().await.expect(400);
            request().chunks(Vec::<&str>::new()).send().await.expect(400);
        }
        for method in [Method::GET, Method::DELETE, Method::OPTIONS] {
            let request =
                || gateway.request(method.clone(), "/users").by(http).header("Content-Type", "application/json");
            request().send().await.expect(200);
            request().body("{\"name\":\"An\"}").send().await.expect(400);
        }
        assert!(upstream.requests().iter().all(|request| request.body.is_empty()));
    }
    let (_upstream, gateway) = guarded(&format!("{{ body: {} }}", USER.replacen('{', "{ empty: allow,", 1))).await;
    gateway.post("/users").send().await.expect(200);
    post(&gateway, "{}").await.expect(400);
}

#[tokio::test]
async fn of_a_long_body_with_forms_to_choose_from_it_is_only_told_that_it_has_a_fault() {
    let schema = "{ type: array, items: { anyOf: [{ type: string }, { type: integer }] } }";
    let (_upstream, gateway) = guarded(&format!("{{ body: {{ json_schema: {{ inline: {schema} }} }} }}")).await;
    let faulty = |count: usize| format!("[{}true]", "1,".repeat(count));
    assert_eq!(
        errors(&post(&gateway, faulty(10)).await.expect(400)),
        ["/10: it has none of the forms that it may have"]
    );
    assert_eq!(errors(&post(&gateway, faulty(20_000)).await.expect(400)), [": it is not what it must be"]);
    post(&gateway, format!("[{}1]", "1,".repeat(20_000))).await.expect(200);
}

#[tokio::test]
async fn the_section_says_how_refusals_look() {
    let upstream = upstream().reply("/*", "let through").start().await;
    let yaml = yaml(&upstream, &format!("{{ body: {USER} }}"));
    let gateway = builder().start(&format!("validation: {{ status: 422, max_errors: 3 }}\n{yaml}")).await;
    let many: Value = (0..50).map(|nth| (format!("x{nth}"), Value::Null)).collect::<serde_json::Map<_, _>>().into();
    let answer = post(&gateway, many.to_string()).await.expect(422);
    assert_eq!(errors(&answer).len(), 3);
}

#[tokio::test]
async fn a_connection_goes_on_after_a_refusal() {
    let (_upstream, gateway) = guarded(&format!("{{ body: {USER} }}")).await;
    let mut client = gateway.connect().await;
    for _ in 0..3 {
        let call = |body: &'static str| {
            tidegate_testkit::call(Method::POST, "/users").header("Content-Type", "application/json").body(body)
        };
        client.send(call("{}")).await.expect(400);
        client.send(call(GOOD)).await.expect(200);
    }
}

#[tokio::test]
async fn a_client_that_waits_to_be_told_is_told() {
    let (upstream, gateway) = guarded(&format!("{{ body: {USER} }}")).await;
    let mut client = gateway.connect().await;
    let head = format!(
        "POST /users HTTP/1.1\r\nHost: a.test\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Expect: 100-continue\r\n\r\n",
        GOOD.len()
    );
    client.write(head.as_bytes()).await;
    assert_eq!(client.bytes(25).await, "HTTP/1.1 100 Continue\r\n\r\n");
    client.write(GOOD.as_bytes()).await;
    let answer = client.bytes(15).await;
    assert_eq!(answer, "HTTP/1.1 200 OK");
    assert_eq!(upstream.request().text(), GOOD);
}

/// A route that the gateway serves itself: its endpoint answers with what it has read.
async fn served_here(policy: &str) -> TestGateway {
    let yaml = format!("routing: {{ plugins: {{ validation: {policy} }} }}\n");
    tidegate_testkit::gateway().router::<crate::shops::Shops>().plugin::<Validation>().start(&yaml).await
}

#[tokio::test]
async fn what_an_endpoint_of_the_gateway_reads_is_checked_too() {
    let gateway = served_here(&format!("{{ max_body: 300KiB, body: {USER} }}")).await;
    let notes: Vec<String> = (0..20_000).map(|nth| format!("note {nth}")).collect();
    let long = json!({ "name": "Anna", "email": "a@b.test", "notes": notes }).to_string();
    let pieces = |text: &str| text.as_bytes().chunks(7001).map(<[u8]>::to_vec).collect::<Vec<_>>();
    for http in Http::BOTH {
        let post = || gateway.post("/shops/a/orders").by(http).header("Content-Type", "application/json");
        for good in [GOOD, &long] {
            assert_eq!(post().body(good.to_owned()).send().await.expect(200).text(), good);
            assert_eq!(post().chunks(pieces(good)).send().await.expect(200).text(), good);
        }
        // The fault is at its very end.
        let bad = long.replace("\"note 19999\"", "19999");
        for request in [post().body(bad.clone()), post().chunks(pieces(&bad))] {
            let answer = request.send().await.expect(400);
            assert_eq!(answer.header("content-type"), Some("application/problem+json"));
            assert_eq!(errors(&answer), ["/notes/19999: it must be a string"]);
        }
        post().body("{}").send().await.expect(400);
        let answer = post().chunks(Vec::<&str>::new()).send().await.expect(400);
        assert_eq!(errors(&answer), [": there must be one"]);
        let much = " ".repeat(300 * 1024 + 1);
        for request in [post().body(much.clone()), post().chunks(pieces(&much))] {
            assert_eq!(request.send().await.expect(413).json()["code"], "too_large");
        }
    }
    assert_eq!(failures(&gateway, "enforce", "body").await, 8.0);
    assert_eq!(failures(&gateway, "enforce", "too_large").await, 4.0);
}

#[tokio::test]
async fn what_an_endpoint_reads_is_left_to_it_where_faults_are_only_reported() {
    let gateway = served_here(&format!("{{ mode: report, max_body: 100KiB, body: {USER} }}")).await;
    let post = || gateway.post("/shops/a/orders").header("Content-Type", "application/json");
    let (bad, much) = ("x".repeat(90 * 1024), "x".repeat(200 * 1024));
    for body in [&bad, &much] {
        assert_eq!(post().body(body.clone()).send().await.expect(200).text(), *body);
        let pieces = body.as_bytes().chunks(7001).map(<[u8]>::to_vec).collect::<Vec<_>>();
        assert_eq!(post().chunks(pieces).send().await.expect(200).text(), *body);
    }
    assert_eq!(failures(&gateway, "report", "body").await, 1.0);
    assert_eq!(failures(&gateway, "report", "too_large").await, 1.0);
}
