//! Scripts that a Redis server runs.

use deadpool_redis::redis::{self, Cmd, ErrorKind, RedisError, ServerErrorKind, ToRedisArgs};

/// A Lua script. Make it once, when a plugin is built: its hash is computed here.
#[derive(Clone)]
pub struct Script {
    text: Box<str>,
    hash: Box<str>,
}

impl Script {
    /// From its text.
    pub fn new(text: &str) -> Self {
        Self { text: text.into(), hash: redis::Script::new(text).get_hash().into() }
    }

    /// Its text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The lowercase SHA-1 by which a server knows it.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    pub(super) fn by_hash(&self, keys: &[impl ToRedisArgs], args: &[impl ToRedisArgs]) -> Cmd {
        call("EVALSHA", &self.hash, keys, args)
    }

    /// The server knows it by its hash from then on.
    pub(super) fn by_text(&self, keys: &[impl ToRedisArgs], args: &[impl ToRedisArgs]) -> Cmd {
        call("EVAL", &self.text, keys, args)
    }
}

impl std::fmt::Debug for Script {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Script({})", self.hash)
    }
}

fn call(verb: &str, what: &str, keys: &[impl ToRedisArgs], args: &[impl ToRedisArgs]) -> Cmd {
    let parts = keys.len() + args.len() + 3;
    let mut command = Cmd::with_capacity(parts, what.len() + 40 * parts);
    command.arg(verb).arg(what).arg(keys.len());
    for key in keys {
        command.arg(key);
    }
    for arg in args {
        command.arg(arg);
    }
    command
}

/// The server was restarted, its scripts were flushed, or it never heard of this one.
pub(super) fn is_unknown(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::NoScript)
}
