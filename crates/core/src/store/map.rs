//! Which server of a cluster has which keys.

use std::sync::Arc;

use deadpool_redis::redis::{Arg, Cmd, ConnectionAddr, ConnectionInfo, RedisError, Value, from_redis_value};

use super::node::Node;

/// A cluster's slots.
const SLOTS: usize = 16384;
/// What is said of a slot that no server has.
const NOBODY: u16 = u16::MAX;
/// Redis advises against more than 1000 servers.
const MOST_NODES: usize = 1000;

/// A server's place in the network.
pub(super) type Place = (String, u16);

/// Who has what, as a server says it: first slot, last slot, server.
pub(super) type Layout = Vec<(u16, u16, Place)>;

/// Which server has which slot.
#[derive(Clone)]
pub(super) struct Map {
    slots: Box<[u16]>,
    nodes: Vec<(Place, Arc<Node>)>,
}

impl Map {
    /// Nodes that `before` has stay what they are; those that nobody names any more go.
    pub(super) fn new(layout: &Layout, before: Option<&Map>, new: impl Fn(&Place) -> Arc<Node>) -> Self {
        let mut map = Self { slots: vec![NOBODY; SLOTS].into(), nodes: Vec::new() };
        for (first, last, place) in layout {
            let node = || before.and_then(|before| before.at(place)).unwrap_or_else(|| new(place));
            let Some(index) = map.index(place, node) else { continue };
            if let Some(range) = map.slots.get_mut(usize::from(*first)..=usize::from(*last)) {
                range.fill(index);
            }
        }
        map
    }

    /// The server that has `slot`.
    pub(super) fn owner(&self, slot: u16) -> Option<Arc<Node>> {
        let index = *self.slots.get(usize::from(slot))?;
        self.nodes.get(usize::from(index)).map(|(_, node)| node.clone())
    }

    /// A server that is up, if there is one; another one for the next `turn`.
    pub(super) fn any(&self, turn: usize) -> Option<Arc<Node>> {
        let len = self.nodes.len().max(1);
        let mut nodes = self.nodes.iter().cycle().skip(turn % len).take(len).map(|(_, node)| node);
        nodes.clone().find(|node| node.is_up()).or_else(|| nodes.next()).cloned()
    }

    pub(super) fn at(&self, place: &Place) -> Option<Arc<Node>> {
        self.nodes.iter().find(|(at, _)| at == place).map(|(_, node)| node.clone())
    }

    /// With one more server, of which it isn't known yet what it has.
    pub(super) fn with(&self, place: &Place, node: Arc<Node>) -> Self {
        let mut map = self.clone();
        map.index(place, || node);
        map
    }

    pub(super) fn nodes(&self) -> impl Iterator<Item = &Arc<Node>> {
        self.nodes.iter().map(|(_, node)| node)
    }

    fn index(&mut self, place: &Place, node: impl FnOnce() -> Arc<Node>) -> Option<u16> {
        let index = self.nodes.iter().position(|(at, _)| at == place).or_else(|| {
            let room = self.nodes.len() < MOST_NODES;
            room.then(|| self.nodes.push((place.clone(), node()))).map(|()| self.nodes.len() - 1)
        });
        index.and_then(|index| u16::try_from(index).ok())
    }
}

/// The slot of a key: that of its `{tag}`, if it has one.
/// <https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#hash-tags>
pub(super) fn slot(key: &[u8]) -> u16 {
    let tag = key.iter().position(|byte| *byte == b'{').and_then(|open| {
        let rest = key.get(open + 1..)?;
        rest.get(..rest.iter().position(|byte| *byte == b'}')?)
    });
    crc16(tag.filter(|tag| !tag.is_empty()).unwrap_or(key)) % SLOTS as u16
}

/// CRC-16/XMODEM.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(*byte) << 8), |crc, _| match crc & 0x8000 {
            0 => crc << 1,
            _ => (crc << 1) ^ 0x1021,
        })
    })
}

/// The slot of a command's first key; `None` if it has no key.
pub(super) fn slot_of(command: &Cmd) -> Option<u16> {
    let argument = |index| match command.args_iter().nth(index) {
        Some(Arg::Simple(argument)) => Some(argument),
        _ => None,
    };
    let name = argument(0)?;
    let scripts: [&[u8]; 6] = [b"EVALSHA", b"EVAL", b"EVALSHA_RO", b"EVAL_RO", b"FCALL", b"FCALL_RO"];
    let second: [&[u8]; 6] = [b"OBJECT", b"MEMORY", b"XGROUP", b"XINFO", b"BITOP", b"DEBUG"];
    let is = |names: &[&[u8]]| names.iter().any(|known| known.eq_ignore_ascii_case(name));
    if is(&scripts) {
        return argument(2).filter(|count| *count != b"0").and_then(|_| argument(3)).map(slot);
    }
    if is(&[b"XREAD", b"XREADGROUP"]) {
        let streams =
            command.args_iter().position(|a| matches!(a, Arg::Simple(a) if a.eq_ignore_ascii_case(b"STREAMS")))?;
        return argument(streams + 1).map(slot);
    }
    argument(if is(&second) { 2 } else { 1 }).map(slot)
}

