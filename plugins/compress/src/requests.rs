//! Requests whose bodies are decoded for an upstream that can't.

use std::sync::Arc;

use http::Version;
use parking_lot::Mutex;
use tidegate_core::{
    Bytes, ConfigError, ConfigErrors, Cx, Flow, HeaderMap, HeaderValue, Reply, RequestHeader, Result, Route,
    StatusCode, header,
};

use crate::algorithm::Algorithm;
use crate::config;
use crate::decoder::{Decoder, DecoderError, Limits};
use crate::head::decoded;
use crate::metrics::{Counters, Decoded, Requests as Counted};
use crate::streams::{Place, Streams};

/// What one route does with coded requests.
#[derive(Debug)]
pub(crate) struct Requests {
    taken: Box<[Algorithm]>,
    /// The same, as a client that sent another is told.
    told: HeaderValue,
    limits: Limits,
    streams: Streams,
    counters: Counted,
}

/// The body of this request is decoded; `None` where it has none.
#[derive(Debug, Clone)]
struct Decodes(Option<Arc<Mutex<Incoming>>>);

#[derive(Debug)]
struct Incoming {
    decoder: Decoder,
    _place: Place,
}

/// The codings that a request's body is in.
enum Coding {
    None,
    One(Algorithm),
    /// One that is not taken, or several, one in the other.
    Other,
}

impl Requests {
    /// Errors are relative to the policy's part.
    pub(crate) fn build(
        policy: &config::Requests,
        route: &Route,
        streams: Streams,
        counters: &Counters,
    ) -> Result<Self, ConfigErrors> {
        let mut errors = ConfigErrors::new();
        if policy.decode.is_empty() {
            errors.push(ConfigError::at("decode", "no coding is named").help("leave `request` out, or name one"));
        }
        if policy.max_ratio == 0 {
            errors.push(ConfigError::at("max_ratio", "nothing comes out of a ratio of 0"));
        }
        let tokens: Vec<_> = policy.decode.iter().map(|algorithm| algorithm.token()).collect();
        errors.into_result(Self {
            taken: policy.decode.clone().into(),
            told: HeaderValue::from_str(&tokens.join(", ")).unwrap_or(HeaderValue::from_static("identity")),
            limits: Limits { size: policy.max_size.bytes(), ratio: policy.max_ratio.into() },
            streams,
            counters: counters.requests(route),
        })
    }

    /// Refuses codings that are not taken, before an upstream hears of the request.
    pub(crate) fn request(&self, cx: &mut Cx<'_>) -> Result<Flow> {
        let algorithm = match self.coding(cx.head().headers) {
            Coding::None => return Ok(Flow::Continue),
            Coding::Other => {
                self.counters.count(Decoded::Unsupported);
                return Ok(Flow::Respond(self.unsupported()));
            }
            Coding::One(algorithm) => algorithm,
        };
        if cx.session().is_upgrade_req() {
            return Ok(Flow::Continue);
        }
        if cx.session().as_downstream_mut().is_body_empty() {
            cx.extensions_mut().insert(Decodes(None));
            return Ok(Flow::Continue);
        }
        let Some(place) = self.streams.take() else {
            self.counters.count(Decoded::Busy);
            let reply = Reply::unavailable("busy", "too many bodies are being decoded");
            return Ok(Flow::Respond(reply.header(header::RETRY_AFTER, HeaderValue::from_static("1"))));
        };
        let decoder = Decoder::new(algorithm, self.limits);
        let decoder =
            decoder.map_err(|error| tidegate_core::Error::internal("no decoder can be made").because(error))?;
        let incoming = Incoming { decoder, _place: place };
        cx.extensions_mut().insert(Decodes(Some(Arc::new(Mutex::new(incoming)))));
        Ok(Flow::Continue)
    }

    /// The upstream gets a body in no coding, of which nobody knows how long it will be.
    pub(crate) fn upstream_request(&self, cx: &Cx<'_>, head: &mut RequestHeader) -> Result<()> {
        let Some(Decodes(body)) = cx.extensions().get::<Decodes>() else { return Ok(()) };
        match body {
            None => drop(head.remove_header(&header::CONTENT_ENCODING)),
            Some(_) => {
                decoded(head);
                // HTTP/2 has its own frames, and refuses the field.
                if head.version < Version::HTTP_2 {
                    head.insert_header(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"))?;
                }
            }
        }
        Ok(())
    }

    /// A piece of the body.
    pub(crate) fn request_body(&self, cx: &Cx<'_>, body: &mut Bytes, end: bool) -> Flow {
        let Some(Decodes(Some(incoming))) = cx.extensions().get::<Decodes>() else { return Flow::Continue };
        let came = std::mem::take(body);
        match incoming.lock().pass(&came, end) {
            Ok(out) => {
                *body = out.into();
                if end {
                    self.counters.count(Decoded::Whole);
                }
                Flow::Continue
            }
            Err(error) => Flow::Respond(self.refuse(&error)),
        }
    }

    /// What would be done with a request.
    pub(crate) fn explain(&self, headers: &HeaderMap) -> Option<String> {
        match self.coding(headers) {
            Coding::None => None,
            Coding::One(algorithm) => Some(format!("its body is decoded from {algorithm} for the upstream")),
            Coding::Other => Some("415: its body is in a coding that is not taken".to_owned()),
        }
    }

    fn coding(&self, headers: &HeaderMap) -> Coding {
        let lines = headers.get_all(header::CONTENT_ENCODING);
        let tokens = lines.iter().flat_map(|line| line.as_bytes().split(|byte| *byte == b',')).map(<[u8]>::trim_ascii);
        let mut tokens = tokens.filter(|token| !token.is_empty() && !token.eq_ignore_ascii_case(b"identity"));
        match (tokens.next(), tokens.next()) {
            (None, _) => Coding::None,
            (Some(token), None) => {
                let algorithm = Algorithm::from_token(token).filter(|algorithm| self.taken.contains(algorithm));
                algorithm.map_or(Coding::Other, Coding::One)
            }
            _ => Coding::Other,
        }
    }

    /// With those that are taken (RFC 9110 section 12.5.3).
    fn unsupported(&self) -> Reply {
        let detail = "the request's body is in a coding that is not taken here";
        let reply = Reply::problem(StatusCode::UNSUPPORTED_MEDIA_TYPE, "content_encoding_unsupported", detail);
        reply.header(header::ACCEPT_ENCODING, self.told.clone())
    }

    fn refuse(&self, error: &DecoderError) -> Reply {
        match error {
            DecoderError::TooMuch(_) => {
                self.counters.count(Decoded::TooLarge);
                let detail = "the request's body is too long when it is decoded";
                Reply::problem(StatusCode::PAYLOAD_TOO_LARGE, "decoded_body_too_large", detail).close()
            }
            DecoderError::Broken(..) => {
                self.counters.count(Decoded::Broken);
                Reply::bad_request("body_not_decodable", "the request's body is not in the coding that it says").close()
            }
        }
    }
}

impl Incoming {
    fn pass(&mut self, came: &[u8], end: bool) -> Result<Vec<u8>, DecoderError> {
        let mut out = self.decoder.piece(came)?;
        if end {
            out.extend(self.decoder.end()?);
        }
        Ok(out)
    }
}
