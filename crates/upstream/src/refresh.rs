//! Keeping the names of a pool fresh, beside the requests.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;
use tokio::task::{Id, JoinSet};

use crate::address::HostPort;
use crate::dns::{Answer, Dns, DnsError};
use crate::life::Life;
use crate::pool::Pool;

type Answers = HashMap<HostPort, Result<Answer, DnsError>>;

/// Questions under way at a time, for one pool.
const PARALLEL: usize = 32;

/// Asks for each name that was never asked for, once.
pub(crate) async fn ask_first(pool: &Arc<Pool>) {
    let unasked = pool.registry.lock().unasked();
    let questions = unasked.into_iter().map(|host| {
        let dns = pool.dns.clone();
        async move {
            let answer = dns.lookup(&host).await;
            (host, answer)
        }
    });
    // Those that are there together are taken together: each taking chooses anew who serves.
    let mut answers = stream::iter(questions).buffer_unordered(PARALLEL).ready_chunks(PARALLEL);
    while let Some(answers) = answers.next().await {
        pool.settle(&answers.into_iter().collect());
    }
}

/// Resolves each name when its TTL ends; a name that is slow doesn't hold up the others.
pub(crate) async fn keep_fresh(mut life: Life) {
    let mut questions = Questions::default();
    loop {
        let Some(wait) = questions.ask_due(&life) else { return };
        let mut waiting = life.clone();
        tokio::select! {
            answers = questions.answers(), if !questions.asked.is_empty() => {
                let Some(pool) = life.pool() else { return };
                pool.settle(&answers);
            }
            goes_on = waiting.sleep_or_changed(wait) => {
                if !goes_on {
                    return;
                }
                life = waiting;
            }
        }
    }
}

/// Those under way.
#[derive(Default)]
struct Questions {
    tasks: JoinSet<(HostPort, Result<Answer, DnsError>)>,
    asked: HashMap<Id, HostPort>,
}

impl Questions {
    /// Asks for each name that is due; says how long until the next one is. `None`: nobody wants to know any more.
    fn ask_due(&mut self, life: &Life) -> Option<Duration> {
        let pool = life.pool()?;
        let asking: HashSet<HostPort> = self.asked.values().cloned().collect();
        let room = PARALLEL.saturating_sub(asking.len());
        let (due, next) = pool.registry.lock().due(pool.clock.now(), room, &asking);
        for host in due {
            let task = self.tasks.spawn(ask(pool.dns.clone(), host.clone()));
            self.asked.insert(task.id(), host);
        }
        // Without a name there is nothing to do until targets come.
        Some(next.unwrap_or(Life::FOR_EVER))
    }

    /// What has been answered: at least one.
    async fn answers(&mut self) -> Answers {
        let mut answers = Answers::new();
        let mut ended = self.tasks.join_next_with_id().await;
        while let Some(end) = ended {
            match end {
                Ok((id, (host, answer))) => {
                    self.asked.remove(&id);
                    answers.insert(host, answer);
                }
                // Still due, it would be asked for again at once, and without end.
                Err(error) => {
                    let failure = |host| (host, Err(DnsError::Failed(error.to_string())));
                    answers.extend(self.asked.remove(&error.id()).map(failure));
                }
            }
            ended = self.tasks.try_join_next_with_id();
        }
        answers
    }
}

async fn ask(dns: Arc<Dns>, host: HostPort) -> (HostPort, Result<Answer, DnsError>) {
    let answer = dns.lookup(&host).await;
    (host, answer)
}
