//! The folder itself: opened once, and nothing outside of it is ever opened.
//!
//! The kernel sees to that: `openat2` with `RESOLVE_BENEATH` fails on every step that would leave the folder, also on
//! one that somebody makes by renaming while we look. Where there is no `openat2` (Linux before 5.6, some sandboxes),
//! each name is opened by itself, and links are not followed.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags, ResolveFlags, open, openat, openat2};
use rustix::io::Errno;

use crate::config::Symlinks;

/// An open folder, beneath which files are opened.
#[derive(Debug)]
pub(crate) struct Root {
    folder: OwnedFd,
    way: Way,
}

#[derive(Debug, Clone, Copy)]
enum Way {
    /// In one call.
    Whole(ResolveFlags),
    /// Name by name; links are not followed.
    Steps,
}

/// Why something was not opened.
#[derive(Debug)]
pub(crate) enum NotOpened {
    /// There is no such thing, or it is none of the root's.
    NotThere,
    /// We may not.
    Denied,
    /// Something is wrong with us or the disk.
    Failed(io::Error),
}

/// `openat2` gives up when something is renamed while it looks for `..` in a link.
const TRIES: usize = 16;

impl Root {
    /// Opens the folder.
    pub(crate) fn open(path: &Path, symlinks: Symlinks) -> io::Result<Self> {
        let folder = open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        let resolve = match symlinks {
            Symlinks::Never => resolve | ResolveFlags::NO_SYMLINKS,
            Symlinks::Beneath => resolve,
        };
        let probe = openat2(&folder, ".", OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), resolve);
        let way = match probe {
            Ok(_) => Way::Whole(resolve),
            // Sandboxes that don't know the call refuse it.
            Err(Errno::NOSYS | Errno::PERM) => Way::Steps,
            Err(error) => return Err(error.into()),
        };
        Ok(Self { folder, way })
    }

    /// Whether links are not followed though they should be.
    pub(crate) fn ignores_links(&self, symlinks: Symlinks) -> bool {
        symlinks == Symlinks::Beneath && matches!(self.way, Way::Steps)
    }

    /// Opens what is at `path`: names joined by `/`, none of them `.` or `..`; empty for the folder itself. What it is,
    /// a file or else, is for the caller to see. Never waits for the other end of a pipe.
    pub(crate) fn file(&self, path: &str) -> Result<File, NotOpened> {
        let how = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let path = if path.is_empty() { "." } else { path };
        let opened = match self.way {
            Way::Whole(resolve) => self.at_once(path, how, resolve),
            Way::Steps => self.by_steps(path, how),
        };
        opened.map(File::from).map_err(NotOpened::from)
    }

    fn at_once(&self, path: &str, how: OFlags, resolve: ResolveFlags) -> Result<OwnedFd, Errno> {
        let mut opened = Err(Errno::AGAIN);
        for _ in 0..TRIES {
            opened = openat2(&self.folder, path, how, Mode::empty(), resolve);
            if !matches!(opened, Err(Errno::AGAIN | Errno::INTR)) {
                break;
            }
        }
        opened
    }

    fn by_steps(&self, path: &str, how: OFlags) -> Result<OwnedFd, Errno> {
        let way = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut folder: Option<OwnedFd> = None;
        let (folders, name) = path.rsplit_once('/').unwrap_or(("", path));
        for step in folders.split('/').filter(|step| !step.is_empty()) {
            // Whoever calls us has seen to it; what is checked here can't be forgotten there.
            if step == ".." {
                return Err(Errno::NOENT);
            }
            folder = Some(openat(folder.as_ref().unwrap_or(&self.folder).as_fd(), step, way, Mode::empty())?);
        }
        if name == ".." {
            return Err(Errno::NOENT);
        }
        openat(folder.as_ref().unwrap_or(&self.folder).as_fd(), name, how | OFlags::NOFOLLOW, Mode::empty())
    }

    #[cfg(test)]
    pub(crate) fn by_steps_only(self) -> Self {
        Self { way: Way::Steps, ..self }
    }
}

impl From<Errno> for NotOpened {
    fn from(error: Errno) -> Self {
        match error {
            Errno::NOENT
            | Errno::NOTDIR
            // A link, or one too many.
            | Errno::LOOP
            // A way out of the root.
            | Errno::XDEV
            | Errno::NAMETOOLONG
            | Errno::INVAL
            | Errno::ILSEQ
            // A socket, or a device without its driver.
            | Errno::NXIO
            | Errno::NODEV => Self::NotThere,
            Errno::ACCESS | Errno::PERM => Self::Denied,
            error => Self::Failed(error.into()),
        }
    }
}

#[cfg(test)]
#[path = "root_tests.rs"]
mod tests;
