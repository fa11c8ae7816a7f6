//! A route that serves a folder.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tidegate_core::{
    Asked, Clock, ConfigError, ConfigErrors, Cx, Endpoint, Error, HeaderMap, HeaderValue, Method, Reply, RequestHead,
    Result, Route, StatusCode, async_trait, header,
};

use crate::answer::Answers;
use crate::coding::ranked;
use crate::config::{Coding, Folder, Symlinks};
use crate::disk::Disk;
use crate::media::Types;
use crate::metrics::{FilesMetrics, Outcome, RouteMetrics};
use crate::pattern::{CacheRules, Hidden};
use crate::place::{NoPlace, place};
use crate::quality::prefers_html;
use crate::root::Root;
use crate::tree::{Found, Role, Tree, Wanted};

const ALLOW: HeaderValue = HeaderValue::from_static("GET, HEAD, OPTIONS");
/// Complaints about the files of a route are this far apart.
const PAUSE: Duration = Duration::from_secs(10);

/// What a route serves.
#[derive(Debug)]
pub struct Site {
    route: Arc<str>,
    /// Paths of the URL below which the folder appears, without a slash at the end, the longest first.
    mounts: Box<[Box<str>]>,
    tree: Arc<Tree>,
    codings: Box<[Coding]>,
    answers: Answers,
    disk: Disk,
    metrics: RouteMetrics,
    clock: Clock,
    complained: Mutex<Option<Instant>>,
}

/// What all routes share.
#[derive(Debug, Clone)]
pub(crate) struct Shared {
    pub(crate) disk: Disk,
    pub(crate) metrics: FilesMetrics,
    pub(crate) clock: Clock,
}

impl Site {
    /// Errors are relative to the endpoint's configuration.
    pub(crate) fn new(config: &Folder, route: &Route, shared: &Shared) -> std::result::Result<Self, ConfigErrors> {
        let mut errors = ConfigErrors::new();
        let mounts = errors.collect(mounts(config.at.as_deref(), route));
        let root = errors.collect(root(&config.root, config.symlinks));
        let hidden = errors.collect(Hidden::new(config));
        let types = errors.collect(Types::new(config));
        let rules = errors.collect(CacheRules::new(&config.cache_control));
        let index = errors.collect(file("index", Some(&*config.index).filter(|index| *index != "off")));
        let fallback = errors.collect(file("spa_fallback", config.spa_fallback.as_deref()));
        let not_found = errors.collect(file("not_found", config.not_found.as_deref()));
        let codings = config.precompressed.clone().into_boxed_slice();
        if (1..codings.len()).any(|at| codings[..at].contains(&codings[at])) {
            errors.push(ConfigError::at("precompressed", "a coding is named twice"));
        }
        let (
            Some(mounts),
            Some(root),
            Some(hidden),
            Some(types),
            Some(rules),
            Some(index),
            Some(fallback),
            Some(not_found),
        ) = (mounts, root, hidden, types, rules, index, fallback, not_found)
        else {
            return Err(errors);
        };
        if root.ignores_links(config.symlinks) {
            log::warn!(route = &**route.name(); "this system has no openat2: symbolic links are not followed");
        }
        let answers = Answers {
            types,
            rules,
            etag: config.etag,
            vary_by_page: fallback.is_some(),
            vary_by_coding: !codings.is_empty(),
        };
        let tree = Arc::new(Tree { root, index, fallback, not_found, listing: config.listing, hidden });
        let Shared { disk, metrics, clock } = shared.clone();
        let (route, metrics) = (route.name().clone(), metrics.of(route.name()));
        let complained = Mutex::new(None);
        errors.into_result(Self { route, mounts, tree, codings, answers, disk, metrics, clock, complained })
    }

    async fn answer(&self, cx: &mut Cx<'_>) -> Result<(Outcome, Reply)> {
        let head = cx.head();
        if *head.method == Method::OPTIONS {
            return Ok((Outcome::Options, Reply::new(StatusCode::NO_CONTENT).header(header::ALLOW, ALLOW)));
        }
        if *head.method != Method::GET && *head.method != Method::HEAD {
            let reply = Reply::problem(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "files are only read");
            return Ok((Outcome::Refused, reply.header(header::ALLOW, ALLOW)));
        }
        let wanted = match self.wanted(&head) {
            Ok(wanted) => wanted,
            Err(NoPlace::Bad(why)) => return Ok((Outcome::Refused, Reply::bad_request("bad_path", why))),
            Err(NoPlace::Nothing) => return Ok((Outcome::NotFound, nothing())),
        };
        let tree = self.tree.clone();
        let Ok(found) = self.disk.run(move || tree.find(&wanted)).await else {
            self.complain("the disk does not answer in time", cx.head().path);
            return Ok((Outcome::Failed, Reply::unavailable("disk_busy", "the file can't be read now")));
        };
        let found = found.map_err(|error| Error::internal("a file could not be opened").because(error))?;
        Ok(self.found(found, &cx.head()))
    }

    fn found(&self, found: Found, head: &RequestHead<'_>) -> (Outcome, Reply) {
        match found {
            Found::File(opened) => {
                let sender = crate::answer::Sender { disk: &self.disk, metrics: &self.metrics, now: self.clock.wall() };
                self.answers.file(opened, head, &sender)
            }
            Found::Folder => self.answers.with_slash(head),
            Found::Listing(page) => self.answers.listing(page, head),
            Found::Nothing { page_missing } => {
                if page_missing {
                    self.complain("the page for paths that are none is missing", head.path);
                }
                (Outcome::NotFound, nothing())
            }
            Found::Denied => {
                self.complain("a file may not be read by this process", head.path);
                (Outcome::Denied, Reply::forbidden("file_denied", "the file can't be read"))
            }
        }
    }

