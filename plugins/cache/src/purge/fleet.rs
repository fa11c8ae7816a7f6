//! The other gateways: each purge is one entry of a Redis stream, which all of them read. Unlike a message to
//! subscribers, an entry is still there for a gateway that wasn't connected when it was written.

use std::sync::Arc;
use std::time::Duration;

use tidegate_core::redis::{self, FromRedisValue, Value};
use tidegate_core::{Clock, Redis, Stop, StoreError};

use super::mark::Mark;
use super::marks::Marks;

/// How many purges the stream keeps. A gateway that has missed more purges all that it has.
const KEPT: usize = 10_000;

/// How many entries are read at once.
const BATCH: usize = 1_000;

/// One zone's stream.
#[derive(Clone)]
pub(crate) struct Fleet {
    store: Redis,
    key: Arc<str>,
    /// Tells a gateway its own entries.
    me: Arc<str>,
}

/// The names of an entry's fields.
const FROM: &str = "from";
const MARK: &str = "mark";

impl Fleet {
    /// The stream of `zone`.
    pub(crate) fn new(store: Redis, prefix: &str, zone: &str, me: &str) -> Self {
        Self { store, key: format!("{prefix}cache:{{{zone}}}:purges").into(), me: me.into() }
    }

    /// Tells the others.
    pub(crate) async fn tell(&self, mark: &Mark) -> Result<(), StoreError> {
        let text = serde_json::to_string(mark).unwrap_or_default();
        let mut command = redis::cmd("XADD");
        command.arg(&*self.key).arg("MAXLEN").arg("~").arg(KEPT).arg("*");
        command.arg(FROM).arg(&*self.me).arg(MARK).arg(text);
        self.store.command::<Value>(&command).await.map(drop)
    }

    /// Where the stream ends now.
    async fn end(&self) -> Result<String, StoreError> {
        let mut command = redis::cmd("XREVRANGE");
        command.arg(&*self.key).arg("+").arg("-").arg("COUNT").arg(1);
        let entries: Vec<Entry> = self.store.command(&command).await?;
        Ok(entries.into_iter().next().map_or_else(|| "0-0".to_owned(), |entry| entry.id))
    }

    /// What came after `last`, and whether something between was dropped.
    async fn after(&self, last: &str) -> Result<(Vec<Entry>, bool), StoreError> {
        let mut from = redis::cmd("XRANGE");
        // From `last` itself: if it is still there, nothing after it was dropped.
        from.arg(&*self.key).arg(last).arg("+").arg("COUNT").arg(BATCH + 1);
        let mut entries: Vec<Entry> = self.store.command(&from).await?;
        let known = last == "0-0" || entries.first().is_some_and(|entry| entry.id == last);
        entries.retain(|entry| entry.id != last);
        Ok((entries, !known))
    }
}

/// Reads what others purge every so often until it is told to stop. `place` is where in the stream it is.
pub(crate) async fn follow(
    fleet: Fleet,
    marks: &'static Marks,
    clock: Clock,
    every: Duration,
    place: &tokio::sync::Mutex<Option<String>>,
    mut stop: Stop,
) {
    // The follower of the configuration before ends at its next look.
    let mut last = place.lock().await;
    let mut lost = false;
    loop {
        match read(&fleet, marks, &clock, &mut last).await {
            Ok(more) => {
                if std::mem::take(&mut lost) {
                    log::info!(store = fleet.store.name(); "purges of other gateways are read again");
                }
                if more {
                    continue;
                }
            }
            Err(error) => {
                if !std::mem::replace(&mut lost, true) {
                    log::warn!(store = fleet.store.name(), error:%; "purges of other gateways can't be read");
                }
            }
        }
        tokio::select! {
            () = clock.sleep(every) => {}
            () = stop.stopped() => return,
        }
    }
}

/// One look; whether there is more at once.
async fn read(fleet: &Fleet, marks: &Marks, clock: &Clock, last: &mut Option<String>) -> Result<bool, StoreError> {
    let Some(before) = last.as_deref() else {
        *last = Some(fleet.end().await?);
        return Ok(true);
    };
    let (entries, dropped) = fleet.after(before).await?;
    if dropped {
        // The stream was cut beyond what was read, or is another one: nobody knows what was purged.
        log::warn!(store = fleet.store.name(); "purges of other gateways were missed: all that is stored is purged");
        leave(marks, &Mark { target: super::mark::Target::All, soft: false }, clock);
        *last = Some(entries.last().map_or_else(|| "0-0".to_owned(), |entry| entry.id.clone()));
        return Ok(false);
    }
    let more = entries.len() >= BATCH;
    for entry in entries {
        if entry.from != *fleet.me
            && let Some(mark) = entry.mark
        {
            leave(marks, &mark, clock);
        }
        *last = Some(entry.id);
    }
    Ok(more)
}

fn leave(marks: &Marks, mark: &Mark, clock: &Clock) {
    if let Err(error) = marks.add(mark, clock.wall()) {
        log::warn!(error:%; "the cache can't keep a purge of another gateway");
    }
}

/// One entry of the stream.
struct Entry {
    id: String,
    from: String,
    /// `None` for one that isn't ours to understand.
    mark: Option<Mark>,
}

impl FromRedisValue for Entry {
    fn from_redis_value(value: Value) -> Result<Self, redis::ParsingError> {
        let (id, fields): (String, Vec<(String, String)>) = FromRedisValue::from_redis_value(value)?;
        let get = |name: &str| fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.clone());
        let mark = get(MARK).and_then(|text| serde_json::from_str(&text).ok());
        Ok(Self { id, from: get(FROM).unwrap_or_default(), mark })
    }
}
