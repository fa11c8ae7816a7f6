//! What a gateway tells Redis beside the requests: charges, releases, strikes, and that it is still there.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tidegate_core::{Stop, StoreError};
use tokio::sync::mpsc::{self, error::TrySendError};
use tokio::task::JoinSet;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};

use super::encode::{Arg, Holder, Names, push_limit};
use super::flights::{Flights, Older};
use super::{RENEW, RedisStore, STRIKE, limits};
use crate::rule::{Micros, Now, Rule};
use crate::store::leased::{Id, Leases};

/// How much may wait to be told.
const QUEUE: usize = 8192;
/// How many strikes may wait. They have a queue of their own: clients send as many as they like, and what others are
/// given back must not wait for them.
const STRIKES: usize = 4096;
/// How much is told in one go.
const BATCH: usize = 64;
/// How long a gateway that ends goes on telling.
const FAREWELL: Duration = Duration::from_secs(1);

/// How often what is told.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// For how long the requests of a gateway that isn't heard of any more count as in flight.
    pub lease: Duration,
    /// How often a gateway renews that. Longer than any store's timeout: what was begun in one turn has ended in the
    /// next.
    pub renew: Duration,
    /// How long a gateway is remembered.
    pub memory: Duration,
    /// How often it says that it is there.
    pub heartbeat: Duration,
    /// How often it gives back what it has leased and not spent.
    pub sweep: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            lease: seconds(30),
            renew: seconds(10),
            memory: seconds(15),
            heartbeat: seconds(5),
            sweep: Duration::from_millis(100),
        }
    }
}

/// What all groups of limits in one store share, in one configuration after the other.
#[derive(Debug)]
pub(crate) struct Shared {
    gateway: u64,
    pace: Pace,
    queue: mpsc::Sender<Job>,
    /// Held by the configuration whose task is at work; the next one waits for it.
    jobs: tokio::sync::Mutex<(mpsc::Receiver<Job>, mpsc::Receiver<Struck>)>,
    strikes: mpsc::Sender<Struck>,
    pub(super) flights: Flights,
    pub(super) leases: Leases,
    gateways: AtomicU32,
    tally: Tally,
}

/// What the background did, for metrics.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Not told, because too much was waiting.
    pub dropped: AtomicU64,
    /// Told to a store that didn't answer.
    pub lost: AtomicU64,
    /// Bans that strikes led to.
    pub bans: AtomicU64,
}

/// One thing to tell.
#[derive(Debug)]
pub(super) enum Job {
    Charge {
        names: Names,
        key: String,
        rule: Rule,
        units: i64,
        taken_at: i64,
        now: Now,
        epoch: u64,
    },
    /// The older count of what is in flight has changed.
    Held {
        key: String,
    },
}

/// A strike to tell.
#[derive(Debug)]
pub(super) struct Struck {
    /// Whose ban it may lead to.
    pub client: Id,
    pub count: String,
    pub ban: String,
    pub limit: u64,
    pub window: Micros,
    pub length: Micros,
}

impl Shared {
    /// A gateway nobody has heard of: its id is random.
    pub(crate) fn new(pace: Pace) -> Self {
        let (queue, jobs) = mpsc::channel(QUEUE);
        let (strikes, struck) = mpsc::channel(STRIKES);
        Self {
            gateway: rand::random(),
            pace,
            queue,
            jobs: (jobs, struck).into(),
            strikes,
            flights: Flights::default(),
            leases: Leases::default(),
            gateways: AtomicU32::new(1),
            tally: Tally::default(),
        }
    }

    /// What the background did.
    pub(crate) fn tally(&self) -> &Tally {
        &self.tally
    }

    pub(super) fn gateways(&self) -> u32 {
        self.gateways.load(Relaxed).max(1)
    }

    pub(super) fn holder(&self) -> Holder {
        self.holder_in(self.flights.epoch())
    }

    fn holder_in(&self, epoch: u64) -> Holder {
        Holder { gateway: self.gateway, epoch, lease: micros(self.pace.lease) }
    }

    /// Never waits: what finds no room is dropped, and counted.
    pub(super) fn send(&self, job: Job) {
        self.count_dropped(self.queue.try_send(job));
    }

    /// The same, beside all else.
    pub(super) fn send_strike(&self, struck: Struck) {
        self.count_dropped(self.strikes.try_send(struck));
    }

    fn count_dropped<T>(&self, sent: Result<(), TrySendError<T>>) {
        if sent.is_err() {
            self.tally.dropped.fetch_add(1, Relaxed);
        }
    }
}

impl RedisStore {
    /// Tells what is to be told, until `stop`; then what is waiting still. One task for each configuration and each
    /// [`Shared`]: the task of the next configuration waits for that of the last one.
    pub(crate) async fn run(self, mut stop: Stop) {
        let mut jobs = tokio::select! {
            jobs = self.shared.jobs.lock() => jobs,
            () = stop.stopped() => return,
        };
        let (jobs, strikes) = &mut *jobs;
        tokio::join!(self.stay(stop.clone()), self.tell_jobs(jobs, stop.clone()), self.tell_strikes(strikes, stop),);
    }

    /// Says that the gateway is there, and gives back what it has leased and not spent.
    async fn stay(&self, mut stop: Stop) {
        let pace = self.shared.pace;
        let (mut heartbeat, mut sweep) = (ticks(pace.heartbeat), ticks(pace.sweep));
        loop {
            tokio::select! {
                _ = heartbeat.tick() => self.say_hello().await,
                _ = sweep.tick() => self.shared.leases.sweep(Instant::now().into_std()),
                () = stop.stopped() => return,
            }
        }
    }

