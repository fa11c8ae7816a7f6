//! Which file answers for a place. All of this asks the disk, and runs on its threads.

use std::fs::{File, Metadata};
use std::sync::Arc;

use rustix::fs::FileType;
use tidegate_core::Bytes;

use crate::coding::Ranked;
use crate::config::{Coding, Listing};
use crate::disk::read_at;
use crate::pattern::Hidden;
use crate::place::Place;
use crate::root::{NotOpened, Root};
use crate::version::Version;

/// Files up to this size are read in the visit to the disk that opens them.
const SMALL: u64 = 64 * 1024;
/// How often a small file that changes while it is read is read again.
const TRIES: usize = 4;

/// A folder with its rules.
#[derive(Debug)]
pub(crate) struct Tree {
    pub(crate) root: Root,
    pub(crate) index: Option<Box<str>>,
    pub(crate) fallback: Option<Box<str>>,
    pub(crate) not_found: Option<Box<str>>,
    pub(crate) listing: Listing,
    pub(crate) hidden: Hidden,
}

/// What is wanted.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    pub(crate) place: Place,
    /// Whether the fallback may answer.
    pub(crate) page: bool,
    pub(crate) codings: Ranked,
    /// Whether the file will be sent as it is, without a condition or a range.
    pub(crate) plainly: bool,
}

/// What there is.
#[derive(Debug)]
pub(crate) enum Found {
    /// A file.
    File(Opened),
    /// A folder that was asked for without the slash at its end.
    Folder,
    /// What is in a folder.
    Listing(Bytes),
    /// Nothing; whether that is because the page for it is missing.
    Nothing { page_missing: bool },
    /// Something that we may not read.
    Denied,
}

/// As what a file is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// It was asked for.
    Asked,
    /// It stands in for a path that is none.
    Fallback,
    /// It is the body of a 404.
    NotFound,
}

/// An open file.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) file: Arc<File>,
    pub(crate) version: Version,
    pub(crate) coding: Option<Coding>,
    /// Below the root, without the ending of a coding.
    pub(crate) path: Box<str>,
    pub(crate) role: Role,
    /// The whole, where it was read already.
    pub(crate) content: Option<Bytes>,
}

enum Thing {
    File(File, Metadata),
    Folder(File),
    Nothing,
}

impl Tree {
    pub(crate) fn find(&self, wanted: &Wanted) -> Result<Found, std::io::Error> {
        match self.look(wanted) {
            Ok(found) => Ok(found),
            Err(NotOpened::Denied) => Ok(Found::Denied),
            Err(NotOpened::NotThere) => Ok(Found::Nothing { page_missing: false }),
            Err(NotOpened::Failed(error)) => Err(error),
        }
    }

    fn look(&self, wanted: &Wanted) -> Result<Found, NotOpened> {
        let hidden = self.hidden.hides(&wanted.place.path);
        if !hidden && let Some(found) = self.at(wanted)? {
            return Ok(found);
        }
        let stand_in = match &self.fallback {
            Some(fallback) if wanted.page && !hidden => Some((fallback, Role::Fallback)),
            _ => self.not_found.as_ref().map(|page| (page, Role::NotFound)),
        };
        let Some((path, role)) = stand_in else { return Ok(Found::Nothing { page_missing: false }) };
        match self.thing(path)? {
            Thing::File(file, is) => Ok(Found::File(self.best(path, file, &is, wanted, role)?)),
            _ => Ok(Found::Nothing { page_missing: true }),
        }
    }

    /// What is there, if anything is that can be shown.
    fn at(&self, wanted: &Wanted) -> Result<Option<Found>, NotOpened> {
        let path = &*wanted.place.path;
        if !wanted.place.folder {
            return match self.thing(path)? {
                Thing::File(file, is) => self.best(path, file, &is, wanted, Role::Asked).map(Found::File).map(Some),
                // Only then is it told that it is a folder.
                Thing::Folder(_) if self.listing == Listing::Html || self.index_of(path)?.is_some() => {
                    Ok(Some(Found::Folder))
                }
                _ => Ok(None),
            };
        }
        if let Some((index, file, is)) = self.index_of(path)? {
            return self.best(&index, file, &is, wanted, Role::Asked).map(Found::File).map(Some);
        }
        match self.listing {
            Listing::Off => Ok(None),
            Listing::Html => self.list(path),
        }
    }

