//! The buffer that requests append to, and the thread that empties it.

use std::mem;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use tidegate_core::ConfigError;
use tidegate_core::prometheus::IntCounter;

use super::config::To;
use super::sink::Sink;

/// How long a line may wait for others to be written with. Nobody wakes the thread for a line.
const LINGER: Duration = Duration::from_millis(100);

/// So much is written without waiting for more.
const BATCH: usize = 64 * 1024;

/// Writes lines to one sink. Dropped, it writes what it still has, in its own time.
pub(super) struct Writer {
    to: To,
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    /// There is something to do at once.
    urgent: Condvar,
    /// A flush is done.
    flushed: Condvar,
    dropped: IntCounter,
}

struct State {
    lines: Vec<u8>,
    capacity: usize,
    /// How many flushes were asked for, and how many of them are done.
    flushes_asked: u64,
    flushes_done: u64,
    reopen: bool,
    closed: bool,
}

/// What the thread is to do next.
struct Turn {
    reopen: bool,
    flushes_asked: u64,
    last: bool,
}

impl Writer {
    /// Opens the sink and starts the thread.
    pub(super) fn start(to: To, capacity: usize, dropped: IntCounter) -> Result<Self, ConfigError> {
        let sink = Sink::open(to.clone()).map_err(|error| match &to {
            To::File(path) => ConfigError::at("to.file", format!("cannot open {}: {error}", path.display())),
            To::Stdout => ConfigError::at("to", format!("cannot use the standard output: {error}")),
        })?;
        let shared = Arc::new(Shared::new(capacity, dropped));
        let theirs = shared.clone();
        thread::Builder::new()
            .name("access-log".into())
            .spawn(move || theirs.run(sink))
            .map_err(|error| ConfigError::at("", format!("cannot start the access log's thread: {error}")))?;
        Ok(Self { to, shared })
    }

    pub(super) fn to(&self) -> &To {
        &self.to
    }

    /// Changes how much may wait to be written.
    pub(super) fn resize(&self, capacity: usize) {
        self.shared.state.lock().capacity = capacity;
    }

    /// Hands over a whole line; one that doesn't fit is dropped and counted.
    pub(super) fn append(&self, line: &[u8]) {
        let mut state = self.shared.state.lock();
        let before = state.lines.len();
        let after = before + line.len();
        if after > state.capacity {
            drop(state);
            self.shared.dropped.inc();
            return;
        }
        state.lines.extend_from_slice(line);
        drop(state);
        if before < BATCH && after >= BATCH {
            self.shared.urgent.notify_one();
        }
    }

    /// Waits until all lines so far are with the sink; `false` if that takes longer.
    pub(super) fn flush(&self, within: Duration) -> bool {
        let deadline = Instant::now() + within;
        let mut state = self.shared.state.lock();
        state.flushes_asked += 1;
        let ours = state.flushes_asked;
        self.shared.urgent.notify_one();
        while state.flushes_done < ours {
            if self.shared.flushed.wait_until(&mut state, deadline).timed_out() {
                return state.flushes_done >= ours;
            }
        }
        true
    }

    /// Has the sink opened anew before anything more is written.
    pub(super) fn reopen(&self) {
        self.shared.state.lock().reopen = true;
        self.shared.urgent.notify_one();
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.shared.state.lock().closed = true;
        self.shared.urgent.notify_one();
    }
}

impl Shared {
    fn new(capacity: usize, dropped: IntCounter) -> Self {
        let state = State {
            lines: Vec::with_capacity(2 * BATCH),
            capacity,
            flushes_asked: 0,
            flushes_done: 0,
            reopen: false,
            closed: false,
        };
        Self { state: Mutex::new(state), urgent: Condvar::new(), flushed: Condvar::new(), dropped }
    }

    fn run(&self, mut sink: Sink) {
        let mut batch = Vec::with_capacity(2 * BATCH);
        loop {
            let turn = self.next_turn(&mut batch);
            if turn.reopen {
                sink.reopen();
            }
            self.dropped.inc_by(sink.write(&batch));
            self.finish(turn.flushes_asked);
            if turn.last {
                return;
            }
            batch.clear();
            // A jam is over: its memory is given back.
            batch.shrink_to(2 * BATCH);
        }
    }

    /// Waits for something to do, and takes the lines.
    fn next_turn(&self, batch: &mut Vec<u8>) -> Turn {
        let mut state = self.state.lock();
        while !state.is_urgent() {
            let wait = self.urgent.wait_for(&mut state, LINGER);
            if wait.timed_out() && !state.lines.is_empty() {
                break;
            }
        }
        mem::swap(&mut state.lines, batch);
        Turn { reopen: mem::take(&mut state.reopen), flushes_asked: state.flushes_asked, last: state.closed }
    }

    fn finish(&self, flushes_asked: u64) {
        let mut state = self.state.lock();
        if state.flushes_done < flushes_asked {
            state.flushes_done = flushes_asked;
            drop(state);
            self.flushed.notify_all();
        }
    }
}

impl State {
    fn is_urgent(&self) -> bool {
        self.lines.len() >= BATCH || self.flushes_asked > self.flushes_done || self.reopen || self.closed
    }
}
