//! Reading a file and all that it includes, and making one tree of them.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tidegate_core::config::{ConfigError, ConfigPath, Map, Segment, Value};

use crate::env::Env;
use crate::interpolate::{Interpolator, why};
use crate::limits;
use crate::locate::locate;
use crate::parse::parse;
use crate::source::{Fault, Place, Source};
use crate::syntax::{check_bytes, diagnose};

/// Key of the list of files to be read along.
pub(crate) const INCLUDE: &str = "include";

/// Reads files until all of them are there.
pub(crate) struct Loader<'e> {
    env: &'e dyn Env,
    /// In the order in which they are merged: a file, then what it includes.
    pub(crate) sources: Vec<Source>,
    /// What is wrong, and with which source.
    pub(crate) faults: Vec<(usize, Fault)>,
    /// Every file that was read or tried.
    pub(crate) files: Vec<PathBuf>,
    /// The files that are being read, the outermost first.
    open: Vec<PathBuf>,
    /// Each file by its real path, and the name by which it was included.
    known: HashMap<PathBuf, PathBuf>,
}

impl<'e> Loader<'e> {
    pub(crate) fn new(env: &'e dyn Env) -> Self {
        Self {
            env,
            sources: Vec::new(),
            faults: Vec::new(),
            files: Vec::new(),
            open: Vec::new(),
            known: HashMap::new(),
        }
    }

    /// Reads the first file.
    pub(crate) fn start(&mut self, name: &Path) {
        if let Err(error) = self.file(name) {
            let source = self.add_source(name, Arc::from(""));
            self.faults.push((source, Fault { place: Place::Nowhere, error }));
        }
    }

    /// Reads one file. `Err` if it cannot be opened, which is for whoever named it to tell.
    fn file(&mut self, name: &Path) -> Result<(), ConfigError> {
        if !self.files.iter().any(|file| file == name) {
            self.files.push(name.to_owned());
        }
        let refused = |why: String| ConfigError::at(ConfigPath::root(), format!("cannot read {}: {why}", shown(name)));
        let bytes = read_limited(name).map_err(refused)?;
        let real = name.canonicalize().unwrap_or_else(|_| name.to_owned());
        self.known.insert(real.clone(), name.to_owned());
        self.open.push(real);
        match check_bytes(bytes) {
            Ok(text) => self.text(name, &text),
            Err(unreadable) => {
                let (text, fault) = *unreadable;
                let source = self.add_source(name, text.into());
                self.faults.push((source, fault));
            }
        }
        self.open.pop();
        Ok(())
    }

    /// Reads a text as that of the file `name`.
    pub(crate) fn text(&mut self, name: &Path, text: &str) {
        // Some editors begin a file with a byte order mark.
        let text: Arc<str> = text.strip_prefix('\u{feff}').unwrap_or(text).into();
        let source = self.add_source(name, text.clone());
        match self.tree(source, &text) {
            Ok(tree) => self.include(source, tree),
            Err(faults) => self.faults.extend(faults.into_iter().map(|fault| (source, fault))),
        }
    }

    fn add_source(&mut self, name: &Path, text: Arc<str>) -> usize {
        self.sources.push(Source { name: name.to_owned(), text, tree: Value::map::<&str>([]) });
        self.sources.len() - 1
    }

    fn tree(&mut self, source: usize, text: &str) -> Result<Value, Vec<Fault>> {
        if is_blank(text) {
            let error = ConfigError::at(ConfigPath::root(), "the file is empty");
            return Err(vec![Fault { place: Place::Nowhere, error }]);
        }
        let tree = parse(text).map_err(|error| diagnose(text, &error))?;
        if tree.as_map().is_none() {
            let error = ConfigError::at(ConfigPath::root(), "expected a map of sections at the top of the file");
            return Err(vec![Fault::by_path(error.help("write `section:` and its keys below, indented"))]);
        }
        if !text.contains("${") {
            return Ok(tree);
        }
        let folder = self.sources[source].name.parent().unwrap_or(Path::new("")).to_owned();
        let mut interpolator = Interpolator::new(self.env, &folder);
        let tree = interpolator.tree(&tree);
        self.files.extend(interpolator.files);
        self.faults.extend(interpolator.errors.into_iter().map(|error| (source, Fault::by_path(error))));
        Ok(tree)
    }

