//! What the client reads when something went wrong: one shape for every error the gateway makes.
//!
//! RFC 9457 by default, with the stable `code` of the error and the request's id, by which the log has the cause.
//! Nothing of an upstream ever gets in: neither its address nor its text.

mod config;
mod page;

pub(crate) use config::ErrorsConfig;

use bytes::Bytes;
use http::{HeaderValue, StatusCode};
use serde::Serialize;
use tidegate_core::facts::RequestId;
use tidegate_core::{ConfigErrors, ProblemKind};

use config::Format;
use page::Page;

/// The bodies of errors.
#[derive(Debug)]
pub(crate) struct ErrorPages {
    /// What is sent where there is no page.
    otherwise: Otherwise,
    pages: Box<[(StatusCode, Page)]>,
    intercepted: Box<[u16]>,
}

#[derive(Debug)]
enum Otherwise {
    Json(HeaderValue),
    Page(Page),
}

/// One error, as the client is told of it.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Problem<'a> {
    /// What kind of thing `title` is: just the status (RFC 9457 section 4.2.1). Programs look at `code`.
    #[serde(rename = "type")]
    kind: &'static str,
    title: &'a str,
    status: u16,
    detail: &'a str,
    code: &'a str,
    request_id: &'a str,
    /// What the kind of problem says beside, in the same map.
    #[serde(skip)]
    members: Option<&'a serde_json::Map<String, serde_json::Value>>,
}

/// What went wrong, as the reply has it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Said<'a> {
    pub code: &'a str,
    pub detail: &'a str,
    pub kind: Option<&'a ProblemKind>,
}

const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

impl ErrorPages {
    /// Reads the pages. Errors are relative to the section.
    pub(crate) fn load(config: &ErrorsConfig) -> Result<Self, ConfigErrors> {
        let mut errors = ConfigErrors::new();
        let pages = config.load_pages(&mut errors);
        let intercepted = config.intercepted(&mut errors);
        let otherwise = match config.format {
            Format::ProblemJson => Otherwise::Json(PROBLEM_JSON),
            Format::Json => Otherwise::Json(JSON),
            Format::Html => Otherwise::Page(Page::built_in()),
        };
        errors.into_result(Self { otherwise, pages, intercepted })
    }

    /// Whether an upstream's own answer with this status is replaced by ours.
    pub(crate) fn intercepts(&self, status: u16) -> bool {
        self.intercepted.contains(&status)
    }

    /// The `Content-Type` and the body of an error. `accept` is the client's `Accept` field: a program that asks
    /// for JSON gets it, though others get a page.
    pub(crate) fn render(
        &self,
        status: StatusCode,
        said: Said<'_>,
        request_id: &RequestId,
        accept: Option<&HeaderValue>,
    ) -> (HeaderValue, Bytes) {
        let problem = Problem {
            kind: said.kind.map_or("about:blank", |kind| kind.uri),
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            detail: said.detail,
            code: said.code,
            request_id: request_id.as_str(),
            members: said.kind.map(|kind| &kind.members),
        };
        let page = self.pages.iter().find(|(of, _)| *of == status).map(|(_, page)| page);
        match (page, &self.otherwise) {
            (None, Otherwise::Json(content_type)) => json(content_type, &problem),
            (Some(_), Otherwise::Json(content_type)) if asks_for_json(accept) => json(content_type, &problem),
            (_, Otherwise::Page(_)) if asks_for_json(accept) => json(&PROBLEM_JSON, &problem),
            (Some(page), _) | (None, Otherwise::Page(page)) => page.render(&problem),
        }
    }

    /// Whether the body depends on `Accept`, which the answer then says in `Vary` (RFC 9110 section 12.5.5).
    pub(crate) fn varies(&self, status: StatusCode) -> bool {
        matches!(self.otherwise, Otherwise::Page(_)) || self.pages.iter().any(|(of, _)| *of == status)
    }
}

fn json(content_type: &HeaderValue, problem: &Problem<'_>) -> (HeaderValue, Bytes) {
    let mut body = Vec::with_capacity(256);
    // A map of texts and one number, into memory: nothing in it can fail.
    serde_json::to_writer(&mut body, problem).unwrap_or_default();
    if let Some(members) = problem.members.filter(|members| !members.is_empty()) {
        // One map out of two: the end of the one and the beginning of the other go.
        body.pop();
        body.push(b',');
        body.extend(serde_json::to_vec(members).unwrap_or_default().split_first().map_or(&[][..], |(_, rest)| rest));
    }
    body.push(b'\n');
    (content_type.clone(), Bytes::from(body))
}

