//! `conf/files.yaml` and `conf/compress.yaml` do what they say.

use http::Method;
use tidegate_testkit::{Answer, Script, call};

use crate::support::{CameFrom, Example, HOST, start};

async fn get(example: &Example, listener: &str, path: &str, fields: &[(&str, &str)]) -> Answer {
    let call = call(Method::GET, path).host(HOST);
    example.send(listener, fields.iter().fold(call, |call, (name, value)| call.header(*name, *value))).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_its_downloads_and_its_api_share_one_origin() {
    let example = start("files").await;
    example.write("index.html", "the page");
    example.write("assets/app.4f1c.js", "export {}");
    example.write("assets/app.4f1c.js.br", "shorter");
    example.write("assets/app.4f1c.js.map", "ours");
    example.write("tides.csv", "1,2");
    example.write("tides.csv.part", "1,");

    example.get("main", "/api/users").await.came_from(&[3000], "/api/users");
    let page = get(&example, "main", "/users/7", &[("Accept", "text/html")]).await.expect(200);
    assert_eq!((page.text().as_str(), page.header("cache-control")), ("the page", Some("no-cache")));
    get(&example, "main", "/assets/app.0000.js", &[("Accept", "*/*")]).await.expect(404);
    let script = get(&example, "main", "/assets/app.4f1c.js", &[("Accept-Encoding", "gzip, br")]).await.expect(200);
    assert_eq!((script.text().as_str(), script.header("content-encoding")), ("shorter", Some("br")));
    assert_eq!(script.header("cache-control"), Some("public, max-age=31536000, immutable"));
    example.get("main", "/assets/app.4f1c.js.map").await.expect(404);

    let list = example.get("main", "/downloads/").await.expect(200).text();
    assert!(list.contains("tides.csv") && !list.contains(".part"), "{list}");
    assert_eq!(example.get("main", "/downloads/tides.csv").await.expect(200).text(), "1,2");
    example.get("main", "/downloads/tides.csv.part").await.expect(404);
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_smaller_where_the_file_says_and_measurements_are_decoded() {
    let example = start("compress").await;
    let text = "tide ".repeat(1000);
    for port in [3000, 3001] {
        let media = if port == 3000 { "text/html" } else { "text/event-stream" };
        example.upstream(port).set("*", Script::reply(text.clone()).header("Content-Type", media));
    }
    let takes = ("Accept-Encoding", "gzip, br, zstd");
    let known = ("Authorization", "Bearer x");
    for (path, fields, coding) in [
        ("/", &[takes][..], Some("zstd")),
        ("/", &[("Accept-Encoding", "gzip")], Some("gzip")),
        ("/", &[], None),
        ("/", &[takes, known], Some("zstd")),
        ("/account/me", &[takes], Some("zstd")),
        ("/account/me", &[takes, known], None),
        ("/downloads/a", &[takes], None),
        ("/events/prices", &[takes], Some("zstd")),
    ] {
        let answer = get(&example, "http", path, fields).await.expect(200);
        assert_eq!(answer.header("content-encoding"), coding, "{path} {fields:?}");
        assert_eq!(answer.text() == text, coding.is_none(), "{path} {fields:?}");
    }

    // `21.5`, as gzip has it.
    let gzip = [31, 139, 8, 0, 0, 0, 0, 0, 2, 3, 51, 50, 212, 51, 5, 0, 158, 173, 123, 3, 4, 0, 0, 0];
    let sent = call(Method::POST, "/v1/measurements").host(HOST).header("Content-Encoding", "gzip").body(gzip.to_vec());
    example.send("http", sent).await.expect(200);
    let measured = example.upstream(3002).wait_for(1).await.remove(0);
    assert_eq!((measured.text().as_str(), measured.header("content-encoding")), ("21.5", None));
    let sent = call(Method::POST, "/v1/measurements").host(HOST).header("Content-Encoding", "br").body("x");
    example.send("http", sent).await.expect(415);
}
