//! Routes that can never be told apart, and routes that no request reaches.

use std::collections::{HashMap, HashSet};

use tidegate_core::{ConfigError, ConfigErrors, Scheme};

use crate::draft::Draft;
use crate::fields::FieldTest;
use crate::host::HostPattern;
use crate::methods::Methods;
use crate::pattern::Pattern;
use crate::predicate::{Conditions, Others};
use crate::trie::{Candidate, Leaf};
use crate::version::VersionTest;

/// So many routes with equal conditions are compared with one another for overlaps, and no more: the comparison is
/// quadratic. Equal routes are found however many there are.
const MOST_COMPARED: usize = 64;

/// Puts each leaf in order, the most specific first, and reports conflicts.
pub(crate) fn check_leaves<'l>(
    leaves: impl Iterator<Item = &'l mut Leaf>,
    drafts: &[Draft],
    errors: &mut ConfigErrors,
) {
    let mut places = vec![Places::default(); drafts.len()];
    let mut twins = Vec::new();
    for leaf in leaves {
        if leaf.len() > 1 {
            leaf.sort_by_cached_key(|candidate| (draft(drafts, candidate).conditions.rank(), candidate.route));
            find_twins(leaf, drafts, &mut twins);
            find_shadowed(leaf, drafts, &mut places);
        }
        leaf.iter().for_each(|candidate| places[candidate.route as usize].all += 1);
    }
    twins.sort_unstable();
    twins.dedup();
    for (earlier, later) in &twins {
        errors.push(twin_error(&drafts[*earlier], &drafts[*later]));
    }
    let later: HashSet<usize> = twins.into_iter().map(|(_, later)| later).collect();
    let unreached = places.iter().enumerate().filter(|(route, places)| places.is_nowhere() && !later.contains(route));
    for (route, places) in unreached {
        errors.push(shadow_error(&drafts[route], places, drafts));
    }
}

/// In how many leaves a route is, and in how many of them others take all its requests.
#[derive(Debug, Clone, Default)]
struct Places {
    all: usize,
    shadowed: usize,
    by: Vec<u32>,
}

impl Places {
    fn is_nowhere(&self) -> bool {
        self.all > 0 && self.all == self.shadowed
    }
}

fn draft<'d>(drafts: &'d [Draft], candidate: &Candidate) -> &'d Draft {
    &drafts[candidate.route as usize]
}

#[allow(clippy::mutable_key_type, reason = "a pattern is compared and hashed by its text")]
fn find_twins(leaf: &Leaf, drafts: &[Draft], twins: &mut Vec<(usize, usize)>) {
    let mut seen: HashMap<&Conditions, u32> = HashMap::with_capacity(leaf.len());
    for candidate in leaf {
        let first = *seen.entry(&draft(drafts, candidate).conditions).or_insert(candidate.route);
        if first != candidate.route {
            twins.push((first as usize, candidate.route as usize));
        }
    }
}

/// A route is shadowed where routes before it, that ask for nothing it doesn't ask for, have all of its methods.
#[allow(clippy::mutable_key_type, reason = "a pattern is compared and hashed by its text")]
fn find_shadowed(leaf: &Leaf, drafts: &[Draft], places: &mut [Places]) {
    let mut groups: HashMap<Key<'_>, Vec<&Candidate>> = HashMap::new();
    for candidate in leaf {
        let conditions = &draft(drafts, candidate).conditions;
        let group = groups.entry(Key::of(&conditions.others)).or_default();
        if group.len() < MOST_COMPARED
            && let Some(by) = shadows(group, conditions, drafts)
        {
            let places = &mut places[candidate.route as usize];
            places.shadowed += 1;
            places.by.extend(by);
        }
        group.push(candidate);
    }
}

/// What two routes must have in common for one to shadow the other: being before it, it has no fewer conditions.
#[derive(PartialEq, Eq, Hash)]
struct Key<'d> {
    scheme: Option<Scheme>,
    path_regex: Option<&'d Pattern>,
    fields: &'d [FieldTest],
    version: Option<&'d VersionTest>,
}

impl<'d> Key<'d> {
    fn of(others: &'d Others) -> Self {
        Self {
            scheme: others.scheme,
            path_regex: others.path_regex.as_ref(),
            fields: &others.fields,
            version: others.version.as_ref(),
        }
    }
}

fn shadows(before: &[&Candidate], conditions: &Conditions, drafts: &[Draft]) -> Option<Vec<u32>> {
    let wider = || before.iter().filter(|earlier| draft(drafts, earlier).conditions.others.include(&conditions.others));
    let any_method = |earlier: &&&Candidate| draft(drafts, earlier).conditions.methods.is_none();
    if let Some(all) = wider().find(any_method) {
        return Some(vec![all.route]);
    }
    let methods = conditions.methods.as_ref()?;
    let mut taken = Methods::default();
    wider()
        .filter_map(|earlier| draft(drafts, earlier).conditions.methods.as_ref())
        .for_each(|others| taken.extend(others));
    taken.includes(methods).then(|| wider().map(|earlier| earlier.route).collect())
}

fn twin_error(earlier: &Draft, later: &Draft) -> ConfigError {
    let message = format!(
        "the routes `{}` ({}) and `{}` can never be told apart: both match {}",
        earlier.spec.name,
        earlier.path(),
        later.spec.name,
        common(earlier, later),
    );
    ConfigError::at(later.path(), message)
        .help("give one of them another host or path, or a condition (methods, headers, query, …), or remove one")
}

/// A host and path that both have.
fn common(earlier: &Draft, later: &Draft) -> String {
    let host = later.hosts.iter().find(|host| earlier.hosts.contains(host));
    let path = later.paths.iter().find(|path| earlier.paths.iter().any(|other| other.same_shape(path)));
    match (host, path) {
        (Some(host), Some(path)) if *host != HostPattern::Any => format!("{host}{path}"),
        (_, Some(path)) => path.to_string(),
        (_, None) => "the same requests".to_owned(),
    }
}

fn shadow_error(route: &Draft, places: &Places, drafts: &[Draft]) -> ConfigError {
    let mut by: Vec<_> = places.by.iter().map(|route| &drafts[*route as usize]).collect();
    by.sort_by_key(|draft| draft.index);
    by.dedup_by_key(|draft| draft.index);
    let by: Vec<_> = by.iter().map(|draft| format!("`{}` ({})", draft.spec.name, draft.path())).collect();
    let message =
        format!("no request reaches the route `{}`: all it matches goes to {}", route.spec.name, by.join(" and "));
    ConfigError::at(route.path(), message).help("remove it, or narrow what it is shadowed by")
}
