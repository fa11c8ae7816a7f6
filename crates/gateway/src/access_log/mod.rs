//! The access log: one line for each request.
//!
//! A request formats its line and appends it to a buffer in memory; a thread of its own writes the buffer out. So
//! a slow disk, a full one, or a pipe that nobody reads costs log lines, which are counted, and never a request.

mod config;
mod entry;
mod escape;
mod line;
mod redact;
mod sink;
mod time;
mod writer;

pub(crate) use config::AccessLogConfig;
pub(crate) use entry::Entry;

use std::cell::Cell;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tidegate_core::{ConfigError, ConfigErrors, Metrics};

use config::{Format, OnConfig};
use entry::Extras;
use line::{Line, key};
use writer::Writer;

/// Where requests are logged. Cheap to clone; the last clone dropped lets the writing thread finish and end.
#[derive(Clone)]
pub(crate) struct AccessLog(Arc<Inner>);

struct Inner {
    format: Format,
    extras: Extras,
    writer: Arc<Writer>,
}

thread_local! {
    /// Where this thread's lines are put together, so that no line costs an allocation.
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// No thread keeps more than this between two lines.
const LARGEST_SCRATCH: usize = 64 * 1024;

/// A sink that takes longer to take the last lines doesn't get them: shutdown has its own deadline.
const FLUSH_DEADLINE: Duration = Duration::from_secs(2);

impl AccessLog {
    /// Opens what the configuration names, or goes on with what `before`, the log of the configuration that is
    /// being replaced, has open. `None` when it is off. Errors are relative to the section.
    pub(crate) fn open(
        config: &AccessLogConfig,
        metrics: &Metrics,
        before: Option<&AccessLog>,
    ) -> Result<Option<Self>, ConfigErrors> {
        let AccessLogConfig::On(config) = config else { return Ok(None) };
        let mut errors = ConfigErrors::new();
        let extras = errors.collect(Extras::new(config));
        let writer = errors.collect(writer(config, metrics, before));
        let inner = extras.zip(writer).map(|(extras, writer)| Inner { format: config.format, extras, writer });
        errors.into_result(inner.map(|inner| Self(Arc::new(inner))))
    }

    /// Logs one request, which has ended now. Never blocks on the file.
    pub(crate) fn write(&self, entry: &Entry<'_>) {
        self.write_at(SystemTime::now(), entry);
    }

    fn write_at(&self, time: SystemTime, entry: &Entry<'_>) {
        let mut text = SCRATCH.take();
        text.clear();
        let mut line = Line::begin(self.0.format, &mut text);
        line.clean(key!("time"), &time::rfc3339(time));
        entry.put(&self.0.extras, &mut line);
        line.end();
        self.0.writer.append(&text);
        if text.capacity() <= LARGEST_SCRATCH {
            SCRATCH.set(text);
        }
    }

    /// Waits until everything logged so far is written, 2 s at most; says whether it is. For shutdown: blocks the
    /// thread.
    pub(crate) fn flush(&self) -> bool {
        self.0.writer.flush(FLUSH_DEADLINE)
    }

    /// Opens the file anew, after it was moved away (log rotation). Lines go to the old one until then.
    pub(crate) fn reopen(&self) {
        self.0.writer.reopen();
    }
}

fn writer(config: &OnConfig, metrics: &Metrics, before: Option<&AccessLog>) -> Result<Arc<Writer>, ConfigError> {
    let capacity = config.capacity()?;
    let open = before.map(|log| &log.0.writer);
    if let Some(writer) = open.filter(|writer| *writer.to() == config.to) {
        writer.resize(capacity);
        return Ok(writer.clone());
    }
    let dropped = metrics
        .counter("tidegate_access_log_dropped_total", "Access log lines lost because they could not be written.", &[])
        .map_err(|error| ConfigError::at("", error.to_string()))?
        .with_label_values::<&str>(&[]);
    Writer::start(config.to.clone(), capacity, dropped).map(Arc::new)
}

impl std::fmt::Debug for AccessLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AccessLog({:?})", self.0.writer.to())
    }
}

#[cfg(test)]
mod tests;
