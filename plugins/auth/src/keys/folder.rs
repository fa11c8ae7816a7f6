//! Keys in a folder of this gateway's own.

use std::fs::{DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tidegate_core::ConfigError;

use super::set::KeySet;

/// The largest file that is read: some times what the most keys take.
const LARGEST: u64 = 256 * 1024;

const FILE: &str = "keys.json";

/// Whether it is the gateway's own, or root's, who can do everything anyway.
fn is_ours(metadata: &Metadata) -> bool {
    is_owner(metadata.uid(), rustix::process::geteuid().as_raw())
}

pub(super) fn is_owner(owner: u32, us: u32) -> bool {
    owner == us || owner == 0
}

/// A folder with one file, so that all of it changes at once.
#[derive(Debug, Clone)]
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    fn file(&self) -> PathBuf {
        self.0.join(FILE)
    }

    /// The keys that are there; `None` if there are none yet. Refuses what others could have read or put there.
    pub(super) fn read(&self) -> Result<Option<KeySet>, ConfigError> {
        self.check_folder()?;
        let file = match File::open(self.file()) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.unreadable(&error)),
        };
        let metadata = file.metadata().map_err(|error| self.unreadable(&error))?;
        if !is_ours(&metadata) {
            return Err(self.not_ours(&self.file(), &metadata));
        }
        if metadata.permissions().mode() & 0o077 != 0 {
            let message = format!("others may read the signing keys in {}", self.file().display());
            let help =
                format!("chmod 600 {0}, or remove it if somebody may have: all tokens end then", self.file().display());
            return Err(ConfigError::at("folder", message).help(help));
        }
        let mut bytes = Vec::new();
        file.take(LARGEST).read_to_end(&mut bytes).map_err(|error| self.unreadable(&error))?;
        KeySet::parse(&bytes).map(Some).map_err(|error| self.unusable(&error))
    }

    fn check_folder(&self) -> Result<(), ConfigError> {
        let metadata = match std::fs::metadata(&self.0) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(self.unreadable(&error)),
        };
        // Its owner can give themselves whatever rights they want.
        if !is_ours(&metadata) {
            return Err(self.not_ours(&self.0, &metadata));
        }
        if metadata.permissions().mode() & 0o022 == 0 {
            return Ok(());
        }
        let message = format!("others may put signing keys into {}", self.0.display());
        Err(ConfigError::at("folder", message).help(format!("chmod 700 {}", self.0.display())))
    }

    /// Puts these in place of what is there. After a crash there are the old ones or the new ones, whole.
    pub(super) fn write(&self, set: &KeySet) -> io::Result<()> {
        match DirBuilder::new().mode(0o700).create(&self.0) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        let new = self.0.join("keys.json.new");
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        // One that was there keeps the mode that it had.
        file.set_permissions(std::fs::Permissions::from_mode(0o600))?;
        file.write_all(&set.to_bytes())?;
        file.sync_all()?;
        std::fs::rename(&new, self.file())?;
        File::open(&self.0)?.sync_all()
    }

    fn not_ours(&self, what: &Path, metadata: &Metadata) -> ConfigError {
        let (shown, user) = (what.display(), rustix::process::geteuid().as_raw());
        let message = format!("user {} could put signing keys into {shown}, which is theirs", metadata.uid());
        ConfigError::at("folder", message).help(format!("chown {user} {shown}: the gateway's own user, or root"))
    }

    fn unreadable(&self, error: &io::Error) -> ConfigError {
        ConfigError::at("folder", format!("the signing keys in {} can't be read: {error}", self.0.display()))
    }

    pub(super) fn unwritable(&self, error: &io::Error) -> ConfigError {
        let message = format!("no signing keys can be written to {}: {error}", self.0.display());
        ConfigError::at("folder", message).help("the folder above it must be there, and be the gateway's to write to")
    }

    pub(super) fn unusable(&self, error: &str) -> ConfigError {
        let message = format!("the signing keys in {} can't be used: {error}", self.file().display());
        ConfigError::at("folder", message).help("restore the file, or remove it: new keys are made, and all tokens end")
    }
}
