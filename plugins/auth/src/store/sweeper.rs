//! When what has expired is removed.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use chrono::{DateTime, Utc};
use croner::Cron;
use croner::parser::{CronParser, Seconds};
use tidegate_core::prometheus::IntCounter;
use tidegate_core::{BuildCx, Clock, ConfigError, ConfigErrors, Stop};

use super::Store;
use crate::id::Millis;

/// The time of day may be set while nobody looks: it is looked at this often.
const LOOKED_AT: Duration = Duration::from_secs(15 * 60);

/// Sweeps `store` whenever `cron` says so, in UTC. Errors carry no path yet.
pub(crate) fn spawn_sweeper(store: &Arc<dyn Store>, cron: &str, cx: &mut BuildCx<'_>) -> Result<(), ConfigErrors> {
    let parser = CronParser::builder().seconds(Seconds::Disallowed).build();
    let refused =
        |what: String| ConfigError::at("", what).help("five fields as in crontab(5): `0 3 * * *`, or `@daily`");
    let cron = parser.parse(cron).map_err(|error| refused(format!("no time to sweep at: {error}")))?;
    if next(&cron, cx.clock().wall()).is_none() {
        return Err(refused("that time never comes".to_owned()).into());
    }
    let help = "What had expired and was removed from the token service's store.";
    let swept = cx.metrics().counter("tidegate_auth_swept_total", help, &[]);
    let swept = swept.map_err(|error| ConfigError::at("", error.to_string()))?.with_label_values::<&str>(&[]);
    let sweeper = Sweeper { store: store.clone(), clock: cx.clock().clone(), swept };
    cx.spawn("sweep", move |stop| sweeper.run(cron, stop));
    Ok(())
}

struct Sweeper {
    store: Arc<dyn Store>,
    clock: Clock,
    swept: IntCounter,
}

impl Sweeper {
    async fn run(self, cron: Cron, mut stop: Stop) {
        while let Some(at) = next(&cron, self.clock.wall()) {
            tokio::select! {
                () = stop.stopped() => return,
                () = self.until(at) => {}
            }
            tokio::select! {
                () = stop.stopped() => return,
                () = self.sweep() => {}
            }
        }
    }

    async fn until(&self, at: SystemTime) {
        while let Ok(left) = at.duration_since(self.clock.wall()) {
            if left.is_zero() {
                return;
            }
            self.clock.sleep(left.min(LOOKED_AT)).await;
        }
    }

    async fn sweep(&self) {
        match self.store.sweep(Millis::of(self.clock.wall())).await {
            Ok(count) => {
                self.swept.inc_by(count);
                log::info!(removed = count; "the token service's store is swept");
            }
            Err(error) => log::warn!("the token service's store is not swept: {error}"),
        }
    }
}

/// The first time after `now`.
fn next(cron: &Cron, now: SystemTime) -> Option<SystemTime> {
    let now = DateTime::<Utc>::from_timestamp_millis(i64::try_from(Millis::of(now).0).ok()?)?;
    let at = cron.find_next_occurrence(&now, false).ok()?;
    let at = u64::try_from(at.timestamp_millis()).ok()?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(at))
}
