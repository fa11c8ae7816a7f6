//! What the scripts are told: the names of keys and the numbers of rules.

use std::fmt::Write;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use tidegate_core::redis::{RedisWrite, ToRedisArgs};

use crate::key::Key;
use crate::rule::{Micros, Now, Rule, Shape};

/// What the names of keys begin with: `<prefix>{<tag>}:`. In a cluster, keys of one tag are on one server.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Names(Arc<str>);

impl Names {
    pub(super) fn new(prefix: &str, tag: &str) -> Self {
        Self(format!("{prefix}{{{tag}}}:").into())
    }

    /// What all of them begin with, the tag too.
    pub(super) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// Where `key` is counted by `rule`: the same on every gateway. Values of clients are in it by their hash, so a
    /// name is neither long nor telling. 128 bits of SHA-256: nobody can find a value that meets another's.
    pub(super) fn key(&self, rule: &Rule, key: &Key) -> String {
        let mut name = String::with_capacity(self.0.len() + 16 + 1 + 16 + 1 + 32);
        name.push_str(&self.0);
        let hash = Sha256::digest(&key.bytes);
        let hash = hash.iter().take(16).fold(0u128, |hash, byte| hash << 8 | u128::from(*byte));
        let _ = write!(name, "{:016x}:{:016x}:{hash:032x}", key.limit, rule.fingerprint);
        name
    }
}

/// One argument of a script.
#[derive(Debug, Clone, Copy)]
pub(super) enum Arg {
    Number(i64),
    Text(&'static str),
    /// A gateway's id.
    Gateway(u64),
    /// A gateway's id and the epoch of its count.
    Flight(u64, u64),
}

impl Arg {
    /// All of ours are below 2^53.
    pub(super) fn number(number: u64) -> Self {
        Self::Number(i64::try_from(number).unwrap_or(i64::MAX))
    }

    /// The time, if it is not to be the server's.
    pub(super) fn time(given: Option<Micros>) -> Self {
        given.map_or(Self::Text(""), Self::number)
    }
}

impl ToRedisArgs for Arg {
    fn write_redis_args<W: ?Sized + RedisWrite>(&self, out: &mut W) {
        match self {
            Self::Number(number) => number.write_redis_args(out),
            Self::Text(text) => out.write_arg(text.as_bytes()),
            Self::Gateway(id) => out.write_arg_fmt(format_args!("{id:016x}")),
            Self::Flight(id, epoch) => out.write_arg_fmt(format_args!("{id:016x}.{epoch}")),
        }
    }
}

/// Which gateway takes, and for how long what it has in flight is its own.
#[derive(Debug, Clone, Copy)]
pub(super) struct Holder {
    pub gateway: u64,
    pub epoch: u64,
    pub lease: Micros,
}

/// One key's part of the arguments of `limits.lua`. `third`: see there.
pub(super) fn push_limit(
    args: &mut Vec<Arg>,
    rule: &Rule,
    units: i64,
    third: i64,
    shadow: bool,
    now: Now,
    holder: Holder,
) {
    let head = |kind| [Arg::Text(kind), Arg::Number(units), Arg::Number(third), Arg::Number(i64::from(shadow))];
    match &rule.shape {
        Shape::Bucket(bucket) => {
            args.extend(head("b"));
            let brim = bucket.burst + bucket.extra;
            args.extend([bucket.token, bucket.drain, bucket.tick, brim, bucket.most].map(Arg::number));
        }
        Shape::Fixed(fixed) => {
            args.extend(head("f"));
            args.extend([fixed.limit, fixed.window].map(Arg::number));
        }
        Shape::Calendar(calendar) => {
            let (begin, end) = calendar.bounds(now.wall);
            args.extend(head("c"));
            args.extend([calendar.limit, begin, end, now.wall].map(Arg::number));
        }
        Shape::Sliding { limit, window } => {
            args.extend(head("s"));
            args.extend([*limit, *window].map(Arg::number));
        }
        Shape::Concurrency { limit } => {
            args.extend(head("n"));
            let id = Arg::Flight(holder.gateway, holder.epoch);
            args.extend([Arg::number(*limit), id, Arg::number(holder.lease)]);
        }
        Shape::Ban => args.extend(head("x")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use smallvec::SmallVec;

    #[test]
    fn the_name_of_a_key_says_nothing_of_a_client_and_is_the_same_everywhere() {
        let names = Names::new("rl:", "users");
        let key = Key { limit: 0xab, bytes: SmallVec::from_slice(b"secret\0key") };
        let mut rule = Rule::ban();
        rule.fingerprint = 7;
        assert_eq!(
            names.key(&rule, &key),
            "rl:{users}:00000000000000ab:0000000000000007:01b199ede26954dbb9184b4c5ceafdda"
        );
    }
}
