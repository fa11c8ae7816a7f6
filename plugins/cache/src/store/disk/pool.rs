//! A few threads for work on files, and two short queues: what somebody waits for comes first.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

/// How many reads may wait.
const READS: usize = 4096;
/// How many writes may wait.
const WRITES: usize = 4096;

type Job = Box<dyn FnOnce() + Send>;

/// It was not done: too much waits already, it took too long, or the disk hangs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the disk can't keep up")]
pub(super) struct Busy;

/// Threads that are started when they are needed, and end when this is dropped and nothing is left to do.
pub(super) struct Pool(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    news: Condvar,
    most: usize,
    /// Somebody waited in vain: until anything is done, nobody else does.
    hangs: AtomicBool,
}

#[derive(Default)]
struct State {
    reads: VecDeque<Job>,
    writes: VecDeque<Job>,
    threads: usize,
    idle: usize,
    closed: bool,
}

impl Pool {
    pub(super) fn new(most: usize) -> Self {
        let (state, news) = (Mutex::new(State::default()), Condvar::new());
        Self(Arc::new(Shared { state, news, most, hangs: AtomicBool::new(false) }))
    }

    /// What `work` gives, if it takes no longer than `most`. It may be done although nobody waits any more.
    pub(super) async fn run<T, F>(&self, most: Duration, work: F) -> Result<T, Busy>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        if self.hangs() {
            return Err(Busy);
        }
        let (done, result) = oneshot::channel();
        let job = move || {
            if !done.is_closed() {
                let _ = done.send(work());
            }
        };
        self.0.add(Box::new(job), |state| (&mut state.reads, READS))?;
        match tokio::time::timeout(most, result).await {
            Ok(result) => result.map_err(|_| Busy),
            Err(_) => {
                self.0.hangs.store(true, Ordering::Relaxed);
                Err(Busy)
            }
        }
    }

    /// Does it later, after what somebody waits for.
    pub(super) fn later(&self, work: impl FnOnce() + Send + 'static) -> Result<(), Busy> {
        if self.hangs() {
            return Err(Busy);
        }
        self.0.add(Box::new(work), |state| (&mut state.writes, WRITES))
    }

    /// Does it later, however much waits: for what is bounded otherwise, and must not be left undone.
    pub(super) fn surely(&self, work: impl FnOnce() + Send + 'static) {
        let _ = self.0.add(Box::new(work), |state| (&mut state.writes, usize::MAX));
    }

    pub(super) fn hangs(&self) -> bool {
        self.0.hangs.load(Ordering::Relaxed)
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.0.state.lock().closed = true;
        self.0.news.notify_all();
    }
}

impl Shared {
    fn add(self: &Arc<Self>, job: Job, to: impl FnOnce(&mut State) -> (&mut VecDeque<Job>, usize)) -> Result<(), Busy> {
        let mut state = self.state.lock();
        // Those that are idle may have been called already.
        if state.reads.len() + state.writes.len() >= state.idle && state.threads < self.most {
            self.start(&mut state)?;
        }
        let (queue, most) = to(&mut state);
        if queue.len() >= most {
            return Err(Busy);
        }
        queue.push_back(job);
        self.news.notify_one();
        Ok(())
    }

    /// One more thread. Where the system has none to give, those that there are go on.
    fn start(self: &Arc<Self>, state: &mut State) -> Result<(), Busy> {
        let shared = self.clone();
        match thread::Builder::new().name("tidegate-disk".to_owned()).spawn(move || shared.work()) {
            Ok(_) => state.threads += 1,
            Err(error) if state.threads == 0 => {
                log::error!("no thread for the cache's files: {error}");
                return Err(Busy);
            }
            Err(_) => {}
        }
        Ok(())
    }

    fn work(&self) {
        while let Some(job) = self.next() {
            // A job that panics is one answer lost.
            if std::panic::catch_unwind(std::panic::AssertUnwindSafe(job)).is_err() {
                log::error!("work on the cache's files failed");
            }
            self.hangs.store(false, Ordering::Relaxed);
        }
    }

    /// Waits for one. `None`: there will be no more.
    fn next(&self) -> Option<Job> {
        let mut state = self.state.lock();
        loop {
            let job = state.reads.pop_front();
            if let Some(job) = job.or_else(|| state.writes.pop_front()) {
                return Some(job);
            }
            if state.closed {
                return None;
            }
            state.idle += 1;
            self.news.wait(&mut state);
            state.idle -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn a_disk_that_hangs_is_left_alone_until_it_moves() {
        let pool = Pool::new(1);
        let (go, wait) = mpsc::channel::<()>();
        let hangs = pool.run(Duration::from_millis(1), move || wait.recv().is_ok());
        assert_eq!(hangs.await, Err(Busy));
        assert_eq!(pool.run(LONG, || 1).await, Err(Busy));
        assert_eq!(pool.later(|| ()), Err(Busy));
        go.send(()).expect("it waits");
        while pool.hangs() {
            thread::yield_now();
        }
        assert_eq!(pool.run(LONG, || 1).await, Ok(1));
    }

    #[tokio::test]
    async fn what_waits_is_bounded_and_is_done_when_the_pool_ends() {
        let pool = Pool::new(1);
        let (go, wait) = mpsc::channel::<()>();
        let (done, all) = mpsc::channel();
        let started = pool.later(move || assert!(wait.recv().is_ok()));
        assert_eq!(started, Ok(()));
        let mut taken = 0;
        while pool
            .later({
                let done = done.clone();
                move || assert!(done.send(()).is_ok())
            })
            .is_ok()
        {
            taken += 1;
        }
        assert!(taken >= WRITES - 1, "{taken}");
        drop((pool, done));
        go.send(()).expect("it waits");
        assert_eq!(all.iter().count(), taken);
    }

    #[tokio::test]
    async fn work_that_panics_takes_nothing_with_it() {
        let pool = Pool::new(1);
        assert_eq!(pool.run(LONG, || panic!("on purpose")).await, Err::<(), _>(Busy));
        assert_eq!(pool.run(LONG, || 1).await, Ok(1));
    }
}
