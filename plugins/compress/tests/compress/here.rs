//! Answers that the gateway makes itself: by a plugin that stands in for endpoints, a cache and one that misbehaves.

use futures_util::StreamExt;
use serde::Deserialize;
use tidegate_compress::Compress;
use tidegate_core::facts::CacheStatus;
use tidegate_core::{
    Body, BuildCx, Bytes, ConfigErrors, Cx, Flow, Handler, HeaderName, HeaderValue, Method, NoConfig, Plugin, Reply,
    ResponseHeader, Result, Route, StatusCode, header,
};
use tidegate_testkit::{Http, Script, TestGateway, call, gate, gateway};

use crate::kit::{answering, before, decoded, into_coding, json, text};

/// What a request asks for by `X-Here`.
const HERE: HeaderName = HeaderName::from_static("x-here");

pub(crate) struct Here;

/// What a route asks of it.
#[derive(Deserialize, schemars::JsonSchema, Default)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Policy {
    /// Whether it lies about the length of what upstreams send.
    pub(crate) lies: bool,
}

pub(crate) struct Made(Policy);

impl Plugin for Here {
    const NAME: &'static str = "here";
    type Config = NoConfig;
    type Policy = Policy;
    type Handler = Made;

    fn build(_: NoConfig, _: &mut BuildCx<'_>) -> Result<Self, ConfigErrors> {
        Ok(Here)
    }

    fn handler(&self, policy: Policy, _: &Route) -> Result<Made, ConfigErrors> {
        Ok(Made(policy))
    }

    fn everywhere(&self) -> Option<Policy> {
        Some(Policy::default())
    }
}

impl Handler for Made {
    async fn request(&self, cx: &mut Cx<'_>) -> Result<Flow> {
        let Some(what) = cx.head().header(&HERE).map(str::to_owned) else { return Ok(Flow::Continue) };
        let reply = Reply::new(StatusCode::OK)
            .header(header::CONTENT_TYPE, HeaderValue::from_static("text/css"))
            .header(header::ETAG, HeaderValue::from_static("\"v1\""));
        let stream = || {
            let pieces: Vec<Bytes> = text(10_000).chunks(1_000).map(Bytes::copy_from_slice).collect();
            Body::Stream(Box::pin(futures_util::stream::iter(pieces).map(Ok)))
        };
        Ok(Flow::Respond(match what.as_str() {
            "whole" => reply.body(Body::Bytes(text(10_000))),
            "large" => reply.body(Body::Bytes(text(3_000_000))),
            "small" => reply.body(Body::Bytes(text(1_000))),
            "stream" => reply.body(stream()),
            "sized" => reply.header(header::CONTENT_LENGTH, HeaderValue::from(10_000)).body(stream()),
            "fresh" => reply.status_code(StatusCode::NOT_MODIFIED),
            "hit" => {
                cx.facts_mut().cache = CacheStatus::Hit;
                reply.body(Body::Bytes(text(10_000)))
            }
            "hit-br" => {
                cx.facts_mut().cache = CacheStatus::Hit;
                let reply = reply.header(header::CONTENT_ENCODING, HeaderValue::from_static("br"));
                reply.body(Body::Bytes(into_coding("br", &text(10_000))))
            }
            "problem" => Reply::bad_request("wrong", "w".repeat(5_000)),
            other => panic!("nobody knows {other}"),
        }))
    }

    fn upstream_response(&self, _: &mut Cx<'_>, head: &mut ResponseHeader) -> Result<()> {
        if self.0.lies {
            head.insert_header(header::CONTENT_LENGTH, "2000")?;
        }
        Ok(())
    }
}

async fn here() -> TestGateway {
    let app = answering(json()).await;
    before(&app, "{}").await
}

async fn ask(gateway: &TestGateway, http: Http, what: &str, accept: &str) -> tidegate_testkit::Answer {
    let request = gateway.request(Method::GET, "/").by(http).header("X-Here", what);
    request.header("Accept-Encoding", accept).send().await
}

#[tokio::test]
async fn what_the_gateway_makes_itself_is_compressed_on_its_way_out() {
    let gateway = here().await;
    for http in Http::BOTH {
        for (what, length) in [("whole", 10_000), ("stream", 10_000), ("sized", 10_000), ("large", 3_000_000)] {
            for coding in ["zstd", "br", "gzip"] {
                let answer = ask(&gateway, http, what, coding).await.expect(200);
                assert_eq!(answer.header("content-encoding"), Some(coding), "{what} {http:?}");
                assert_eq!(answer.headers.all("vary").collect::<Vec<_>>(), ["Accept-Encoding"]);
                assert_eq!(answer.header("etag"), Some("W/\"v1\""));
                assert_eq!(decoded(&answer), text(length), "{what} {coding} {http:?}");
            }
        }
    }
}

