//! What has been found at fault, and is read around.

use super::error::DeError;
use crate::config::Segment;

/// A tree of places; the lists are short, since an error adds at most one path.
#[derive(Default)]
pub(super) struct Prune {
    /// Not to be seen again.
    removed: bool,
    /// The key that a removed misspelt one was probably meant to be.
    meant: Option<&'static str>,
    /// Missing keys, given a stand-in so that the next missing one can be found.
    supplied: Vec<&'static str>,
    children: Vec<(Segment, Prune)>,
}

impl Prune {
    pub(super) fn is_empty(&self) -> bool {
        !self.removed && self.supplied.is_empty() && self.children.is_empty()
    }

    pub(super) fn is_removed(&self) -> bool {
        self.removed
    }

    pub(super) fn supplied(&self) -> &[&'static str] {
        &self.supplied
    }

    pub(super) fn at_key(&self, key: &str) -> Option<&Prune> {
        self.find(|segment| matches!(segment, Segment::Key(k) if &**k == key))
    }

    pub(super) fn at_index(&self, index: usize) -> Option<&Prune> {
        self.find(|segment| *segment == Segment::Index(index))
    }

    fn find(&self, wanted: impl Fn(&Segment) -> bool) -> Option<&Prune> {
        self.children.iter().find(|(segment, _)| wanted(segment)).map(|(_, child)| child)
    }

    /// Whether `error` at `path` may be there only because of what we left out or made up.
    pub(super) fn explains(&self, error: &DeError, path: &[Segment]) -> bool {
        if self.made_up(path).is_some() {
            return true;
        }
        let Some(here) = path.iter().try_fold(self, |prune, segment| prune.find(|s| s == segment)) else {
            return false;
        };
        match error.missing() {
            Some(name) => here.children.iter().any(|(segment, child)| child.accounts_for(segment, name)),
            // A map or list that we changed fails a check of its own.
            None => error.may_be_about_children() && !here.is_empty(),
        }
    }

    fn accounts_for(&self, segment: &Segment, missing: &str) -> bool {
        let is_it = matches!(segment, Segment::Key(key) if &**key == missing);
        self.removed && (is_it || self.meant == Some(missing))
    }

    /// If `path` leads into a stand-in: how much of it leads to the map that got it.
    fn made_up(&self, path: &[Segment]) -> Option<usize> {
        let mut at = self;
        for (depth, segment) in path.iter().enumerate() {
            if matches!(segment, Segment::Key(key) if at.supplied.contains(&&**key)) {
                return Some(depth);
            }
            at = at.find(|s| s == segment)?;
        }
        None
    }

    /// Makes the next reading get past `error` at `path`. False if nothing helps.
    pub(super) fn read_around(&mut self, error: &DeError, path: &[Segment]) -> bool {
        if let Some(depth) = self.made_up(path) {
            return self.remove(&path[..depth], None);
        }
        match error.missing() {
            Some(key) => self.supply(path, key) || self.remove(path, None),
            None => self.remove(path, error.meant_key()),
        }
    }

    fn supply(&mut self, path: &[Segment], key: &'static str) -> bool {
        let at = self.reach(path);
        let new = !at.supplied.contains(&key);
        at.supplied.push(key);
        new
    }

    /// Leaves out what is at `path`. False if it was left out already, or is everything.
    fn remove(&mut self, path: &[Segment], meant: Option<&'static str>) -> bool {
        let at = self.reach(path);
        at.meant = meant;
        !path.is_empty() && !std::mem::replace(&mut at.removed, true)
    }

    fn reach(&mut self, path: &[Segment]) -> &mut Prune {
        path.iter().fold(self, |at, segment| {
            let place = at.children.iter().position(|(s, _)| s == segment).unwrap_or_else(|| {
                at.children.push((segment.clone(), Prune::default()));
                at.children.len() - 1
            });
            &mut at.children[place].1
        })
    }
}