    /// Takes the `include` out of a file's tree, and reads what it names.
    fn include(&mut self, source: usize, tree: Value) {
        let Some(map) = tree.as_map() else { return };
        let named = map.get(INCLUDE).cloned();
        self.sources[source].tree = if named.is_some() { Value::from(map.without(INCLUDE)) } else { tree };
        match named {
            None => {}
            Some(Value::Seq(names)) => {
                for (index, name) in names.iter().enumerate() {
                    if let Err(error) = self.include_one(source, name) {
                        let at = ConfigPath::root().key(INCLUDE).index(index);
                        self.faults.push((source, Fault::by_path(error.under(&at))));
                    }
                }
            }
            Some(_) => {
                let error = ConfigError::at(INCLUDE, "expected a list of files").help("write `include: [more.yaml]`");
                self.faults.push((source, Fault::by_path(error)));
            }
        }
    }

    fn include_one(&mut self, source: usize, name: &Value) -> Result<(), ConfigError> {
        let refused = |message: String| ConfigError::at(ConfigPath::root(), message);
        let Some(name) = name.as_str().filter(|name| !name.is_empty()) else {
            return Err(refused("expected the name of a file".into()));
        };
        if self.sources.len() > limits::INCLUDED_FILES {
            return Err(refused(format!("more than {} files are included", limits::INCLUDED_FILES)));
        }
        let path = self.sources[source].name.parent().unwrap_or(Path::new("")).join(name);
        let real = path.canonicalize().unwrap_or_else(|_| path.clone());
        if self.open.contains(&real) {
            return Err(refused(format!("{} includes itself, directly or by way of others", shown(&path))));
        }
        if let Some(earlier) = self.known.get(&real) {
            return Err(refused(format!("{} is included already", shown(earlier))).help("include a file once"));
        }
        if name.contains('*') && !path.exists() {
            return Err(refused("patterns are not supported here".into()).help("name each file"));
        }
        self.file(&path)
    }

    /// The trees of all files made one.
    pub(crate) fn merge(&mut self) -> Value {
        let mut merged = Value::map::<&str>([]);
        for later in 0..self.sources.len() {
            let mut conflicts = Vec::new();
            merged = merge(&merged, &self.sources[later].tree, &mut Vec::new(), &mut conflicts);
            for path in conflicts {
                let error = self.conflict(later, &path);
                self.faults.push((later, Fault::by_path(error)));
            }
        }
        merged
    }

    fn conflict(&self, later: usize, path: &[Segment]) -> ConfigError {
        let first = self.sources[..later].iter().find(|source| has(&source.tree, path));
        let place = first.and_then(|source| {
            let spot = locate(&source.text, &[(path, true)]).pop().flatten()?;
            Some(format!(", first in {}:{}:{}", shown(&source.name), spot.line, spot.column))
        });
        ConfigError::at(ConfigPath::from(path.to_vec()), format!("this is set twice{}", place.unwrap_or_default()))
            .about_key()
            .help("remove one of them; only maps and lists of several files add up")
    }
}

fn shown(name: &Path) -> impl std::fmt::Display {
    name.display()
}

fn is_blank(text: &str) -> bool {
    text.lines().all(|line| {
        let line = line.trim();
        line.is_empty() || line.starts_with('#') || line == "---" || line == "..."
    })
}

fn read_limited(name: &Path) -> Result<Vec<u8>, String> {
    let file = File::open(name).map_err(|error| why(&error))?;
    let metadata = file.metadata().map_err(|error| why(&error))?;
    if metadata.is_dir() {
        return Err("it is a folder".into());
    }
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len().min(limits::FILE_BYTES)).unwrap_or(0));
    file.take(limits::FILE_BYTES + 1).read_to_end(&mut bytes).map_err(|error| why(&error))?;
    if bytes.len() as u64 > limits::FILE_BYTES {
        return Err("it is larger than 64MiB".into());
    }
    Ok(bytes)
}

