//! From a zone's section to its disk.

use std::path::Path;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tidegate_core::config::Secret;
use tidegate_core::{Clock, ConfigError, ConfigErrors, Metrics};

use super::folder::FolderError;
use super::metrics::DiskMetrics;
use super::place::{Place, PlaceError};
use super::quiet::Quiet;
use super::seal::Keys;
use super::{Disk, scan};
use crate::config::{DiskConfig, EncryptionConfig};

/// What is smaller holds nothing worth a disk.
const SMALLEST: u64 = 1 << 20;
const MOST_THREADS: u32 = 64;

impl Disk {
    /// What can be said of a section without touching anything. Paths are relative to the section.
    pub(crate) fn check(config: &DiskConfig) -> Result<(), ConfigErrors> {
        settings(config).map(drop)
    }

    /// Makes the folder if need be, and takes it; what it holds is listed in the background. Where this process has it open
    /// for the same zone already, it is shared. Paths of errors are relative to the section.
    pub(crate) fn open(
        zone: &str,
        config: &DiskConfig,
        clock: &Clock,
        metrics: &Metrics,
    ) -> Result<Arc<Self>, ConfigErrors> {
        let keys = settings(config)?;
        let metrics = DiskMetrics::new(metrics, zone).map_err(|error| ConfigError::at("", error.to_string()))?;
        let place = Place::open(zone, &config.path, keys.are_some(), config.threads as usize);
        let (place, is_new) = place.map_err(|error| no_folder(&config.path, &error))?;
        let disk = Arc::new(Self {
            place,
            zone: zone.into(),
            keys,
            size: config.size.bytes(),
            timeout: config.timeout.get(),
            metrics,
            clock: clock.clone(),
            bad_reads: Quiet::default(),
            bad_writes: Quiet::default(),
        });
        if is_new {
            scan::start(&disk);
        }
        Ok(disk)
    }

    /// Its limits are in force from now on: it may have to be smaller than it was.
    pub(crate) fn fit(self: &Arc<Self>) {
        let disk = self.clone();
        self.place.pool.surely(move || {
            disk.make_room();
            disk.show();
        });
    }
}

fn no_folder(path: &Path, error: &PlaceError) -> ConfigError {
    let (why, help) = match error {
        PlaceError::Folder(FolderError::Io { what, source }) => (
            format!("{what}: {source}"),
            "the folder above it must be there, and this program's user must be allowed to write in it",
        ),
        PlaceError::Folder(FolderError::Locked) => {
            (error.to_string(), "give each gateway a folder of its own, or stop the other one first")
        }
        PlaceError::OtherZone(_) => {
            (error.to_string(), "give each zone a folder of its own; to give a zone another name, restart")
        }
    };
    ConfigError::at("path", format!("{} can't be used: {why}", path.display())).help(help)
}

/// The keys; everything else is as it should be.
fn settings(config: &DiskConfig) -> Result<Keys, ConfigErrors> {
    let mut errors = ConfigErrors::default();
    if config.size.bytes() < SMALLEST {
        errors.push(ConfigError::at("size", "it must be at least 1MiB"));
    }
    if config.threads == 0 || config.threads > MOST_THREADS {
        errors.push(ConfigError::at("threads", format!("it must be from 1 to {MOST_THREADS}")));
    }
    if config.timeout.get().is_zero() {
        errors.push(ConfigError::at("timeout", "it must be longer than nothing"));
    }
    errors.collect(check_path(&config.path));
    let keys = config.encryption.as_ref().map_or_else(|| Ok(Keys::default()), keys);
    match errors.collect(keys) {
        Some(keys) => errors.into_result(keys),
        None => Err(errors),
    }
}

fn check_path(path: &Path) -> Result<(), ConfigError> {
    if path.file_name().is_none() {
        return Err(ConfigError::at("path", "it must name a folder").help("for example /var/cache/tidegate"));
    }
    let above = path.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !above.is_dir() {
        let error = ConfigError::at("path", format!("the folder {} is not there", above.display()));
        return Err(error.help("make it: only the last folder of the path is made by this program"));
    }
    if path.exists() && !path.is_dir() {
        return Err(ConfigError::at("path", format!("{} is no folder", path.display())));
    }
    Ok(())
}

fn keys(config: &EncryptionConfig) -> Result<Keys, ConfigErrors> {
    let mut errors = ConfigErrors::default();
    let mut all = Vec::new();
    all.extend(errors.collect(key(&config.key, "encryption.key".to_owned())));
    for (at, old) in config.old_keys.iter().enumerate() {
        all.extend(errors.collect(key(old, format!("encryption.old_keys[{at}]"))));
    }
    errors.into_result(Keys::new(&all))
}

/// 32 bytes, as base64 or as hex.
fn key(secret: &Secret, path: String) -> Result<[u8; 32], ConfigError> {
    let text = secret.expose().trim();
    let bytes = match text.len() {
        64 => hex(text),
        _ => STANDARD.decode(text).ok(),
    };
    let key = bytes.and_then(|bytes| bytes.try_into().ok());
    key.ok_or_else(|| {
        let error = ConfigError::at(path.as_str(), "it must be 32 bytes, as base64 or hex");
        error.help("`openssl rand -base64 32` makes one")
    })
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = text.chars().map(|digit| digit.to_digit(16).map(|digit| digit as u8)).collect();
    Some(digits?.chunks_exact(2).map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_base64_or_hex_of_32_bytes() {
        let read = |text: &str| key(&Secret::new(text), "key".to_owned()).ok();
        assert_eq!(read(&"0f".repeat(32)), Some([15; 32]));
        assert_eq!(read("Dw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8=\n"), Some([15; 32]));
        for bad in ["Dw8PDw8PDw8=", "password", &"0g".repeat(32), &"é".repeat(32)] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