/// What `CLUSTER SLOTS` says. `asked` is the server that said it.
pub(super) fn layout(answer: Value, asked: &ConnectionInfo) -> Result<Layout, RedisError> {
    let ranges: Vec<Vec<Value>> = from_redis_value(answer)?;
    ranges.into_iter().map(|range| read_range(range, asked)).collect()
}

fn read_range(range: Vec<Value>, asked: &ConnectionInfo) -> Result<(u16, u16, Place), RedisError> {
    let mut range = range.into_iter();
    let (Some(first), Some(last), Some(master)) = (range.next(), range.next(), range.next()) else {
        return Err(
            (deadpool_redis::redis::ErrorKind::UnexpectedReturnType, "a range of slots without a server").into()
        );
    };
    let mut master = Vec::<Value>::into_iter(from_redis_value(master)?);
    let host: Option<String> = from_redis_value(master.next().unwrap_or(Value::Nil))?;
    let port = from_redis_value(master.next().unwrap_or(Value::Nil))?;
    Ok((from_redis_value(first)?, from_redis_value(last)?, (host_or(host, asked), port)))
}

/// A server that doesn't know under which name it is known to others says nothing, or `?`.
fn host_or(host: Option<String>, asked: &ConnectionInfo) -> String {
    match (host.filter(|host| !matches!(host.as_str(), "" | "?")), asked.addr()) {
        (Some(host), _) => host,
        (None, ConnectionAddr::Tcp(host, _)) => host.clone(),
        (None, _) => String::new(),
    }
}

/// Where `MOVED` and `ASK` point to.
pub(super) fn redirect(error: &RedisError, asked: &ConnectionInfo) -> Option<Place> {
    let (place, _) = error.redirect_node()?;
    let (host, port) = place.rsplit_once(':')?;
    Some((host_or(Some(host.to_owned()), asked), port.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use deadpool_redis::redis::{IntoConnectionInfo, cmd};

    use super::*;

    #[test]
    fn slots_are_those_of_the_specification() {
        // From the specification and from `CLUSTER KEYSLOT`.
        assert_eq!(crc16(b"123456789"), 0x31c3);
        for (key, expected) in [("foo", 12182), ("{user1000}.following", 3443), ("foo{}{bar}", 8363), ("", 0)] {
            assert_eq!(slot(key.as_bytes()), expected, "{key}");
        }
        assert_eq!(slot(b"foo{{bar}}zap"), slot(b"{bar"));
        assert_eq!(slot(b"foo{bar"), crc16(b"foo{bar") % 16384);
    }

    #[test]
    fn the_first_key_of_a_command_is_found() {
        let foo = Some(slot(b"foo"));
        assert_eq!(slot_of(cmd("GET").arg("foo")), foo);
        assert_eq!(slot_of(cmd("evalsha").arg("abc").arg(2).arg("foo").arg("bar")), foo);
        assert_eq!(slot_of(cmd("EVAL").arg("return 1").arg(0).arg("foo")), None);
        assert_eq!(slot_of(cmd("XREAD").arg("COUNT").arg(2).arg("streams").arg("foo").arg("0")), foo);
        assert_eq!(slot_of(cmd("OBJECT").arg("ENCODING").arg("foo")), foo);
        assert_eq!(slot_of(&cmd("PING")), None);
        assert_eq!(slot_of(&Cmd::new()), None);
    }

    #[test]
    fn what_a_server_says_of_its_cluster_is_read_and_never_believed_too_much() {
        let asked = ConnectionAddr::Tcp("10.0.0.9".to_owned(), 1).into_connection_info().expect("an address");
        let text = |text: &str| Value::BulkString(text.as_bytes().to_vec());
        let range = |host: Value| {
            let master = Value::Array(vec![host, Value::Int(7000), text("id")]);
            Value::Array(vec![Value::Array(vec![Value::Int(0), Value::Int(5), master])])
        };
        for (host, expected) in
            [(text("h"), "h"), (text(""), "10.0.0.9"), (text("?"), "10.0.0.9"), (Value::Nil, "10.0.0.9")]
        {
            assert_eq!(layout(range(host), &asked).expect("a layout"), [(0, 5, (expected.to_owned(), 7000))]);
        }
        for bad in [Value::Okay, Value::Array(vec![Value::Int(1)]), Value::Array(vec![Value::Array(vec![])])] {
            assert!(layout(bad, &asked).is_err());
        }
    }
}
