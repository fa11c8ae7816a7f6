//! All routes, indexed: what a request is looked up in.

use std::collections::HashMap;

use tidegate_core::{ConfigError, ConfigErrors, ConfigPath, Params, RequestHead, RouteTable};

use crate::config::RoutingConfig;
use crate::conflict::check_leaves;
use crate::draft::{Draft, Shared};
use crate::hosts::Hosts;
use crate::methods::Methods;
use crate::predicate::{Conditions, Why};
use crate::trie::Trie;

/// All routes, indexed by host, then path, then conditions.
#[derive(Debug, Default)]
pub(crate) struct Table {
    pub(crate) hosts: Hosts,
    pub(crate) trie: Trie,
    pub(crate) routes: Vec<Compiled>,
}

/// What the look-up needs of a route.
#[derive(Debug)]
pub(crate) struct Compiled {
    /// `None`: host and path are all it asks for.
    conditions: Option<Box<Conditions>>,
    /// Not on the request path.
    pub(crate) described: Box<Described>,
}

/// What people are told of a route.
#[derive(Debug)]
pub(crate) struct Described {
    pub(crate) name: Box<str>,
    pub(crate) summary: Box<str>,
    pub(crate) params: Vec<Box<str>>,
    pub(crate) words: Vec<String>,
}

/// A route found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) route: u32,
    pub(crate) params: Params,
}

impl Table {
    /// Errors carry paths relative to the section.
    pub(crate) fn build(
        config: &RoutingConfig,
        shared: Shared<'_>,
        specs: &mut RouteTable,
    ) -> Result<Self, ConfigErrors> {
        let mut errors = ConfigErrors::new();
        let mut drafts = Vec::with_capacity(config.routes.len());
        for (index, route) in config.routes.iter().enumerate() {
            let draft = Draft::new(index, route, shared);
            drafts
                .extend(errors.collect(draft.map_err(|errors| errors.under(&ConfigPath::from("routes").index(index)))));
        }
        check_names(&drafts, &mut errors);
        let mut table = Self::default();
        for (route, draft) in drafts.iter().enumerate() {
            table.insert(u32::try_from(route).unwrap_or(u32::MAX), draft);
        }
        table.hosts.finish();
        check_leaves(table.trie.leaves_mut(), &drafts, &mut errors);
        if !errors.is_empty() {
            return Err(errors);
        }
        for draft in drafts {
            table.routes.push(Compiled::new(&draft));
            specs.add(draft.spec);
        }
        Ok(table)
    }

    fn insert(&mut self, route: u32, draft: &Draft) {
        for host in &draft.hosts {
            let root = self.hosts.add(host, &draft.conditions.others.listeners, &mut self.trie);
            for path in &draft.paths {
                self.trie.insert(root, path, route);
            }
        }
    }

    /// The route of a request whose path is normal: the most specific of all that match. Allocates nothing.
    pub(crate) fn find(&self, host: &str, head: &RequestHead<'_>) -> Option<Found> {
        self.hosts.matching(host).find_map(|entry| {
            self.trie.walk(entry.root, head.path, &mut |leaf, captured| {
                let winner = leaf.iter().find(|candidate| self.reject(candidate.route, head).is_none())?;
                Some(Found { route: winner.route, params: captured.keep(winner.named, head.path) })
            })
        })
    }

    /// The methods of routes that would serve the request if only its method were one of them.
    pub(crate) fn allowed_methods(&self, host: &str, head: &RequestHead<'_>) -> Option<Methods> {
        let mut allowed: Option<Methods> = None;
        for entry in self.hosts.matching(host) {
            let _: Option<()> = self.trie.walk(entry.root, head.path, &mut |leaf, _| {
                for candidate in leaf {
                    if let Some(methods) = self.routes.get(candidate.route as usize)?.methods_if_rest_passes(head) {
                        allowed.get_or_insert_default().extend(methods);
                    }
                }
                None
            });
        }
        allowed
    }

    /// Why the request is not this route's; `None` if it is.
    pub(crate) fn reject(&self, route: u32, head: &RequestHead<'_>) -> Option<Why<'_>> {
        self.routes.get(route as usize)?.conditions.as_ref()?.reject(head)
    }

    pub(crate) fn described(&self, route: u32) -> Option<&Described> {
        self.routes.get(route as usize).map(|route| &*route.described)
    }
}

impl Compiled {
    fn new(draft: &Draft) -> Self {
        let spec = &draft.spec;
        Self {
            conditions: (draft.conditions != Conditions::default()).then(|| Box::new(draft.conditions.clone())),
            described: Box::new(Described {
                name: spec.name.as_str().into(),
                summary: spec.summary.as_str().into(),
                params: spec.params.clone(),
                words: draft.words.clone(),
            }),
        }
    }

    fn methods_if_rest_passes(&self, head: &RequestHead<'_>) -> Option<&Methods> {
        let conditions = self.conditions.as_ref()?;
        let methods = conditions.methods.as_ref()?;
        conditions.others.reject(head).is_none().then_some(methods)
    }
}

fn check_names(drafts: &[Draft], errors: &mut ConfigErrors) {
    let mut seen: HashMap<&str, &Draft> = HashMap::with_capacity(drafts.len());
    for draft in drafts {
        if let Some(earlier) = seen.insert(&draft.spec.name, draft) {
            let message = format!("the name `{}` is taken by {}", draft.spec.name, earlier.path());
            errors.push(ConfigError::at(draft.path().key("name"), message));
        }
    }
}
