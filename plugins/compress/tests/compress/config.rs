//! What is refused, and what somebody who asks is told.

use crate::kit::{builder, route_to};

#[track_caller]
fn assert_refused(policy: &str, path: &str, message: &str) {
    let error = builder().check(&route_to("127.0.0.1:1", policy)).expect_err(policy);
    assert!(error.contains(&format!("routing.routes[0].plugins.compress.{path}")), "no {path} in: {error}");
    assert!(error.contains(message), "no {message:?} in: {error}");
}

#[test]
fn what_can_not_work_is_refused_at_its_place() {
    assert_refused("{ algorithms: [gzip, brotli] }", "algorithms[1]", "brotli");
    assert_refused("{ levels: { br: 11 } }", "levels.br", "not a level from 1 to 6");
    assert_refused("{ levels: { zstd: 0 } }", "levels.zstd", "not a level from 1 to 7");
    assert_refused("{ levels: { gzip: 10 } }", "levels.gzip", "not a level from 1 to 9");
    assert_refused("{ types: [default, html] }", "types[1]", "is not a media type");
    assert_refused("{ min_size: 1024 }", "min_size", "write a unit");
    assert_refused("{ flush: sometimes }", "flush", "sometimes");
    assert_refused(
        "{ skip_when: [cross_site, { request_header: \"a b\" }] }",
        "skip_when[1].request_header",
        "header field",
    );
    assert_refused("{ skip_when: [cookies] }", "skip_when[0]", "cookies");
    assert_refused("{ request: { decode: [] } }", "request.decode", "no coding is named");
    assert_refused("{ request: { max_ratio: 0 } }", "request.max_ratio", "ratio of 0");
    assert_refused("{ request: }", "request", "");
    assert_refused("{ algoritms: [gzip] }", "algoritms", "did you mean `algorithms`?");
}

#[test]
fn a_section_without_any_stream_is_refused() {
    let yaml = format!("compress: {{ max_streams: 0 }}\n{}", route_to("127.0.0.1:1", "{}"));
    let error = builder().check(&yaml).expect_err("refused");
    assert!(error.contains("compress.max_streams"), "{error}");
}