/// Maps merge by key, lists follow one another, and anything else may be there once.
fn merge(ours: &Value, theirs: &Value, path: &mut Vec<Segment>, conflicts: &mut Vec<Vec<Segment>>) -> Value {
    match (ours, theirs) {
        (Value::Map(ours), Value::Map(theirs)) => merge_maps(ours, theirs, path, conflicts),
        (Value::Seq(ours), Value::Seq(theirs)) => Value::from([ours.as_ref(), theirs.as_ref()].concat()),
        _ => {
            conflicts.push(path.clone());
            ours.clone()
        }
    }
}

fn merge_maps(ours: &Map, theirs: &Map, path: &mut Vec<Segment>, conflicts: &mut Vec<Vec<Segment>>) -> Value {
    let mut entries = Vec::with_capacity(ours.len() + theirs.len());
    for (key, value) in ours.iter() {
        let value = match theirs.get(key) {
            Some(other) => {
                path.push(Segment::Key(key.clone()));
                let merged = merge(value, other, path, conflicts);
                path.pop();
                merged
            }
            None => value.clone(),
        };
        entries.push((key.clone(), value));
    }
    let new = theirs.iter().filter(|(key, _)| ours.get(key).is_none());
    entries.extend(new.map(|(key, value)| (key.clone(), value.clone())));
    Value::map(entries)
}

fn has(tree: &Value, path: &[Segment]) -> bool {
    let mut at = Some(tree);
    for segment in path {
        at = match (at, segment) {
            (Some(value), Segment::Key(key)) => value.get(key),
            _ => None,
        };
    }
    at.is_some()
}

/// In which source the value at `path` of the merged tree stands, and at which path there. Lists of several files
/// follow one another, so an index may have to be counted from a later file's first element.
pub(crate) fn origin(sources: &[Source], path: &[Segment]) -> Option<(usize, Vec<Segment>)> {
    let mut candidates: Vec<(usize, &Value)> = sources.iter().map(|source| &source.tree).enumerate().collect();
    let mut there = Vec::with_capacity(path.len());
    for segment in path {
        let (next, segment) = descend(&candidates, segment);
        there.push(segment);
        if next.is_empty() {
            // Not there: the nearest thing around it is as good in the first file that has that.
            break;
        }
        candidates = next;
    }
    candidates.first().map(|(source, _)| (*source, there))
}

fn descend<'s>(candidates: &[(usize, &'s Value)], segment: &Segment) -> (Vec<(usize, &'s Value)>, Segment) {
    match segment {
        Segment::Key(key) => {
            let with_key = candidates.iter().filter_map(|(source, value)| Some((*source, value.get(key)?)));
            (with_key.collect(), segment.clone())
        }
        Segment::Index(index) => {
            let mut left = *index;
            for (source, value) in candidates {
                let elements = value.as_seq().unwrap_or_default();
                match elements.get(left) {
                    Some(element) => return (vec![(*source, element)], Segment::Index(left)),
                    None => left -= elements.len(),
                }
            }
            (Vec::new(), segment.clone())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(name: &str, text: &str) -> Source {
        Source { name: name.into(), text: text.into(), tree: parse(text).unwrap() }
    }

    #[test]
    fn maps_merge_and_lists_follow_one_another() {
        let merged = merge(
            &parse("a: {x: 1}\nl: [1, 2]\n").unwrap(),
            &parse("a: {y: 2}\nl: [3]\nb: 4\n").unwrap(),
            &mut Vec::new(),
            &mut Vec::new(),
        );
        assert_eq!(merged.to_string(), "{a: {x: 1, y: 2}, l: [1, 2, 3], b: 4}");
    }

    #[test]
    fn a_value_is_traced_to_its_file() {
        let sources = [source("one", "l: [{n: 1}, {n: 2}]\nm: {a: 1}\n"), source("two", "l: [{n: 3}]\nm: {b: 2}\n")];
        let trace = |path: &str| {
            let (source, there) = origin(&sources, ConfigPath::from(path).segments()).unwrap();
            format!("{source} {}", ConfigPath::from(there))
        };
        assert_eq!(trace("l[1].n"), "0 l[1].n");
        assert_eq!(trace("l[2].n"), "1 l[0].n");
        assert_eq!(trace("m.b"), "1 m.b");
        assert_eq!(trace("l[9]"), "0 l[9]");
        assert_eq!(trace("l[2].nope.deeper"), "1 l[0].nope");
        assert_eq!(trace(""), "0 ");
    }
}
