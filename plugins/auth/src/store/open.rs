//! From the configuration to a store.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use tidegate_core::{BuildCx, ConfigError, ConfigErrors, Redis};

use super::closed::Closed;
use super::file::{FileStore, OpenFile};
use super::redis::RedisStore;
use super::{Store, StoreError};
use crate::config::service::StoreChoice;

/// What keys begin with in Redis unless it is said.
const PREFIX: &str = "auth";
const LONGEST_PREFIX: usize = 64;
const MAX_USERS: u64 = 10_000_000;
const TIMEOUT: std::time::Duration = std::time::Duration::from_secs(5);
/// The fewest characters of the secret that seals keys.
const SECRET: usize = 32;

/// Opens the store that is chosen. The same file is open once in a process, however often the configuration is loaded.
/// In a dry run nothing is opened, and the store answers nothing. Errors are relative to the choice.
pub(crate) fn open(choice: &StoreChoice, cx: &mut BuildCx<'_>) -> Result<Arc<dyn Store>, ConfigErrors> {
    let mut errors = checked(choice);
    let store = match (&choice.file, &choice.redis) {
        (Some(path), None) => {
            let path = errors.collect(check_file(path).map_err(|e| e.under(&"file".into())));
            // Nothing is made for a configuration that is refused anyway.
            let path = path.filter(|_| errors.is_empty());
            path.and_then(|path| errors.collect(of_file(&path, choice, cx).map_err(|e| e.under(&"file".into()))))
        }
        (None, Some(name)) => {
            let redis = errors.collect(cx.redis(name).map_err(|e| e.under(&"redis".into())));
            redis.map(|redis| of_redis(redis, choice, cx))
        }
        _ => {
            let help = "give it `file: /var/lib/tidegate/auth.redb`, or `redis:` with a name under `stores:`";
            errors.push(ConfigError::at("", "a token service has one store").help(help));
            None
        }
    };
    match store {
        Some(store) if errors.is_empty() => Ok(store),
        _ => Err(errors),
    }
}

/// The store under `stores:` that gateways share, for revocations alone: only `redis` and `prefix` are looked at. The error
/// is about `store` or `prefix`.
pub(crate) fn open_shared(choice: &StoreChoice, cx: &mut BuildCx<'_>) -> Result<Arc<dyn Store>, ConfigError> {
    prefix(choice)?;
    let name = choice.redis.as_deref().unwrap_or_default();
    Ok(of_redis(cx.redis(name).map_err(|e| e.under(&"store".into()))?, choice, cx))
}

/// Where what is chosen has its data: what is remembered of it over reloads is of no use for a store at another place,
/// whatever that is called.
pub(crate) fn place(choice: &StoreChoice, cx: &BuildCx<'_>) -> String {
    match (&choice.file, &choice.redis) {
        (Some(file), _) => format!("file {}", file.display()),
        (None, Some(name)) => {
            // One that isn't there is reported where it is opened.
            let place = cx.redis(name).map(|redis| redis.place()).unwrap_or_default();
            format!("{place} {}", choice.prefix.as_deref().unwrap_or(PREFIX))
        }
        (None, None) => String::new(),
    }
}

/// What is wrong whatever the rest says, and what says nothing where it is.
fn checked(choice: &StoreChoice) -> ConfigErrors {
    let mut errors = ConfigErrors::new();
    if choice.timeout.is_some_and(|timeout| timeout.get().is_zero()) {
        errors.push(ConfigError::at("timeout", "no store answers in no time").help("the default is 5s"));
    }
    if choice.max_sessions == Some(0) {
        errors.push(ConfigError::at("max_sessions", "nobody could log in").help("the default is 100"));
    }
    if choice.max_users == Some(0) {
        errors.push(ConfigError::at("max_users", "there could be no user").help("the default is 10000000"));
    }
    match (&choice.file, &choice.redis) {
        (Some(_), None) => {
            let only_redis = [("prefix", choice.prefix.is_some()), ("secret", choice.secret.is_some())];
            for (key, _) in only_redis.into_iter().filter(|(_, given)| *given) {
                errors.push(ConfigError::at(key, "it says nothing about a file").help("remove it: it is for `redis`"));
            }
        }
        (None, Some(_)) => {
            if choice.max_users.is_some() {
                let error = ConfigError::at("max_users", "it says nothing about Redis");
                errors.push(error.help("remove it: it is for `file`; `maxmemory` of the server bounds what it keeps"));
            }
            errors.collect(secret(choice));
            errors.collect(prefix(choice));
        }
        _ => {}
    }
    errors
}

