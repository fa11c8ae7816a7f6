//! What these tests share: gateways with one route, bodies, and their way back out of a coding.

use tidegate_compress::Compress;
use tidegate_compress::algorithm::Algorithm;
use tidegate_compress::decoder::{Decoder, Limits};
use tidegate_core::{Bytes, Method};
use tidegate_testkit::{Answer, GatewayBuilder, Http, Script, TestGateway, Upstream, gateway, upstream};

use crate::here::Here;

/// A gateway with this plugin, and with one that makes answers itself.
pub(crate) fn builder() -> GatewayBuilder {
    gateway().plugin::<Here>().plugin::<Compress>()
}

/// One route, `app`, which sends everything to `upstream`, with this policy.
pub(crate) async fn before(upstream: &Upstream, policy: &str) -> TestGateway {
    builder().start(&route_to(&upstream.target(), policy)).await
}

/// The configuration of one route to `target`, with this policy.
pub(crate) fn route_to(target: &str, policy: &str) -> String {
    route_to_pool(&format!("targets: [\"{target}\"]"), policy)
}

/// The configuration of one route to a pool like this, with this policy.
pub(crate) fn route_to_pool(pool: &str, policy: &str) -> String {
    format!(
        "upstreams: {{ app: {{ {pool} }} }}\n\
         routing: {{ routes: [{{ name: app, match: {{ path: \"/**\" }}, upstream: app, plugins: {{ compress: {policy} }} }}] }}\n"
    )
}

/// The same route, to an upstream that speaks HTTP/2.
pub(crate) async fn before_h2(upstream: &Upstream, policy: &str) -> TestGateway {
    let pool = format!("targets: [\"{}\"], protocol: h2", upstream.target());
    builder().start(&route_to_pool(&pool, policy)).await
}

/// An upstream that answers everything like this.
pub(crate) async fn answering(script: Script) -> Upstream {
    upstream().route("/*", script).start().await
}

/// The same in HTTP/2.
pub(crate) async fn answering_h2(script: Script) -> Upstream {
    upstream().route("/*", script).h2().start().await
}

/// A text of 10,000 bytes, as JSON.
pub(crate) fn json() -> Script {
    Script::reply(text(10_000)).header("Content-Type", "application/json")
}

/// So many bytes that shrink.
pub(crate) fn text(length: usize) -> Bytes {
    let lines =
        (0..).flat_map(|line: u32| format!("{{\"line\": {line}, \"text\": \"words and words again\"}}\n").into_bytes());
    lines.take(length).collect::<Vec<_>>().into()
}

/// Asks for `/` with this `Accept-Encoding`.
pub(crate) async fn get(gateway: &TestGateway, http: Http, accept: &str) -> Answer {
    gateway.request(Method::GET, "/").by(http).header("Accept-Encoding", accept).send().await
}

/// The body of an answer, out of the coding that its head says.
pub(crate) fn decoded(answer: &Answer) -> Bytes {
    match answer.header("content-encoding") {
        None => answer.body.clone(),
        Some(coding) => out_of(coding, &answer.body),
    }
}

/// A whole body out of a coding.
pub(crate) fn out_of(coding: &str, body: &[u8]) -> Bytes {
    let mut decoder = decoder(coding);
    let mut all = decoder.piece(body).unwrap_or_else(|error| panic!("{coding}: {error}"));
    all.extend(decoder.end().unwrap_or_else(|error| panic!("{coding}: {error}")));
    all.into()
}

/// A body into a coding.
pub(crate) fn into_coding(coding: &str, body: &[u8]) -> Bytes {
    use tidegate_compress::encoder::{Content, Encoder, Then};
    let encoder = Encoder::new(algorithm(coding), 5, Content::Of(body.len() as u64));
    encoder.and_then(|mut encoder| encoder.piece(body, Then::End)).expect("coded").into()
}

/// What takes a body out of a coding, piece by piece.
pub(crate) fn decoder(coding: &str) -> Decoder {
    Decoder::new(algorithm(coding), Limits { size: u64::MAX, ratio: u64::MAX }).expect("a decoder")
}

fn algorithm(coding: &str) -> Algorithm {
    Algorithm::from_token(coding.as_bytes()).unwrap_or_else(|| panic!("not a coding: {coding}"))
}