    /// What is wanted of the tree, if anything can be.
    fn wanted(&self, head: &RequestHead<'_>) -> std::result::Result<Wanted, NoPlace> {
        let place = place(self.below(head.path))?;
        let page = prefers_html(head.headers) && !self.answers.types.is_other_than_html(&place.path);
        let plainly = *head.method == Method::GET && !is_conditional(head.headers);
        Ok(Wanted { place, page, codings: ranked(head.headers, &self.codings), plainly })
    }

    /// What follows the mount. A path below none of them was matched by a route that doesn't end in `**`, and is itself
    /// one below the root.
    fn below<'p>(&self, path: &'p str) -> &'p str {
        let below = |mount: &&str| path.strip_prefix(*mount).filter(|rest| rest.is_empty() || rest.starts_with('/'));
        self.mounts.iter().map(|mount| &**mount).find_map(|mount| below(&mount)).unwrap_or(path)
    }

    fn complain(&self, what: &str, path: &str) {
        let now = self.clock.now();
        let mut complained = self.complained.lock();
        if complained.is_none_or(|last| now.saturating_duration_since(last) >= PAUSE) {
            *complained = Some(now);
            drop(complained);
            log::warn!(route = &*self.route, path = path; "{what}");
        }
    }

    /// What would become of a request, in lines for a person. Looks at the disk.
    pub fn explain(&self, asked: &Asked<'_>) -> Vec<String> {
        let wanted = match self.wanted(&asked.head) {
            Ok(wanted) => Wanted { plainly: false, ..wanted },
            Err(NoPlace::Bad(why)) => return vec![format!("400: {why}")],
            Err(NoPlace::Nothing) => return vec!["404: no file can be there".to_owned()],
        };
        let mut lines = vec![format!("looks for {:?} below the root", wanted.place.path)];
        if self.tree.hidden.hides(&wanted.place.path) {
            lines.push("which is hidden".to_owned());
        }
        lines.push(match self.tree.find(&wanted) {
            Err(error) => format!("500: {error}"),
            Ok(Found::Denied) => "403: this process may not read it".to_owned(),
            Ok(Found::Nothing { page_missing: true }) => "404: the page for paths that are none is missing".to_owned(),
            Ok(Found::Nothing { page_missing: false }) => "404: it is not there".to_owned(),
            Ok(Found::Folder) => "307: a folder, to the same path with a slash".to_owned(),
            Ok(Found::Listing(_)) => "200: what is in the folder".to_owned(),
            Ok(Found::File(opened)) => {
                let (status, role) = match opened.role {
                    Role::Asked => (200, ""),
                    Role::Fallback => (200, " in its place"),
                    Role::NotFound => (404, " in its place"),
                };
                let media = self.answers.types.of(&opened.path);
                let coding = opened.coding.map(|coding| format!(", {}", coding.name())).unwrap_or_default();
                let rule = self.answers.rules.of(&opened.path);
                format!("{status}: {}{role}: {media:?}{coding}, Cache-Control: {rule:?}", opened.path)
            }
        });
        lines
    }
}

#[async_trait]
impl Endpoint for Site {
    async fn serve(&self, cx: &mut Cx<'_>) -> Result<Reply> {
        let answer = self.answer(cx).await;
        self.metrics.count(answer.as_ref().map_or(Outcome::Failed, |(outcome, _)| *outcome));
        answer.map(|(_, reply)| reply)
    }

    fn explain(&self, asked: &Asked<'_>) -> Vec<String> {
        Site::explain(self, asked)
    }
}

fn nothing() -> Reply {
    Reply::not_found("there is nothing here")
}

/// Whether a condition or a range may make the answer another one than the whole file.
fn is_conditional(headers: &HeaderMap) -> bool {
    let fields = [
        header::RANGE,
        header::IF_NONE_MATCH,
        header::IF_MODIFIED_SINCE,
        header::IF_MATCH,
        header::IF_UNMODIFIED_SINCE,
    ];
    fields.iter().any(|field| headers.contains_key(field))
}

fn root(path: &Path, symlinks: Symlinks) -> std::result::Result<Root, ConfigError> {
    Root::open(path, symlinks).map_err(|error| {
        let error = ConfigError::at("root", format!("can't open the folder {}: {error}", path.display()));
        error.help("it must be there, be a folder, and be readable by the gateway")
    })
}

fn mounts(at: Option<&str>, route: &Route) -> std::result::Result<Box<[Box<str>]>, ConfigError> {
    let Some(at) = at else {
        let mut mounts = route.mounts().to_vec();
        mounts.sort_by_key(|mount| std::cmp::Reverse(mount.len()));
        return Ok(mounts.into());
    };
    let path = at.strip_suffix('/').unwrap_or(at);
    let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'*' | b'{' | b'?' | b'#');
    let good = (path.is_empty() || path.starts_with('/')) && !at.is_empty() && !path.contains("//");
    if !good || !path.bytes().all(plain) {
        return Err(ConfigError::at("at", "it is no path such as `/assets`"));
    }
    Ok([path.into()].into())
}

/// A file that is named by the configuration, as a path below the root.
fn file(key: &'static str, named: Option<&str>) -> std::result::Result<Option<Box<str>>, ConfigError> {
    let Some(named) = named else { return Ok(None) };
    let path = named.trim_start_matches('/');
    let plain = |name: &str| !matches!(name, "" | "." | "..") && !name.contains(char::is_control);
    match path.split('/').all(plain) && path.len() < 1024 {
        true => Ok(Some(path.into())),
        false => Err(ConfigError::at(key, "it is no path of a file below `root`").help("such as `index.html`")),
    }
}

#[cfg(test)]
#[path = "site_tests.rs"]
mod tests;
