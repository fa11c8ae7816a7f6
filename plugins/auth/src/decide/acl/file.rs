//! A list in a file that others change.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use tidegate_core::{BuildCx, Clock, ConfigError, Stop};

use super::table::Table;
use crate::config::AclEntry;

/// How often the file is looked at.
const EVERY: Duration = Duration::from_secs(1);

/// The longest file that is read.
const LARGEST: u64 = 16 * 1024 * 1024;

/// A list as its file said when it was last good.
#[derive(Debug)]
pub(super) struct ListFile {
    /// The list's.
    name: Box<str>,
    path: PathBuf,
    table: ArcSwap<Table>,
}

/// How the file was when it was looked at last.
#[derive(Debug, Default, PartialEq, Eq)]
struct Seen {
    print: Option<Print>,
    /// Whether it was the same the next time, and could be read. Two writes within one tick of the file system's clock
    /// look alike, and what could not be read may be readable the next time.
    settled: bool,
    /// Why it could not be used: each reason is told once.
    error: Option<String>,
}

/// What changes when a file does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Print {
    length: u64,
    modified: Option<SystemTime>,
    inode: u64,
}

impl ListFile {
    /// Reads the file now, and again when it changes. The error carries no path.
    pub(super) fn open(name: &str, path: &Path, cx: &mut BuildCx<'_>) -> Result<Arc<Self>, ConfigError> {
        // Before the content: a change in between is seen as one.
        let seen = Seen { print: Print::of(path), ..Seen::default() };
        let table =
            read(path).map_err(|why| ConfigError::at("", why).help("who may do what: `doc:123: { alice: [read] }`"))?;
        let file = Arc::new(Self { name: name.into(), path: path.to_owned(), table: ArcSwap::from_pointee(table) });
        let (watched, clock) = (file.clone(), cx.clock().clone());
        cx.spawn(&format!("acl.{name}"), move |stop| watched.watch(seen, clock, stop));
        Ok(file)
    }

    pub(super) fn table(&self) -> Arc<Table> {
        self.table.load_full()
    }

    async fn watch(self: Arc<Self>, mut seen: Seen, clock: Clock, mut stop: Stop) {
        loop {
            tokio::select! {
                () = stop.stopped() => return,
                () = clock.sleep(EVERY) => {}
            }
            let file = self.clone();
            let looked = tokio::task::spawn_blocking(move || file.look(seen)).await;
            seen = looked.unwrap_or_default();
        }
    }

    /// Reads the file again if it isn't as it was `seen` last; how it is now.
    fn look(&self, seen: Seen) -> Seen {
        let print = Print::of(&self.path);
        let same = print == seen.print;
        if same && seen.settled {
            return seen;
        }
        let text = text(&self.path);
        let settled = same && text.is_ok();
        let error = match text.and_then(|text| table(&self.path, &text)) {
            Ok(table) if table == **self.table.load() => None,
            Ok(table) => {
                log::info!(list = &*self.name, resources = table.len(); "the access list was read again");
                self.table.store(Arc::new(table));
                None
            }
            Err(why) => {
                if seen.error.as_ref() != Some(&why) {
                    log::error!(list = &*self.name, error = &*why; "the access list stays as it was");
                }
                Some(why)
            }
        };
        Seen { print, settled, error }
    }
}

impl Print {
    fn of(path: &Path) -> Option<Self> {
        let metadata = std::fs::metadata(path).ok()?;
        #[cfg(unix)]
        let inode = std::os::unix::fs::MetadataExt::ino(&metadata);
        #[cfg(not(unix))]
        let inode = 0;
        Some(Self { length: metadata.len(), modified: metadata.modified().ok(), inode })
    }
}

/// The list in a file, or what is wrong with it.
fn read(path: &Path) -> Result<Table, String> {
    table(path, &text(path)?)
}

fn text(path: &Path) -> Result<String, String> {
    let shown = path.display();
    let file = std::fs::File::open(path).map_err(|error| format!("can't read {shown}: {error}"))?;
    let mut text = String::new();
    let read = file.take(LARGEST + 1).read_to_string(&mut text);
    read.map_err(|error| format!("can't read {shown}: {error}"))?;
    if text.len() as u64 > LARGEST {
        return Err(format!("{shown} has more than {} MiB", LARGEST >> 20));
    }
    Ok(text)
}

