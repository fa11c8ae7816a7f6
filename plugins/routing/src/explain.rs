//! Why a request takes the route it takes, in lines for people.

use tidegate_core::{Body, Explanation, RequestHead, Routed, Router};

use crate::Routing;
use crate::host::{HostPattern, LONGEST};
use crate::normalise::{Normal, normalise};
use crate::table::Described;

impl Routing {
    /// The same steps as [`Router::route`], in the same order, each said out loud.
    pub(crate) fn explained(&self, head: &RequestHead<'_>) -> Explanation {
        let mut steps = Vec::new();
        self.explain_steps(head, &mut steps);
        Explanation { steps }
    }

    fn explain_steps(&self, sent: &RequestHead<'_>, steps: &mut Vec<String>) {
        let normal = match normalise(sent.path, self.rules) {
            Ok(Normal::Same) => sent.path.into(),
            Ok(Normal::Changed(path)) => {
                steps.push(format!("the path {} is read as {path}; the upstream sees it so, too", sent.path));
                path
            }
            Ok(Normal::Redirect(path)) => {
                steps.push(format!("the path {} is redirected to {path}", sent.path));
                return;
            }
            Err(why) if sent.path != "*" => {
                steps.push(format!("400: {why}"));
                return;
            }
            Err(_) => {
                steps.push("the path is *, which is no route's: the gateway answers OPTIONS by itself".to_owned());
                return;
            }
        };
        let mut buffer = [0; LONGEST];
        let Ok(host) = crate::clean_host(sent, &mut buffer) else {
            steps.push(format!("400: {:?} is not a host", sent.authority));
            return;
        };
        let head = RequestHead { path: &normal, ..*sent };
        self.explain_hosts(host, &head, steps);
        self.explain_candidates(host, &head, steps);
        self.explain_outcome(sent, host, &head, steps);
    }

    fn explain_hosts(&self, host: &str, head: &RequestHead<'_>, steps: &mut Vec<String>) {
        let entries = self.table.hosts.matching(host).map(|entry| match &entry.pattern {
            HostPattern::Any => "any host".to_owned(),
            pattern => pattern.to_string(),
        });
        let entries: Vec<_> = entries.collect();
        steps.push(match entries.as_slice() {
            [] => format!("no route is for the host {host:?}, nor for any host"),
            entries => format!("the host is {host:?}: routes of {} are tried, in this order", entries.join(", ")),
        });
        if self.table.hosts.is_elsewhere(host, head.listener) {
            steps.push(format!("421: this host is served on other listeners than {:?}", head.listener));
        }
    }

    fn explain_candidates(&self, host: &str, head: &RequestHead<'_>, steps: &mut Vec<String>) {
        if self.table.hosts.is_elsewhere(host, head.listener) {
            return;
        }
        let tried = steps.len();
        let won = self.table.hosts.matching(host).find_map(|entry| {
            self.table.trie.walk(entry.root, head.path, &mut |leaf, _| {
                leaf.iter().find_map(|candidate| {
                    let Described { name, summary, .. } = self.table.described(candidate.route)?;
                    let why = self.table.reject(candidate.route, head);
                    steps.push(match why {
                        Some(why) => format!("{name} ({summary}): no, {why}"),
                        None => format!("{name} ({summary}): yes"),
                    });
                    why.is_none().then_some(())
                })
            })
        });
        match (won, steps.len() - tried) {
            (None, 0) => steps.push(format!("no route has the path {}", head.path)),
            (None, _) => steps.push("none of the routes that have this host and path wants the request".to_owned()),
            (Some(()), 1) => steps.push("it wins: of the routes that match, it is the most specific".to_owned()),
            (Some(()), _) => steps.push("it wins: those before it are more specific, and don't match".to_owned()),
        }
    }

    fn explain_outcome(&self, sent: &RequestHead<'_>, host: &str, head: &RequestHead<'_>, steps: &mut Vec<String>) {
        match self.route(sent) {
            Routed::None => steps.push("404".to_owned()),
            Routed::Respond(reply) => {
                let allow = self.table.allowed_methods(host, head).filter(|_| reply.status() == 405);
                let allow = allow.map(|methods| format!(", Allow: {methods}")).unwrap_or_default();
                let (status, _, body) = reply.into_parts();
                let what = match &body {
                    Body::Problem { detail, .. } => detail,
                    _ => "answered by the gateway",
                };
                steps.push(format!("{}: {what}{allow}", status.as_u16()));
            }
            Routed::Found(found) => {
                let Some(described) = self.table.described(found.route.0) else { return };
                for (index, name) in described.params.iter().enumerate() {
                    let value = found.params.slice(index, head.path).unwrap_or_default();
                    steps.push(format!("the parameter {name} is {value:?}"));
                }
                steps.extend(described.words.iter().cloned());
            }
        }
    }
}