    fn index_of(&self, folder: &str) -> Result<Option<(String, File, Metadata)>, NotOpened> {
        let Some(index) = &self.index else { return Ok(None) };
        let path = joined(folder, index);
        match self.thing(&path)? {
            Thing::File(file, is) if !self.hidden.hides(&path) => Ok(Some((path, file, is))),
            _ => Ok(None),
        }
    }

    fn list(&self, path: &str) -> Result<Option<Found>, NotOpened> {
        let Thing::Folder(folder) = self.thing(path)? else { return Ok(None) };
        let shown = |name: &str, kind: Option<FileType>| {
            let path = joined(path, name);
            if self.hidden.hides(&path) {
                return None;
            }
            match kind {
                Some(FileType::RegularFile) => Some(false),
                Some(FileType::Directory) => Some(true),
                Some(_) => None,
                None => match self.thing(&path).ok()? {
                    Thing::File(..) => Some(false),
                    Thing::Folder(_) => Some(true),
                    Thing::Nothing => None,
                },
            }
        };
        crate::listing::page(&folder, path, shown).map(Found::Listing).map(Some).map_err(NotOpened::Failed)
    }

    /// What is at a path. Only files and folders are anything: a pipe or a device is nothing.
    fn thing(&self, path: &str) -> Result<Thing, NotOpened> {
        let file = match self.root.file(path) {
            Ok(file) => file,
            Err(NotOpened::NotThere) => return Ok(Thing::Nothing),
            Err(error) => return Err(error),
        };
        let is = file.metadata().map_err(NotOpened::Failed)?;
        Ok(match (is.is_file(), is.is_dir()) {
            (true, _) => Thing::File(file, is),
            (_, true) => Thing::Folder(file),
            _ => Thing::Nothing,
        })
    }

    /// The file, or the sibling that the client likes best.
    fn best(&self, path: &str, file: File, is: &Metadata, wanted: &Wanted, role: Role) -> Result<Opened, NotOpened> {
        let version = Version::of(is);
        for coding in &wanted.codings {
            let sibling = match self.thing(&[path, coding.extension()].concat()) {
                Ok(Thing::File(file, is)) => (file, Version::of(&is)),
                // A sibling that can't be read costs time, and no answer.
                Ok(_) | Err(NotOpened::Denied | NotOpened::NotThere) => continue,
                Err(error) => return Err(error),
            };
            if !sibling.1.is_older_than(&version) {
                return opened(path, sibling, Some(*coding), wanted, role);
            }
        }
        opened(path, (file, version), None, wanted, role)
    }
}

fn opened(
    path: &str,
    (file, mut version): (File, Version),
    coding: Option<Coding>,
    wanted: &Wanted,
    role: Role,
) -> Result<Opened, NotOpened> {
    let content = match wanted.plainly && version.length <= SMALL {
        true => Some(whole(&file, &mut version).map_err(NotOpened::Failed)?),
        false => None,
    };
    Ok(Opened { file: Arc::new(file), version, coding, path: path.into(), role, content })
}

/// All of a small file, of one version: what is written while we read is not mixed with what was there.
fn whole(file: &File, version: &mut Version) -> std::io::Result<Bytes> {
    for _ in 0..TRIES {
        let content = read_at(file, 0, usize::try_from(version.length.min(SMALL)).unwrap_or(0))?;
        let after = Version::of(&file.metadata()?);
        if after == *version && content.len() as u64 == version.length {
            return Ok(content);
        }
        *version = after;
        if version.length > SMALL {
            break;
        }
    }
    Err(std::io::Error::other("the file changes all the time"))
}

fn joined(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { [folder, "/", name].concat() }
}
