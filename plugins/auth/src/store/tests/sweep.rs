//! The sweep comes when cron says so, by the clock of the gateway.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tidegate_core::{BuildCx, Clock, ConfigErrors, Metrics, Retained, Stop, Stores, Task};
use tidegate_testkit::{ManualClock, manual_clock, wait_until};
use tokio::sync::watch;

use super::{Any, secs};
use crate::id::{Id, Millis};
use crate::store::fake::FakeStore;
use crate::store::{Store, spawn_sweeper};

const HOUR: Duration = Duration::from_secs(3600);

/// What is left of a gateway: its clock, its metrics, its one task.
struct Swept {
    clock: ManualClock,
    metrics: Metrics,
    store: Arc<FakeStore>,
    tasks: Vec<Task>,
}

fn sweeper(cron: &str) -> Result<Swept, ConfigErrors> {
    let (clock, metrics, store) = (manual_clock(), Metrics::new(), FakeStore::new());
    let (kept, stores, mut tasks) = (Retained::new(), Stores::default(), Vec::new());
    let gateway = Clock::new(clock.clone());
    let mut cx = BuildCx::new("auth", &gateway, &metrics, &stores, (&kept, None), &mut tasks);
    let any: Any = store.clone();
    spawn_sweeper(&any, cron, &mut cx)?;
    Ok(Swept { clock, metrics, store, tasks })
}

impl Swept {
    fn removed(&self) -> u64 {
        // The one that was made before has the name.
        let counter = self.metrics.counter("tidegate_auth_swept_total", "help", &[]).expect("the metric");
        counter.with_label_values::<&str>(&[]).get()
    }

    async fn put(&self, until: SystemTime) {
        let now = Millis::of(SystemTime::UNIX_EPOCH);
        self.store.put(Id::random(), b"v", Millis::of(until), true, now).await.expect("an answer");
    }
}

#[tokio::test]
async fn what_has_expired_is_swept_every_midnight() {
    let mut swept = sweeper("0 0 * * *").expect("a time");
    let begin = Clock::new(swept.clock.clone()).wall();
    swept.put(begin + HOUR).await;
    swept.put(begin + HOUR).await;
    swept.put(begin + 30 * HOUR).await;
    let (stop, stopped) = watch::channel(false);
    let task = tokio::spawn(swept.tasks.remove(0).into_future(Stop::new(stopped)));
    wait_until("it waits", || swept.clock.sleepers() == 1).await;
    swept.clock.advance(24 * HOUR - secs(1));
    wait_until("it waits again", || swept.clock.sleepers() == 1).await;
    assert_eq!(swept.removed(), 0, "it isn't midnight");
    swept.clock.advance(secs(1));
    wait_until("it is swept", || swept.removed() == 2).await;
    wait_until("it waits for the next day", || swept.clock.sleepers() == 1).await;
    swept.clock.advance(24 * HOUR);
    wait_until("it is swept again", || swept.removed() == 3).await;
    stop.send_replace(true);
    task.await.expect("no panic");
}

#[tokio::test]
async fn a_store_that_is_lost_is_swept_the_next_time() {
    let mut swept = sweeper("@hourly").expect("a time");
    swept.put(Clock::new(swept.clock.clone()).wall()).await;
    swept.store.set_down(true);
    let (_stop, stopped) = watch::channel(false);
    tokio::spawn(swept.tasks.remove(0).into_future(Stop::new(stopped)));
    wait_until("it waits", || swept.clock.sleepers() == 1).await;
    let calls = swept.store.calls();
    swept.clock.advance(HOUR);
    wait_until("it has tried", || swept.store.calls() > calls && swept.clock.sleepers() == 1).await;
    swept.store.set_down(false);
    swept.clock.advance(HOUR);
    wait_until("it is swept", || swept.removed() == 1).await;
}

#[test]
fn what_is_no_time_is_refused() {
    for bad in ["", "midnight", "0 0 * *", "* * * * * *", "61 0 * * *", "0 0 31 2 *"] {
        let errors = match sweeper(bad) {
            Ok(_) => panic!("{bad:?} is no time"),
            Err(errors) => errors,
        };
        assert!(errors.to_string().contains("help: five fields"), "{errors}");
    }
}
