//! The one thread that writes. What waits for it is written together: one `fdatasync` for many.

use std::sync::{Arc, mpsc as ended};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::engine::Engine;
use super::tables::Tables;
use crate::store::StoreError;

/// How many changes may wait. Whoever comes then waits for a place, until its time is up.
const QUEUE: usize = 1024;
/// How many are written together at most: it bounds how long the first of them waits for the others.
const GROUP: usize = 256;
/// How long the end of the thread is waited for: a disk that hangs must not hold up a reload.
const PATIENCE: Duration = Duration::from_secs(2);

/// Takes changes; ends when it is dropped, after what is waiting.
pub(super) struct Writer {
    queue: Option<mpsc::Sender<Box<dyn Job>>>,
    /// Is closed when the thread has ended.
    ended: Mutex<ended::Receiver<()>>,
}

impl Writer {
    pub(super) fn start(engine: Arc<Engine>) -> std::io::Result<Self> {
        let (queue, jobs) = mpsc::channel(QUEUE);
        let (running, ended) = ended::channel();
        let thread = std::thread::Builder::new().name("auth-store".to_owned());
        thread.spawn(move || {
            run(&engine, jobs);
            drop(engine);
            drop(running);
        })?;
        Ok(Self { queue: Some(queue), ended: Mutex::new(ended) })
    }

    /// Makes a change, and answers when it is durable. It is made even if nobody waits for the answer any more, but not
    /// after `deadline`. It may be asked for more than once: only the last time counts. Errors of its own must come
    /// before its first change.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        deadline: Instant,
        change: impl FnMut(&mut Tables<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        let job = Change { change, outcome: None, deadline, reply };
        let ended = || StoreError::Unavailable("the store is closed".to_owned());
        self.queue.as_ref().ok_or_else(ended)?.send(Box::new(job)).await.map_err(|_| ended())?;
        answer.await.map_err(|_| ended())?
    }
}

/// Nobody writes any more when this returns: the file can be opened again.
impl Drop for Writer {
    fn drop(&mut self) {
        self.queue = None;
        // Nothing is ever sent.
        let _ = self.ended.get_mut().recv_timeout(PATIENCE);
    }
}

/// One change that somebody waits for.
trait Job: Send {
    /// Errors are those that are nobody else's business.
    fn run(&mut self, tables: &mut Tables<'_>) -> Result<(), StoreError>;
    fn is_late(&self) -> bool;
    fn answer(self: Box<Self>, fate: Result<(), StoreError>);
}

struct Change<T, F> {
    change: F,
    outcome: Option<Result<T, StoreError>>,
    deadline: Instant,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, F> Job for Change<T, F>
where
    T: Send,
    F: FnMut(&mut Tables<'_>) -> Result<T, StoreError> + Send,
{
    fn run(&mut self, tables: &mut Tables<'_>) -> Result<(), StoreError> {
        match (self.change)(tables) {
            // It has changed nothing, and the others may go on.
            Err(full @ StoreError::Full(_)) => self.outcome = Some(Err(full)),
            outcome => self.outcome = Some(Ok(outcome?)),
        }
        Ok(())
    }

    fn is_late(&self) -> bool {
        self.deadline <= Instant::now()
    }

    fn answer(self: Box<Self>, fate: Result<(), StoreError>) {
        let Self { outcome, reply, .. } = *self;
        let nothing = || Err(StoreError::Unavailable("it was not tried".to_owned()));
        // Whoever asked may be gone.
        let _ = reply.send(fate.and_then(|()| outcome.unwrap_or_else(nothing)));
    }
}

fn run(engine: &Engine, mut queue: mpsc::Receiver<Box<dyn Job>>) {
    let mut group = Vec::with_capacity(GROUP);
    while let Some(first) = queue.blocking_recv() {
        group.push(first);
        while group.len() < GROUP
            && let Ok(next) = queue.try_recv()
        {
            group.push(next);
        }
        commit(engine, &mut group);
    }
}

/// Writes all of `group` in one transaction. One that finds something corrupt is left out, and the others tried again.
fn commit(engine: &Engine, group: &mut Vec<Box<dyn Job>>) {
    for late in group.extract_if(.., |job| job.is_late()) {
        late.answer(Err(StoreError::Unavailable("the store's file is too slow".to_owned())));
    }
    while !group.is_empty() {
        let mut failed = None;
        let fate = engine.write(|tables| {
            for (place, job) in group.iter_mut().enumerate() {
                job.run(tables).inspect_err(|error| failed = Some((place, error.clone())))?;
            }
            Ok(())
        });
        match failed {
            Some((place, error @ StoreError::Corrupt(_))) => group.remove(place).answer(Err(error)),
            _ => group.drain(..).for_each(|job| job.answer(fate.clone())),
        }
    }
}
