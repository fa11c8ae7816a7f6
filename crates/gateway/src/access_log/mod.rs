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

pub(crate) use config::{AccessLogConfig, AccessLogSection};
pub(crate) use entry::Entry;

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use tidegate_core::{ConfigError, ConfigErrors, Metrics};

use config::Format;
use entry::Extras;
use line::Line;
use writer::Writer;

/// Where requests are logged. Cheap to clone; the last clone dropped lets the writing thread finish and end.
#[derive(Clone)]
pub(crate) struct AccessLog(Option<Arc<Inner>>);

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

impl AccessLog {
    /// A log that nothing is written to.
    pub(crate) fn off() -> Self {
        Self(None)
    }

    /// Opens what the configuration names, or goes on with what `before`, the log of the configuration that is
    /// being replaced, has open. Errors are relative to the section.
    pub(crate) fn open(
        section: &AccessLogSection,
        metrics: &Metrics,
        before: Option<&AccessLog>,
    ) -> Result<Self, ConfigErrors> {
        let AccessLogSection::On(config) = section else { return Ok(Self::off()) };
        let mut errors = ConfigErrors::new();
        let extras = errors.collect(Extras::new(config));
        let writer = errors.collect(writer(config, metrics, before));
        let inner = extras.zip(writer).map(|(extras, writer)| Inner { format: config.format, extras, writer });
        errors.into_result(Self(inner.map(Arc::new)))
    }

    /// Whether lines are written at all: if not, there is no need to put an entry together.
    pub(crate) fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Logs one request. Never blocks on the file.
    pub(crate) fn write(&self, entry: &Entry<'_>) {
        let Some(inner) = &self.0 else { return };
        let mut text = SCRATCH.take();
        text.clear();
        let mut line = Line::begin(inner.format, &mut text);
        entry.put(&inner.extras, &mut line);
        line.end();
        inner.writer.append(&text);
        if text.capacity() <= LARGEST_SCRATCH {
            SCRATCH.set(text);
        }
    }

    /// Waits until everything logged so far is written, at most this long; says whether it is. For shutdown:
    /// blocks the thread.
    pub(crate) fn flush(&self, within: Duration) -> bool {
        self.0.as_ref().is_none_or(|inner| inner.writer.flush(within))
    }

    /// Opens the file anew, after it was moved away (log rotation). Lines go to the old one until then.
    pub(crate) fn reopen(&self) {
        if let Some(inner) = &self.0 {
            inner.writer.reopen();
        }
    }
}

fn writer(config: &AccessLogConfig, metrics: &Metrics, before: Option<&AccessLog>) -> Result<Arc<Writer>, ConfigError> {
    let capacity = config.capacity()?;
    let open = before.and_then(|log| log.0.as_ref()).map(|inner| &inner.writer);
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
        match &self.0 {
            Some(inner) => write!(f, "AccessLog({:?})", inner.writer.to()),
            None => f.write_str("AccessLog(off)"),
        }
    }
}

#[cfg(test)]
mod tests;