fn secret(choice: &StoreChoice) -> Result<(), ConfigError> {
    let help = "make one with `openssl rand -base64 32`, the same for all gateways";
    match &choice.secret {
        None => Err(ConfigError::at("secret", "signing keys in Redis are sealed, and need a secret for it").help(help)),
        Some(secret) if secret.expose().chars().count() < SECRET => {
            Err(ConfigError::at("secret", format!("it has fewer than {SECRET} characters")).help(help))
        }
        Some(_) => Ok(()),
    }
}

fn prefix(choice: &StoreChoice) -> Result<(), ConfigError> {
    let Some(prefix) = &choice.prefix else { return Ok(()) };
    let fits = (1..=LONGEST_PREFIX).contains(&prefix.len());
    // Braces say in a cluster which keys are on one server: that is for the store to say.
    if fits && prefix.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'{' | b'}')) {
        return Ok(());
    }
    let error = ConfigError::at("prefix", format!("`{prefix}` is nothing that keys can begin with"));
    Err(error.help("1 to 64 printable ASCII characters without spaces and braces; the default is `auth`"))
}

fn of_redis(redis: Redis, choice: &StoreChoice, cx: &BuildCx<'_>) -> Arc<dyn Store> {
    if cx.is_dry_run() {
        return Arc::new(Closed);
    }
    let prefix = choice.prefix.as_deref().unwrap_or(PREFIX);
    let timeout = choice.timeout.map_or(TIMEOUT, |timeout| timeout.get());
    Arc::new(RedisStore::new(redis, prefix, timeout, cx.clock().clone()))
}

/// Opens it, unless this is a dry run. Errors carry no path yet.
fn of_file(path: &Path, choice: &StoreChoice, cx: &mut BuildCx<'_>) -> Result<Arc<dyn Store>, ConfigError> {
    if cx.is_dry_run() {
        return Ok(Arc::new(Closed));
    }
    let slot = cx.retain(&format!("store {}", path.display()), Slot::default);
    let file = slot.open(path).map_err(|error| {
        let error = ConfigError::at("", format!("{} can't be opened: {error}", path.display()));
        error.help("it must be a file that this program made, writable for its user, and open nowhere else")
    })?;
    warn_of_readers(path);
    let timeout = choice.timeout.map_or(TIMEOUT, |timeout| timeout.get());
    Ok(Arc::new(FileStore::new(file, choice.max_users.unwrap_or(MAX_USERS), timeout, cx.clock().clone())))
}

/// What can be said of a file without opening it. Its whole path, by which it is known. Errors carry no path yet.
fn check_file(path: &Path) -> Result<PathBuf, ConfigError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let not_there = |message: String| ConfigError::at("", message).help("the folder must be there: `mkdir -p` it");
    let no_file = || {
        let error = ConfigError::at("", format!("{} is no file", path.display()));
        error.help("name a file, which is made if it isn't there, in a folder that is")
    };
    let name = path.file_name().ok_or_else(no_file)?;
    let whole = folder.canonicalize();
    let whole = whole.map_err(|error| not_there(format!("the folder {} is not there: {error}", folder.display())))?;
    if !whole.is_dir() {
        return Err(not_there(format!("{} is no folder", folder.display())));
    }
    let whole = whole.join(name);
    // What a link points to is what is locked, and may not be there yet.
    let whole = whole.canonicalize().unwrap_or(whole);
    match whole.metadata() {
        Ok(file) if !file.is_file() => Err(no_file()),
        _ => Ok(whole),
    }
}

fn warn_of_readers(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    let mode = path.metadata().map_or(0, |file| file.permissions().mode());
    if mode & 0o077 != 0 {
        log::warn!(file:% = path.display(); "others than its owner may use the token service's file: chmod 600");
    }
}

/// A file from one configuration to the next.
#[derive(Default)]
struct Slot(Mutex<Option<Arc<OpenFile>>>);

impl Slot {
    fn open(&self, path: &Path) -> Result<Arc<OpenFile>, StoreError> {
        let mut slot = self.0.lock();
        if let Some(file) = &*slot {
            // Going on would write what nobody finds again.
            return match file.is_at(path) {
                true => Ok(file.clone()),
                false => {
                    Err(StoreError::Unavailable("it was removed or replaced while it is open; restart".to_owned()))
                }
            };
        }
        let file = Arc::new(OpenFile::open(path)?);
        *slot = Some(file.clone());
        Ok(file)
    }
}
