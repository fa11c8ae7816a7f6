//! One route's share: from a request to whether it passes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tidegate_core::{Asked, Bytes, Clock, Cx, Flow, Handler, HeaderValue, RequestHead, Result, StatusCode, header};

use crate::body::{BodyRules, Limits, Plan};
use crate::config::{Mode, Other};
use crate::fault::{At, Fault, Reason, Refusal};
use crate::held::{Held, Piece};
use crate::metrics::Failures;
use crate::openapi::{Document, Found, Operation};
use crate::parameter::{Parameters, Query};

/// How often a route says in the log that a request did not pass.
const QUIET: Duration = Duration::from_secs(1);

/// One route's share.
#[derive(Debug)]
pub struct ValidationRoute {
    pub(crate) mode: Mode,
    pub(crate) parameters: Parameters,
    pub(crate) other_query: Other,
    pub(crate) body: Option<BodyRules>,
    pub(crate) document: Option<(Arc<Document>, Other)>,
    /// Whether an endpoint of the gateway serves it: its body passes nobody on the way.
    pub(crate) here: bool,
    pub(crate) limits: Limits,
    pub(crate) failures: Failures,
    pub(crate) clock: Clock,
    pub(crate) said: Mutex<Option<Instant>>,
}

impl Handler for ValidationRoute {
    /// With the identity known: who may not ask at all is not told what a request must be.
    async fn request(&self, cx: &mut Cx<'_>) -> Result<Flow> {
        match self.check(cx).await? {
            Ok(()) => Ok(Flow::Continue),
            Err(refusal) => Ok(self.failed(cx, refusal)),
        }
    }

    async fn request_body(&self, cx: &mut Cx<'_>, body: &mut Bytes, end: bool) -> Result<Flow> {
        let Some(held) = cx.extensions_mut().get_mut::<Held>() else { return Ok(Flow::Continue) };
        let result = match held.add(body, end) {
            Piece::More => Ok(None),
            Piece::TooMuch => Err(self.limits.too_large()),
            Piece::Whole(whole) => self.limits.judge(&whole, held.schema.as_deref(), held.needed).map(|()| Some(whole)),
        };
        let passes_by = self.mode == Mode::Report;
        match result {
            Ok(_) if passes_by => Ok(Flow::Continue),
            Ok(whole) => {
                *body = whole.unwrap_or_default();
                Ok(Flow::Continue)
            }
            Err(refusal) => {
                cx.extensions_mut().remove::<Held>();
                if !passes_by {
                    *body = Bytes::new();
                }
                Ok(self.failed(cx, refusal))
            }
        }
    }

    fn explain(&self, asked: &Asked<'_>) -> Vec<String> {
        let mut lines = Vec::new();
        let does = if self.mode == Mode::Enforce { "refused" } else { "counted, and let through" };
        if let Some((document, unknown)) = &self.document {
            lines.push(match (document.find(asked.head.method, asked.head.path), unknown) {
                (Found::Operation(..), _) => {
                    format!("the OpenAPI document knows the operation; what does not fit it is {does}")
                }
                (_, Other::Allow) => {
                    "the OpenAPI document does not know the operation: nothing of it is checked".to_owned()
                }
                (Found::Method(_), Other::Refuse) => format!("the OpenAPI document has no such method: it is {does}"),
                (Found::Nothing, Other::Refuse) => format!("the OpenAPI document has no such path: it is {does}"),
            });
        }
        if !self.parameters.is_empty() {
            lines.push(format!("parameters or header fields that are not as they must be: it is {does}"));
        }
        if self.body.is_some() {
            lines.push(format!("a body that is not as it must be: it is {does}"));
        }
        lines
    }
}