#[tokio::test]
async fn an_answer_made_whole_says_its_new_length_and_head_says_the_same() {
    let gateway = here().await;
    for http in Http::BOTH {
        let answer = ask(&gateway, http, "whole", "br").await;
        assert_eq!(answer.header("content-length"), Some(answer.body.len().to_string().as_str()));
        let head = gateway.request(Method::HEAD, "/").by(http).header("X-Here", "whole");
        let head = head.header("Accept-Encoding", "br").send().await.expect(200);
        assert!(head.body.is_empty());
        for name in ["content-length", "content-encoding", "etag", "vary"] {
            assert_eq!(head.header(name), answer.header(name), "{name} {http:?}");
        }
    }
}

#[tokio::test]
async fn a_streamed_answer_whose_length_was_said_is_chunked_and_the_connection_goes_on() {
    let gateway = here().await;
    let mut client = gateway.connect().await;
    for _ in 0..2 {
        let call = call(Method::GET, "/").header("X-Here", "sized").header("Accept-Encoding", "zstd");
        let answer = client.send(call).await.expect(200);
        assert_eq!((answer.header("transfer-encoding"), answer.header("content-length")), (Some("chunked"), None));
        assert_eq!(decoded(&answer), text(10_000));
    }
}

#[tokio::test]
async fn head_of_a_streamed_answer_has_its_fields_and_no_body() {
    let gateway = here().await;
    let mut client = gateway.connect().await;
    for _ in 0..2 {
        let call =
            tidegate_testkit::call(Method::HEAD, "/").header("X-Here", "stream").header("Accept-Encoding", "zstd");
        let head = client.send(call).await.expect(200);
        assert_eq!((head.header("content-encoding"), head.header("content-length")), (Some("zstd"), None));
    }
}

#[tokio::test]
async fn what_is_small_or_an_error_goes_out_as_it_is() {
    let gateway = here().await;
    let small = ask(&gateway, Http::One, "small", "gzip").await.expect(200);
    assert_eq!(
        (small.header("content-encoding"), small.header("vary"), small.header("etag")),
        (None, None, Some("\"v1\""))
    );
    let problem = ask(&gateway, Http::One, "problem", "gzip").await.expect(400);
    assert_eq!((problem.header("content-encoding"), problem.json()["code"].as_str()), (None, Some("wrong")));
}

#[tokio::test]
async fn what_comes_from_a_cache_is_served_as_it_was_stored() {
    let gateway = here().await;
    let plain = ask(&gateway, Http::One, "hit", "gzip").await.expect(200);
    assert_eq!((plain.header("content-encoding"), plain.header("etag")), (None, Some("\"v1\"")));
    assert_eq!(plain.body, text(10_000));
    let coded = ask(&gateway, Http::One, "hit-br", "br, gzip").await.expect(200);
    assert_eq!(coded.headers.all("content-encoding").collect::<Vec<_>>(), ["br"]);
    assert_eq!(decoded(&coded), text(10_000));
}

#[tokio::test]
async fn a_304_of_the_gateways_own_keeps_the_tag_that_the_client_has() {
    let gateway = here().await;
    let fresh = async |tag: &str| {
        let request = gateway.request(Method::GET, "/").header("X-Here", "fresh").header("If-None-Match", tag);
        request.header("Accept-Encoding", "gzip").send().await.expect(304)
    };
    for tag in ["W/\"v1\"", "\"v1\""] {
        let answer = fresh(tag).await;
        assert_eq!((answer.header("etag"), answer.header("vary")), (Some(tag), Some("Accept-Encoding")));
    }
}

#[tokio::test]
async fn an_encoder_that_fails_in_the_middle_cuts_the_connection() {
    // A plugin says that there are 2,000 bytes, zstd believes it, and more come.
    let gate = gate();
    let script = Script::chunks([text(1_000), text(5_000)]).header("Content-Type", "text/html");
    let app = answering(script.wait_after(1_000, &gate).then(json())).await;
    let yaml = format!(
        "upstreams: {{ app: {{ targets: [\"{}\"] }} }}\n\
         routing: {{ routes: [{{ name: app, upstream: app, plugins: {{ \
         compress: {{ algorithms: [zstd], flush: always }}, here: {{ lies: true }} }} }}] }}\n",
        app.target()
    );
    // After the other in the list, so before it on the way back.
    let gateway = gateway().plugin::<Compress>().plugin::<Here>().start(&yaml).await;
    let mut client = gateway.connect().await;
    client.begin(&call(Method::GET, "/").header("Accept-Encoding", "zstd")).await;
    assert_eq!(client.head().await.expect(200).header("content-encoding"), Some("zstd"));
    assert!(client.piece().await.is_some(), "the first piece is there");
    gate.open();
    let mut rest = client.try_piece().await;
    while let Ok(Some(_)) = rest {
        rest = client.try_piece().await;
    }
    assert!(rest.is_err(), "the body has no end, and the client sees that");
    assert_eq!(gateway.metric("tidegate_plugin_errors_total", &[("plugin", "compress")]).await, 1.0);

    let mut client = gateway.connect_h2().await;
    let failed = client.try_send(call(Method::GET, "/").header("Accept-Encoding", "zstd")).await;
    assert!(failed.as_ref().map_or(true, |answer| answer.status >= 500), "{failed:?}");
}