/// Programs name JSON and no HTML; browsers name HTML, and `curl` says `*/*`, for whom a page is as good.
fn asks_for_json(accept: Option<&HeaderValue>) -> bool {
    let Some(accept) = accept else { return false };
    let names = |word: &[u8]| accept.as_bytes().windows(word.len()).any(|part| part.eq_ignore_ascii_case(word));
    names(b"json") && !names(b"text/html")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use tidegate_core::RawConfig;
    use tidegate_core::config::Value as Yaml;

    fn load(entries: Vec<(&str, Yaml)>) -> Result<ErrorPages, ConfigErrors> {
        ErrorPages::load(&RawConfig::new(Yaml::map(entries), "").read::<ErrorsConfig>()?)
    }

    fn rendered(pages: &ErrorPages, status: u16, accept: Option<&'static str>) -> (String, String) {
        let id = RequestId::parse(b"id-1").expect("an id");
        let status = StatusCode::from_u16(status).expect("a status");
        let accept = accept.map(HeaderValue::from_static);
        let (content_type, body) = pages.render(status, not_found(), &id, accept.as_ref());
        (content_type.to_str().expect("text").to_owned(), String::from_utf8(body.to_vec()).expect("text"))
    }

    fn not_found() -> Said<'static> {
        Said { code: "not_found", detail: "no \"such\" <thing>\n", kind: None }
    }

    #[test]
    fn a_kind_of_problem_has_its_uri_and_its_own_members() {
        let members = [("violated-policies".to_owned(), json!(["burst"]))].into_iter().collect();
        let kind = ProblemKind { uri: "https://example.com/quota", members };
        let said = Said { kind: Some(&kind), ..not_found() };
        let id = RequestId::parse(b"id-1").expect("an id");
        let (_, body) = load(vec![]).expect("valid").render(StatusCode::TOO_MANY_REQUESTS, said, &id, None);
        let body: Value = serde_json::from_slice(&body).expect("JSON");
        assert_eq!(body["type"], "https://example.com/quota");
        assert_eq!(body["violated-policies"], json!(["burst"]));
        assert_eq!(body["title"], "Too Many Requests");
    }

    #[test]
    fn an_error_is_a_problem_with_the_request_id() {
        let (content_type, body) = rendered(&load(vec![]).expect("valid"), 404, None);
        assert_eq!(content_type, "application/problem+json");
        let expected = json!({
            "type": "about:blank",
            "title": "Not Found",
            "status": 404,
            "detail": "no \"such\" <thing>\n",
            "code": "not_found",
            "request_id": "id-1",
        });
        assert_eq!(serde_json::from_str::<Value>(&body).expect("JSON"), expected);
    }

    #[test]
    fn every_status_of_an_error_has_the_same_shape() {
        for format in ["problem+json", "json"] {
            let pages = load(vec![("format", Yaml::from(format))]).expect("valid");
            for status in 400..=599 {
                let (content_type, body) = rendered(&pages, status, Some("text/html"));
                let body: serde_json::Map<String, Value> = serde_json::from_str(&body).expect("JSON");
                assert_eq!(content_type, format!("application/{format}"));
                assert_eq!(body["status"], status);
                let keys: Vec<_> = body.keys().map(String::as_str).collect();
                assert_eq!(keys, ["type", "title", "status", "detail", "code", "request_id"]);
            }
        }
    }

    #[test]
    fn html_is_for_people_and_programs_still_get_json() {
        let pages = load(vec![("format", Yaml::from("html"))]).expect("valid");
        for accept in [None, Some("*/*"), Some("text/html,application/json;q=0.9")] {
            let (content_type, body) = rendered(&pages, 404, accept);
            assert_eq!(content_type, "text/html; charset=utf-8");
            assert!(body.contains("<h1>404 Not Found</h1>\n<p>no &quot;such&quot; &lt;thing&gt;\n</p>"), "{body}");
            assert!(body.contains("<code>id-1</code>"), "{body}");
        }
        for accept in ["application/json", "text/plain, application/vnd.api+JSON"] {
            assert_eq!(rendered(&pages, 404, Some(accept)).0, "application/problem+json");
        }
        assert!(pages.varies(StatusCode::NOT_FOUND));
    }

    #[test]
    fn a_page_is_sent_for_its_status_only() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("502.html");
        std::fs::write(&file, "<p>sorry {request_id}").expect("written");
        let file = Yaml::from(&*file.to_string_lossy());
        let pages = load(vec![("pages", Yaml::map([("502", file)]))]).expect("valid");
        assert_eq!(rendered(&pages, 502, None), ("text/html; charset=utf-8".into(), "<p>sorry id-1".into()));
        assert_eq!(rendered(&pages, 502, Some("application/json")).0, "application/problem+json");
        assert_eq!(rendered(&pages, 503, None).0, "application/problem+json");
        assert!(pages.varies(StatusCode::BAD_GATEWAY) && !pages.varies(StatusCode::NOT_FOUND));
    }

    #[test]
    fn upstream_answers_are_replaced_by_status() {
        let pages = load(vec![("intercept_upstream", vec![Yaml::from(502_i64), Yaml::from(503_i64)].into())]);
        let pages = pages.expect("valid");
        assert_eq!([500, 502, 503, 504, 200].map(|status| pages.intercepts(status)), [false, true, true, false, false]);
        assert!(!load(vec![]).expect("valid").intercepts(502));
    }

    #[test]
    fn every_fault_is_found_at_once() {
        let errors = load(vec![
            ("pages", Yaml::map([("200", Yaml::from("/nowhere/200.html")), ("502", Yaml::from("/nowhere/502.png"))])),
            ("intercept_upstream", vec![Yaml::from(502_i64), Yaml::from(302_i64)].into()),
        ]);
        let errors = errors.expect_err("refused");
        let paths: Vec<_> = errors.iter().map(|error| error.path.to_string()).collect();
        assert_eq!(paths, ["pages.200", "pages.200", "pages.502", "intercept_upstream[1]"]);
        assert!(load(vec![("fromat", Yaml::from("json"))]).is_err());
    }
}