impl ValidationRoute {
    /// Whether a request passes, as far as that is known before its body is on its way.
    async fn check(&self, cx: &mut Cx<'_>) -> Result<Result<(), Refusal>> {
        let empty = cx.session().as_downstream_mut().is_body_empty();
        let plan = match self.plan(cx, empty) {
            Ok(plan) => plan,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let Plan::Json { schema, needed, length } = plan else { return Ok(Ok(())) };
        let body = match self.here {
            // What is too long is gone when that is known. Who only reports must leave it to the endpoint.
            true if self.mode == Mode::Report && length.is_none() => return Ok(Ok(())),
            true => cx.take_body(self.limits.longest).await?,
            false => {
                let replayable = length.is_some_and(|length| length <= Cx::REPLAYABLE_BODY as u64);
                if !replayable || self.mode == Mode::Report {
                    let held = Held::new(schema, needed, length, self.limits.longest);
                    cx.extensions_mut().insert(held);
                    return Ok(Ok(()));
                }
                // So short a body is read before the upstream hears anything of the request.
                cx.body(self.limits.longest).await?
            }
        };
        let Some(body) = body else { return Ok(Err(self.limits.too_large())) };
        Ok(self.limits.judge(&body, schema.as_deref(), needed))
    }

    /// What to do with the body, once everything else of a request is as it must be.
    fn plan(&self, cx: &Cx<'_>, empty: bool) -> Result<Plan, Refusal> {
        let head = cx.head();
        let known = self.operation(&head)?;
        self.judge_parameters(cx, &head, known.as_ref())?;
        match (&self.body, &known) {
            (Some(rules), _) => rules.plan(&head, empty, &self.limits),
            (None, Some((operation, _))) => operation.body.plan(&head, empty, &self.limits),
            (None, None) => Ok(Plan::Nothing),
        }
    }

    fn judge_parameters<'c>(
        &self,
        cx: &'c Cx<'_>,
        head: &RequestHead<'c>,
        known: Option<&Known<'_, 'c>>,
    ) -> Result<(), Refusal> {
        // Of what the document leaves alone, nothing is known.
        let strict = self.other_query == Other::Refuse && (self.document.is_none() || known.is_some());
        let theirs = known.map(|(operation, _)| &operation.parameters);
        if self.parameters.is_empty() && !strict && theirs.is_none_or(Parameters::is_empty) {
            return Ok(());
        }
        let (mut faults, query) = (Vec::new(), Query::of(head));
        self.parameters.check(head, &query, |name| cx.param(name), &mut faults);
        if let Some((operation, captured)) = known {
            let of = |name: &str| captured.iter().find(|(own, _)| *own == name).map(|(_, text)| *text);
            operation.parameters.check(head, &query, of, &mut faults);
        }
        if strict {
            let known: Vec<&Parameters> = [Some(&self.parameters), theirs].into_iter().flatten().collect();
            query.refuse_others(&known, &mut faults);
        }
        if faults.is_empty() { Ok(()) } else { Err(self.limits.refuse(&faults)) }
    }

    /// What the document knows of a request; `None` where there is no document, or it leaves the request alone.
    fn operation<'s, 'h>(&'s self, head: &RequestHead<'h>) -> Result<Option<Known<'s, 'h>>, Refusal> {
        let Some((document, unknown)) = &self.document else { return Ok(None) };
        let refused = |status, code, detail: &str| Refusal::whole(Reason::Operation, status, code, detail);
        match (document.find(head.method, head.path), unknown) {
            (Found::Operation(operation, captured), _) => match overridden(head, operation) {
                Some(field) => {
                    Err(self.limits.refuse(&[Fault::new(At::Header(field.into()), "it names another method")]))
                }
                None => Ok(Some((operation, captured))),
            },
            (_, Other::Allow) => Ok(None),
            (Found::Nothing, Other::Refuse) => {
                Err(refused(StatusCode::NOT_FOUND, "unknown_operation", "there is nothing at this path"))
            }
            (Found::Method(allowed), Other::Refuse) => {
                let refusal = refused(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "not with this method");
                Err(match allowed {
                    Some(allowed) => Refusal { reply: refusal.reply.header(header::ALLOW, allowed), ..refusal },
                    None => refusal,
                })
            }
        }
    }

    fn failed(&self, cx: &Cx<'_>, refusal: Refusal) -> Flow {
        self.failures.count(refusal.reason);
        if self.mode == Mode::Enforce {
            return Flow::Respond(refusal.reply);
        }
        let (route, id) = (&**cx.route().name(), cx.request_id());
        let (reason, detail) = (refusal.reason.name(), refusal.detail);
        // Clients decide how many there are.
        match self.may_say() {
            true => log::warn!(route, reason, detail, request_id:% = id; "a request would be refused"),
            false => log::debug!(route, reason, detail, request_id:% = id; "a request would be refused"),
        }
        Flow::Continue
    }

    fn may_say(&self) -> bool {
        let (now, mut said) = (self.clock.now(), self.said.lock());
        let may = said.is_none_or(|said| now.saturating_duration_since(said) >= QUIET);
        if may {
            *said = Some(now);
        }
        may
    }
}

/// The field by which an upstream may take a request for one of another method, and so for another operation than the
/// one that is checked; unless the document lists it.
fn overridden(head: &RequestHead<'_>, operation: &Operation) -> Option<&'static str> {
    const FIELDS: [&str; 3] = ["x-http-method-override", "x-http-method", "x-method-override"];
    let same = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(head.method.as_str().as_bytes());
    FIELDS.into_iter().find(|field| {
        let is_listed = operation.parameters.headers.iter().any(|(name, _)| name.as_str() == *field);
        !is_listed && !head.headers.get_all(*field).iter().all(same)
    })
}

/// An operation, and what its path captured.
type Known<'d, 'p> = (&'d Operation, Vec<(&'d str, &'p str)>);
