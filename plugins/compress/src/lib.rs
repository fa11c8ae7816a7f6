#![doc = include_str!("../README.md")]

pub mod accept;
pub mod algorithm;
mod answers;
pub mod config;
pub mod decoder;
pub mod encoder;
mod etag;
mod head;
mod metrics;
mod requests;
mod skip;
mod stream;
mod streams;
mod types;

use tidegate_core::{
    Asked, BuildCx, Bytes, ConfigError, ConfigErrors, ConfigPath, Cx, Flow, Handler, Plugin, RequestHeader,
    ResponseHeader, Result, Route,
};

use answers::Answers;
use config::{Config, Policy};
use metrics::Counters;
use requests::Requests;
use skip::Asker;
use streams::Streams;

/// The plugin; its section is `compress`. See the crate's own page for what it does.
#[derive(Debug)]
pub struct Compress {
    streams: Streams,
    counters: Counters,
}

impl Plugin for Compress {
    const NAME: &'static str = "compress";
    type Config = Config;
    type Policy = Policy;
    type Handler = CompressRoute;

    fn build(config: Config, cx: &mut BuildCx<'_>) -> Result<Self, ConfigErrors> {
        if config.max_streams == 0 {
            let error = ConfigError::at("max_streams", "with no stream at all nothing is ever compressed");
            return Err(error.help("give at least 1, or a route `compress: off`").into());
        }
        let counters = Counters::new(cx.metrics())?;
        let taken = cx.retain("streams", Default::default);
        Ok(Self { streams: Streams::new(taken, config.max_streams), counters })
    }

    fn handler(&self, policy: Policy, route: &Route) -> Result<CompressRoute, ConfigErrors> {
        let mut errors = ConfigErrors::new();
        let answers = errors.collect(Answers::build(&policy, route, self.streams.clone(), &self.counters));
        let requests = policy.request.as_ref().map(|part| {
            let built = Requests::build(part, route, self.streams.clone(), &self.counters);
            built.map_err(|errors| errors.under(&ConfigPath::from("request")))
        });
        let requests = errors.collect(requests.transpose());
        let (Some(answers), Some(requests)) = (answers, requests) else { return Err(errors) };
        errors.into_result(CompressRoute { answers, requests })
    }
}

/// What one route does to the codings of bodies.
#[derive(Debug)]
pub struct CompressRoute {
    answers: Answers,
    requests: Option<Requests>,
}

impl Handler for CompressRoute {
    /// With the identity known: nobody learns by a 415 what a route takes that isn't theirs.
    async fn request(&self, cx: &mut Cx<'_>) -> Result<Flow> {
        self.requests.as_ref().map_or(Ok(Flow::Continue), |requests| requests.request(cx))
    }

    async fn request_body(&self, cx: &mut Cx<'_>, body: &mut Bytes, end: bool) -> Result<Flow> {
        Ok(self.requests.as_ref().map_or(Flow::Continue, |requests| requests.request_body(cx, body, end)))
    }

    fn upstream_request(&self, cx: &mut Cx<'_>, head: &mut RequestHeader) -> Result<()> {
        self.answers.upstream_request(cx, head);
        self.requests.as_ref().map_or(Ok(()), |requests| requests.upstream_request(cx, head))
    }

    /// Before a cache stores it: what is stored is compressed, once.
    fn upstream_response(&self, cx: &mut Cx<'_>, head: &mut ResponseHeader) -> Result<()> {
        self.answers.upstream_response(cx, head)
    }

    fn upstream_response_body(&self, cx: &mut Cx<'_>, body: &mut Bytes, end: bool) -> Result<()> {
        self.answers.upstream_response_body(cx, body, end)
    }

    /// Only what the gateway makes itself: anything else has been decided about.
    async fn response(&self, cx: &mut Cx<'_>, head: &mut ResponseHeader) -> Result<()> {
        self.answers.response(cx, head)
    }

    fn response_body(&self, cx: &mut Cx<'_>, body: &mut Bytes, end: bool) -> Result<()> {
        self.answers.response_body(cx, body, end)
    }

    fn explain(&self, asked: &Asked<'_>) -> Vec<String> {
        let asker = Asker { head: asked.head, identified: asked.identity.is_some(), certified: false };
        let request = self.requests.as_ref().and_then(|requests| requests.explain(asked.head.headers));
        request.into_iter().chain([self.answers.explain(&asker)]).collect()
    }
}
