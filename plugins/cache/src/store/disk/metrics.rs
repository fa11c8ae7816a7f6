//! What operators see of a zone's folder.

use std::io;

use tidegate_core::prometheus::{IntCounter, IntGauge};
use tidegate_core::{MetricError, Metrics};

/// One zone's.
pub(super) struct DiskMetrics {
    pub(super) bytes: IntGauge,
    pub(super) objects: IntGauge,
    pub(super) scanning: IntGauge,
    pub(super) reads: Reads,
    pub(super) writes: Writes,
    pub(super) evicted: IntCounter,
    pub(super) read_bytes: IntCounter,
    pub(super) written_bytes: IntCounter,
}

/// How looks at the disk ended.
pub(super) struct Reads {
    pub(super) hit: IntCounter,
    pub(super) miss: IntCounter,
    pub(super) broken: IntCounter,
    pub(super) failed: IntCounter,
    pub(super) busy: IntCounter,
}

/// What became of answers that were to be written.
pub(super) struct Writes {
    stored: IntCounter,
    aborted: IntCounter,
    busy: IntCounter,
    full: IntCounter,
    failed: IntCounter,
    too_large: IntCounter,
}

/// Why an answer that was to be written is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lost {
    /// It did not come whole.
    Aborted,
    /// The disk can't keep up.
    Busy,
    /// There is no room on the disk.
    Full,
    /// The disk said no.
    Failed(io::ErrorKind),
    /// It is longer than the zone lets the disk hold.
    TooLarge,
}

impl Lost {
    pub(super) fn of(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full,
            kind => Self::Failed(kind),
        }
    }
}

impl From<Lost> for io::Error {
    fn from(lost: Lost) -> Self {
        match lost {
            Lost::Aborted => Self::new(io::ErrorKind::UnexpectedEof, "the answer did not come whole"),
            Lost::Busy => Self::new(io::ErrorKind::TimedOut, "the disk can't keep up"),
            Lost::Full => Self::new(io::ErrorKind::StorageFull, "the disk is full"),
            Lost::Failed(kind) => kind.into(),
            Lost::TooLarge => Self::new(io::ErrorKind::FileTooLarge, "the answer is longer than the disk may hold"),
        }
    }
}

impl DiskMetrics {
    pub(super) fn new(metrics: &Metrics, zone: &str) -> Result<Self, MetricError> {
        let gauge = |name, help| Ok(metrics.gauge(name, help, &["zone"])?.with_label_values(&[zone]));
        let counter = |name, help| Ok(metrics.counter(name, help, &["zone"])?.with_label_values(&[zone]));
        let help = "Looks at the disk by how they ended: hit, miss, broken, failed, busy";
        let reads = metrics.counter("tidegate_cache_disk_reads_total", help, &["zone", "result"])?;
        let read = |result| reads.with_label_values(&[zone, result]);
        let help = "Answers for the disk by what became of them: stored, aborted, busy, full, failed, too_large";
        let writes = metrics.counter("tidegate_cache_disk_writes_total", help, &["zone", "result"])?;
        let write = |result| writes.with_label_values(&[zone, result]);
        Ok(Self {
            bytes: gauge("tidegate_cache_disk_bytes", "Bytes of stored answers on the disk")?,
            objects: gauge("tidegate_cache_disk_objects", "Stored answers on the disk")?,
            scanning: gauge("tidegate_cache_disk_scanning", "1 while the folder is being listed after a start")?,
            reads: Reads {
                hit: read("hit"),
                miss: read("miss"),
                broken: read("broken"),
                failed: read("failed"),
                busy: read("busy"),
            },
            writes: Writes {
                stored: write("stored"),
                aborted: write("aborted"),
                busy: write("busy"),
                full: write("full"),
                failed: write("failed"),
                too_large: write("too_large"),
            },
            evicted: counter("tidegate_cache_disk_evicted_total", "Answers that gave way to others on the disk")?,
            read_bytes: counter("tidegate_cache_disk_read_bytes_total", "Bytes of bodies read from the disk")?,
            written_bytes: counter("tidegate_cache_disk_written_bytes_total", "Bytes of files written to the disk")?,
        })
    }
}

impl Writes {
    pub(super) fn stored(&self) {
        self.stored.inc();
    }

    pub(super) fn lost(&self, why: Lost) {
        match why {
            Lost::Aborted => self.aborted.inc(),
            Lost::Busy => self.busy.inc(),
            Lost::Full => self.full.inc(),
            Lost::Failed(_) => self.failed.inc(),
            Lost::TooLarge => self.too_large.inc(),
        }
    }
}
