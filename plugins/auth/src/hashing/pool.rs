//! A few threads and a short queue.

use std::collections::VecDeque;
use std::sync::Arc;
use std::thread;

use parking_lot::{Condvar, Mutex};
use tidegate_core::Clock;
use tokio::sync::oneshot;

use super::metrics::HashMetrics;

/// Too many wait already: 503 with `Retry-After`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many passwords wait to be hashed")]
pub(crate) struct Busy;

/// Threads for work that takes long. They are started when they are needed, and end when this is dropped.
pub(crate) struct Pool {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    /// There is something to do, or nothing any more.
    news: Condvar,
    workers: usize,
    queue: usize,
    metrics: HashMetrics,
    clock: Clock,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Box<dyn Job>>,
    /// Threads there are.
    threads: usize,
    /// Those of them that work.
    busy: usize,
    closed: bool,
}

/// Work, and who waits for it.
trait Job: Send {
    /// Whether nobody waits any more: the request was given up.
    fn is_off(&self) -> bool;
    fn run(self: Box<Self>);
}

struct Work<T, F> {
    work: F,
    done: oneshot::Sender<T>,
}

impl<T: Send, F: FnOnce() -> T + Send> Job for Work<T, F> {
    fn is_off(&self) -> bool {
        self.done.is_closed()
    }

    fn run(self: Box<Self>) {
        let _ = self.done.send((self.work)());
    }
}

impl Pool {
    pub(super) fn new(workers: usize, queue: usize, metrics: HashMetrics, clock: Clock) -> Self {
        let (state, news) = (Mutex::new(State::default()), Condvar::new());
        Self { shared: Arc::new(Shared { state, news, workers, queue, metrics, clock }) }
    }

    /// What `work` gives, done on a thread of the pool. It is not begun when the caller gives up before.
    pub(super) async fn run<T, F>(&self, work: F) -> Result<T, Busy>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let (done, result) = oneshot::channel();
        self.add(Box::new(Work { work, done }))?;
        // Dropped undone: the thread could not be started, or the pool ends.
        result.await.map_err(|_| Busy)
    }

    fn add(&self, job: Box<dyn Job>) -> Result<(), Busy> {
        let shared = &self.shared;
        let mut state = shared.state.lock();
        let most = shared.workers + shared.queue;
        if state.busy + state.waiting.len() >= most {
            state.waiting.retain(|job| !job.is_off());
        }
        if state.busy + state.waiting.len() >= most {
            shared.metrics.refused.inc();
            return Err(Busy);
        }
        state.waiting.push_back(job);
        shared.metrics.queue.set(length(&state.waiting));
        let idle = state.threads - state.busy;
        if state.waiting.len() > idle && state.threads < shared.workers {
            self.start(&mut state)?;
        }
        shared.news.notify_one();
        Ok(())
    }

    /// One more thread. Where the system has none to give, those that there are go on; if there are none, the jobs are
    /// dropped.
    fn start(&self, state: &mut State) -> Result<(), Busy> {
        let shared = self.shared.clone();
        let started = thread::Builder::new().name("tidegate-hash".to_owned()).spawn(move || shared.work());
        match started {
            Ok(_) => state.threads += 1,
            Err(error) => {
                log::error!("no thread to hash passwords on: {error}");
                if state.threads == 0 {
                    state.waiting.clear();
                    return Err(Busy);
                }
            }
        }
        Ok(())
    }

    /// How many threads work, and how many jobs wait.
    #[cfg(test)]
    pub(super) fn load(&self) -> (usize, usize) {
        let state = self.shared.state.lock();
        (state.busy, state.waiting.len())
    }

    #[cfg(test)]
    pub(super) fn refused(&self) -> u64 {
        self.shared.metrics.refused.get()
    }

    /// Held by this and each of its threads.
    #[cfg(test)]
    pub(super) fn threads(&self) -> Arc<impl Sized + use<>> {
        self.shared.clone()
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let mut state = self.shared.state.lock();
        state.closed = true;
        state.waiting.clear();
        self.shared.news.notify_all();
    }
}

impl Shared {
    /// What one thread does.
    fn work(&self) {
        step_back();
        while let Some(job) = self.next() {
            let began = self.clock.now();
            // A job that panics costs its own request alone: the one who waits sees its channel closed.
            let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| job.run()));
            self.metrics.seconds.observe(self.clock.now().duration_since(began).as_secs_f64());
            self.state.lock().busy -= 1;
        }
    }

    fn next(&self) -> Option<Box<dyn Job>> {
        let mut state = self.state.lock();
        loop {
            if state.closed {
                return None;
            }
            let job = state.waiting.pop_front();
            self.metrics.queue.set(length(&state.waiting));
            match job {
                Some(job) if job.is_off() => {}
                Some(job) => {
                    state.busy += 1;
                    return Some(job);
                }
                None => self.news.wait(&mut state),
            }
        }
    }
}

fn length(waiting: &VecDeque<Box<dyn Job>>) -> i64 {
    i64::try_from(waiting.len()).unwrap_or(i64::MAX)
}

/// Requests go first where processors are short: a tenth of one is left for each of these threads. In Linux this is said
/// of a thread; elsewhere of a process, and so not said.
fn step_back() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::nice(10) {
        log::debug!("passwords are hashed with the priority of everything else: {error}");
    }
}