    /// One batch after the other, so that of each key what is told last is what was last.
    async fn tell_jobs(&self, jobs: &mut mpsc::Receiver<Job>, mut stop: Stop) {
        let mut renew = ticks(self.shared.pace.renew);
        renew.reset();
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            tokio::select! {
                _ = renew.tick() => self.renew().await,
                _ = jobs.recv_many(&mut batch, BATCH) => self.tell(&mut batch).await,
                () = stop.stopped() => break,
            }
        }
        self.shared.leases.give_all_back();
        let deadline = Instant::now() + FAREWELL;
        while Instant::now() < deadline {
            batch.extend(std::iter::from_fn(|| jobs.try_recv().ok()).take(BATCH));
            if batch.is_empty() {
                return;
            }
            self.tell(&mut batch).await;
        }
    }

    async fn tell_strikes(&self, strikes: &mut mpsc::Receiver<Struck>, mut stop: Stop) {
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            tokio::select! {
                _ = strikes.recv_many(&mut batch, BATCH) => self.strike_all(&mut batch).await,
                () = stop.stopped() => break,
            }
        }
        let deadline = Instant::now() + FAREWELL;
        while Instant::now() < deadline {
            batch.extend(std::iter::from_fn(|| strikes.try_recv().ok()).take(BATCH));
            if batch.is_empty() {
                return;
            }
            self.strike_all(&mut batch).await;
        }
    }

    /// All at once: each is a round trip.
    async fn strike_all(&self, batch: &mut Vec<Struck>) {
        let told: JoinSet<()> = batch.drain(..).map(|struck| self.clone().tell_strike(struck)).collect();
        told.join_all().await;
    }

    async fn tell_strike(self, struck: Struck) {
        let Struck { client, count, ban, limit, window, length } = struck;
        let numbers = [limit, window, length].map(Arg::number);
        let args = [Arg::time(None), numbers[0], numbers[1], numbers[2]];
        let banned: Result<i64, _> = self.run_script(&STRIKE, &[&count, &ban], &args).await;
        self.count_lost(1, banned.is_err());
        match banned {
            Ok(1) => {
                self.shared.leases.bans.begun(client, length);
                self.shared.tally.bans.fetch_add(1, Relaxed);
            }
            Ok(_) => {}
            // It may have been counted all the same.
            Err(_) => self.shared.leases.bans.forget(client),
        }
    }

    /// That this gateway is there; and hears how many are.
    async fn say_hello(&self) {
        let key = format!("{}{{gateways}}", self.prefix);
        let me = Older { held: 1, since: 0 };
        if let Ok(gateways) = self.say_held(&key, &me, self.shared.pace.memory).await {
            self.shared.gateways.store(u32::try_from(gateways).unwrap_or(1).max(1), Relaxed);
        }
    }

    async fn renew(&self) {
        self.tell_all_held(self.shared.flights.begin_epoch()).await;
    }

    /// So many at once: each is a round trip. Every key is there once.
    async fn tell_all_held(&self, keys: Vec<String>) {
        let mut told = JoinSet::new();
        for key in keys {
            if told.len() >= BATCH {
                told.join_next().await;
            }
            told.spawn(self.clone().tell_held(key));
        }
        told.join_all().await;
    }

    async fn tell_held(self, key: String) {
        let older = self.shared.flights.older(&key);
        let told = self.say_held(&key, &older, self.shared.pace.lease).await;
        self.count_lost(1, told.is_err());
    }

    async fn say_held(&self, key: &str, older: &Older, lease: Duration) -> Result<i64, StoreError> {
        let args = [
            Arg::time(None),
            Arg::Gateway(self.shared.gateway),
            Arg::number(micros(lease)),
            Arg::number(older.held),
            Arg::number(older.since),
        ];
        self.run_script(&RENEW, &[key], &args).await
    }

    async fn tell(&self, jobs: &mut Vec<Job>) {
        let (mut charges, mut held) = (Vec::new(), Vec::new());
        for job in jobs.drain(..) {
            match job {
                Job::Charge { .. } => charges.push(job),
                Job::Held { key } => held.push(key),
            }
        }
        tokio::join!(self.tell_charges(&charges), self.tell_all_held(held));
    }

    /// One script for all of one group: in a cluster they are on one server.
    async fn tell_charges(&self, charges: &[Job]) {
        let mut left: Vec<&Job> = charges.iter().collect();
        while let Some(Job::Charge { names: first, .. }) = left.first() {
            let (group, others): (Vec<&Job>, Vec<&Job>) =
                left.iter().partition(|job| matches!(job, Job::Charge { names, .. } if names == first));
            let mut keys = Vec::with_capacity(group.len());
            let mut args = vec![Arg::time(None), Arg::Text("charge")];
            let mut rules = Vec::with_capacity(group.len());
            for job in &group {
                let Job::Charge { key, rule, units, taken_at, now, epoch, .. } = job else { continue };
                keys.push(key.as_str());
                rules.push(rule);
                push_limit(&mut args, rule, *units, *taken_at, false, *now, self.shared.holder_in(*epoch));
            }
            let told: Result<Vec<i64>, _> = self.run_script(limits(rules), &keys, &args).await;
            self.count_lost(keys.len(), told.is_err());
            left = others;
        }
    }

    fn count_lost(&self, jobs: usize, lost: bool) {
        if lost {
            self.shared.tally.lost.fetch_add(jobs as u64, Relaxed);
        }
    }
}

fn ticks(every: Duration) -> Interval {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

fn micros(duration: Duration) -> Micros {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
