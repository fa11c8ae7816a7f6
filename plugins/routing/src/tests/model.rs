//! The look-up against a slow model that is obviously right: of all routes that match, the most specific.

use std::cmp::Reverse;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{HostPattern, PathPattern};

#[derive(Debug, Clone)]
struct Model {
    host: Option<&'static str>,
    path: String,
    methods: Vec<&'static str>,
    headers: Vec<&'static str>,
}

impl Model {
    fn json(&self) -> Json {
        let mut matches = json!({ "path": self.path });
        if let Some(host) = self.host {
            matches["host"] = json!(host);
        }
        if !self.methods.is_empty() {
            matches["methods"] = json!(self.methods);
        }
        matches["headers"] = self.headers.iter().map(|name| json!({ "name": name })).collect();
        matches
    }

    fn host_rank(&self, host: &str) -> Option<(u8, usize)> {
        match self.host {
            None => Some((0, 0)),
            Some(pattern) => match pattern.strip_prefix("*.") {
                Some(below) => host
                    .strip_suffix(below)
                    .is_some_and(|front| front.ends_with('.'))
                    .then(|| (1, below.split('.').count())),
                None => (pattern == host).then_some((2, 0)),
            },
        }
    }

    /// 3 fixed, 2 wildcard, 1 rest, with 4 for the end: the larger at the first difference is the more specific.
    fn path_rank(&self, path: &str) -> Option<Vec<u8>> {
        let segments: Vec<_> = path[1..].split('/').collect();
        let mut rank = Vec::new();
        let patterns: Vec<_> = self.path[1..].split('/').collect();
        for (at, pattern) in patterns.iter().enumerate() {
            match (*pattern, segments.get(at)) {
                ("**", _) => {
                    rank.push(1);
                    return Some(rank);
                }
                (_, None) => return None,
                ("{x}" | "{y}" | "{z}" | "*", Some(segment)) if !segment.is_empty() => rank.push(2),
                (fixed, Some(segment)) if fixed == *segment => rank.push(3),
                _ => return None,
            }
        }
        rank.push(4);
        (patterns.len() == segments.len()).then_some(rank)
    }

    fn wants(&self, ask: &Ask) -> bool {
        let method = ask.method.as_str();
        let method_fits = self.methods.is_empty()
            || self.methods.contains(&method)
            || (method == "HEAD" && self.methods.contains(&"GET"));
        method_fits && self.headers.iter().all(|name| ask.headers.contains_key(*name))
    }

    fn condition_rank(&self) -> (usize, Reverse<usize>) {
        let head = usize::from(self.methods.contains(&"GET") && !self.methods.contains(&"HEAD"));
        (usize::from(!self.methods.is_empty()) + self.headers.len(), Reverse(self.methods.len() + head))
    }
}

fn expected(models: &[Model], ask: &Ask) -> Option<usize> {
    let matching = models.iter().enumerate().filter(|(_, model)| model.wants(ask)).filter_map(|(index, model)| {
        let rank = (model.host_rank(&ask.host)?, model.path_rank(&ask.path)?, model.condition_rank(), Reverse(index));
        Some((rank, index))
    });
    matching.max_by(|a, b| a.0.cmp(&b.0)).map(|(_, index)| index)
}

fn any_model() -> impl Strategy<Value = Model> {
    let host = prop::option::of(prop::sample::select(vec!["a.test", "b.a.test", "*.test", "*.a.test", "*.b.a.test"]));
    let segment = prop::sample::select(vec!["a", "b", "c", "*", ""]);
    let path =
        (prop::collection::vec(segment, 0..4), any::<bool>()).prop_map(|(segments, rest)| path_text(&segments, rest));
    let methods = prop::sample::subsequence(vec!["GET", "POST", "HEAD"], 0..3);
    let headers = prop::sample::subsequence(vec!["x-a", "x-b"], 0..3);
    (host, path, methods, headers).prop_map(|(host, path, methods, headers)| Model { host, path, methods, headers })
}

/// Names for the wildcards, and no empty segment but the last.
fn path_text(segments: &[&str], rest: bool) -> String {
    let mut names = ["{x}", "*", "{y}", "{z}"].into_iter();
    let mut parts: Vec<&str> = Vec::new();
    for (at, segment) in segments.iter().enumerate() {
        match *segment {
            "*" => parts.extend(names.next()),
            "" if rest || at + 1 < segments.len() => {}
            fixed => parts.push(fixed),
        }
    }
    parts.extend(rest.then_some("**"));
    format!("/{}", parts.join("/"))
}

fn any_ask() -> impl Strategy<Value = Ask> {
    let host = prop::sample::select(vec!["a.test", "b.a.test", "c.b.a.test", "x.test", "test", "other.example"]);
    let segments = prop::collection::vec(prop::sample::select(vec!["a", "b", "c", "d", "ab"]), 0..5);
    let method = prop::sample::select(vec!["GET", "POST", "HEAD", "PUT"]);
    let headers = prop::sample::subsequence(vec!["x-a", "x-b"], 0..3);
    (host, segments, any::<bool>(), method, headers).prop_map(|(host, segments, slash, method, headers)| {
        let slash = if slash && !segments.is_empty() { "/" } else { "" };
        let ask = ask(method, &format!("{host}/{}{slash}", segments.join("/")));
        headers.into_iter().fold(ask, |ask, name| ask.header(name, "1"))
    })
}

impl std::fmt::Debug for Ask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}{} {:?}", self.method, self.host, self.path, self.headers)
    }
}

/// Drops routes until the table has no conflicts.
fn without_conflicts(mut models: Vec<Model>) -> (Vec<Model>, Built) {
    loop {
        let routes: Vec<_> = models.iter().map(|model| json!({ "match": model.json(), "upstream": "u" })).collect();
        match try_build(&json!({ "routes": routes })) {
            Ok(built) => return (models, built),
            Err(errors) => {
                let path = errors.iter().next().expect("an error").path.to_string();
                let index: usize =
                    path.trim_start_matches("routes[").trim_end_matches(']').parse().expect("a route's path");
                models.remove(index);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn the_look_up_agrees_with_the_model(
        models in prop::collection::vec(any_model(), 1..24),
        asks in prop::collection::vec(any_ask(), 20),
    ) {
        let (models, built) = without_conflicts(models);
        for ask in &asks {
            let found = match built.route(ask) {
                Routed::Found(found) => Some(found.route.index()),
                _ => None,
            };
            prop_assert_eq!(found, expected(&models, ask), "{:?} {:#?}", ask, models);
        }
    }

    #[test]
    fn a_route_without_conflicts_is_reached_by_something(models in prop::collection::vec(any_model(), 1..12)) {
        // The converse of the conflict check, as far as requests of the model go: a twin is never accepted.
        let (models, _) = without_conflicts(models);
        for (index, model) in models.iter().enumerate() {
            let twin = models.iter().skip(index + 1).any(|other| {
                let (a, b): (PathPattern, PathPattern) = (model.path.parse().expect("valid"), other.path.parse().expect("valid"));
                let host = |host: Option<&str>| host.unwrap_or("*").parse::<HostPattern>().expect("valid");
                a.same_shape(&b) && host(model.host) == host(other.host)
                    && model.condition_rank() == other.condition_rank()
                    && model.headers == other.headers
                    && ["GET", "POST", "HEAD", "PUT"].iter().all(|method| {
                        let ask = ask(method, "a.test/");
                        let ask = model.headers.iter().fold(ask, |ask, name| ask.header(name, "1"));
                        model.wants(&ask) == other.wants(&ask)
                    })
            });
            prop_assert!(!twin, "{:?}", models);
        }
    }
}