fn table(path: &Path, text: &str) -> Result<Table, String> {
    let shown = path.display();
    let entries = parse(text).map_err(|error| format!("{shown}: {error}"))?;
    Table::build(&entries).map_err(|errors| format!("{shown}: {errors}"))
}

/// YAML, of which JSON is a part.
fn parse(text: &str) -> Result<BTreeMap<String, AclEntry>, serde_yaml::Error> {
    if text.trim().is_empty() {
        return Ok(BTreeMap::new());
    }
    let Once(entries) = serde_yaml::from_str::<Once<Once<Vec<String>>>>(text)?;
    Ok(entries.into_iter().map(|(resource, Once(entry))| (resource, entry)).collect())
}

/// A map in which no key stands twice: of two entries for one resource, one would be lost.
struct Once<V>(BTreeMap<String, V>);

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Once<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(OnceVisitor(PhantomData))
    }
}

struct OnceVisitor<V>(PhantomData<V>);

impl<'de, V: Deserialize<'de>> Visitor<'de> for OnceVisitor<V> {
    type Value = Once<V>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Once<V>, A::Error> {
        let mut all = BTreeMap::new();
        while let Some((key, value)) = map.next_entry::<String, V>()? {
            if all.contains_key(&key) {
                return Err(A::Error::custom(format_args!("`{}` stands here twice", key.escape_debug())));
            }
            all.insert(key, value);
        }
        Ok(Once(all))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::decide::tests::who;

    #[test]
    fn yaml_and_json_are_read_and_nothing_is_lost() {
        for text in ["'doc:1': { alice: [read] }", r#"{"doc:1": {"alice": ["read"]}}"#] {
            assert_eq!(parse(text).expect(text)["doc:1"]["alice"], ["read"]);
        }
        assert!(parse("").expect("nothing").is_empty());
        for twice in ["a: { x: [read] }\na: { y: [read] }", "a: { x: [read], x: [write] }"] {
            assert!(parse(twice).expect_err(twice).to_string().contains("twice"));
        }
        assert!(parse("a: [read]").is_err() && parse("- a").is_err());
    }

    #[test]
    fn a_change_is_taken_and_a_bad_one_is_not() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("acl.yaml");
        let write = |text: &str| {
            // Another file each time, as editors do it: no two look the same however coarse the clock.
            let new = dir.path().join("new");
            std::fs::write(&new, text).expect("written");
            std::fs::rename(&new, &path).expect("renamed");
        };
        write("doc: { alice: [read] }");
        let table = ArcSwap::from_pointee(read(&path).expect("good"));
        let file = ListFile { name: "docs".into(), path: path.clone(), table };
        let may = |who_: &str| file.table().allows("doc", &who(who_, &[], json!({})), "read");
        let seen = file.look(Seen::default());
        assert!(may("alice") && !may("bob"));
        write("doc: { bob: [read], dora: [read] }");
        let seen = file.look(seen);
        assert!(may("bob") && !may("alice"));
        write("doc: {");
        let seen = file.look(seen);
        assert!(may("bob"), "the last good one is kept");
        std::fs::remove_file(&path).expect("removed");
        let seen = file.look(seen);
        assert!(may("bob") && seen.print.is_none());
        write("doc: { carol: [read] }");
        file.look(seen);
        assert!(may("carol") && !may("bob"));
    }

    #[test]
    fn a_second_write_within_one_tick_is_seen_and_what_could_not_be_read_is_tried_again() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("acl.yaml");
        std::fs::write(&path, "doc: { bob: [read] }").expect("written");
        let table = ArcSwap::from_pointee(super::table(&path, "doc: { ann: [read] }").expect("good"));
        let file = ListFile { name: "docs".into(), path: path.clone(), table };
        let may = |who_: &str| file.table().allows("doc", &who(who_, &[], json!({})), "read");
        // As a file system with a coarse clock would have it.
        let looked = file.look(Seen { print: Print::of(&path), ..Seen::default() });
        assert!(may("bob") && !may("ann") && looked.settled);
        std::fs::write(&path, b"\xff").expect("written");
        let broken = file.look(looked);
        let broken = file.look(broken);
        assert!(may("bob") && broken.error.is_some() && !broken.settled, "it is tried again");
    }

    #[test]
    fn a_file_that_can_not_be_used_says_why() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("acl.yaml");
        assert!(read(&path).expect_err("none").contains("can't read"));
        std::fs::write(&path, "doc: { alice: ['*'] }").expect("written");
        assert!(read(&path).expect_err("bad").contains("doc.alice[0]: `*` is not a verb"));
    }
}
