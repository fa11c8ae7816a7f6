//! Ways round the checks (A3, F41).

use std::time::Duration;

use serde_json::{Value, json};

use super::*;

/// A value in a value, and so on.
fn deep(levels: usize, innermost: Value) -> String {
    (0..levels).fold(innermost, |value, _| json!({ "n": value })).to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_that_leads_back_to_itself_by_several_ways_costs_no_more_than_any_other() {
    let again = |more: &str| format!("{{ type: object, properties: {{ n: {{ $ref: '#' }} }}, {more} }}");
    for schema in [
        format!("anyOf: [{}, {}]", again("required: [a]"), again("required: [b]")),
        format!("oneOf: [{}, {}]", again("required: [a]"), again("required: [b]")),
        format!("oneOf: [{}, {}]", again("minProperties: 1"), again("minProperties: 1")),
        format!("allOf: [{}, {{ additionalProperties: {{ $ref: '#' }} }}]", again("maxProperties: 1")),
        format!(
            "if: {}, then: {}, else: {}",
            again("required: [a]"),
            again("maxProperties: 1"),
            again("required: [b]")
        ),
        format!("not: {}, anyOf: [{}]", again("required: [a]"), again("required: [b]")),
        format!(
            "anyOf: [{{ unevaluatedProperties: false, allOf: [{0}] }}, {{ unevaluatedProperties: false, allOf: [{0}] }}]",
            again("required: [n]")
        ),
        "allOf: [{ $ref: '#/$defs/a' }, { $ref: '#/$defs/a' }], \
         $defs: { a: { properties: { n: { allOf: [{ $ref: '#/$defs/a' }, { $ref: '#/$defs/a' }] }, m: false } } }"
            .to_owned(),
    ] {
        let (_upstream, gateway) =
            guarded(&format!("{{ body: {{ json_schema: {{ inline: {{ {schema} }} }} }} }}")).await;
        for innermost in [json!(1), json!({}), json!({ "m": 1 })] {
            let text = deep(30, innermost);
            let answer = tokio::time::timeout(Duration::from_secs(30), post(&gateway, text)).await;
            let status = answer.unwrap_or_else(|_| panic!("it takes for ever: {schema}")).status;
            assert!(status == 200 || status == 400, "{schema}: {status}");
        }
    }
}

#[tokio::test]
async fn of_a_schema_that_leads_back_to_itself_faults_are_told_while_that_is_cheap() {
    let schema = "{ anyOf: [{ type: integer }, { type: object, properties: { n: { $ref: '#' }, m: { $ref: '#' } } }] }";
    let (_upstream, gateway) = guarded(&format!("{{ body: {{ json_schema: {{ inline: {schema} }} }} }}")).await;
    for levels in [2, 20] {
        let answer = post(&gateway, deep(levels, json!("hunter2"))).await.expect(400);
        let told =
            if levels == 2 { ": it has none of the forms that it may have" } else { ": it is not what it must be" };
        assert_eq!(errors(&answer), [told]);
    }
    let tree = "{ type: object, required: [id], properties: { id: { type: integer }, n: { $ref: '#' } } }";
    let (_upstream, gateway) = guarded(&format!("{{ body: {{ json_schema: {{ inline: {tree} }} }} }}")).await;
    let told = errors(&post(&gateway, deep(30, json!({ "id": "x" }))).await.expect(400));
    assert!(told.contains(&"/id: it is missing".to_owned()), "one way only: {told:?}");
}

#[tokio::test]
async fn a_body_is_checked_whatever_else_the_head_says() {
    let (upstream, gateway) = guarded(&format!("{{ body: {{ empty: allow, {} }}", USER.trim_start_matches('{'))).await;
    let chunked = "2\r\n{}\r\n0\r\n\r\n";
    for (head, body) in [
        ("POST", "Content-Length: 2\r\n\r\n{}"),
        ("GET", "Content-Length: 2\r\n\r\n{}"),
        ("DELETE", &*format!("Transfer-Encoding: chunked\r\n\r\n{chunked}")),
        ("POST", "Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 2\r\n\r\n{}"),
        ("POST", &*format!("Connection: Upgrade\r\nUpgrade: x\r\nTransfer-Encoding: chunked\r\n\r\n{chunked}")),
        ("POST", &*format!("Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n{chunked}")),
        ("PUT", &*format!("Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n{chunked}")),
        ("POST", "Content-Length: 02\r\n\r\n{}"),
        ("POST", "X-HTTP-Method-Override: GET\r\nContent-Length: 2\r\n\r\n{}"),
    ] {
        let text = format!("{head} /users HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n{body}");
        let answer = gateway.raw(&text).await;
        assert!(answer.text().starts_with("HTTP/1.1 400"), "{text}: {}", answer.text());
    }
    for method in [Method::GET, Method::DELETE, Method::POST] {
        let request = gateway.request(method, "/users").h2().header("Content-Type", "application/json");
        request.chunks(["{", "}"]).send().await.expect(400);
    }
    assert!(upstream.requests().iter().all(|request| request.check.length() == 0), "{:#?}", upstream.requests());
}

#[tokio::test]
async fn a_cookie_that_comes_twice_is_refused_and_all_of_one_name_are_seen() {
    let document = "{ openapi: 3.1.0, info: { title: x, version: '1' }, paths: { /a: { get: { parameters: \
                    [{ name: s, in: cookie, schema: { type: string, maxLength: 3 } }], responses: {} } } } }";
    let (_file, _upstream, gateway) = crate::openapi::with(document, "").await;
    let ask = |lines: &[&str]| {
        let request = gateway.request(Method::GET, "/a");
        lines.iter().fold(request, |request, line| request.header("Cookie", *line)).send()
    };
    ask(&["s=abc; t=x"]).await.expect(200);
    for lines in [&["s=abc; s=abcd"][..], &["s=a", "s=b"], &["s=abc;s=abc"], &["t=x; s=\"abcd\""], &["s=abcd"]] {
        assert_eq!(errors(&ask(lines).await.expect(400)).len(), 1, "{lines:?}");
    }
}

#[tokio::test]
async fn another_method_by_a_header_field_is_not_what_was_checked() {
    let document = "{ openapi: 3.1.0, info: { title: x, version: '1' }, paths: { \
                    /a: { post: { responses: {} } }, \
                    /b: { post: { parameters: [{ name: X-HTTP-Method-Override, in: header, schema: { enum: [PUT] } }], \
                    responses: {} } } } }";
    let (_file, upstream, gateway) = crate::openapi::with(document, "").await;
    let ask = |path: &str, field: &str, value: &str| gateway.post(path).header(field, value).send();
    for field in ["X-HTTP-Method-Override", "x-http-method", "X-Method-Override"] {
        assert_eq!(errors(&ask("/a", field, "DELETE").await.expect(400)).len(), 1);
    }
    assert!(upstream.requests().is_empty());
    ask("/a", "X-HTTP-Method-Override", "post").await.expect(200);
    ask("/b", "X-HTTP-Method-Override", "PUT").await.expect(200);
    ask("/b", "X-HTTP-Method-Override", "DELETE").await.expect(400);
}

#[tokio::test]
async fn an_encoded_path_is_the_operation_that_it_is_for_the_upstream() {
    let operation = |required: &str| {
        format!(
            "post: {{ parameters: [{{ name: id, in: path, required: true, schema: {{ type: string }} }}, \
                 {{ name: {required}, in: query, required: true, schema: {{ type: string }} }}], responses: {{}} }}"
        )
    };
    let document = format!(
        "{{ openapi: 3.1.0, info: {{ title: x, version: '1' }}, paths: {{ '/o/{{id}}': {{ {} }}, \
         '/o/{{id}}:cancel': {{ {} }} }} }}",
        operation("q"),
        operation("reason")
    );
    let (_file, _upstream, gateway) = crate::openapi::with(&document, "").await;
    for path in ["/o/7:cancel", "/o/7%3Acancel", "/o/7%3ac%61ncel"] {
        gateway.post(&[path, "?reason=x"].concat()).send().await.expect(200);
        gateway.post(&[path, "?q=x"].concat()).send().await.expect(400);
    }
    gateway.post("/o/7?q=x").send().await.expect(200);
}
